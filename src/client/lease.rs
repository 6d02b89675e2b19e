//! A lease in the hands of its holder: the deadline, renewal, loss and release.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Client, passing};
use crate::clock::{BootTime, Clock, UnixMillis};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{BACKOFF_MAX, PAUSE_HINT, RELEASE_TRY, holder_belief, renew_every};
use crate::model::{FencingToken, Key, LeaseId, Owner, StateEtag, Ttl, TxnId, Version};
use crate::mutants::{Mutant, on};
use crate::service::{Grant, Proof, Released, Renewed};

/// How often a renewing lease looks whether the machine was paused.
const PAUSE_CHECK: Duration = Duration::from_secs(1);

/// What a holder may believe.
#[derive(Clone, Debug)]
pub struct Belief {
    /// The lease may be believed in before this time; work must have stopped by then.
    pub deadline: BootTime,
    /// Why it is lost. Once set, it stays.
    pub lost: Option<Arc<Error>>,
}

/// A lease in the hands of its holder.
///
/// Dropping it stops the renewal and gives it back in the background where a runtime is there; [`Lease::release`] waits for that,
/// [`Lease::detach`] leaves the lease to run out by itself. `S` is what comes with it: nothing, or the stream of an
/// [`super::UpdateLease`].
pub struct Lease<S = Plain> {
    /// The key.
    pub key: Key,
    /// The lease id.
    pub id: LeaseId,
    /// The fencing token: pass it with every effect.
    pub token: FencingToken,
    /// The transaction id.
    pub txn: TxnId,
    /// The TTL.
    pub ttl: Ttl,
    /// The version of the state at the grant.
    pub version: Version,
    /// The ETag of the state at the grant.
    pub etag: Option<StateEtag>,
    /// Who holds it.
    pub owner: Owner,
    /// When the last run that succeeded began, as told at the grant.
    pub last_success: Option<UnixMillis>,
    pub(super) client: Client,
    pub(super) stream: S,
    belief: Arc<watch::Sender<Belief>>,
    renewal: Option<JoinHandle<()>>,
    over: bool,
}

/// Nothing comes with the lease: its state is read when it is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl<S> Lease<S> {
    pub(super) fn new(client: Client, key: Key, owner: Owner, grant: Grant, sent: BootTime, stream: S) -> Self {
        let deadline = sent + belief(grant.left, grant.ttl);
        Self {
            key,
            id: grant.lease_id,
            token: grant.token,
            txn: grant.txn,
            ttl: grant.ttl,
            version: grant.version,
            etag: grant.etag,
            owner,
            last_success: grant.last_success,
            client,
            stream,
            belief: Arc::new(watch::Sender::new(Belief { deadline, lost: None })),
            renewal: None,
            over: false,
        }
    }

    /// The time before which all work under this lease must have stopped; renewal moves it forward.
    #[must_use]
    pub fn deadline(&self) -> BootTime {
        self.belief.borrow().deadline
    }

    /// The proof to show with calls that are bound to this lease; changes under it are committed at once.
    #[must_use]
    pub fn proof(&self) -> Proof {
        Proof { lease_id: self.id.clone(), token: self.token, txn: None }
    }

    /// Follows the deadline and the loss of the lease.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Belief> {
        self.belief.subscribe()
    }

    /// Renews once, now.
    ///
    /// # Errors
    /// Why it could not be renewed; the lease is lost when the answer says so or the deadline has passed.
    pub async fn renew(&mut self) -> Result<()> {
        let renewed = self.renewer().once().await?;
        self.ttl = renewed.ttl;
        Ok(())
    }

    /// Renews in the background from now on, every third of the TTL, until release, detach, drop or loss.
    pub fn keep_alive(&mut self) {
        if self.renewal.is_none() {
            self.renewal = Some(tokio::spawn(self.renewer().run()));
        }
    }

    /// Returns once the lease is lost, and why. Without [`Lease::keep_alive`] that is its deadline.
    pub async fn lost(&self) -> Arc<Error> {
        let mut watch = self.belief.subscribe();
        loop {
            let Belief { deadline, lost } = watch.borrow_and_update().clone();
            if let Some(why) = lost {
                return why;
            }
            let clock = &self.client.clock;
            if clock.timeout_at(deadline, watch.changed()).await.is_none() && self.deadline() <= clock.boot() {
                self.renewer().lose(ran_out(&self.key));
            }
        }
    }

    /// Gives the lease back. From now on the holder must not believe in it, whatever the answer: those who follow it see a
    /// deadline that has come. Tried for 5 s.
    ///
    /// # Errors
    /// That nobody answered: then the lease runs out by itself.
    pub async fn release(mut self) -> Result<Released> {
        self.stop();
        let until = self.client.clock.boot() + RELEASE_TRY;
        let proof = self.proof();
        let service = &self.client.service;
        self.client.insist(until, || service.release(&self.key, &self.id, Some(&proof), false)).await
    }

    /// The same, and tells those who come after that the run under this lease succeeded and began at `began`.
    ///
    /// # Errors
    /// As [`Lease::release`].
    pub async fn release_after_success(mut self, began: UnixMillis) -> Result<Released> {
        self.stop();
        let until = self.client.clock.boot() + RELEASE_TRY;
        let proof = self.proof();
        let service = &self.client.service;
        self.client.insist(until, || service.release_after_success(&self.key, &proof, began)).await
    }

    fn stop(&mut self) {
        self.stop_renewing();
        self.stop_believing();
        self.over = true;
    }

    fn stop_renewing(&mut self) {
        if let Some(renewal) = self.renewal.take() {
            renewal.abort();
        }
    }

    /// From the moment of sending a release the lease may be anybody's.
    fn stop_believing(&self) {
        if on(Mutant::BelieveDuringRelease) {
            return;
        }
        let now = self.client.clock.boot();
        self.belief.send_modify(|belief| belief.deadline = belief.deadline.min(now));
    }

    /// Notes that the lease is lost, once.
    pub(super) fn loser(&self) -> impl FnOnce(Error) + Send + use<S> {
        let renewer = self.renewer();
        move |why| drop(renewer.lose(why))
    }

    fn renewer(&self) -> Renewer {
        Renewer {
            client: self.client.clone(),
            key: self.key.clone(),
            proof: self.proof(),
            ttl: self.ttl,
            belief: Arc::clone(&self.belief),
        }
    }
}

