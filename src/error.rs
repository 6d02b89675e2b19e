//! One error type and one table: what went wrong, the exit code of the command line, the HTTP status and the code on the wire.

use std::fmt;

use crate::model::Version;

/// What kind of thing went wrong. A kind exists only where the caller would act differently; the message has the detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A malformed argument, URL, duration or size, or flags that exclude each other.
    Usage,
    /// A malformed namespace or key.
    InvalidKey,
    /// A request id was used before, with another body.
    RequestIdReused,
    /// The request needs the lease's transaction id, because a staged change is there.
    MissingTxn,
    /// The state is not exactly one JSON value.
    InvalidState,
    /// The state is too large.
    TooLarge,
    /// The body is not as long as announced.
    BytesMismatch,
    /// The body does not have the announced hash.
    Sha256Mismatch,
    /// No connection, time-out, or the store refused for now: certainly not applied.
    Unavailable,
    /// Too many requests: certainly not applied.
    Throttled,
    /// The server follows as many leases for update as it can, in all or for this client: certainly not applied.
    TooManyStreams,
    /// The server is shutting down: certainly not applied.
    Draining,
    /// A fault of lockd itself.
    Internal,
    /// A file cannot be created.
    CannotCreate,
    /// Input or output failed.
    Io,
    /// The store has no room.
    StoreFull,
    /// Held by another.
    Busy,
    /// The server, the store or the file system does not permit it.
    NotPermitted,
    /// The configuration is wrong.
    Config,
    /// There is no store there, or what is there is not lockd's.
    StoreMissing,
    /// The store is not the one that this process knew.
    StoreReplaced,
    /// A record or the store was written by a newer lockd.
    TooNew,
    /// A record or blob is damaged.
    Corrupt,
    /// No lease was shown, or it is not the key's present one.
    LeaseRequired,
    /// The lease expired and that was recorded.
    LeaseExpired,
    /// The lease id has already ended; it is never granted again.
    LeaseEnded,
    /// An operator broke the lease.
    LeaseBroken,
    /// The lease's staged change was dropped before its release came.
    StagedDiscarded,
    /// The transaction id is not the lease's.
    TxnMismatch,
    /// The fencing token is not the lease's.
    FencingMismatch,
    /// A newer fencing token has been seen.
    StaleToken,
    /// The state's version is not the expected one.
    VersionConflict,
    /// The state's ETag is not the expected one.
    EtagMismatch,
    /// The key has been used before.
    AlreadyExists,
    /// Another lease stands than the one that was named.
    LeaseMismatch,
    /// It may or may not have been applied; repeating it with the same ids is safe.
    OutcomeUnknown,
}

use ErrorKind as K;

impl ErrorKind {
    /// Every kind, for tests and generated tables.
    pub const ALL: &[Self] = &[
        K::Usage,
        K::InvalidKey,
        K::RequestIdReused,
        K::MissingTxn,
        K::InvalidState,
        K::TooLarge,
        K::BytesMismatch,
        K::Sha256Mismatch,
        K::Unavailable,
        K::Throttled,
        K::TooManyStreams,
        K::Draining,
        K::Internal,
        K::CannotCreate,
        K::Io,
        K::StoreFull,
        K::Busy,
        K::NotPermitted,
        K::Config,
        K::StoreMissing,
        K::StoreReplaced,
        K::TooNew,
        K::Corrupt,
        K::LeaseRequired,
        K::LeaseExpired,
        K::LeaseEnded,
        K::LeaseBroken,
        K::StagedDiscarded,
        K::TxnMismatch,
        K::FencingMismatch,
        K::StaleToken,
        K::VersionConflict,
        K::EtagMismatch,
        K::AlreadyExists,
        K::LeaseMismatch,
        K::OutcomeUnknown,
    ];

