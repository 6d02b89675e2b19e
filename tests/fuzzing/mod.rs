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
