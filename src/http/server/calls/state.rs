//! The state: get, update, remove, mutate.

use hyper::StatusCode;
use hyper::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, EXPECT, HeaderMap, HeaderValue, RANGE};
use serde::Deserialize;

use super::Asked;
use crate::client::edit::edit;
use crate::error::{Error, ErrorKind, Result};
use crate::http::server::answer::{Answer, Failure, empty, json, streamed, with};
use crate::http::server::body::{document, part, range, stream, too_large};
use crate::http::wire::{
    FENCING_TOKEN, MutateBody, ProofHeaders, RemoveReply, UpdateReply, expected_from, guards_from, request_id_from,
    state_headers,
};
use crate::json::edit::Edit;
use crate::limits::{MUTATE_BYTES, UPDATE_BYTES};
use crate::model::{EditsHash, FencingToken, LeaseId, RequestId};
use crate::service::{ChangeRequest, Proof, State};

/// Whether a read wants what everyone sees, whatever lease is shown.
#[derive(Deserialize)]
struct View {
    #[serde(default)]
    public: String,
}

/// The state.
pub async fn get(asked: Asked<'_>) -> Result<Answer, Failure> {
    let shared = &asked.connection.shared;
    let key = asked.key()?;
    let public = matches!(asked.query::<View>()?.public.as_str(), "1" | "true");
    let proof = ProofHeaders::read(asked.request.headers())?.shown().filter(|_| !public);
    let wanted = asked.request.headers().get(RANGE).and_then(|value| value.to_str().ok());
    let state = shared.service.get(&key, proof.as_ref()).await?;
    let mut answer = match state {
        Some(state) => sent(state, wanted)?,
        None => empty(StatusCode::NO_CONTENT),
    };
    if let Some(proof) = proof {
        answer.headers_mut().insert(FENCING_TOKEN, proof.token.0.into());
    }
    Ok(answer)
}

/// A state, or the part of it that was asked for.
fn sent(state: State, wanted: Option<&str>) -> Result<Answer, Failure> {
    const JSON: &str = "application/json";
    let mut headers = state_headers(state.version, Some(&state.etag))?;
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let Some((first, last)) = range(wanted, state.len).map_err(|()| Failure::Range(state.len))? else {
        return Ok(with(streamed(JSON, state.len, state.body), headers));
    };
    if let Ok(value) = HeaderValue::from_str(&format!("bytes {first}-{last}/{}", state.len)) {
        headers.insert(CONTENT_RANGE, value);
    }
    let mut answer = with(streamed(JSON, last - first + 1, part(state.body, first, last)), headers);
    *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    Ok(answer)
}

/// A change as query and headers ask for it.
struct Change {
    request: ChangeRequest,
    /// No lease was shown. What is sent is looked at before that is said, and until then an id that no lease has stands for it.
    unproven: Option<Error>,
    /// The caller gave it its id, and may send it again.
    named: bool,
}

impl Change {
    fn read(asked: &Asked<'_>) -> Result<Self> {
        let key = asked.key()?;
        let (headers, entropy) = (asked.request.headers(), &*asked.connection.shared.entropy);
        let shown = ProofHeaders::read(headers)?;
        let (proof, unproven) = match shown.required(&key) {
            Ok(proof) => (proof, None),
            Err(e) => (Proof { lease_id: LeaseId::random(entropy), token: FencingToken(0), txn: None }, Some(e)),
        };
        let own = request_id_from(headers)?;
        own.iter().for_each(|own| asked.subject.is_called(own));
        let named = own.is_some();
        let request_id = own.unwrap_or_else(|| RequestId::random(entropy));
        let request = ChangeRequest { key, proof, request_id, guards: guards_from(headers)?, edits: None };
        Ok(Self { request, unproven, named })
    }

    /// The request, with the lease that it needs.
    fn proven(self) -> Result<ChangeRequest> {
        self.unproven.map_or(Ok(self.request), Err)
    }
}

/// The answer to a change: without a lease it is no other than that, unless what was sent is wrong already.
fn settled<T>(unproven: Option<Error>, answer: Result<T>) -> Result<T> {
    match (unproven, answer) {
        (Some(unproven), Ok(_)) => Err(unproven),
        (Some(unproven), Err(e)) if e.kind() == ErrorKind::LeaseRequired => Err(unproven),
        (_, answer) => answer,
    }
}

/// The length that a body announces.
fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Replaces the state. A client that asks before it sends is told what would become of it: hyper says "100 Continue" when the
/// body is first read.
pub async fn update(asked: Asked<'_>) -> Result<Answer, Failure> {
    let shared = &asked.connection.shared;
    let Change { request, unproven, .. } = Change::read(&asked)?;
    let expected = expected_from(asked.request.headers())?;
    if announced(asked.request.headers()).is_some_and(|len| len > UPDATE_BYTES) {
        return Err(too_large(UPDATE_BYTES).into());
    }
    if asked.request.headers().contains_key(EXPECT) {
        settled(unproven.clone(), shared.service.would_change(&request).await)?;
    }
    let body = stream(asked.request.into_body(), UPDATE_BYTES, &shared.clock)?;
    let changed = settled(unproven, shared.service.update(request, expected, body).await)?;
    let headers = state_headers(changed.version, changed.etag.as_ref())?;
    Ok(with(json(&UpdateReply::new(&changed))?, headers))
}

/// Removes it.
pub async fn remove(asked: Asked<'_>) -> Result<Answer, Failure> {
    let request = Change::read(&asked)?.proven()?;
    let changed = asked.connection.shared.service.remove(request).await?;
    Ok(with(json(&RemoveReply::new(&changed))?, state_headers(changed.version, None)?))
}

/// Edits it, up to a size: what is there and what comes of it are held in memory.
pub async fn mutate(asked: Asked<'_>) -> Result<Answer, Failure> {
    let shared = &asked.connection.shared;
    let change = Change::read(&asked)?;
    let body: MutateBody = document(asked.request.into_body(), &shared.clock).await?;
    if body.mutations.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "no mutation was given").with_hint("say what to change").into());
    }
    let edits = body.mutations.iter().map(|text| Edit::parse(text)).collect::<Result<Vec<_>>>()?;
    let named = change.named;
    let mut request = change.proven()?;
    request.edits = named.then(|| EditsHash::of(&body.mutations));
    let now = shared.clock.wall().rfc3339();
    let changed = edit(&*shared.service, request, &edits, &now, MUTATE_BYTES).await?;
    let headers = state_headers(changed.version, changed.etag.as_ref())?;
    Ok(with(json(&UpdateReply::new(&changed))?, headers))
}
