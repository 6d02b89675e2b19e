//! The commit loop: read, step, compare-and-swap. The one place where a step is applied.
//!
//! A put has three outcomes. After anything but success the record is read back: the verdict decides only whether to send the
//! same bytes again; the *answer* is always made by `step` on the record just read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::queue::Patience;
use super::refusal;
use super::task::KeyTask;
use crate::clock::{BootTime, Clock};
use crate::error::{Error, ErrorKind, Result};
use crate::lease::{Outcome, Refusal, Request, Step, step};
use crate::limits::{BACKOFF_FIRST, BACKOFF_MAX, COMMIT_ATTEMPTS, COMMIT_BUDGET, RESOLVE_BUDGET, backoff};
use crate::model::{BlobId, Ended, Key, Record, WriteId};
use crate::mutants::{Mutant, on};
use crate::store::{Etag, Precondition, PutError};

/// A request on its way through its key's task.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request: Request,
    /// When it arrived, in the order of [`super::Shared::ticket`].
    pub(super) ticket: u64,
    /// Closed when the client has gone.
    pub(super) reply: oneshot::Sender<Result<Answer, Denied>>,
    /// For an acquire that may wait.
    pub(super) wait: Option<Patience>,
    /// Dropped once the record shows another beat: a sign of life that came in between.
    pub(super) at_beat: Option<u64>,
}

/// What was done.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// The record that says so.
    pub(super) record: Arc<Record>,
    /// Blobs that this request's write made nameless.
    pub(super) replaced: Vec<BlobId>,
    /// Before the write, where there was one.
    pub(super) written: Option<BootTime>,
    /// For a grant that is still to be confirmed: within how long.
    pub(super) confirm_within: Option<Duration>,
}

impl Answer {
    pub(super) const fn new(outcome: Outcome, record: Arc<Record>) -> Self {
        Self { outcome, record, replaced: Vec::new(), written: None, confirm_within: None }
    }
}

/// Why it was not done.
#[derive(Debug)]
pub(super) enum Denied {
    /// The machine refused, on a record whose sign of life is so old; how the lease in question ended; our place in the queue.
    Refused { refusal: Box<Refusal>, age: Duration, ended: Option<Box<Ended>>, place: Option<u64> },
    /// It could not be tried, or its outcome is not known.
    Error(Error),
}

impl Denied {
    /// A refusal of `request` by this record.
    fn refused(refusal: Refusal, by: &Base, request: &Request, age: Duration) -> Self {
        let ended = request.lease_id().and_then(|id| by.record.ended(id)).cloned().map(Box::new);
        Self::Refused { refusal: Box::new(refusal), age, ended, place: None }
    }

    /// The same, with a place in the queue.
    pub(super) fn at_place(mut self, ours: u64) -> Self {
        if let Self::Refused { place, .. } = &mut self {
            *place = Some(ours);
        }
        self
    }

    pub(super) fn into_error(self, key: &Key, clock: &dyn Clock) -> Error {
        match self {
            Self::Refused { refusal, ended: Some(ended), .. } if *refusal == Refusal::LeaseBroken => {
                refusal::broken(key, &ended)
            }
            Self::Refused { refusal, age, place, .. } => {
                let error = refusal::to_error(key, *refusal, age, clock.wall());
                let mut details = error.details().clone();
                details.busy.iter_mut().for_each(|busy| busy.place = place);
                error.with_details(details)
            }
            Self::Error(error) => error,
        }
    }
}

/// A record as the store had it.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) record: Arc<Record>,
    pub(super) etag: Option<Etag>,
    /// When the read began, in the order of [`super::Shared::ticket`].
    ticket: u64,
}

impl Base {
    fn precondition(&self) -> Precondition {
        self.etag.clone().map_or(Precondition::Absent, Precondition::Matches)
    }
}

