//! The task of one key: what arrives for it, who waits for it here, whose turn it is.
//!
//! Renewals and releases come before all else. The key is passed on in order of arrival; a release and the next grant are
//! one write. A waiter elsewhere may knock; then the key is left free for it after a while.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::Shared;
use super::commit::{Answer, Base, Denied, Job};
use super::queue::Queue;
use super::turn::Turn;
use crate::clock::{BootTime, Clock};
use crate::error::{Error, ErrorKind, Result};
use crate::lease::{Outcome, Refusal, Request, step};
use crate::limits::{BACKOFF_MAX, KEY_IDLE, KEY_QUEUE, KEY_WAITERS, KNOCK_AFTER, TTL_MAX, WATCH_AFTER, takeover_age};
use crate::model::{Key, LeaseId};
use crate::mutants::{Mutant, on};
use crate::store::Etag;

/// What arrives.
pub(super) struct Doors {
    /// Renewals, releases and withdrawals.
    pub(super) urgent: mpsc::Receiver<Urgent>,
    /// The rest.
    pub(super) jobs: mpsc::Receiver<Box<Job>>,
}

/// What comes before all else.
pub(super) enum Urgent {
    /// A renewal or release.
    Job(Box<Job>),
    /// The connection of this grant is gone.
    Withdraw(LeaseId),
    /// Nothing is granted any more.
    TurnAway,
}

pub(super) struct KeyTask {
    pub(super) key: Key,
    pub(super) shared: Arc<Shared>,
    pub(super) base: Option<Base>,
    /// The highest revision known: a record never goes back.
    pub(super) highest: u64,
    pub(super) queue: Queue,
    pub(super) turn: Turn,
    urgent: VecDeque<Urgent>,
    jobs: VecDeque<Box<Job>>,
    /// Grants to give back, each with its beat: to clients that had gone.
    pub(super) returns: VecDeque<(LeaseId, u64)>,
    watch: Option<Watch>,
    /// When something last happened here.
    stirred: BootTime,
}

/// A look-out for changes by others.
struct Watch {
    seen: Option<Etag>,
    /// Never locked: the task may go from thread to thread, and is alone.
    change: Mutex<Pin<Box<dyn Future<Output = Result<()>> + Send>>>,
}

/// Why the task woke up.
enum Woken {
    Arrival,
    Changed,
    Unwatchable,
    Time,
}

impl KeyTask {
    pub(super) fn new(key: Key, shared: Arc<Shared>) -> Self {
        let stirred = shared.clock.boot();
        let (queue, turn) = (Queue::default(), Turn::default());
        let (urgent, jobs, returns) = Default::default();
        Self { key, shared, base: None, highest: 0, queue, turn, urgent, jobs, returns, watch: None, stirred }
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }

    /// Applies jobs in order of arrival and lets acquires wait, until there has been nothing to do for a while.
    pub(super) async fn run(mut self, mut doors: Doors) {
        loop {
            self.admit(&mut doors);
            if self.work().await {
                self.stirred = self.clock().boot();
                continue;
            }
            match self.rest(&mut doors).await {
                Woken::Arrival => {}
                Woken::Changed => self.base = None,
                Woken::Unwatchable => {
                    let again = self.clock().boot() + BACKOFF_MAX;
                    self.clock().sleep_until(again).await;
                    self.base = None;
                }
                Woken::Time if self.is_idle() => return self.leave(doors).await,
                Woken::Time => {}
            }
        }
    }

    /// Takes in what has arrived.
    fn admit(&mut self, doors: &mut Doors) {
        while self.urgent.len() < KEY_QUEUE
            && let Ok(urgent) = doors.urgent.try_recv()
        {
            self.urgent.push_back(urgent);
        }
        while self.jobs.len() < KEY_QUEUE
            && let Ok(job) = doors.jobs.try_recv()
        {
            self.jobs.push_back(job);
        }
    }

