//! The headers: the proof of a lease, guards, what a body must be, ids.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::NUMBER_MAX;
use crate::model::{FencingToken, Key, LeaseId, RequestId, StateEtag, TxnId, Version};
use crate::service::{ChangeRequest, Expected, Guards, Proof};

/// The lease id of the proof.
pub const LEASE_ID: HeaderName = HeaderName::from_static("x-lease-id");
/// The fencing token of the proof, a decimal number; in answers the lease's.
pub const FENCING_TOKEN: HeaderName = HeaderName::from_static("x-fencing-token");
/// The transaction of the lease: with it changes are staged until release.
pub const TXN_ID: HeaderName = HeaderName::from_static("x-txn-id");
/// Compare-and-swap on the version.
pub const IF_VERSION: HeaderName = HeaderName::from_static("x-if-version");
/// Compare-and-swap on the ETag.
pub const IF_STATE_ETAG: HeaderName = HeaderName::from_static("x-if-state-etag");
/// The SHA-256 of the body as sent.
pub const EXPECTED_SHA256: HeaderName = HeaderName::from_static("x-expected-sha256");
/// The length of the body as sent.
pub const EXPECTED_BYTES: HeaderName = HeaderName::from_static("x-expected-bytes");
/// Made by the caller: a retry with the same id gets the same answer.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// 1 to 128 printable ASCII characters; echoed, made when absent.
pub const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// In answers: the version of the state.
pub const KEY_VERSION: HeaderName = HeaderName::from_static("x-key-version");
/// In answers: the ETag of the state, unquoted.
pub const ETAG: HeaderName = http::header::ETAG;
/// In answers: when to ask again, in seconds.
pub const RETRY_AFTER: HeaderName = http::header::RETRY_AFTER;
/// In every answer while the server drains.
pub const SHUTDOWN_IMMINENT: HeaderName = HeaderName::from_static("shutdown-imminent");

/// What a request shows of a lease. Any part may be missing; the call says what it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProofHeaders {
    /// The lease.
    pub lease_id: Option<LeaseId>,
    /// Its token.
    pub token: Option<FencingToken>,
    /// Its transaction.
    pub txn: Option<TxnId>,
}

impl ProofHeaders {
    /// Reads them.
    ///
    /// # Errors
    /// `Usage` for malformed ones; an empty one is as good as none.
    pub fn read(headers: &HeaderMap) -> Result<Self> {
        Ok(Self {
            lease_id: text(headers, &LEASE_ID)?.map(LeaseId::new).transpose()?,
            token: number(headers, &FENCING_TOKEN)?.map(FencingToken),
            txn: text(headers, &TXN_ID)?.map(TxnId::new).transpose()?,
        })
    }

    /// The proof, where any is shown. A token that is missing stands as zero, which no lease has: it is refused in its
    /// place in the order of refusals.
    #[must_use]
    pub fn shown(self) -> Option<Proof> {
        let token = self.token.unwrap_or_default();
        self.lease_id.map(|lease_id| Proof { lease_id, token, txn: self.txn })
    }

    /// The proof that a call needs.
    ///
    /// # Errors
    /// `LeaseRequired` when none is shown.
    pub fn required(self, key: &Key) -> Result<Proof> {
        self.shown().ok_or_else(|| {
            Error::new(ErrorKind::LeaseRequired, format!("no lease of {key} was shown"))
                .with_hint("send X-Lease-ID and X-Fencing-Token as the acquire answered them")
        })
    }
}

/// The headers of a proof.
///
/// # Errors
/// `Usage` when something in it cannot stand in a header.
pub fn proof_headers(proof: &Proof) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    put(&mut headers, LEASE_ID, proof.lease_id.as_str())?;
    headers.insert(FENCING_TOKEN, proof.token.0.into());
    if let Some(txn) = &proof.txn {
        put(&mut headers, TXN_ID, txn.as_str())?;
    }
    Ok(headers)
}

/// The headers of a change: proof, request id, guards.
///
/// # Errors
/// `Usage` when something in it cannot stand in a header: a guard must never be left out.
pub fn change_headers(request: &ChangeRequest) -> Result<HeaderMap> {
    let mut headers = proof_headers(&request.proof)?;
    put(&mut headers, REQUEST_ID, request.request_id.as_str())?;
    if let Some(version) = request.guards.version {
        headers.insert(IF_VERSION, version.0.into());
    }
    if let Some(etag) = &request.guards.etag {
        put(&mut headers, IF_STATE_ETAG, etag.as_str())?;
    }
    Ok(headers)
}