    /// The table: exit code of the command line, HTTP status, code on the wire.
    const fn row(self) -> (u8, u16, &'static str) {
        match self {
            K::Usage => (64, 400, "invalid_body"),
            K::InvalidKey => (64, 400, "invalid_key"),
            K::RequestIdReused => (64, 409, "request_id_reused"),
            K::MissingTxn => (64, 400, "missing_txn"),
            K::InvalidState => (65, 400, "invalid_body"),
            K::TooLarge => (65, 413, "document_too_large"),
            K::BytesMismatch => (65, 409, "expected_bytes_mismatch"),
            K::Sha256Mismatch => (65, 409, "expected_sha256_mismatch"),
            K::Unavailable => (69, 503, "unavailable"),
            K::Throttled => (69, 429, "throttled"),
            K::TooManyStreams => (69, 429, "for_update_busy"),
            K::Draining => (69, 503, "shutdown_draining"),
            K::Internal => (70, 500, "internal"),
            K::CannotCreate => (73, 500, "cannot_create"),
            K::Io => (74, 500, "io"),
            K::StoreFull => (74, 507, "store_full"),
            K::Busy => (75, 409, "waiting"),
            K::NotPermitted => (77, 403, "not_permitted"),
            K::Config => (78, 500, "config"),
            K::StoreMissing => (78, 500, "store_missing"),
            K::StoreReplaced => (78, 500, "store_replaced"),
            K::TooNew => (78, 500, "too_new"),
            K::Corrupt => (78, 500, "corrupt"),
            K::LeaseRequired => (80, 403, "lease_required"),
            K::LeaseExpired => (80, 403, "lease_expired"),
            K::LeaseEnded => (80, 409, "lease_ended"),
            K::StagedDiscarded => (80, 409, "staged_discarded"),
            K::TxnMismatch => (80, 409, "txn_mismatch"),
            K::FencingMismatch => (81, 403, "fencing_mismatch"),
            K::StaleToken => (81, 409, "stale_token"),
            K::VersionConflict => (82, 409, "version_conflict"),
            K::EtagMismatch => (82, 409, "etag_mismatch"),
            K::AlreadyExists => (82, 409, "already_exists"),
            K::LeaseMismatch => (82, 409, "lease_mismatch"),
            K::OutcomeUnknown => (83, 504, "outcome_unknown"),
            K::LeaseBroken => (84, 403, "lease_broken"),
        }
    }

    /// The exit code of the command line.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        self.row().0
    }

    /// The HTTP status.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        self.row().1
    }

    /// The code on the wire and in `--json` errors.
    #[must_use]
    pub const fn wire_code(self) -> &'static str {
        self.row().2
    }
}

/// An error: what happened, to what, and what to do next.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    details: Details,
}

/// What an error can carry beside its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The state's present version, on conflicts.
    pub current_version: Option<Version>,
    /// The state's present ETag, on conflicts.
    pub current_etag: Option<String>,
    /// Who holds the lease, on refusals because of it.
    pub busy: Option<Box<crate::service::Busy>>,
}

/// Shorthand.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind. The message says what happened, and to what.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, details: Details::default() }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts `context` and a colon before the message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// The same error under another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// Adds details.
    #[must_use]
    pub fn with_details(mut self, details: Details) -> Self {
        self.details = details;
        self
    }

    /// An input or output error about `what` ("read /a/b"): permission, room and the rest each get their kind.
    #[must_use]
    pub fn io(what: impl fmt::Display, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as E;
        let (kind, hint) = match error.kind() {
            E::PermissionDenied => (K::NotPermitted, Some("check owner and mode of the path, and who runs lockd")),
            E::ReadOnlyFilesystem => {
                (K::NotPermitted, Some("the file system is mounted read-only; remount it read-write"))
            }
            E::StorageFull | E::QuotaExceeded => (K::StoreFull, Some("free some space or inodes; nothing was lost")),
            _ => (K::Io, None),
        };
        let error = Self::new(kind, format!("{what}: {error}"));
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message, without the hint.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next, when there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// What the error carries beside its text.
    #[must_use]
    pub const fn details(&self) -> &Details {
        &self.details
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_keeps_the_promises_of_the_exit_codes() {
        for kind in ErrorKind::ALL {
            let exit = kind.exit_code();
            assert!(matches!(exit, 64 | 65 | 69 | 70 | 73..=75 | 77 | 78 | 80..=84), "{kind:?}: {exit}");
            assert!((400..600).contains(&kind.http_status()), "{kind:?}");
            // 503 is "certainly not applied", 504 "may or may not": the two must never be confused.
            assert_eq!(kind.http_status() == 504, *kind == ErrorKind::OutcomeUnknown, "{kind:?}");
            assert_eq!(exit == 83, *kind == ErrorKind::OutcomeUnknown, "{kind:?}");
        }
    }
}
