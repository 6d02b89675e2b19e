//! `--report`: what came of it, as one JSON object, on every way out that exec itself lives through.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use lockd::clock::BootTime;
use lockd::error::{Error, ErrorKind, Result};
use lockd::model::FencingToken;
use rustix::fs::OFlags;
use serde::Serialize;

use super::super::context::usage;
use super::super::output::{self, Format};
use super::super::process::sys;
use super::super::process::wire::Status;
use super::super::text;
use super::super::whole_file::WholeFile;

/// What came of it, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The command ran, and ended by itself or by a signal that was not lockd's.
    Ran,
    /// Somebody else holds a key.
    Busy,
    /// Nothing ran, and that is no failure.
    Skipped,
    /// A signal ended the wait.
    Interrupted,
    /// A lease was lost; the command was ended.
    Lost,
    /// A lease was broken by an operator; the command was ended.
    Broken,
    /// The longest run time was over; the command was ended.
    Timeout,
    /// The store did not say whether something was done.
    Unknown,
    /// Anything else.
    Error,
}

impl Outcome {
    /// What an error means.
    pub const fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Busy => Self::Busy,
            ErrorKind::OutcomeUnknown => Self::Unknown,
            ErrorKind::LeaseBroken => Self::Broken,
            ErrorKind::LeaseExpired | ErrorKind::LeaseRequired | ErrorKind::LeaseEnded => Self::Lost,
            _ => Self::Error,
        }
    }
}

/// What is counted on the way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// When the first lease was asked for.
    pub asked: Option<BootTime>,
    /// When the last lease was granted.
    pub granted: Option<BootTime>,
    /// The fencing token of the first key.
    pub token: Option<FencingToken>,
    /// How the command ended.
    pub status: Option<Status>,
}

#[derive(Serialize)]
struct Body<'a> {
    outcome: Outcome,
    exit: u8,
    child_exit: Option<u8>,
    child_signal: Option<i32>,
    waited_ms: u64,
    held_ms: u64,
    token: Option<u64>,
    key: &'a str,
}

/// A report that was asked for and can be written.
#[derive(Debug)]
pub struct Report {
    name: String,
    file: File,
    whole: Option<WholeFile>,
}

impl Report {
    /// Opens what was named: a file, or a descriptor of the caller's as `fd:N`.
    ///
    /// # Errors
    /// `Usage` for a malformed descriptor, `CannotCreate` for what cannot be opened.
    pub fn open(named: &str) -> Result<Self> {
        let name = text::shown(named);
        let cannot = |e: &io::Error| {
            Error::new(ErrorKind::CannotCreate, format!("--report: cannot write to {name}: {e}")).with_hint(
                "nothing was run; name a file in a directory that you may write, or an open descriptor as fd:N",
            )
        };
        let Some(number) = named.strip_prefix("fd:") else {
            let (whole, file) = WholeFile::create(Path::new(named)).map_err(|e| cannot(&e))?;
            return Ok(Self { name, file, whole: Some(whole) });
        };
        let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| number.parse().ok()).flatten();
        let number =
            number.ok_or_else(|| usage("--report", &format!("{named:?} does not name a descriptor; write fd:3")))?;
        let fd = sys::inherited(number).map_err(|e| cannot(&e))?;
        let flags = rustix::fs::fcntl_getfl(&fd).map_err(|e| cannot(&e.into()))?;
        if flags & OFlags::RWMODE == OFlags::RDONLY {
            return Err(cannot(&io::Error::from_raw_os_error(libc::EBADF)));
        }
        Ok(Self { name, file: File::from(fd), whole: None })
    }

    /// Writes it.
    ///
    /// # Errors
    /// `Io` and its like.
    pub fn finish(mut self, tally: &Tally, outcome: Outcome, exit: u8, key: &str, now: BootTime) -> Result<()> {
        let (child_exit, child_signal) = match tally.status {
            Some(Status::Code(code)) => (Some(code), None),
            Some(Status::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        let millis =
            |span: Option<Duration>| span.map_or(0, |span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        let body = Body {
            outcome,
            exit,
            child_exit,
            child_signal,
            waited_ms: millis(tally.asked.map(|asked| tally.granted.unwrap_or(now).since(asked))),
            held_ms: millis(tally.granted.map(|granted| now.since(granted))),
            token: tally.token.map(|token| token.0),
            key,
        };
        let text = output::document(Format::Json, &body)?;
        let written = self.file.write_all(text.as_bytes());
        let written = written.and_then(|()| self.whole.take().map_or(Ok(()), WholeFile::finish));
        written.map_err(|e| Error::io(format_args!("write the report to {}", self.name), &e))
    }

    /// Takes away what may lie about, in a process whose exec is dead.
    pub fn discard(&self) {
        self.whole.iter().for_each(WholeFile::discard);
    }
}
