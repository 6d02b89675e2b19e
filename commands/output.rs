//! What is written where: data on standard output, all else on standard error.

use std::io::{self, Write};

use lockd::clock::UnixMillis;
use lockd::error::{Error, ErrorKind, Result};
use serde::Serialize;

use super::process::sys;
use super::text;

/// The version of the JSON that commands print; it may only grow.
pub const SCHEMA: u32 = 1;

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// The same as YAML.
    Yaml,
}

/// What goes to standard error, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Voice {
    /// Errors only.
    pub quiet: bool,
    /// More than usual.
    pub verbose: bool,
    /// Errors as JSON objects.
    pub json: bool,
    /// In colour.
    pub color: bool,
}

/// A document with the version of its schema at its head.
#[derive(Serialize)]
struct Document<'a, T> {
    schema: u32,
    #[serde(flatten)]
    body: &'a T,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'static str,
    exit: u8,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_etag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<Holder<'a>>,
}

/// Who holds a key, in JSON.
#[derive(Serialize)]
pub struct Holder<'a> {
    owner: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
    lease_id: &'a str,
    token: u64,
    since: String,
    ttl_ms: u64,
    frees_in_ms: u64,
}

impl<'a> From<&'a lockd::service::Busy> for Holder<'a> {
    fn from(busy: &'a lockd::service::Busy) -> Self {
        Self {
            owner: busy.owner.as_str(),
            reason: busy.reason.as_ref().map(lockd::model::Reason::as_str),
            host: busy.holder.host.as_deref(),
            pid: busy.holder.pid,
            user: busy.holder.user.as_deref(),
            command: busy.holder.command.as_deref(),
            lease_id: busy.lease_id.as_str(),
            token: busy.token.0,
            since: text::rfc3339(busy.since),
            ttl_ms: busy.ttl.millis(),
            frees_in_ms: u64::try_from(busy.frees_in.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// The format by its name.
///
/// # Errors
/// What would have been right.
pub fn format(name: &str) -> Result<Format, String> {
    match name {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        "yaml" => Ok(Format::Yaml),
        other => Err(format!("{other:?} is no format here; there are text, json and yaml")),
    }
}

/// A document in one of the formats for programs; text is the caller's own affair and gives the JSON.
///
/// # Errors
/// `Internal` when the body cannot be written so.
pub fn document<T: Serialize>(format: Format, body: &T) -> Result<String> {
    let document = Document { schema: SCHEMA, body };
    let failed = |e: &dyn std::fmt::Display| Error::new(ErrorKind::Internal, format!("cannot write the answer: {e}"));
    match format {
        Format::Yaml => serde_yaml::to_string(&document).map_err(|e| failed(&e)),
        Format::Text | Format::Json => serde_json::to_string(&document).map(|s| s + "\n").map_err(|e| failed(&e)),
    }
}

/// Writes data to standard output and flushes it.
///
/// # Errors
/// As the system gives them.
pub fn write(data: impl AsRef<[u8]>) -> io::Result<()> {
    if sys::caller_closed(1) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    let mut out = io::stdout().lock();
    out.write_all(data.as_ref())?;
    out.flush()
}

/// Prints data. A reader that has gone away is no error: it had what it wanted.
///
/// # Errors
/// Anything else that kept the data from being written.
pub fn print(data: impl AsRef<[u8]>) -> Result<()> {
    settle(write(data)).map(|_open| ())
}

/// What an attempt to print means: whether somebody still reads.
///
/// # Errors
/// Anything but a closed pipe.
pub fn settle(written: io::Result<()>) -> Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(unwritten(&e)),
    }
}

/// Standard output did not take the data: exit 74, whatever the reason.
pub fn unwritten(e: &io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot write to standard output: {e}"))
}

impl Voice {
    /// Says something that is worth knowing and no error.
    pub fn note(&self, message: &str) {
        if !self.quiet {
            self.line(message, "");
        }
    }

    /// Says something that only who asked for more wants to know.
    pub fn detail(&self, message: &str) {
        if self.verbose {
            self.line(message, "");
        }
    }

    /// Says what went wrong beside the answer: also to who wants errors only.
    pub fn warn(&self, message: &str) {
        self.line(message, "");
    }

    /// Reports an error.
    pub fn error(&self, error: &Error, exit: u8, now: UnixMillis) {
        if !self.json {
            let text = match error.hint() {
                Some(hint) => format!("{}; {hint}", message(error, now)),
                None => message(error, now),
            };
            return self.line(&text, "\x1b[1;31m");
        }
        let details = error.details();
        let body = ErrorBody {
            error: error.kind().wire_code(),
            exit,
            message: message(error, now),
            hint: error.hint(),
            current_version: details.current_version.map(|version| version.0),
            current_etag: details.current_etag.as_deref(),
            holder: details.busy.as_deref().map(Holder::from),
        };
        // An error about an error would help nobody.
        let line = document(Format::Json, &body).unwrap_or_default();
        let _unheard = io::stderr().lock().write_all(line.as_bytes());
    }

    /// One line, written at once so that it is not mixed with others'.
    fn line(&self, message: &str, color: &str) {
        let line = match color {
            "" => format!("lockd: {message}\n"),
            color if self.color => format!("{color}lockd:\x1b[0m {message}\n"),
            _ => format!("lockd: {message}\n"),
        };
        // There is nowhere to say that standard error is gone.
        let _unheard = io::stderr().lock().write_all(line.as_bytes());
    }
}

/// The message, with who holds the key where that is why.
pub fn message(error: &Error, now: UnixMillis) -> String {
    match (error.kind(), &error.details().busy) {
        (ErrorKind::Busy, Some(busy)) => {
            let (key, _) = error.message().split_once(" is held by").unwrap_or((error.message(), ""));
            format!("{key} is held by {}", text::holder(busy, now))
        }
        _ => one_line(error.message()),
    }
}

/// Control characters in a message come from names that were put into it.
fn one_line(message: &str) -> String {
    message.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// What a choice of colour means; `unasked` is what holds when nobody chose: `NO_COLOR`, `TERM=dumb` and what it is connected
/// to decide then.
pub fn colored(choice: &str, unasked: bool) -> Result<bool, String> {
    match choice {
        "always" => Ok(true),
        "never" => Ok(false),
        "auto" => Ok(unasked),
        other => Err(format!("{other:?} is none of auto, always and never")),
    }
}
