//! JSON kept as sent: a byte-wise scanner that checks and compacts a document while it streams by.
//!
//! A state is stored as its sender wrote it, except that whitespace outside strings is dropped: numbers keep every digit, strings
//! their escapes, objects their order and repeated names. A parser into values would change all of that, so the client, the
//! server and the direct mode run this scanner instead. It accepts exactly one value as RFC 8259 has it, in UTF-8, needs constant
//! memory, and gives the same bytes and the same flaw however the document is cut into chunks.

use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::limits::{STATE_BYTES, STATE_DEPTH};

mod text;

#[cfg(test)]
mod tests;

use text::{Text, plain_run};

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

/// What may come next.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Before the first byte.
    Start,
    /// Nothing but whitespace so far.
    Blank,
    /// Bytes of a byte order mark seen.
    Mark(u8),
    Value,
    ValueOrClose,
    Name,
    NameOrClose,
    Colon,
    /// A value is complete.
    After,
    /// Inside a string; `name` when it is the name of a member.
    Text {
        name: bool,
        text: Text,
    },
    /// Inside `true`, `false` or `null`.
    Word {
        word: &'static str,
        rest: &'static [u8],
    },
    Number(Number),
}

/// How far a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
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
            State::Mark(_) => return Err(Flaw { offset: 0, kind: expected("a JSON value", Some(0xEF)) }),
            state => expected(self.wanted(state), None),
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
        while at < chunk.len() {
            if let State::Text { text: Text::Plain, .. } = self.state {
                at += plain_run(&chunk[at..]);
                if at == chunk.len() {
                    break;
                }
            }
            let byte = chunk[at];
            if is_blank(byte) && self.between_tokens() {
                self.keep(&chunk[from..at], from, out)?;
                at += chunk[at..].iter().take_while(|b| is_blank(**b)).count();
                from = at;
                self.state = self.state.after_blank();
                continue;
            }
            match self.next(byte) {
                Ok(next) => {
                    self.state = next;
                    at += 1;
                }
                Err(kind) => {
                    // What came before the flaw may itself be too large, and was there first.
                    self.keep(&chunk[from..at], from, out)?;
                    let marked = matches!(kind, FlawKind::ByteOrderMark) || matches!(self.state, State::Mark(_));
                    let offset = if marked { 0 } else { self.read + at as u64 };
                    return Err(Flaw { offset, kind });
                }
            }
        }
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

    /// Whether whitespace may stand here. A complete number ends at it.
    const fn between_tokens(&self) -> bool {
        match self.state {
            State::Text { .. } | State::Word { .. } | State::Mark(_) => false,
            State::Number(number) => number.is_complete(),
            _ => true,
        }
    }

    /// One byte that is not whitespace between tokens.
    fn next(&mut self, byte: u8) -> Result<State, FlawKind> {
        match self.state {
            State::Text { name, text } => match text.next(byte)? {
                Some(text) => Ok(State::Text { name, text }),
                None if name => Ok(State::Colon),
                None => Ok(State::After),
            },
            State::Number(number) => match number.next(byte) {
                Some(next) => Ok(State::Number(next)),
                None if number.is_complete() => self.after(byte),
                None => Err(expected("a digit", Some(byte))),
            },
            State::After => self.after(byte),
            State::Value => self.value(byte, "a JSON value"),
            State::ValueOrClose if byte == b']' => Ok(self.nest.close()),
            State::ValueOrClose => self.value(byte, "a JSON value or `]`"),
            State::NameOrClose if byte == b'}' => Ok(self.nest.close()),
            State::Name | State::NameOrClose if byte == b'"' => Ok(State::Text { name: true, text: Text::Plain }),
            State::Colon if byte == b':' => Ok(State::Value),
            State::Word { word, rest } => match rest.split_first() {
                Some((first, [])) if *first == byte => Ok(State::After),
                Some((first, rest)) if *first == byte => Ok(State::Word { word, rest }),
                _ => Err(expected(word, Some(byte))),
            },
            State::Start if byte == 0xEF => Ok(State::Mark(1)),
            State::Start | State::Blank => self.value(byte, "a JSON value"),
            State::Mark(1) if byte == 0xBB => Ok(State::Mark(2)),
            State::Mark(2) if byte == 0xBF => Err(FlawKind::ByteOrderMark),
            State::Mark(_) => Err(expected("a JSON value", Some(0xEF))),
            state @ (State::Name | State::NameOrClose | State::Colon) => Err(expected(self.wanted(state), Some(byte))),
        }
    }

    fn value(&mut self, byte: u8, what: &'static str) -> Result<State, FlawKind> {
        Ok(match byte {
            b'"' => State::Text { name: false, text: Text::Plain },
            b'{' => self.nest.open(true)?,
            b'[' => self.nest.open(false)?,
            b'-' => State::Number(Number::Minus),
            b'0' => State::Number(Number::Zero),
            b'1'..=b'9' => State::Number(Number::Whole),
            b't' => State::Word { word: "`true`", rest: b"rue" },
            b'f' => State::Word { word: "`false`", rest: b"alse" },
            b'n' => State::Word { word: "`null`", rest: b"ull" },
            _ => return Err(expected(what, Some(byte))),
        })
    }

    fn after(&mut self, byte: u8) -> Result<State, FlawKind> {
        match (self.nest.in_object(), byte) {
            (Some(true), b',') => Ok(State::Name),
            (Some(false), b',') => Ok(State::Value),
            (Some(true), b'}') | (Some(false), b']') => Ok(self.nest.close()),
            _ => Err(expected(self.wanted(State::After), Some(byte))),
        }
    }

    /// What may come in a state, for messages.
    const fn wanted(&self, state: State) -> &'static str {
        match state {
            State::Start | State::Blank | State::Mark(_) | State::Value => "a JSON value",
            State::ValueOrClose => "a JSON value or `]`",
            State::Name => "a name in quotes",
            State::NameOrClose => "a name in quotes or `}`",
            State::Colon => "`:`",
            State::Text { .. } => "the end of a string",
            State::Word { word, .. } => word,
            State::Number(number) if !number.is_complete() => "a digit",
            State::Number(_) | State::After => match self.nest.in_object() {
                Some(true) => "`,` or `}`",
                Some(false) => "`,` or `]`",
                None => "the end after one JSON value",
            },
        }
    }
}

