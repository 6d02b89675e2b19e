//! JSON kept as sent: a byte-wise scanner that checks and compacts a document while it streams by.
//!
//! A state is stored as its sender wrote it, except that whitespace outside strings is dropped: numbers keep every digit, strings
//! their escapes, objects their order and repeated names. A parser into values would change all of that, so the client, the
//! server and the direct mode run this scanner instead. It accepts exactly one value as RFC 8259 has it, in UTF-8, needs constant
//! memory, and gives the same bytes and the same flaw however the document is cut into chunks.

use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::limits::{STATE_BYTES, STATE_DEPTH};

mod decimal;
pub mod edit;
mod grammar;
mod span;
mod text;

#[cfg(test)]
mod tests;

use grammar::{Nest, State, expected, is_blank, not_a_value_at_all};

/// Checks one JSON document, chunk by chunk, and drops the whitespace outside its strings.
#[derive(Clone, Debug)]
pub struct Scanner {
    max_bytes: u64,
    nest: Nest,
    state: State,
    /// Bytes fed before the present chunk.
    read: u64,
    /// Bytes put out.
    kept: u64,
    failed: Option<Flaw>,
}

/// What is wrong with a document, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The byte at which it was seen, counted from 0 as sent.
    pub offset: u64,
    /// What it is.
    pub kind: FlawKind,
}

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlawKind {
    /// Nothing but whitespace was sent.
    Empty,
    /// It begins with a byte order mark, which RFC 8259 forbids.
    ByteOrderMark,
    /// Something else was expected. `found` is the byte there; `None` is the end.
    Expected {
        /// What would have been right.
        what: &'static str,
        /// What was there.
        found: Option<u8>,
    },
    /// A control character stands unescaped inside a string.
    Control(u8),
    /// A string is not UTF-8.
    NotUtf8,
    /// It nests deeper than this.
    TooDeep(usize),
    /// Without its whitespace it has more bytes than this.
    TooLarge(u64),
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new(STATE_BYTES, STATE_DEPTH)
    }
}

impl Scanner {
    /// A scanner for one document of at most `max_bytes` bytes without its whitespace, nested at most `max_depth` deep. The default
    /// has the limits of a state.
    #[must_use]
    pub const fn new(max_bytes: u64, max_depth: usize) -> Self {
        Self { max_bytes, nest: Nest::new(max_depth), state: State::Start, read: 0, kept: 0, failed: None }
    }

    /// Takes the next bytes of the document and appends what is kept of them to `out`.
    ///
    /// # Errors
    /// The first flaw; `out` then holds a part of the document. Every later call returns the same flaw.
    pub fn feed(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Flaw> {
        if let Some(flaw) = self.failed {
            return Err(flaw);
        }
        let result = self.scan(chunk, out);
        self.failed = result.err();
        self.read += chunk.len() as u64;
        result
    }

    /// Ends the document.
    ///
    /// # Errors
    /// When no value came or the value is not complete, and the flaw found before.
    pub fn finish(self) -> Result<(), Flaw> {
        if let Some(flaw) = self.failed {
            return Err(flaw);
        }
        let kind = match self.state {
            State::After if self.nest.is_empty() => return Ok(()),
            State::Number(number) if number.is_complete() && self.nest.is_empty() => return Ok(()),
            State::Start | State::Blank => FlawKind::Empty,
            State::Mark(_) => return Err(not_a_value_at_all()),
            state => expected(self.nest.wanted(state), None),
        };
        Err(Flaw { offset: self.read, kind })
    }

    /// Bytes put out so far.
    #[must_use]
    pub const fn kept(&self) -> u64 {
        self.kept
    }

    fn scan(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Flaw> {
        // What is kept is copied in runs as long as possible: `from` is where the present run begins.
        let (mut from, mut at) = (0, 0);
        // In a variable of its own it stays in registers.
        let mut state = self.state;
        while at < chunk.len() {
            at += state.run(&chunk[at..]);
            let Some(&byte) = chunk.get(at) else { break };
            if is_blank(byte) && state.is_between_tokens() {
                self.keep(&chunk[from..at], from, out)?;
                at += chunk[at..].iter().take_while(|b| is_blank(**b)).count();
                from = at;
                state = state.after_blank();
            } else if let Some(next) = self.nest.next(state, byte) {
                state = next;
                at += 1;
            } else {
                // What came before the flaw may itself be too large, and was there first.
                self.keep(&chunk[from..at], from, out)?;
                return Err(self.nest.flaw(state, byte, self.read + at as u64));
            }
        }
        self.state = state;
        self.keep(&chunk[from..], from, out)
    }

    /// Puts out a run that begins at `from` in the present chunk.
    fn keep(&mut self, run: &[u8], from: usize, out: &mut Vec<u8>) -> Result<(), Flaw> {
        let room = self.max_bytes - self.kept;
        if run.len() as u64 > room {
            let offset = self.read + from as u64 + room;
            return Err(Flaw { offset, kind: FlawKind::TooLarge(self.max_bytes) });
        }
        out.extend_from_slice(run);
        self.kept += run.len() as u64;
        Ok(())
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.offset;
        match self.kind {
            FlawKind::Empty => f.write_str("the state is empty"),
            FlawKind::ByteOrderMark => f.write_str("the state begins with a byte order mark"),
            FlawKind::Expected { what, found: None } => write!(f, "the state ends at byte {at}, {what} was expected"),
            FlawKind::Expected { what, found: Some(b) } if b.is_ascii_graphic() => {
                write!(f, "the state has `{}` at byte {at}, {what} was expected", char::from(b))
            }
            FlawKind::Expected { what, found: Some(b) } => {
                write!(f, "the state has byte 0x{b:02x} at byte {at}, {what} was expected")
            }
            FlawKind::Control(b) => write!(f, "a string has the control character 0x{b:02x} at byte {at}"),
            FlawKind::NotUtf8 => write!(f, "a string is not UTF-8 at byte {at}"),
            FlawKind::TooDeep(max) => write!(f, "the state nests deeper than {max} at byte {at}"),
            FlawKind::TooLarge(max) => write!(f, "the state has more than {max} bytes without its whitespace"),
        }
    }
}

impl std::error::Error for Flaw {}

impl From<Flaw> for Error {
    fn from(flaw: Flaw) -> Self {
        let (kind, hint) = match flaw.kind {
            FlawKind::TooLarge(_) => (ErrorKind::TooLarge, "keep large data elsewhere and its address here"),
            FlawKind::Empty => (ErrorKind::InvalidState, "send one JSON value; `null` is one"),
            FlawKind::ByteOrderMark => (ErrorKind::InvalidState, "save it as UTF-8 without a byte order mark"),
            FlawKind::Control(_) => (ErrorKind::InvalidState, "write it as an escape, such as \\n"),
            FlawKind::NotUtf8 => (ErrorKind::InvalidState, "convert it to UTF-8"),
            FlawKind::TooDeep(_) => (ErrorKind::InvalidState, "make it flatter"),
            FlawKind::Expected { .. } => (ErrorKind::InvalidState, "send exactly one JSON value"),
        };
        Self::new(kind, flaw.to_string()).with_hint(hint)
    }
}
