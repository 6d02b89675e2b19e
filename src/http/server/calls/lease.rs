//! Acquire, keepalive, release.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::HeaderMap;

use super::{Asked, Subject};
use crate::clock::{BootTime, Clock, UnixMillis};
use crate::error::{Error, ErrorKind, Result};
use crate::http::server::Shared;
use crate::http::server::answer::{Answer, Failure, json, with};
use crate::http::server::body::document;
use crate::http::server::connection::Connection;
use crate::http::wire::{
    AcquireBody, AcquireReply, FENCING_TOKEN, KeepaliveBody, KeepaliveReply, MadeHere, ProofHeaders, ReleaseBody,
    ReleaseReply, same_lease, state_headers,
};
use crate::model::{FencingToken, Key, LeaseId, TxnId};
use crate::mutants::{Mutant, on};
use crate::service::{AcquireRequest, Grant, LeaseEnd, Proof, Released, Wait};

/// What an acquire asks for.
pub struct Wanted {
    /// The request.
    pub request: AcquireRequest,
    /// Who polls with its own lease id has a place in the queue, and asks again at once.
    polls: bool,
}

impl Wanted {
    /// Reads it.
    pub async fn read(shared: &Shared, subject: &Subject, body: Incoming) -> Result<Self> {
        let body: AcquireBody = document(body, &shared.clock).await?;
        let made = MadeHere { entropy: &*shared.entropy, now: shared.clock.wall(), max_ttl: shared.config.max_ttl };
        let polls = body.polls();
        let request = body.request(made)?;
        subject.is(&request.key);
        Ok(Self { request, polls })
    }

    /// A refusal, with when to ask again.
    pub fn refused(&self, error: Error) -> Failure {
        let polled = self.polls && matches!(self.request.wait, Wait::For(_));
        let frees = error.details().busy.as_ref().map_or(Duration::ZERO, |busy| busy.frees_in);
        match error.kind() == ErrorKind::Busy {
            true => Failure::Later(error, (!polled).then_some(frees)),
            false => Failure::Error(error),
        }
    }

    /// Takes note of a grant that was asked for at `began`.
    pub fn granted(&self, connection: &Connection, grant: &Grant, began: BootTime) {
        let shared = &connection.shared;
        let now = shared.clock.boot();
        shared.held.goes_on(&grant.lease_id, grant.ttl, now);
        shared.metrics.granted(now.since(began), grant.taken_over);
        if let Some(within) = grant.confirm_within {
            connection.to_be_confirmed(self.request.key.clone(), grant.lease_id.clone(), within);
        }
        if on(Mutant::ServerRenews) {
            tokio::spawn(renew_for_ever(Arc::clone(shared), self.request.key.clone(), grant.clone()));
        }
    }
}

/// Takes a lease.
pub async fn acquire(asked: Asked<'_>) -> Result<Answer, Failure> {
    let shared = &asked.connection.shared;
    let wanted = Wanted::read(shared, asked.subject, asked.request.into_body()).await?;
    let began = shared.clock.boot();
    let granted = match on(Mutant::VanishedWaiterGranted) {
        true => in_spite_of_all(shared, wanted.request.clone()).await,
        false => shared.service.acquire(wanted.request.clone()).await,
    };
    let grant = granted.map_err(|error| wanted.refused(error))?;
    wanted.granted(asked.connection, &grant, began);
    let mut headers = state_headers(grant.version, grant.etag.as_ref())?;
    headers.extend(token(grant.token));
    let reply = AcquireReply::new(&wanted.request, &grant, shared.clock.wall(), asked.correlation);
    Ok(with(json(&reply)?, headers))
}

fn token(token: FencingToken) -> HeaderMap {
    HeaderMap::from_iter([(FENCING_TOKEN, token.0.into())])
}

