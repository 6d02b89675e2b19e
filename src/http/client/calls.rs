//! The calls.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use http::HeaderValue;

use super::attempts::Call;
use super::upload::Payload;
use super::{HttpClient, download, for_update};
use crate::clock::UnixMillis;
use crate::error::{ErrorKind, Result};
use crate::http::wire::{
    self, AcquireBody, AcquireReply, BreakBody, BreakReply, DescribeReply, FenceBody, FenceQuery, FenceReply,
    KeepaliveBody, KeepaliveReply, KeyQuery, ReleaseBody, ReleaseReply, RemoveReply, Subject, UpdateReply, paths,
};
use crate::limits::{
    ANSWER_PATIENCE, ANSWER_PATIENCE_SEVERAL, EXPECT_BYTES, IMPLIED_GUARD_TRIES, RELEASE_PATIENCE_SEVERAL, WAIT_POLL,
};
use crate::model::{Key, LeaseId, Ttl, Version};
use crate::service::{
    AcquireRequest, BreakRequest, Broke, ByteStream, ChangeRequest, Changed, Description, Expected, Fence,
    FenceRequest, ForUpdate, Grant, LeaseService, ListRequest, Listed, OnDisconnect, Proof, Released, Renewed, State,
    Wait, Watched,
};

impl HttpClient {
    /// What a server tells of itself, in the text format of Prometheus.
    ///
    /// # Errors
    /// `Unavailable` when none answers.
    pub async fn metrics(&self) -> Result<String> {
        let answer = self.ask(&Call::read(paths::METRICS.to_owned()), &mut Payload::empty()).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

#[async_trait]
impl LeaseService for HttpClient {
    async fn acquire(&self, request: AcquireRequest) -> Result<Grant> {
        let (call, mut payload) = acquire_by(paths::ACQUIRE, request)?;
        let answer = self.ask(&call, &mut payload).await?;
        let grant = wire::read_reply::<AcquireReply>(&answer)?.into_grant();
        self.versions.saw(&grant.lease_id, grant.version);
        Ok(grant)
    }

    async fn acquire_for_update(&self, request: AcquireRequest, on_disconnect: OnDisconnect) -> Result<ForUpdate> {
        let (mut call, mut payload) = acquire_by(paths::ACQUIRE_FOR_UPDATE, request)?;
        call.headers = wire::on_disconnect_headers(on_disconnect);
        let reply = self.open(&call, &mut payload).await?;
        let granted = for_update::granted(reply, Arc::clone(&self.clock))?;
        self.versions.saw(&granted.grant.lease_id, granted.grant.version);
        Ok(granted)
    }

    async fn keepalive(&self, key: &Key, proof: &Proof, ttl: Ttl) -> Result<Renewed> {
        let mut call = Call::change(paths::KEEPALIVE);
        call.headers = wire::proof_headers(proof)?;
        if self.servers.len() > 1 {
            // A server that hangs must leave time for another one before the lease is over.
            call.patience = Some(ANSWER_PATIENCE_SEVERAL.min(ttl.duration() / 8));
        }
        let body = wire::write(&KeepaliveBody::new(key, &proof.lease_id, ttl))?;
        let answer = self.ask(&call, &mut Payload::whole(body)).await?;
        Ok(wire::read_reply::<KeepaliveReply>(&answer)?.into_renewed())
    }

    async fn release(&self, key: &Key, lease_id: &LeaseId, proof: Option<&Proof>, rollback: bool) -> Result<Released> {
        self.give_back(proof, ReleaseBody::new(key, lease_id, rollback, None), lease_id).await
    }

    async fn release_after_success(&self, key: &Key, proof: &Proof, began: UnixMillis) -> Result<Released> {
        let body = ReleaseBody::new(key, &proof.lease_id, false, Some(began));
        self.give_back(Some(proof), body, &proof.lease_id).await
    }

    async fn get(&self, key: &Key, proof: Option<&Proof>) -> Result<Option<State>> {
        let mut call = Call::read(about(paths::GET, key)?);
        call.headers = proof.map(wire::proof_headers).transpose()?.unwrap_or_default();
        let reply = self.open(&call, &mut Payload::empty()).await?;
        if reply.status == 204 {
            return Ok(None);
        }
        download::state(reply, Arc::clone(&self.clock)).map(Some)
    }

    async fn update(&self, request: ChangeRequest, expected: Expected, body: ByteStream) -> Result<Changed> {
        let mut payload = Payload::state(body, &self.clock).await?;
        let mut call = Call::change(&about(paths::UPDATE, &request.key)?);
        call.subject = Subject::State;
        call.headers = wire::expected_headers(&expected)?;
        if payload.len().is_none_or(|len| len > EXPECT_BYTES) {
            call.headers.insert(http::header::EXPECT, HeaderValue::from_static("100-continue"));
        }
        self.changed(call, request, &mut payload, |body| Ok(wire::read_reply::<UpdateReply>(body)?.into_changed()))
            .await
    }

    async fn remove(&self, request: ChangeRequest) -> Result<Changed> {
        let call = Call::change(&about(paths::REMOVE, &request.key)?);
        let read = |body: &[u8]| Ok(wire::read_reply::<RemoveReply>(body)?.into_changed());
        self.changed(call, request, &mut Payload::empty(), read).await
    }

    async fn describe(&self, key: &Key) -> Result<Description> {
        let answer = self.ask(&Call::read(about(paths::DESCRIBE, key)?), &mut Payload::empty()).await?;
        wire::read_reply::<DescribeReply>(&answer)?.into_description()
    }

    async fn break_lease(&self, request: BreakRequest) -> Result<Broke> {
        let body = wire::write(&BreakBody::new(&request))?;
        let answer = self.ask(&Call::change(paths::BREAK), &mut Payload::whole(body)).await?;
        wire::read_reply::<BreakReply>(&answer)?.into_broke()
    }

    fn list<'a>(&'a self, request: &'a ListRequest) -> BoxStream<'a, Result<Listed>> {
        self.listing(request)
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxStream<'a, Result<Watched>> {
        self.watching(key)
    }

    async fn fence_admit(&self, request: FenceRequest) -> Result<Fence> {
        let body = wire::write(&FenceBody::new(&request)?)?;
        let answer = self.ask(&Call::change(paths::FENCE_ADMIT), &mut Payload::whole(body)).await?;
        Ok(wire::read_reply::<FenceReply>(&answer)?.into_fence())
    }

    async fn fence_check(&self, request: FenceRequest) -> Result<Fence> {
        let query = wire::write_query(&FenceQuery::from(FenceBody::new(&request)?))?;
        let call = Call::read(format!("{}?{query}", paths::FENCE_CHECK));
        let answer = self.ask(&call, &mut Payload::empty()).await?;
        Ok(wire::read_reply::<FenceReply>(&answer)?.into_fence())
    }

    /// Nothing goes on here after an answer.
    async fn close(&self) {}
}

impl HttpClient {
    async fn give_back(&self, proof: Option<&Proof>, mut body: ReleaseBody, lease_id: &LeaseId) -> Result<Released> {
        let mut call = Call::change(paths::RELEASE);
        if self.servers.len() > 1 {
            call.patience = Some(RELEASE_PATIENCE_SEVERAL);
        }
        call.headers = proof.map(wire::proof_headers).transpose()?.unwrap_or_default();
        body.txn_id = proof.and_then(|proof| proof.txn.as_ref()).map(ToString::to_string);
        let answer = self.ask(&call, &mut Payload::whole(wire::write(&body)?)).await?;
        self.versions.forget(lease_id);
        wire::read_reply::<ReleaseReply>(&answer)?.into_released()
    }

    /// A change. With several servers a copy of it may be under way at one while another one answers, and may come to the
    /// store long after that: every copy is bound to the version before it, so that none can be applied later. Where the
    /// caller named none, it is the one last seen under this lease; that another was there is then no conflict, because
    /// nothing was applied and nothing of this can be any more: it is bound anew.
    async fn changed(
        &self,
        mut call: Call,
        mut request: ChangeRequest,
        payload: &mut Payload,
        read: impl Fn(&[u8]) -> Result<Changed>,
    ) -> Result<Changed> {
        let implied = self.servers.len() > 1 && request.guards.version.is_none();
        let lease = request.proof.lease_id.clone();
        call.forgotten = true;
        if implied {
            request.guards.version = Some(self.version_under(&request.key, &lease).await?);
        }
        let own = call.headers.clone();
        let mut tries = 0;
        loop {
            call.headers = own.clone();
            call.headers.extend(wire::change_headers(&request)?);
            tries += 1;
            match self.ask(&call, payload).await {
                Ok(answer) => {
                    let changed = read(&answer)?;
                    self.versions.saw(&lease, changed.version);
                    return Ok(changed);
                }
                Err(e)
                    if implied
                        && e.kind() == ErrorKind::VersionConflict
                        && e.details().current_version.is_some()
                        && tries < IMPLIED_GUARD_TRIES
                        && payload.can_repeat() =>
                {
                    request.guards.version = e.details().current_version;
                }
                Err(e) => return Err(e),
            }
        }
    }

    async fn version_under(&self, key: &Key, lease: &LeaseId) -> Result<Version> {
        match self.versions.of(lease) {
            Some(version) => Ok(version),
            None => Ok(self.describe(key).await?.version),
        }
    }
}

/// The call that asks for a lease at this path: it waits as long as one poll may.
fn acquire_by(path: &str, request: AcquireRequest) -> Result<(Call, Payload)> {
    let mut call = Call::change(path);
    let wait = match request.wait {
        Wait::No => Duration::ZERO,
        Wait::For(d) => d.min(WAIT_POLL),
    };
    call.patience = Some(wait + ANSWER_PATIENCE);
    let body = wire::write(&AcquireBody::new(&AcquireRequest { wait: Wait::For(wait), ..request }))?;
    Ok((call, Payload::whole(body)))
}

/// The target of a call about a key.
fn about(path: &str, key: &Key) -> Result<String> {
    Ok(format!("{path}?{}", wire::write_query(&KeyQuery::new(key))?))
}
