//! Errors on the wire.

use serde::{Deserialize, Serialize};

use super::HolderBody;
use crate::error::{Details, Error, ErrorKind};
use crate::model::Version;

/// The body of every answer that is not a success. Empty parts are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The code: [`ErrorKind::wire_code`].
    pub error: String,
    /// What happened, to what.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The state's present version, on conflicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_version: Option<u64>,
    /// The state's present ETag, on conflicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_etag: Option<String>,
    /// When to ask again; the header `Retry-After` says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    /// Who holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<HolderBody>,
}

/// What a refused request was about: one code stands for two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The body was a state: `invalid_body` means that it is not exactly one JSON value.
    State,
    /// Anything else.
    Call,
}

impl ErrorBody {
    /// Of an error. `retry_after` in seconds; zero is as good as none.
    #[must_use]
    pub fn new(error: &Error, retry_after: Option<u64>) -> Self {
        let details = error.details();
        Self {
            error: error.kind().wire_code().to_owned(),
            detail: error.message().to_owned(),
            hint: error.hint().map(str::to_owned),
            current_version: details.current_version.map(|version| version.0),
            current_etag: details.current_etag.clone(),
            retry_after_seconds: retry_after.filter(|seconds| *seconds > 0),
            holder: details.busy.as_deref().map(HolderBody::new),
        }
    }

    /// The error that it stands for, with the HTTP status that it came with: a code that this version does not know is
    /// understood by that.
    #[must_use]
    pub fn into_error(self, status: u16, subject: Subject) -> Error {
        let details = Details {
            current_version: self.current_version.map(Version),
            current_etag: self.current_etag,
            busy: self.holder.map(|holder| Box::new(holder.into_busy())),
        };
        let detail = if self.detail.is_empty() { format!("the server refused: {}", self.error) } else { self.detail };
        let error = Error::new(kind(&self.error, status, subject), detail).with_details(details);
        match self.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// The error of an answer whose body is none of lockd's: a proxy's page, for example.
    #[must_use]
    pub fn of_status(status: u16) -> Error {
        Error::new(by_status(status), format!("the server answered with HTTP status {status}"))
            .with_hint("see whether a lockd server stands at that address, and what stands before it")
    }
}

/// The kind that a code stands for.
fn kind(code: &str, status: u16, subject: Subject) -> ErrorKind {
    if code == ErrorKind::Usage.wire_code() {
        return match subject {
            Subject::State => ErrorKind::InvalidState,
            Subject::Call => ErrorKind::Usage,
        };
    }
    let known = ErrorKind::ALL.iter().find(|kind| kind.wire_code() == code);
    known.copied().unwrap_or_else(|| by_status(status))
}

/// The kind that a status stands for. 503 and what is refused before it is looked at are "certainly not applied"; of other
/// faults of a server nobody knows.
fn by_status(status: u16) -> ErrorKind {
    match status {
        400 => ErrorKind::Usage,
        401 | 403 | 407 => ErrorKind::NotPermitted,
        408 | 503 => ErrorKind::Unavailable,
        413 => ErrorKind::TooLarge,
        429 => ErrorKind::Throttled,
        507 => ErrorKind::StoreFull,
        500.. => ErrorKind::OutcomeUnknown,
        _ => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_out_as_it_went_in() {
        for kind in ErrorKind::ALL {
            let error = Error::new(*kind, "what").with_hint("next").with_details(Details {
                current_version: Some(Version(3)),
                current_etag: Some("e".into()),
                busy: None,
            });
            let sent = serde_json::to_string(&ErrorBody::new(&error, None)).unwrap();
            let body: ErrorBody = serde_json::from_str(&sent).unwrap();
            let subject = if *kind == ErrorKind::InvalidState { Subject::State } else { Subject::Call };
            let read = body.into_error(kind.http_status(), subject);
            assert_eq!((read.kind(), read.message(), read.hint()), (*kind, "what", Some("next")), "{sent}");
            assert_eq!(read.details(), error.details());
        }
    }

    #[test]
    fn only_one_code_stands_for_two_kinds() {
        let mut codes: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.wire_code()).collect();
        codes.sort_unstable();
        let twice: Vec<_> = codes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        assert_eq!(twice, ["invalid_body"]);
    }

    #[test]
    fn empty_parts_are_left_out_and_unknown_codes_understood_by_their_status() {
        let sent = serde_json::to_string(&ErrorBody::new(&Error::new(ErrorKind::Busy, ""), Some(0))).unwrap();
        assert_eq!(sent, r#"{"error":"waiting"}"#);
        for (status, kind) in [
            (503, ErrorKind::Unavailable),
            (504, ErrorKind::OutcomeUnknown),
            (502, ErrorKind::OutcomeUnknown),
            (401, ErrorKind::NotPermitted),
            (404, ErrorKind::Internal),
        ] {
            let body = ErrorBody { error: "of a later version".into(), ..ErrorBody::default() };
            assert_eq!(body.into_error(status, Subject::Call).kind(), kind, "{status}");
        }
    }
}