/// Extends one.
pub async fn keepalive(asked: Asked<'_>) -> Result<Answer, Failure> {
    let shared = &asked.connection.shared;
    let headers = ProofHeaders::read(asked.request.headers())?;
    let body: KeepaliveBody = document(asked.request.into_body(), &shared.clock).await?;
    let key = body.key()?;
    asked.subject.is(&key);
    let proof = proof(&body.lease_id, body.txn_id.as_deref(), headers)?;
    let renewed = shared.service.keepalive(&key, &proof, body.ttl(shared.config.max_ttl)).await?;
    shared.held.goes_on(&proof.lease_id, renewed.ttl, shared.clock.boot());
    Ok(with(json(&KeepaliveReply::new(renewed, shared.clock.wall()))?, token(proof.token)))
}

/// Gives one back.
pub async fn release(asked: Asked<'_>) -> Result<Answer, Failure> {
    let shared = &asked.connection.shared;
    let headers = ProofHeaders::read(asked.request.headers())?;
    let shown = headers.token.is_some() || headers.txn.is_some();
    let body: ReleaseBody = document(asked.request.into_body(), &shared.clock).await?;
    let key = body.key()?;
    asked.subject.is(&key);
    let shown = shown || body.txn_id.as_ref().is_some_and(|txn| !txn.is_empty());
    let proof = proof(&body.lease_id, body.txn_id.as_deref(), headers)?;
    if on(Mutant::ReleaseAnsweredFirst) {
        let (service, key, rollback) = (Arc::clone(&shared.service), key.clone(), body.rollback);
        tokio::spawn(async move { service.release(&key, &proof.lease_id, shown.then_some(&proof), rollback).await });
        return Ok(json(&ReleaseReply::new(Released::AlreadyGone { how: None }))?);
    }
    let began = body.succeeded_unix_ms.map(UnixMillis).filter(|_| !body.rollback);
    let released = match began {
        Some(began) => shared.service.release_after_success(&key, &proof, began).await?,
        // After an acquire without an answer the token is not known, and the id alone is the proof.
        None => {
            let proof = shown.then_some(&proof);
            let lease_id = proof.map_or_else(|| LeaseId::new(&body.lease_id), |proof| Ok(proof.lease_id.clone()))?;
            shared.service.release(&key, &lease_id, proof, body.rollback).await?
        }
    };
    let since = shared.held.ended(&proof.lease_id);
    if let Released::Released { .. } = released {
        shared.streams.over(&proof.lease_id, LeaseEnd::Released);
        if let Some(since) = since {
            shared.metrics.released(shared.clock.boot().since(since));
        }
    }
    Ok(json(&ReleaseReply::new(released))?)
}

/// What [`Mutant::ServerRenews`] does.
async fn renew_for_ever(shared: Arc<Shared>, key: Key, grant: Grant) {
    let proof = Proof { lease_id: grant.lease_id, token: grant.token, txn: None };
    let clock: &dyn Clock = &*shared.clock;
    while shared.service.keepalive(&key, &proof, grant.ttl).await.is_ok() {
        clock.sleep(grant.ttl.duration() / 3).await;
    }
}

/// What [`Mutant::VanishedWaiterGranted`] does: dropping this ends no wait.
async fn in_spite_of_all(shared: &Shared, request: AcquireRequest) -> Result<Grant> {
    let service = Arc::clone(&shared.service);
    let waiting = tokio::spawn(async move { service.acquire(request).await });
    waiting.await.unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, e.to_string())))
}

/// The proof of a call that names its lease in the body; the transaction may stand there too.
fn proof(lease_id: &str, txn: Option<&str>, headers: ProofHeaders) -> Result<Proof> {
    let lease_id = same_lease(lease_id, headers.lease_id.as_ref())?;
    let txn = match txn.filter(|txn| !txn.is_empty()) {
        Some(txn) => Some(TxnId::new(txn)?),
        None => None,
    };
    if let (Some(body), Some(header)) = (&txn, &headers.txn)
        && body != header
    {
        return Err(Error::new(ErrorKind::TxnMismatch, "the transaction id of the body is not that of the headers")
            .with_hint("send the one that the acquire answered"));
    }
    Ok(Proof { lease_id, token: headers.token.unwrap_or_default(), txn: txn.or(headers.txn) })
}
