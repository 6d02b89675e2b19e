//! A lease for update as one answer: the grant in its headers, then the state, then one JSON object a line.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::headers::{ETAG, KEY_VERSION, LEASE_ID, TXN_ID, number, put, text};
use super::{FENCING_TOKEN, millis, not_understood, state_headers};
use crate::clock::UnixMillis;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::LINE_BYTES;
use crate::model::{FencingToken, LeaseId, Owner, StateEtag, Ttl, TxnId, Version};
use crate::service::{Grant, LeaseEnd, OnDisconnect, State};

/// In requests: `now` when the lease may end with its connection.
const RELEASE_ON_DISCONNECT: HeaderName = HeaderName::from_static("x-release-on-disconnect");
/// Who holds it, percent-encoded.
const LEASE_OWNER: HeaderName = HeaderName::from_static("x-lease-owner");
/// The TTL as given, in milliseconds.
const LEASE_TTL_MS: HeaderName = HeaderName::from_static("x-lease-ttl-ms");
/// How many bytes of state come before the lines.
const STATE_LENGTH: HeaderName = HeaderName::from_static("x-state-length");
/// What is left of the lease when this is sent, in milliseconds.
const EXPIRES_IN_MS: HeaderName = HeaderName::from_static("x-lease-expires-in-ms");
/// The grant is provisional: a keepalive must come within so many milliseconds.
const CONFIRM_WITHIN_MS: HeaderName = HeaderName::from_static("x-lease-confirm-within-ms");
/// Present when the lease was taken over.
const TAKEN_OVER: HeaderName = HeaderName::from_static("x-lease-taken-over");
/// When the last run that succeeded began, in milliseconds.
const LAST_SUCCESS: HeaderName = HeaderName::from_static("x-last-success-unix-ms");

/// What a request says of the loss of its connection.
///
/// # Errors
/// `Usage` for another word than `now`.
pub fn on_disconnect_from(headers: &HeaderMap) -> Result<OnDisconnect> {
    match text(headers, &RELEASE_ON_DISCONNECT)? {
        None => Ok(OnDisconnect::Expire),
        Some("now") => Ok(OnDisconnect::Release),
        Some(_) => Err(Error::new(ErrorKind::Usage, format!("the header {RELEASE_ON_DISCONNECT} is not `now`"))
            .with_hint("leave it out unless all effects of the holder are fenced by those who receive them")),
    }
}

/// The same in the other direction.
#[must_use]
pub fn on_disconnect_headers(on_disconnect: OnDisconnect) -> HeaderMap {
    match on_disconnect {
        OnDisconnect::Expire => HeaderMap::new(),
        OnDisconnect::Release => HeaderMap::from_iter([(RELEASE_ON_DISCONNECT, HeaderValue::from_static("now"))]),
    }
}

/// The headers of a grant that comes with its state.
///
/// # Errors
/// `Usage` when an id cannot stand in a header; those of lockd can.
pub fn for_update_headers(owner: &Owner, grant: &Grant, state: Option<&State>) -> Result<HeaderMap> {
    let mut headers = match state {
        Some(state) => state_headers(state.version, Some(&state.etag))?,
        None => state_headers(grant.version, None)?,
    };
    put(&mut headers, LEASE_ID, grant.lease_id.as_str())?;
    put(&mut headers, TXN_ID, grant.txn.as_str())?;
    put(&mut headers, LEASE_OWNER, &percent_encoded(owner.as_str()))?;
    headers.insert(FENCING_TOKEN, grant.token.0.into());
    headers.insert(LEASE_TTL_MS, millis(grant.ttl.duration()).into());
    headers.insert(EXPIRES_IN_MS, millis(grant.left).into());
    headers.insert(STATE_LENGTH, state.map_or(0, |state| state.len).into());
    if let Some(within) = grant.confirm_within {
        headers.insert(CONFIRM_WITHIN_MS, millis(within).into());
    }
    if let Some(at) = grant.last_success {
        headers.insert(LAST_SUCCESS, at.0.into());
    }
    if grant.taken_over {
        headers.insert(TAKEN_OVER, HeaderValue::from_static("true"));
    }
    Ok(headers)
}

/// The grant that these headers tell of, and the length of the state.
///
/// # Errors
/// `Internal` when something is missing or malformed.
pub fn grant_from(headers: &HeaderMap) -> Result<(Grant, u64)> {
    read(headers).ok_or_else(|| not_understood(format_args!("a grant for update without all of its headers")))
}