    /// Does one thing, the most pressing one; whether there was any.
    async fn work(&mut self) -> bool {
        if let Some(urgent) = self.urgent.pop_front() {
            match urgent {
                Urgent::Job(job) => self.serve(*job).await,
                Urgent::Withdraw(lease_id) => self.withdraw(&lease_id),
                Urgent::TurnAway => self.turn_all_away(),
            }
            return true;
        }
        if let Some((lease_id, beat)) = self.returns.pop_front() {
            self.give_back(lease_id, beat).await;
            return true;
        }
        let now = self.clock().boot();
        if let Some(unconfirmed) = self.turn.unconfirmed(now) {
            self.returns.push_back((unconfirmed.lease_id, unconfirmed.beat));
            return true;
        }
        if self.turn_at(now).is_some_and(|at| at <= now) {
            self.advance().await;
            return true;
        }
        if let Some(job) = self.jobs.pop_front() {
            self.serve(*job).await;
            return true;
        }
        if let Some((job, place)) = self.queue.overdue(now) {
            self.turn_away(job, place).await;
            return true;
        }
        if self.knock_at(now).is_some_and(|at| at <= now) {
            self.knock().await;
            return true;
        }
        false
    }

    /// Waits until there is something to do.
    async fn rest(&mut self, doors: &mut Doors) -> Woken {
        let now = self.clock().boot();
        self.queue.tidy(now);
        self.turn.waits_on(|waiter| self.queue.has(waiter));
        self.look_out(now);
        let until = self.wake_at(now);
        let clock = Arc::clone(&self.shared.clock);
        let (urgent, jobs, watch) = (&mut self.urgent, &mut self.jobs, &mut self.watch);
        let event = poll_fn(|cx| {
            if let Poll::Ready(Some(arrived)) = doors.urgent.poll_recv(cx) {
                urgent.push_back(arrived);
                return Poll::Ready(Woken::Arrival);
            }
            if let Poll::Ready(Some(job)) = doors.jobs.poll_recv(cx) {
                jobs.push_back(job);
                return Poll::Ready(Woken::Arrival);
            }
            let change = watch.as_mut().map(|watch| watch.change.get_mut().unwrap_or_else(PoisonError::into_inner));
            match change.map(|change| change.as_mut().poll(cx)) {
                Some(Poll::Ready(changed)) => {
                    *watch = None;
                    Poll::Ready(if changed.is_ok() { Woken::Changed } else { Woken::Unwatchable })
                }
                _ => Poll::Pending,
            }
        });
        clock.timeout_at(until, event).await.unwrap_or(Woken::Time)
    }

    /// Watches the record while somebody waits and nothing happens here.
    fn look_out(&mut self, now: BootTime) {
        let Some(base) = self.base.as_ref().filter(|_| self.queue.is_waiting()) else {
            self.watch = None;
            return;
        };
        if self.watch.as_ref().is_some_and(|watch| watch.seen == base.etag) {
            return;
        }
        self.watch = None;
        if now >= self.stirred + WATCH_AFTER {
            let (records, key, seen) = (Arc::clone(&self.shared.store.records), self.key.clone(), base.etag.clone());
            let etag = seen.clone();
            let change = Box::pin(async move { records.changed(&key, etag.as_ref()).await });
            self.watch = Some(Watch { seen, change: Mutex::new(change) });
        }
    }

    fn wake_at(&self, now: BootTime) -> BootTime {
        let watch = (self.watch.is_none() && self.queue.is_waiting()).then_some(self.stirred + WATCH_AFTER);
        let times =
            [watch, self.turn_at(now), self.knock_at(now), self.queue.next_overdue(), self.turn.unconfirmed_at()];
        times.into_iter().flatten().min().unwrap_or_else(|| self.stirred + self.idle())
    }

    fn is_idle(&self) -> bool {
        let busy = self.queue.is_waiting() || self.turn.unconfirmed_at().is_some();
        !busy && self.clock().boot() >= self.stirred + self.idle()
    }

    /// How long it stays after the last request. What is kept for a waiter is not forgotten the earlier for there being many keys.
    fn idle(&self) -> Duration {
        let keeps = self.queue.len() > 0 || self.turn.is_kept();
        if keeps { KEY_IDLE } else { self.shared.key_idle() }
    }

