//! The words of the HTTP API: paths, headers, JSON bodies and events, each with its mapping to the types of
//! [`crate::service`] and [`crate::error`], both ways, so that server and client cannot disagree.
//!
//! Requests reject unknown fields and trailing data; answers may grow fields. Times are Unix seconds and informational, with
//! milliseconds beside them where people may want them; durations rule.

mod acquire;
mod events;
mod failure;
mod fence;
mod for_update;
mod headers;
mod known;
mod lease;
mod names;
mod seconds;
mod state;
#[cfg(test)]
mod tests;

pub use acquire::{AcquireBody, AcquireReply, MadeHere, Origin};
pub use events::{EventBody, EventReader, sse, sse_error};
pub use failure::{ErrorBody, Subject};
pub use fence::{FenceBody, FenceQuery, FenceReply};
pub use for_update::{
    EndReader, StreamLine, for_update_headers, grant_from, on_disconnect_from, on_disconnect_headers,
};
pub use headers::{
    CORRELATION_ID, ETAG, EXPECTED_BYTES, EXPECTED_SHA256, FENCING_TOKEN, IF_STATE_ETAG, IF_VERSION, KEY_VERSION,
    LEASE_ID, ProofHeaders, REQUEST_ID, RETRY_AFTER, SHUTDOWN_IMMINENT, TXN_ID, change_headers, expected_from,
    expected_headers, guards_from, proof_headers, request_id_from,
};
pub use known::{DescribeReply, EndedBody, HolderBody, ListEntry, ListQuery, ListReply, Metadata};
pub use lease::{BreakBody, BreakReply, KeepaliveBody, KeepaliveReply, ReleaseBody, ReleaseReply, same_lease};
pub use names::{key, key_on_acquire, named_on_acquire, namespace};
pub use seconds::Seconds;
pub use state::{KeyQuery, MutateBody, RemoveReply, UpdateReply, state_headers, state_headers_from};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};

/// The paths of the calls.
pub mod paths {
    /// `POST`: takes a lease.
    pub const ACQUIRE: &str = "/v1/acquire";
    /// `POST`: takes one for update; the answer is its state and goes on as long as it does.
    pub const ACQUIRE_FOR_UPDATE: &str = "/v1/acquire-for-update";
    /// `POST`: extends one.
    pub const KEEPALIVE: &str = "/v1/keepalive";
    /// `POST`: gives one back.
    pub const RELEASE: &str = "/v1/release";
    /// `POST` or `GET`: the state.
    pub const GET: &str = "/v1/get";
    /// `POST`: replaces the state.
    pub const UPDATE: &str = "/v1/update";
    /// `POST`: removes the state.
    pub const REMOVE: &str = "/v1/remove";
    /// `POST`: edits the state.
    pub const MUTATE: &str = "/v1/mutate";
    /// `GET`: what is known of a key.
    pub const DESCRIBE: &str = "/v1/describe";
    /// `GET`: the keys of a namespace.
    pub const LIST: &str = "/v1/list";
    /// `GET`: server-sent events of a key.
    pub const WATCH: &str = "/v1/watch";
    /// `POST`: ends a lease by force.
    pub const BREAK: &str = "/v1/break";
    /// `POST`: admits an effect.
    pub const FENCE_ADMIT: &str = "/v1/fence/admit";
    /// `GET`: what an effect would be compared with.
    pub const FENCE_CHECK: &str = "/v1/fence/check";
    /// `GET`: 200 while the process is alive.
    pub const HEALTHZ: &str = "/healthz";
    /// `GET`: 503 while draining or without its store.
    pub const READYZ: &str = "/readyz";
    /// `GET`: metrics for Prometheus.
    pub const METRICS: &str = "/metrics";
}

/// Reads the body of a request: one JSON document, nothing after it, no unknown fields.
///
/// # Errors
/// `Usage` (on the wire `invalid_body`) that says where it is wrong.
pub fn read_request<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|e| {
        Error::new(ErrorKind::Usage, format!("the request's body is not what this call takes: {e}"))
            .with_hint("it takes one JSON object, with the fields of the API's description and no others")
    })
}

/// Reads the body of an answer. It may have fields that this version does not know.
///
/// # Errors
/// `Internal`: what answered is not a lockd server, or one that this client does not understand.
pub fn read_reply<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|e| not_understood(format_args!("its answer cannot be read: {e}")))
}

/// An answer that no lockd server gives.
pub(crate) fn not_understood(why: std::fmt::Arguments<'_>) -> Error {
    Error::new(ErrorKind::Internal, format!("the server is not understood: {why}"))
        .with_hint("see whether a lockd server of this or a later version stands at that address")
}

/// The text of a body. These types have no maps with other keys than text, so nothing in them cannot be written.
///
/// # Errors
/// `Internal`, in theory.
pub fn write<T: Serialize>(body: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(body)
        .map_err(|e| Error::new(ErrorKind::Internal, format!("a message cannot be written as JSON: {e}")))
}

/// The query of a URL, without its `?`. Parameters that a call does not know are ignored, as everywhere on the web.
///
/// # Errors
/// `Usage` that says what is missing or malformed.
pub fn read_query<T: DeserializeOwned>(query: &str) -> Result<T> {
    serde_urlencoded::from_str(query)
        .map_err(|e| Error::new(ErrorKind::Usage, format!("the query of the URL is not what this call takes: {e}")))
}

/// The same in the other direction.
///
/// # Errors
/// `Internal`, in theory.
pub fn write_query<T: Serialize>(query: &T) -> Result<String> {
    serde_urlencoded::to_string(query)
        .map_err(|e| Error::new(ErrorKind::Internal, format!("a query cannot be written: {e}")))
}

/// Whole milliseconds, as many as a 64-bit number has.
pub(crate) fn millis(d: std::time::Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// Unix seconds of a point in time, after `d` from it.
pub(crate) fn unix_after(now: crate::clock::UnixMillis, d: std::time::Duration) -> u64 {
    now.0.saturating_add(millis(d)) / 1_000
}