impl Lease {
    /// Stops renewing and leaves the lease to whoever knows its id, or to run out by itself.
    pub fn detach(mut self) {
        self.stop_renewing();
        self.over = true;
    }
}

impl<S> Drop for Lease<S> {
    fn drop(&mut self) {
        self.stop_renewing();
        if !self.over {
            self.stop_believing();
        }
        if let (false, Ok(runtime)) = (self.over, tokio::runtime::Handle::try_current()) {
            let (client, key, id) = (self.client.clone(), self.key.clone(), self.id.clone());
            runtime.spawn(async move { client.abandon(&key, &id).await });
        }
    }
}

struct Renewer {
    pub(super) client: Client,
    key: Key,
    proof: Proof,
    ttl: Ttl,
    belief: Arc<watch::Sender<Belief>>,
}

impl Renewer {
    /// One renewal, tried again while the answer says nothing about whose the lease is. A renewal after the deadline is
    /// good when the record still names this lease; work begins again only after that answer.
    async fn once(&self) -> Result<Renewed> {
        let clock = &self.client.clock;
        loop {
            let sent = clock.boot();
            let patience = self.deadline().max(sent + BACKOFF_MAX);
            let call = self.client.service.keepalive(&self.key, &self.proof, self.ttl);
            match clock.timeout_at(patience, call).await {
                Some(Ok(renewed)) => {
                    let sent = if on(Mutant::DeadlineAtResponse) { clock.boot() } else { sent };
                    self.extend(sent + belief(renewed.left, renewed.ttl));
                    return Ok(renewed);
                }
                Some(Err(e)) if !passing(&e) => return Err(self.lose(e)),
                unanswered => {
                    if clock.boot() >= self.deadline() {
                        let why = unanswered.and_then(Result::err).unwrap_or_else(|| ran_out(&self.key));
                        return Err(self.lose(why.with_kind(ErrorKind::LeaseExpired)));
                    }
                    clock.sleep(BACKOFF_MAX).await;
                }
            }
        }
    }

    async fn run(self) {
        let clock = Arc::clone(&self.client.clock);
        let mut last = (clock.boot(), clock.wall());
        loop {
            let due = last.0 + renew_every(self.ttl.duration());
            wait_until_due(&*clock, due, last).await;
            last = (clock.boot(), clock.wall());
            if self.once().await.is_err() {
                return;
            }
        }
    }

    fn deadline(&self) -> BootTime {
        self.belief.borrow().deadline
    }

    fn extend(&self, deadline: BootTime) {
        self.belief.send_if_modified(|belief| {
            let later = belief.lost.is_none() && deadline > belief.deadline;
            if later {
                belief.deadline = deadline;
            }
            later
        });
    }

    /// Records the loss, and returns the error for the caller.
    fn lose(&self, why: Error) -> Error {
        let copy = Error::new(why.kind(), why.message());
        let copy = match why.hint() {
            Some(hint) => copy.with_hint(hint),
            None => copy,
        };
        self.belief.send_if_modified(|belief| {
            let first = belief.lost.is_none();
            if first {
                belief.lost = Some(Arc::new(copy));
            }
            first
        });
        why
    }
}

/// Until the next renewal is due, or realtime has run ahead of boot time: a hint that the machine was paused, and that others
/// may have counted time that this clock did not.
async fn wait_until_due(clock: &dyn Clock, due: BootTime, last: (BootTime, UnixMillis)) {
    loop {
        let now = clock.boot();
        if now >= due {
            return;
        }
        clock.sleep_until(due.min(now + PAUSE_CHECK)).await;
        let by_boot = clock.boot().since(last.0);
        let by_wall = Duration::from_millis(clock.wall().0.saturating_sub(last.1.0));
        if by_wall > by_boot + PAUSE_HINT && !on(Mutant::PauseHintIgnored) {
            return;
        }
    }
}

fn belief(left: Duration, ttl: Ttl) -> Duration {
    if on(Mutant::HolderTakesAll) { left } else { holder_belief(left, ttl.duration()) }
}

fn ran_out(key: &Key) -> Error {
    Error::new(ErrorKind::LeaseExpired, format!("the lease of {key} could not be renewed in time"))
        .with_hint("the store or server did not answer before the deadline")
}