    /// What came in at the last moment goes to the next task: the doors are closed first.
    async fn leave(self, mut doors: Doors) {
        doors.urgent.close();
        doors.jobs.close();
        self.shared.forget_door(&self.key);
        while let Some(urgent) = doors.urgent.recv().await {
            self.shared.knock_on(&self.key, urgent).await;
        }
        while let Some(job) = doors.jobs.recv().await {
            self.shared.hand_in(&self.key, job).await;
        }
    }

    /// When the first waiter should be tried; `None` while nobody waits.
    fn turn_at(&self, now: BootTime) -> Option<BootTime> {
        if !self.queue.is_waiting() {
            return None;
        }
        let Some(base) = &self.base else { return Some(now) };
        match &base.record.lease {
            Some(_) if on(Mutant::WaiterForgetsTakeover) => Some(now + TTL_MAX),
            Some(lease) => {
                let age = self.shared.ages.age(&base.record);
                Some(now + takeover_age(lease.ttl.duration()).saturating_sub(age))
            }
            None => Some(self.turn.free_from(&base.record, now)),
        }
    }

    /// When a knock is due: somebody has waited long for a lease that was not granted here.
    fn knock_at(&self, now: BootTime) -> Option<BootTime> {
        let base = self.base.as_ref()?;
        let lease = base.record.lease.as_ref()?;
        let first = self.queue.first()?;
        let asked = base.record.knock.is_some() || self.turn.has_asked(lease.token) || self.turn.granted(&lease.id);
        (!asked).then_some((first.since + KNOCK_AFTER).max(now))
    }

    async fn serve(&mut self, job: Job) {
        match &job.request {
            Request::Acquire(_) => self.serve_acquire(job).await,
            Request::Renew(_) => self.serve_renewal(job).await,
            Request::Release(_) => self.serve_release(job).await,
            _ => {
                let mut job = job;
                let result = self.apply(&mut job).await;
                let _gone = job.reply.send(result);
            }
        }
    }

    async fn serve_acquire(&mut self, mut job: Job) {
        if job.wait.is_some() && self.would_wait(&mut job) {
            return self.let_wait(job);
        }
        if self.queue.is_waiting() && !self.finds_its_own(&job) {
            // Nobody goes past those who wait: they are served first, by what the store says now.
            let give_up = self.clock().boot() + BACKOFF_MAX;
            self.base = None;
            while self.refresh(give_up).await.is_ok() && self.is_somebodys_turn() {
                self.advance().await;
            }
        }
        let result = self.apply(&mut job).await;
        let waits = matches!(&result, Err(Denied::Refused { refusal, .. }) if may_wait(refusal)) && job.wait.is_some();
        match waits {
            true => self.let_wait(job),
            false => {
                let place = self.queue.next_place();
                self.hand(job, result.map_err(|denied| denied.at_place(place)), false);
            }
        }
    }

    fn is_somebodys_turn(&self) -> bool {
        let now = self.clock().boot();
        self.turn_at(now).is_some_and(|at| at <= now)
    }

    /// Whether the lease of this acquire is the present one or has ended: then it does not wait.
    fn finds_its_own(&self, job: &Job) -> bool {
        let (Some(base), Some(id)) = (&self.base, job.request.lease_id()) else { return false };
        base.record.lease.as_ref().is_some_and(|lease| lease.id == *id) || base.record.ended(id).is_some()
    }

    /// Whether an acquire that may wait has to, as far as is known here: no look at the store is needed for that, because the
    /// record is watched from now on.
    fn would_wait(&self, job: &mut Job) -> bool {
        let Some(base) = self.base.as_ref().filter(|_| !self.finds_its_own(job)) else { return false };
        self.prepare(job, &base.record);
        let age = self.shared.ages.age(&base.record);
        match step(&base.record, &job.request, age).answer {
            Err(refusal) => may_wait(&refusal),
            Ok(_) => self.queue.is_waiting(),
        }
    }

    fn let_wait(&mut self, job: Job) {
        if let Some(refusal) = self.shared.draining() {
            let _gone = job.reply.send(Err(refusal.into()));
            return;
        }
        let now = self.clock().boot();
        self.stirred = now;
        self.queue.tidy(now);
        if self.queue.len() >= KEY_WAITERS {
            let message = format!("{} has {KEY_WAITERS} waiters already", self.key);
            let _gone =
                job.reply.send(Err(Error::new(ErrorKind::Throttled, message).with_hint("try again later").into()));
            return;
        }
        if let Some(before) = self.queue.enter(job, now) {
            let _gone = before.reply.send(Err(superseded(&self.key).into()));
        }
    }

