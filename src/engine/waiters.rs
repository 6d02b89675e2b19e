//! The way to a key's task, and waiting there for a key that another holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::commit::{Answer, Denied, Job};
use super::queue::{Patience, SeatHeld};
use super::task::{Doors, KeyTask, Urgent};
use super::{Engine, Shared, lock, unexpected};
use crate::clock::BootTime;
use crate::error::{Error, ErrorKind, Result};
use crate::lease::{Acquire, Outcome, Request};
use crate::limits::{BACKOFF_MAX, KEY_IDLE, KEY_IDLE_CROWDED, KEY_QUEUE, KEYS_KEPT};
use crate::model::{Key, LeaseId};
use crate::service::{AcquireRequest, Grant, Wait};
use crate::store::Etag;

/// The way to one key's task.
#[derive(Clone, Debug)]
pub(super) struct Door {
    /// Renewals, releases and withdrawals: a flood of acquires does not stand before them.
    urgent: mpsc::Sender<Urgent>,
    /// Boxed: a channel has room for 32 of what it carries from the start, and each key has one.
    jobs: mpsc::Sender<Box<Job>>,
    /// How many wait there.
    waiting: Arc<AtomicU64>,
}

impl Shared {
    /// The way to the key's task, which is started when there is none.
    fn door(self: &Arc<Self>, key: &Key) -> Door {
        let mut keys = lock(&self.keys);
        if let Some(door) = keys.get(key).filter(|door| !door.jobs.is_closed()) {
            return door.clone();
        }
        let (urgent, urgent_in) = mpsc::channel(KEY_QUEUE);
        let (jobs, jobs_in) = mpsc::channel(KEY_QUEUE);
        let door = Door { urgent, jobs, waiting: Arc::default() };
        keys.insert(key.clone(), door.clone());
        tokio::spawn(KeyTask::new(key.clone(), Arc::clone(self)).run(Doors { urgent: urgent_in, jobs: jobs_in }));
        door
    }

    /// A task that has ended is looked up no more.
    pub(super) fn forget_door(&self, key: &Key) {
        let mut keys = lock(&self.keys);
        if keys.get(key).is_some_and(|door| door.jobs.is_closed()) {
            keys.remove(key);
        }
    }

    /// Hands in what comes before all else.
    pub(super) async fn knock_on(self: &Arc<Self>, key: &Key, mut urgent: Urgent) {
        // A task that went idle between the look-up and the send gives it back: then there is a new task.
        while let Err(mpsc::error::SendError(back)) = self.door(key).urgent.send(urgent).await {
            urgent = back;
        }
    }

    /// Hands in a request.
    pub(super) async fn hand_in(self: &Arc<Self>, key: &Key, mut job: Box<Job>) {
        while let Err(mpsc::error::SendError(back)) = self.door(key).jobs.send(job).await {
            job = back;
        }
    }

    /// The refusal of an acquire when nothing is granted any more.
    pub(super) fn draining(&self) -> Option<Error> {
        self.drains.load(Ordering::SeqCst).then(|| {
            Error::new(ErrorKind::Draining, "the server is shutting down and grants nothing any more")
                .with_hint("ask another server, or try again later")
        })
    }

    /// How long a key's task stays after its last request: not long where there are many.
    pub(super) fn key_idle(&self) -> Duration {
        match lock(&self.keys).len() > KEYS_KEPT {
            true => KEY_IDLE_CROWDED,
            false => KEY_IDLE,
        }
    }

    /// How many wait here, for all keys.
    pub(super) fn waiting_in_all(&self) -> u64 {
        lock(&self.keys).values().map(|door| door.waiting.load(Ordering::SeqCst)).sum()
    }

    /// How many wait for a key here.
    pub(super) fn waiting(&self, key: &Key) -> u64 {
        lock(&self.keys).get(key).map_or(0, |door| door.waiting.load(Ordering::SeqCst))
    }
}

