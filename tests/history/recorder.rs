//! A service that notes every call and every answer.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use lockd::clock::UnixMillis;
use lockd::error::{Error, ErrorKind as K, Result};
use lockd::model::{Key, LeaseId, Ttl};
use lockd::service::{
    AcquireRequest, BreakRequest, Broke, ChangeRequest, Changed, Description, Expected, Fence, FenceRequest, ForUpdate,
    Grant, LeaseService, ListRequest, Listed, OnDisconnect, Proof, Released, Renewed, State, Watched,
};
use lockd::store::ByteStream;

use super::{Answer, Op, What};

/// Where events go. Each gets its time there.
pub trait Log: Send + Sync {
    /// A number for a new call of this process.
    fn number(&self) -> u64;
    fn note(&self, call: u64, key: &str, what: What);
}

/// See the module.
pub struct Recorded<S> {
    service: S,
    log: Arc<dyn Log>,
}

impl<S> Recorded<S> {
    pub fn new(service: S, log: Arc<dyn Log>) -> Self {
        Self { service, log }
    }

    fn begin<'a>(&'a self, key: &'a Key, op: Op) -> UnderWay<'a> {
        let call = self.log.number();
        self.log.note(call, key.name(), What::Invoke(op));
        UnderWay { log: &*self.log, key, call, answered: false }
    }
}

/// A call that is under way: left when it is dropped before its answer.
struct UnderWay<'a> {
    log: &'a dyn Log,
    key: &'a Key,
    call: u64,
    answered: bool,
}

impl UnderWay<'_> {
    fn end<T>(self, result: Result<T>, told: impl FnOnce(&T) -> Answer) -> Result<T> {
        let answer = result.as_ref().map_or_else(refusal, told);
        self.end_as(result, answer)
    }

    fn end_as<T>(mut self, result: Result<T>, answer: Answer) -> Result<T> {
        self.answered = true;
        self.log.note(self.call, self.key.name(), What::Return(answer));
        result
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.log.note(self.call, self.key.name(), What::Return(Answer::Left));
        }
    }
}

fn refusal(e: &Error) -> Answer {
    let why = format!("{:?}", e.kind());
    match e.kind() {
        K::Busy | K::LeaseEnded | K::LeaseRequired | K::LeaseExpired | K::LeaseBroken | K::StagedDiscarded => {
            let holder = e.details().busy.as_ref().map(|busy| busy.lease_id.to_string());
            Answer::Refused { why, holder }
        }
        K::MissingTxn | K::TxnMismatch | K::FencingMismatch | K::VersionConflict | K::EtagMismatch => {
            Answer::Refused { why, holder: None }
        }
        K::AlreadyExists | K::RequestIdReused => Answer::Refused { why, holder: None },
        K::Unavailable | K::Throttled | K::TooManyStreams | K::StoreFull | K::NotPermitted | K::Draining => {
            Answer::Failed { why }
        }
        _ => Answer::Unknown { why },
    }
}

fn proof_of(proof: &Proof) -> (String, u64) {
    (proof.lease_id.to_string(), proof.token.0)
}

fn changed(changed: &Changed) -> Answer {
    let etag = changed.etag.as_ref().map(ToString::to_string);
    Answer::Updated { version: changed.version.0, etag, changed: changed.changed }
}

fn released(released: &Released) -> Answer {
    match released {
        Released::Released { version } => Answer::Released { version: version.0 },
        Released::AlreadyGone { .. } => Answer::Gone,
        Released::Fenced => Answer::Fenced,
    }
}

fn change(r: &ChangeRequest, remove: bool) -> Op {
    let (lease, token) = proof_of(&r.proof);
    Op::Update { lease, token, request: r.request_id.to_string(), txn: r.proof.txn.is_some(), remove }
}

#[async_trait]
impl<S: LeaseService> LeaseService for Recorded<S> {
    async fn acquire(&self, request: AcquireRequest) -> Result<Grant> {
        let key = request.key.clone();
        let call = self.begin(&key, Op::Acquire { lease: request.lease_id.to_string() });
        let result = self.service.acquire(request).await;
        call.end(result, |grant| Answer::Granted {
            token: grant.token.0,
            version: grant.version.0,
            provisional: grant.confirm_within.is_some(),
        })
    }