fn read(headers: &HeaderMap) -> Option<(Grant, u64)> {
    let number = |name| number(headers, &name).ok().flatten();
    let text = |name| text(headers, &name).ok().flatten();
    let ttl = Ttl::new(Duration::from_millis(number(LEASE_TTL_MS)?)).ok()?;
    let grant = Grant {
        lease_id: LeaseId::new(text(LEASE_ID)?).ok()?,
        token: FencingToken(number(FENCING_TOKEN)?),
        txn: TxnId::new(text(TXN_ID)?).ok()?,
        ttl,
        left: number(EXPIRES_IN_MS).map_or(ttl.duration(), Duration::from_millis),
        version: Version(number(KEY_VERSION)?),
        etag: text(ETAG).map(StateEtag::from_caller),
        taken_over: text(TAKEN_OVER).is_some(),
        last_success: number(LAST_SUCCESS).map(UnixMillis),
        confirm_within: number(CONFIRM_WITHIN_MS).map(Duration::from_millis),
    };
    Some((grant, number(STATE_LENGTH)?))
}

/// RFC 3986, section 2.1: all but unreserved characters.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// A line behind the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamLine {
    /// The connection stands.
    Alive,
    /// The lease has ended; nothing follows.
    Ended(LeaseEnd),
}

#[derive(Serialize, Deserialize)]
struct Line {
    event: String,
}

const LINES: [(StreamLine, &str); 4] = [
    (StreamLine::Alive, "alive"),
    (StreamLine::Ended(LeaseEnd::Released), "released"),
    (StreamLine::Ended(LeaseEnd::Lost), "lost"),
    (StreamLine::Ended(LeaseEnd::Broken), "broken"),
];

impl StreamLine {
    /// As it is sent.
    #[must_use]
    pub fn bytes(self) -> Bytes {
        let name = LINES.iter().find(|(line, _)| *line == self).map_or("", |(_, name)| *name);
        format!("{{\"event\":\"{name}\"}}\n").into()
    }

    /// A line that came; `None` for an event of a later version.
    fn read(text: &[u8]) -> Option<Self> {
        let Line { event } = serde_json::from_slice(text).ok()?;
        LINES.iter().find(|(_, name)| *name == event).map(|(line, _)| *line)
    }
}

/// Looks for the end of a lease in lines, in whatever pieces they come.
#[derive(Debug, Default)]
pub struct EndReader(Vec<u8>);

impl EndReader {
    /// How the lease ended, when these bytes say so.
    ///
    /// # Errors
    /// `Internal` for a line that is too long.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<LeaseEnd>> {
        for byte in bytes {
            if *byte != b'\n' {
                self.0.push(*byte);
                if self.0.len() > LINE_BYTES {
                    return Err(not_understood(format_args!("a line of over {LINE_BYTES} bytes")));
                }
                continue;
            }
            let line = std::mem::take(&mut self.0);
            if let Some(StreamLine::Ended(end)) = StreamLine::read(&line) {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_comes_out_as_it_went_in() {
        let mut grant = Grant {
            lease_id: LeaseId::new("l").unwrap(),
            token: FencingToken(7),
            txn: TxnId::new("t").unwrap(),
            ttl: Ttl::default(),
            left: Duration::from_millis(29_900),
            version: Version(3),
            etag: None,
            taken_over: true,
            last_success: Some(UnixMillis(5)),
            confirm_within: Some(Duration::from_secs(2)),
        };
        let owner = Owner::new("Jürgen %1").unwrap();
        let sent = for_update_headers(&owner, &grant, None).unwrap();
        assert_eq!(sent[LEASE_OWNER], "J%C3%BCrgen%20%251");
        assert_eq!(grant_from(&sent).unwrap(), (grant.clone(), 0));
        grant = Grant { taken_over: false, last_success: None, confirm_within: None, ..grant };
        assert_eq!(grant_from(&for_update_headers(&owner, &grant, None).unwrap()).unwrap(), (grant, 0));
        for name in [LEASE_ID, TXN_ID, FENCING_TOKEN, LEASE_TTL_MS, KEY_VERSION, STATE_LENGTH] {
            let mut part = sent.clone();
            part.remove(&name);
            assert_eq!(grant_from(&part).unwrap_err().kind(), ErrorKind::Internal, "{name}");
        }
    }

    #[test]
    fn the_end_is_found_in_any_pieces() {
        let text = b"{\"event\":\"alive\"}\n{\"event\":\"of tomorrow\",\"x\":1}\nnonsense\n{\"event\":\"broken\"}\n";
        for size in 1..text.len() {
            let mut reader = EndReader::default();
            let found: Vec<_> = text.chunks(size).filter_map(|piece| reader.read(piece).unwrap()).collect();
            assert_eq!(found, [LeaseEnd::Broken], "{size}");
        }
        assert!(EndReader::default().read(&[b'x'; LINE_BYTES + 1]).is_err());
        assert_eq!(StreamLine::Alive.bytes(), "{\"event\":\"alive\"}\n");
    }

    #[test]
    fn only_one_word_gives_a_lease_up_at_once() {
        for how in [OnDisconnect::Expire, OnDisconnect::Release] {
            assert_eq!(on_disconnect_from(&on_disconnect_headers(how)).unwrap(), how);
        }
        let other = HeaderMap::from_iter([(RELEASE_ON_DISCONNECT, HeaderValue::from_static("later"))]);
        assert_eq!(on_disconnect_from(&other).unwrap_err().kind(), ErrorKind::Usage);
    }
}