/// What became of a put.
pub(super) enum Verdict {
    /// Applied, by the store's own word; the base is the new record.
    Applied,
    /// Read back: it is in the record, the answer is there too.
    Found,
    /// Read back: certainly not applied; somebody else was faster.
    Beaten,
    /// Read back: too many writes came after it to tell.
    Indeterminate,
    /// Certainly not applied, and given up.
    Given(Error),
    /// The store does not answer.
    Silent(Error),
}

impl KeyTask {
    pub(super) async fn apply(&mut self, job: &mut Job) -> Result<Answer, Denied> {
        let give_up = self.clock().boot() + COMMIT_BUDGET;
        let mut in_doubt = false;
        let mut tried = 0;
        loop {
            if job.reply.is_closed() && !on(Mutant::GoneClientServed) {
                return Err(gone(&self.key));
            }
            let base = match self.base.clone() {
                Some(base) => base,
                None => self.refresh(give_up).await.map_err(|e| after_doubt(&self.key, e, in_doubt))?,
            };
            if job.at_beat.is_some_and(|beat| beat != base.record.beat) {
                return Err(gone(&self.key));
            }
            let age = self.shared.ages.age(&base.record);
            self.prepare(job, &base.record);
            let Step { write, answer } = step(&base.record, &job.request, age);
            let Some(next) = write else {
                // A cached record may only feed a step that writes.
                if base.ticket < job.ticket && !on(Mutant::RefusalFromCache) {
                    self.base = None;
                    continue;
                }
                return self.answered(&base, &job.request, answer, age, in_doubt);
            };
            // The read may have taken long.
            if job.reply.is_closed() && !on(Mutant::GoneClientServed) {
                return Err(gone(&self.key));
            }
            tried += 1;
            if tried > COMMIT_ATTEMPTS || self.clock().boot() >= give_up {
                return Err(Denied::Error(after_doubt(&self.key, too_busy(&self.key), in_doubt)));
            }
            let (next, rider) = self.with_rider(job, next);
            let began = self.clock().boot();
            let verdict = self.put(&base, *next, job, give_up).await;
            if let Some(rider) = rider {
                self.settle_rider(rider, &base, &verdict, began);
            }
            match verdict {
                Verdict::Applied => return self.applied(&base, &job.request, answer, began),
                Verdict::Found if on(Mutant::FoundIsSteppedAgain) => {}
                Verdict::Found => return self.found(&base, &job.request, answer, began),
                Verdict::Beaten => self.pause(tried).await,
                Verdict::Indeterminate => in_doubt = true,
                Verdict::Given(error) => return Err(Denied::Error(after_doubt(&self.key, error, in_doubt))),
                Verdict::Silent(error) if on(Mutant::SilentIsFailed) => return Err(Denied::Error(error)),
                Verdict::Silent(error) => return Err(Denied::Error(unknown(&self.key, error))),
            }
        }
    }

    /// What each attempt brings along: fresh clock readings, the version that a change is bound to, and what is owed to waiters
    /// elsewhere.
    pub(super) fn prepare(&self, job: &mut Job, record: &Record) {
        let (at, now) = (self.clock().wall(), self.clock().boot());
        let waits = self.shared.serves || job.wait.is_some();
        match &mut job.request {
            Request::Acquire(r) => {
                (r.stamp, r.at) = (self.shared.stamp(), at);
                r.yields = waits && self.turn.yields(record, &r.lease_id, now);
            }
            Request::Renew(r) => (r.stamp, r.at) = (self.shared.stamp(), at),
            Request::Update(_) if on(Mutant::UpdateUnbound) => {}
            Request::Update(r) => r.bound = r.bound.or(Some(record.visible().version)),
            Request::Release(r) => r.reserve = self.queue.is_waiting() && self.turn.lets_go(now),
            Request::Expire(_) | Request::Break(_) | Request::Admit(_) | Request::Knock(_) => {}
        }
    }