impl State {
    const fn after_blank(self) -> Self {
        match self {
            Self::Start => Self::Blank,
            Self::Number(_) => Self::After,
            state => state,
        }
    }
}

impl Number {
    /// The grammar of RFC 8259, section 6; `None` when the byte is no part of the number.
    const fn next(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Whole, b'0'..=b'9') => Self::Whole,
            (Self::Zero | Self::Whole, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, b'0'..=b'9') => Self::ExponentDigits,
            _ => return None,
        })
    }

    const fn is_complete(self) -> bool {
        matches!(self, Self::Zero | Self::Whole | Self::Fraction | Self::ExponentDigits)
    }
}

/// The open objects and arrays, one bit each.
#[derive(Clone, Debug)]
struct Nest {
    max: usize,
    depth: usize,
    objects: Vec<u64>,
}

impl Nest {
    const fn new(max: usize) -> Self {
        Self { max, depth: 0, objects: Vec::new() }
    }

    const fn is_empty(&self) -> bool {
        self.depth == 0
    }

    fn open(&mut self, object: bool) -> Result<State, FlawKind> {
        if self.depth == self.max {
            return Err(FlawKind::TooDeep(self.max));
        }
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word == self.objects.len() {
            self.objects.push(0);
        }
        self.objects[word] = self.objects[word] & !(1 << bit) | u64::from(object) << bit;
        self.depth += 1;
        Ok(if object { State::NameOrClose } else { State::ValueOrClose })
    }

    const fn close(&mut self) -> State {
        self.depth -= 1;
        State::After
    }

    /// Whether the innermost is an object; `None` outside of all.
    const fn in_object(&self) -> Option<bool> {
        match self.depth.checked_sub(1) {
            Some(last) => Some(self.objects.as_slice()[last / 64] >> (last % 64) & 1 == 1),
            None => None,
        }
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

const fn expected(what: &'static str, found: Option<u8>) -> FlawKind {
    FlawKind::Expected { what, found }
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