    /// Nothing of those who wait has been sent to the store: they may ask elsewhere with the same ids.
    fn turn_all_away(&mut self) {
        let Some(refusal) = self.shared.draining() else { return };
        for job in self.queue.clear() {
            let _gone = job.reply.send(Err(refusal.clone().into()));
        }
    }

    /// The wait of this one is over: by a last look at the store.
    async fn turn_away(&mut self, mut job: Job, place: u64) {
        job.ticket = self.shared.ticket();
        let since = job.wait.take();
        let result = self.apply(&mut job).await;
        job.wait = since;
        self.hand(job, result.map_err(|denied| denied.at_place(place)), true);
    }

    /// A keepalive confirms a provisional grant: from memory while its write is young.
    async fn serve_renewal(&mut self, mut job: Job) {
        if let Some(answer) = self.confirmed(&job) {
            let _gone = job.reply.send(Ok(answer));
            return;
        }
        let result = self.apply(&mut job).await;
        if let (Ok(_), Request::Renew(r)) = (&result, &job.request) {
            self.turn.settle(&r.proof.lease_id);
        }
        let _gone = job.reply.send(result);
    }

    async fn serve_release(&mut self, mut job: Job) {
        if let Request::Release(release) = &job.request {
            let id = release.lease_id.clone();
            // Whoever gives an acquire up sends a release, which may overtake it.
            let (gone, stay) = std::mem::take(&mut self.jobs).into_iter().partition(|job| is_acquire_of(job, &id));
            self.jobs = stay;
            let gone: VecDeque<Box<Job>> = gone;
            for withdrawn in gone.into_iter().chain(self.queue.take(&id).map(|(job, _)| Box::new(job))) {
                let _gone = withdrawn.reply.send(Err(superseded(&self.key).into()));
            }
        }
        let result = self.apply(&mut job).await;
        if let (Ok(_), Request::Release(r)) = (&result, &job.request) {
            self.turn.settle(&r.lease_id);
        }
        let _gone = job.reply.send(result);
    }

    async fn knock(&mut self) {
        let Some(waiter) = self.queue.first().map(|first| first.lease_id.clone()) else { return };
        let knock = Request::Knock(crate::lease::Knock { waiter: waiter.clone() });
        let knocked = self.of_its_own(knock, None).await;
        let token = self.base.as_ref().map(|base| base.record.token);
        let own = matches!(knocked, Ok(Answer { outcome: Outcome::Knocked(true), .. })).then_some(waiter);
        self.turn.asked(token, own);
    }

    /// A request of the task's own, whose client never goes: the receiver lives to the end of this function.
    pub(super) async fn of_its_own(&mut self, request: Request, at_beat: Option<u64>) -> Result<Answer, Denied> {
        let (reply, _answer) = oneshot::channel();
        let mut job = Job { request, ticket: self.shared.ticket(), reply, wait: None, at_beat };
        self.apply(&mut job).await
    }

    /// Tries the first waiter.
    async fn advance(&mut self) {
        let Some(lease_id) = self.queue.first().map(|first| first.lease_id.clone()) else { return };
        let Some((mut job, since)) = self.queue.take(&lease_id) else { return };
        let result = self.apply(&mut job).await;
        match &result {
            Err(Denied::Refused { refusal, .. }) if may_wait(refusal) => self.queue.put_back(job, since),
            _ => self.hand(job, result, true),
        }
    }
}

/// Whether an acquire that may wait does, after this refusal.
fn may_wait(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Busy(_) | Refusal::Reserved(_))
}

fn is_acquire_of(job: &Job, id: &LeaseId) -> bool {
    matches!(&job.request, Request::Acquire(acquire) if acquire.lease_id == *id)
}

fn superseded(key: &Key) -> Error {
    Error::new(ErrorKind::Unavailable, format!("another call for the same lease of {key} took this one's place"))
        .with_hint("nothing was granted to this call")
}
