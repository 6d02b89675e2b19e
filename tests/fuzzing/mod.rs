//! What is fuzzed: a function for each place where bytes come in that others wrote, with what must be true of the outcome.
//!
//! `fuzz/` runs them under cargo-fuzz; `cargo test` replays the corpus that is kept there (`fuzz/corpus`), with every input that once
//! broke something.

mod answers;
mod connection;
mod edit;
mod json;
mod names;
mod record;
#[cfg(test)]
mod replay;
mod request;
mod settings;
mod store_url;
mod streams;
mod words;

use http::{HeaderMap, HeaderName, HeaderValue};
use lockd::model::{Holder, Key, LeaseId, Namespace, Owner, Ttl, TxnId};
use lockd::service::{AcquireRequest, Wait};

/// What of the program's own crate is fuzzed.
#[path = "../../commands"]
#[allow(dead_code, unused_imports, reason = "not all of it is")]
mod commands {
    pub mod duration;
    pub mod settings;
    pub mod text;
}

/// A function that is given bytes and panics when something is not as it must be.
pub type Target = fn(&[u8]);

/// Every target, by the name of its directory of the corpus.
pub const TARGETS: [(&str, Target); 11] = [
    ("answers", answers::run),
    ("connection", connection::run),
    ("edit", edit::run),
    ("json", json::run),
    ("names", names::run),
    ("record", record::run),
    ("request", request::run),
    ("settings", settings::run),
    ("store_url", store_url::run),
    ("streams", streams::run),
    ("words", words::run),
];

/// Cuts bytes into pieces of these sizes, over and over; a size of zero takes the rest.
fn pieces<'a>(mut bytes: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        let size = if *size == 0 { bytes.len() } else { usize::from(*size) };
        let (piece, rest) = bytes.split_at(size.min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
        if bytes.is_empty() {
            break;
        }
    }
    pieces
}

/// What stands before and after the first of these marks; everything, and nothing, where there is none.
fn split<'a>(bytes: &'a [u8], mark: &[u8]) -> (&'a [u8], Option<&'a [u8]>) {
    match bytes.windows(mark.len()).position(|window| window == mark) {
        Some(at) => (&bytes[..at], Some(&bytes[at + mark.len()..])),
        None => (bytes, None),
    }
}

/// Headers, one a line, as far as they are some.
fn header_map(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split(|b| *b == b'\n').take(32) {
        let (name, value) = split(line, b":");
        let pair = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.unwrap_or_default()));
        if let (Ok(name), Ok(value)) = pair {
            headers.append(name, value);
        }
    }
    headers
}

fn key() -> Key {
    Key::new(Namespace::default(), "a").unwrap()
}

/// One for that key which does not wait.
fn acquire(lease: &str, txn: &str) -> AcquireRequest {
    AcquireRequest {
        key: key(),
        lease_id: LeaseId::new(lease).unwrap(),
        txn: TxnId::new(txn).unwrap(),
        ttl: Ttl::default(),
        owner: Owner::new("fuzz").unwrap(),
        reason: None,
        holder: Holder::default(),
        if_not_exists: false,
        wait: Wait::No,
        confirm: false,
    }
}