impl Engine {
    /// Hands a request to its key's task and waits for the answer. Dropping the future withdraws the request, as far as it
    /// was not sent to the store yet, and gives its place up.
    pub(super) async fn submit(&self, key: &Key, request: Request, wait: Option<Patience>) -> Result<Answer, Denied> {
        let (reply, answer) = oneshot::channel();
        let urgent = matches!(request, Request::Renew(_) | Request::Release(_));
        let job = Box::new(Job { request, ticket: self.shared.ticket(), reply, wait, at_beat: None });
        match urgent {
            true => self.shared.knock_on(key, Urgent::Job(job)).await,
            false => self.shared.hand_in(key, job).await,
        }
        answer.await.unwrap_or_else(|_| {
            let message = format!("the task of {key} ended without an answer");
            Err(Denied::Error(
                Error::new(ErrorKind::OutcomeUnknown, message).with_hint("repeat the call with the same ids"),
            ))
        })
    }

    pub(super) async fn acquire_waiting(&self, request: AcquireRequest) -> Result<Grant> {
        if let Some(refusal) = self.shared.draining() {
            return Err(refusal);
        }
        let clock = &*self.shared.clock;
        let key = request.key.clone();
        let seat = SeatHeld::new(Arc::clone(&self.shared.door(&key).waiting));
        let wait = match request.wait {
            Wait::No => None,
            Wait::For(wait) => {
                Some(Patience { until: clock.boot() + wait, confirm: request.confirm, seat: seat.share() })
            }
        };
        let acquire = Request::Acquire(self.acquire_of(request));
        let answer = self.submit(&key, acquire, wait).await.map_err(|denied| denied.into_error(&key, clock))?;
        if matches!(answer.outcome, Outcome::Granted { taken_over: true, .. }) {
            self.collect_soon(&answer.record);
        }
        self.grant(answer)
    }

    /// A grant whose put is under way is answered; whoever only waits is turned away, as is who comes to wait after this.
    pub(super) async fn turn_all_away(&self) {
        self.shared.drains.store(true, Ordering::SeqCst);
        let mut doors: Vec<_> = lock(&self.shared.keys).iter().map(|(key, door)| (key.clone(), door.clone())).collect();
        // In one order each time, for simulations.
        doors.sort_by(|(one, _), (other, _)| one.cmp(other));
        let told = doors.iter().map(|(_, door)| door.urgent.send(Urgent::TurnAway));
        let _tasks_that_ended_have_no_waiters = futures_util::future::join_all(told).await;
    }

    pub(super) async fn withdraw_grant(&self, key: &Key, lease_id: &LeaseId) {
        self.shared.knock_on(key, Urgent::Withdraw(lease_id.clone())).await;
    }

    /// Until the record may have changed, or `until`. A store that cannot be watched is asked again after a pause.
    pub(super) async fn wait_for_change(&self, key: &Key, seen: Option<&Etag>, until: BootTime) {
        let clock = &*self.shared.clock;
        let changed = clock.timeout_at(until, self.shared.store.records.changed(key, seen)).await;
        if let Some(Err(_)) = changed {
            clock.sleep_until(until.min(clock.boot() + BACKOFF_MAX)).await;
        }
    }

    fn acquire_of(&self, r: AcquireRequest) -> Acquire {
        Acquire {
            lease_id: r.lease_id,
            txn: r.txn,
            ttl: r.ttl,
            owner: r.owner,
            reason: r.reason,
            holder: r.holder,
            if_not_exists: r.if_not_exists,
            yields: false,
            epoch: self.shared.store.facts.epoch,
            stamp: None,
            at: self.shared.clock.wall(),
        }
    }

    fn grant(&self, answer: Answer) -> Result<Grant> {
        let last_success = answer.record.last_success;
        match answer.outcome {
            Outcome::Granted { lease, version, etag, taken_over } => Ok(Grant {
                lease_id: lease.id,
                token: lease.token,
                txn: lease.txn,
                ttl: lease.ttl,
                left: self.shared.left(lease.ttl, answer.written),
                version,
                etag,
                taken_over,
                last_success,
                confirm_within: answer.confirm_within,
            }),
            other => Err(unexpected(&other)),
        }
    }
}