    pub(super) fn applied(
        &self,
        before: &Base,
        request: &Request,
        answer: Result<Outcome, Refusal>,
        began: BootTime,
    ) -> Result<Answer, Denied> {
        let Some(base) = &self.base else { return Err(Denied::Error(no_base(&self.key))) };
        let after = Arc::clone(&base.record);
        let replaced = before.record.blobs().filter(|old| !after.blobs().any(|new| new == *old)).cloned().collect();
        match answer {
            Ok(outcome) => Ok(Answer { replaced, written: Some(began), ..Answer::new(outcome, after) }),
            Err(refusal) => Err(Denied::refused(refusal, base, request, Duration::ZERO)),
        }
    }

    /// A put that was applied, as the record just read says: its own answer is the truth, and no other write is needed. Only
    /// a grant or renewal of a lease that has ended since is no good to anybody.
    pub(super) fn found(
        &self,
        before: &Base,
        request: &Request,
        answer: Result<Outcome, Refusal>,
        began: BootTime,
    ) -> Result<Answer, Denied> {
        let Some(now) = &self.base else { return Err(Denied::Error(no_base(&self.key))) };
        let lease_id = match request {
            Request::Acquire(r) => &r.lease_id,
            Request::Renew(r) => &r.proof.lease_id,
            _ => return self.applied(before, request, answer, began),
        };
        if now.record.lease.as_ref().is_some_and(|lease| lease.id == *lease_id) {
            return self.applied(before, request, answer, began);
        }
        let age = self.shared.ages.age(&now.record);
        match step(&now.record, request, age).answer {
            Err(refusal) if now.record.ended(lease_id).is_some() || on(Mutant::FoundForgottenIsRefused) => {
                Err(Denied::refused(refusal, now, request, age))
            }
            // Ended, and forgotten by now: a refusal would say that it was never granted.
            _ => Err(Denied::Error(overrun(&self.key))),
        }
    }

    /// An answer that writes nothing, from a fresh read. After a put that could not be accounted for a refusal proves nothing, and
    /// neither does an outcome that only says that the record has nothing of this request.
    fn answered(
        &self,
        base: &Base,
        request: &Request,
        answer: Result<Outcome, Refusal>,
        age: Duration,
        in_doubt: bool,
    ) -> Result<Answer, Denied> {
        let proven = !in_doubt || on(Mutant::RefusalAfterDoubt);
        match answer {
            Ok(outcome) if proven || outcome.is_borne_out(&base.record, request) => {
                Ok(Answer::new(outcome, Arc::clone(&base.record)))
            }
            Ok(_) => Err(Denied::Error(overrun(&self.key))),
            Err(_) if !proven => Err(Denied::Error(overrun(&self.key))),
            Err(refusal) => {
                if matches!(refusal, Refusal::Busy(_)) {
                    self.shared.ages.note(&base.record);
                }
                Err(Denied::refused(refusal, base, request, age))
            }
        }
    }