    /// To the record it is an acquire; the state that comes with it was read after that.
    async fn acquire_for_update(&self, request: AcquireRequest, on_disconnect: OnDisconnect) -> Result<ForUpdate> {
        let key = request.key.clone();
        let call = self.begin(&key, Op::Acquire { lease: request.lease_id.to_string() });
        let result = self.service.acquire_for_update(request, on_disconnect).await;
        let kind = result.as_ref().err().map(Error::kind);
        if let Some(kind @ (K::LeaseRequired | K::LeaseExpired | K::LeaseBroken)) = kind {
            // It was granted, and over before its state was read.
            return call.end_as(result, Answer::Unknown { why: format!("{kind:?}") });
        }
        call.end(result, |taken| {
            let (grant, provisional) = (&taken.grant, taken.grant.confirm_within.is_some());
            Answer::Granted { token: grant.token.0, version: grant.version.0, provisional }
        })
    }

    async fn keepalive(&self, key: &Key, proof: &Proof, ttl: Ttl) -> Result<Renewed> {
        let (lease, token) = proof_of(proof);
        let call = self.begin(key, Op::Renew { lease, token });
        call.end(self.service.keepalive(key, proof, ttl).await, |_| Answer::Renewed)
    }

    async fn release(&self, key: &Key, lease_id: &LeaseId, proof: Option<&Proof>, rollback: bool) -> Result<Released> {
        let (token, txn) = (proof.map(|proof| proof.token.0), proof.is_some_and(|proof| proof.txn.is_some()));
        let call = self.begin(key, Op::Release { lease: lease_id.to_string(), token, txn, rollback });
        call.end(self.service.release(key, lease_id, proof, rollback).await, released)
    }

    async fn release_after_success(&self, key: &Key, proof: &Proof, began: UnixMillis) -> Result<Released> {
        let (lease, token) = proof_of(proof);
        let op = Op::Release { lease, token: Some(token), txn: proof.txn.is_some(), rollback: false };
        let call = self.begin(key, op);
        call.end(self.service.release_after_success(key, proof, began).await, released)
    }

    async fn get(&self, key: &Key, proof: Option<&Proof>) -> Result<Option<State>> {
        let call = self.begin(key, Op::Get { proof: proof.map(proof_of) });
        let result = self.service.get(key, proof).await;
        call.end(result, |state| match state {
            Some(state) => Answer::State { version: state.version.0, etag: state.etag.to_string() },
            None => Answer::NoState,
        })
    }

    async fn update(&self, request: ChangeRequest, expected: Expected, body: ByteStream) -> Result<Changed> {
        let key = request.key.clone();
        let call = self.begin(&key, change(&request, false));
        call.end(self.service.update(request, expected, body).await, changed)
    }

    async fn remove(&self, request: ChangeRequest) -> Result<Changed> {
        let key = request.key.clone();
        let call = self.begin(&key, change(&request, true));
        call.end(self.service.remove(request).await, changed)
    }

    async fn describe(&self, key: &Key) -> Result<Description> {
        let call = self.begin(key, Op::Get { proof: None });
        call.end(self.service.describe(key).await, |seen| match &seen.etag {
            Some(etag) => Answer::State { version: seen.version.0, etag: etag.to_string() },
            None => Answer::NoState,
        })
    }

    // The histories have no events for these yet; nobody calls them in one.
    async fn break_lease(&self, request: BreakRequest) -> Result<Broke> {
        self.service.break_lease(request).await
    }

    fn list<'a>(&'a self, request: &'a ListRequest) -> BoxStream<'a, Result<Listed>> {
        self.service.list(request)
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxStream<'a, Result<Watched>> {
        self.service.watch(key)
    }

    async fn fence_admit(&self, request: FenceRequest) -> Result<Fence> {
        self.service.fence_admit(request).await
    }

    async fn fence_check(&self, request: FenceRequest) -> Result<Fence> {
        self.service.fence_check(request).await
    }

    async fn close(&self) {
        self.service.close().await;
    }
}