/// The guards of a change.
///
/// # Errors
/// `Usage` for a malformed version.
pub fn guards_from(headers: &HeaderMap) -> Result<Guards> {
    let version = number(headers, &IF_VERSION)?.map(Version);
    let etag = text(headers, &IF_STATE_ETAG)?.map(StateEtag::from_caller).filter(|etag| !etag.as_str().is_empty());
    Ok(Guards { version, etag })
}

/// The id of a change, when the caller made one.
///
/// # Errors
/// `Usage` for a malformed one.
pub fn request_id_from(headers: &HeaderMap) -> Result<Option<RequestId>> {
    text(headers, &REQUEST_ID)?.map(RequestId::new).transpose()
}

/// The headers that say what the body of an update must be.
///
/// # Errors
/// `Usage` when the hash cannot stand in a header.
pub fn expected_headers(expected: &Expected) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Some(bytes) = expected.bytes {
        headers.insert(EXPECTED_BYTES, bytes.into());
    }
    if let Some(sha256) = &expected.sha256 {
        put(&mut headers, EXPECTED_SHA256, sha256)?;
    }
    Ok(headers)
}

/// What the body of an update must be.
///
/// # Errors
/// `Usage` for a malformed length.
pub fn expected_from(headers: &HeaderMap) -> Result<Expected> {
    let sha256 = text(headers, &EXPECTED_SHA256)?.map(str::to_ascii_lowercase);
    Ok(Expected { bytes: number(headers, &EXPECTED_BYTES)?, sha256 })
}

/// Sets a header.
pub(super) fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<()> {
    let value = HeaderValue::from_str(value).map_err(|_| malformed(&name, "printable ASCII characters"))?;
    headers.insert(name, value);
    Ok(())
}

/// The text of a header without blanks around it; `None` when it is absent or empty.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().map_err(|_| malformed(name, "printable ASCII characters"))?.trim();
    Ok((!text.is_empty()).then_some(text))
}

/// A decimal number that fits a signed 64-bit integer and is not negative.
pub(super) fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>> {
    let Some(text) = text(headers, name)? else { return Ok(None) };
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && *number <= NUMBER_MAX);
    number.map(Some).ok_or_else(|| malformed(name, "a decimal number"))
}

fn malformed(name: &HeaderName, what: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("the header {name} is not {what}")).with_hint("send it as lockd gave it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Namespace;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_change_comes_out_as_it_went_in() {
        let request = ChangeRequest {
            key: Key::new(Namespace::default(), "a").unwrap(),
            proof: Proof {
                lease_id: LeaseId::new("l").unwrap(),
                token: FencingToken(NUMBER_MAX),
                txn: Some(TxnId::new("t").unwrap()),
            },
            request_id: RequestId::new("r").unwrap(),
            guards: Guards { version: Some(Version(0)), etag: Some(StateEtag::of(b"1")) },
            edits: None,
        };
        let sent = change_headers(&request).unwrap();
        assert_eq!(ProofHeaders::read(&sent).unwrap().required(&request.key).unwrap(), request.proof);
        assert_eq!(guards_from(&sent).unwrap(), request.guards);
        assert_eq!(request_id_from(&sent).unwrap(), Some(request.request_id));
        let expected = Expected { bytes: Some(7), sha256: Some("ab".into()) };
        assert_eq!(expected_from(&expected_headers(&expected).unwrap()).unwrap(), expected);
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for bad in ["x", "-1", "+1", "1.0", "9223372036854775808", "1 2"] {
            assert_eq!(ProofHeaders::read(&headers(&[(FENCING_TOKEN, bad)])).unwrap_err().kind(), ErrorKind::Usage);
            assert!(guards_from(&headers(&[(IF_VERSION, bad)])).is_err(), "{bad}");
        }
        let quoted = headers(&[(IF_STATE_ETAG, " \"ab\" ")]);
        assert_eq!(guards_from(&quoted).unwrap().etag, Some(StateEtag::from_caller("ab")));
        assert!(put(&mut HeaderMap::new(), IF_STATE_ETAG, "a\nb").is_err(), "a guard was left out");
    }

    #[test]
    fn a_missing_proof_is_told_from_a_wrong_one() {
        let key = Key::new(Namespace::default(), "a").unwrap();
        let none = ProofHeaders::read(&HeaderMap::new()).unwrap();
        assert_eq!(none.clone().shown(), None);
        assert_eq!(none.required(&key).unwrap_err().kind(), ErrorKind::LeaseRequired);
        let no_token = ProofHeaders::read(&headers(&[(LEASE_ID, "l")])).unwrap();
        assert_eq!(no_token.required(&key).unwrap().token, FencingToken(0));
    }
}