    /// Reads the record, trying again while the store is unavailable and there is time.
    pub(super) async fn refresh(&mut self, give_up: BootTime) -> Result<Base, Error> {
        let mut tried = 0;
        loop {
            let ticket = self.shared.ticket();
            match self.shared.read(&self.key).await {
                Ok((record, _)) if record.revision < self.highest => return Err(went_back(&self.key)),
                Ok((record, etag)) => {
                    self.highest = record.revision;
                    self.turn.saw(&record, self.shared.clock.boot());
                    let base = Base { record: Arc::new(record), etag, ticket };
                    self.base = Some(base.clone());
                    return Ok(base);
                }
                Err(e) if e.kind() == ErrorKind::Unavailable && self.clock().boot() < give_up => {
                    tried += 1;
                    self.pause(tried).await;
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Sends one write and finds out what became of it.
    async fn put(&mut self, base: &Base, next: Record, job: &Job, give_up: BootTime) -> Verdict {
        let id = self.write_id();
        let sealed = next.sealed(id);
        let bytes = match sealed.encode() {
            Ok(bytes) => bytes,
            Err(error) => return Verdict::Given(error),
        };
        let mut sent_before = false;
        let mut tried = 0;
        loop {
            let result = self.shared.store.records.put(&self.key, bytes.clone(), base.precondition()).await;
            match result {
                Ok(etag) => {
                    self.adopt(sealed, etag);
                    return Verdict::Applied;
                }
                // Only the first send may say so: an earlier one may still be under way.
                Err(PutError::Unknown(error)) if on(Mutant::UnknownIsFailed) => return Verdict::Given(error),
                Err(PutError::Conflict | PutError::Unknown(_)) if on(Mutant::NoReadback) => {
                    self.base = None;
                    return Verdict::Beaten;
                }
                Err(PutError::Failed(error)) if !sent_before || on(Mutant::FailedAfterUnknown) => match error.kind() {
                    ErrorKind::Unavailable if self.clock().boot() < give_up && !job.reply.is_closed() => {}
                    _ => return Verdict::Given(error),
                },
                Err(error) => {
                    // A conflict may also come of an earlier send, unless there was none.
                    let conflict = matches!(error, PutError::Conflict) && !sent_before;
                    let beaten = conflict && self.shared.store.records.conflicts_are_certain();
                    sent_before = true;
                    match self.read_back(base, &sealed, id, beaten, job, give_up).await {
                        ReadBack::SendAgain => {}
                        ReadBack::Verdict(verdict) => return verdict,
                    }
                }
            }
            tried += 1;
            self.pause(tried).await;
        }
    }

    fn write_id(&self) -> WriteId {
        if on(Mutant::WriteIdRepeats) {
            return WriteId::from_bytes([7; 16]);
        }
        WriteId::random(&*self.shared.entropy)
    }

    fn adopt(&mut self, record: Record, etag: Etag) {
        self.shared.ages.saw(&record, None, self.clock().boot());
        self.highest = record.revision;
        self.turn.saw(&record, self.shared.clock.boot());
        let ticket = self.base.as_ref().map_or(0, |base| base.ticket);
        self.base = Some(Base { record: Arc::new(record), etag: Some(etag), ticket });
    }

    /// Learns what became of a send. `beaten`: the store has said already that it was not applied and never will be; however much
    /// came after it, there is no doubt.
    async fn read_back(
        &mut self,
        base: &Base,
        sealed: &Record,
        id: WriteId,
        beaten: bool,
        job: &Job,
        give_up: BootTime,
    ) -> ReadBack {
        let patience = self.clock().boot() + RESOLVE_BUDGET;
        let now = match self.refresh(patience).await {
            Ok(now) => now,
            Err(error) => return ReadBack::Verdict(Verdict::Silent(error)),
        };
        if now.record.has_write(id) {
            return ReadBack::Verdict(Verdict::Found);
        }
        if now.etag != base.etag {
            let known = beaten || now.record.remembers(sealed.revision) || on(Mutant::RingOverrunIsFailed);
            return ReadBack::Verdict(match known {
                true => Verdict::Beaten,
                false => Verdict::Indeterminate,
            });
        }
        let given_up = self.clock().boot() >= give_up;
        let abandoned = job.reply.is_closed() && matches!(job.request, Request::Acquire(_));
        if given_up && on(Mutant::NoKill) {
            return ReadBack::Verdict(Verdict::Given(killed(&self.key)));
        }
        match given_up || abandoned {
            true => ReadBack::Verdict(self.kill(base, id, sealed.revision).await),
            false => ReadBack::SendAgain,
        }
    }

    /// Makes sure that a put which was sent and not applied never will be: the unchanged record is swapped in under a new
    /// write id from the same etag. If that wins, the put has lost; if it loses, the record says more.
    async fn kill(&mut self, base: &Base, id: WriteId, revision: u64) -> Verdict {
        let patience = self.clock().boot() + RESOLVE_BUDGET;
        let killer = WriteId::random(&*self.shared.entropy);
        let unchanged = (*base.record).clone().sealed(killer);
        let bytes = match unchanged.encode() {
            Ok(bytes) => bytes,
            Err(error) => return Verdict::Silent(error),
        };
        let mut tried = 0;
        while self.clock().boot() < patience {
            if let Ok(etag) = self.put_once(&bytes, base).await {
                self.adopt(unchanged, etag);
                return Verdict::Given(killed(&self.key));
            }
            let now = match self.refresh(patience).await {
                Ok(now) => now,
                Err(error) => return Verdict::Silent(error),
            };
            if now.record.has_write(id) && !on(Mutant::KillLostIsFailed) {
                return Verdict::Found;
            }
            if now.record.has_write(killer) || (now.etag != base.etag && now.record.remembers(revision)) {
                return Verdict::Given(killed(&self.key));
            }
            if now.etag != base.etag {
                return Verdict::Indeterminate;
            }
            tried += 1;
            self.pause(tried).await;
        }
        Verdict::Silent(too_busy(&self.key))
    }

    async fn put_once(&self, bytes: &Bytes, base: &Base) -> Result<Etag, PutError> {
        self.shared.store.records.put(&self.key, bytes.clone(), base.precondition()).await
    }

    /// A jittered, growing pause.
    async fn pause(&self, tried: u32) {
        let longest = backoff(tried, BACKOFF_FIRST, BACKOFF_MAX);
        self.clock().sleep(self.shared.entropy.within(longest)).await;
    }
}

enum ReadBack {
    SendAgain,
    Verdict(Verdict),
}

fn gone(key: &Key) -> Denied {
    Denied::Error(Error::new(ErrorKind::Unavailable, format!("the client of {key} has gone")))
}

fn no_base(key: &Key) -> Error {
    Error::new(ErrorKind::Internal, format!("the record of {key} was written and is not known"))
}

fn went_back(key: &Key) -> Error {
    Error::new(ErrorKind::StoreReplaced, format!("the record of {key} is older than the one that was here before"))
        .with_hint(
            "the store was replaced or restored from a backup: stop everything that uses it, run `lockd verify store --restored`, and start again",
        )
}

fn too_busy(key: &Key) -> Error {
    Error::new(ErrorKind::Unavailable, format!("others changed {key} each time that it was tried"))
        .with_hint("it was not applied; try again later")
}

fn killed(key: &Key) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the store did not accept the change of {key} in time"))
        .with_hint("it was not applied; try again later")
}

/// The memory of writes does not reach back to it, and the memory of requests may not either: then a repeat would be taken
/// for a new request.
pub(super) fn overrun(key: &Key) -> Error {
    let message = format!("the change of {key} may or may not have been applied: too many other writes came after it");
    if on(Mutant::OverrunIsSafeToRepeat) {
        return unknown(key, Error::new(ErrorKind::Unavailable, message));
    }
    Error::new(ErrorKind::OutcomeUnknown, message)
        .with_hint(format!("see what `lockd status {key}` and `lockd get {key}` say before you repeat it"))
}

/// A store that is broken or replaced is told as such: that claims nothing about what was applied.
pub(super) fn unknown(key: &Key, why: Error) -> Error {
    if matches!(why.kind(), ErrorKind::StoreReplaced | ErrorKind::Corrupt | ErrorKind::TooNew) {
        return why;
    }
    let message = format!("the change of {key} may or may not have been applied: {}", why.message());
    Error::new(ErrorKind::OutcomeUnknown, message).with_hint("repeating it with the same ids is safe")
}

/// After a put that could not be accounted for, no error may claim that nothing was applied.
fn after_doubt(key: &Key, error: Error, in_doubt: bool) -> Error {
    match in_doubt {
        true => overrun(key),
        false => error,
    }
}

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}
