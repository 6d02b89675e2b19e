//! The simulated record store: atomic at the moment a request arrives, and everything else that a network can do to it.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use lockd::error::{Error, ErrorKind, Result};
use lockd::model::{Key, Namespace, Record};
use lockd::store::{Cursor, Etag, Precondition, PutError, RecordStore, Tagged};
use tokio::sync::oneshot;

use super::counters::Counter as C;
use super::services::{Answers, Early, Queued};
use super::time::{Nanos, SECOND};
use super::world::{ProcId, Shared};

/// The store as one process sees it.
pub struct SimRecords {
    pub world: Arc<Mutex<Shared>>,
    pub proc: ProcId,
}

impl fmt::Debug for SimRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "records seen by {:?}", self.proc)
    }
}

/// A store whose end of the call is gone says so; it happens only when the run ends.
fn gone() -> Error {
    Error::new(ErrorKind::Unavailable, "the run is over")
}

pub fn no_answer() -> Error {
    Error::new(ErrorKind::Unavailable, "no answer in time")
}

fn server_error() -> Error {
    Error::new(ErrorKind::Unavailable, "the store answered 500")
}

#[async_trait]
impl RecordStore for SimRecords {
    async fn get(&self, key: &Key) -> Result<Option<Tagged>> {
        let (to, answer) = oneshot::channel();
        self.world.lock().unwrap().start_get(self.proc, key, to);
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn put(&self, key: &Key, value: Bytes, when: Precondition) -> Result<Etag, PutError> {
        let (to, answer) = oneshot::channel();
        self.world.lock().unwrap().start_put(self.proc, key, value, when, to, 0);
        answer.await.unwrap_or_else(|_| Err(PutError::Unknown(gone())))
    }

    fn list<'a>(&'a self, _: &'a Namespace, _: Option<&Cursor>) -> BoxStream<'a, Result<(Key, Cursor)>> {
        // Nothing in the engine lists records yet.
        stream::iter([Err(Error::new(ErrorKind::Internal, "not simulated"))]).boxed()
    }

    async fn changed(&self, key: &Key, seen: Option<&Etag>) -> Result<()> {
        let (to, answer) = oneshot::channel();
        self.world.lock().unwrap().start_watch(self.proc, key, seen.cloned(), to);
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// A put that is under way: its bytes, and what they say, or why they cannot be read.
pub struct Sent {
    pub value: Bytes,
    pub record: Result<Arc<Record>>,
}

impl Sent {
    fn new(key: &Key, value: Bytes) -> Self {
        let record = Record::decode(key, &value).map(Arc::new);
        Self { value, record }
    }
}

/// Somebody who waits for a record to change.
pub struct Watcher {
    pub proc: ProcId,
    pub to: oneshot::Sender<Result<()>>,
}

/// When a message arrives, and when its answer does.
#[derive(Clone, Copy)]
pub struct Course {
    pub there: Nanos,
    pub back: Nanos,
    pub gives_up: Nanos,
}

impl Shared {
    fn delay(&mut self) -> Nanos {
        let (least, most) = self.mix.delay;
        let mut delay = self.rng.between(least, most);
        if !self.calm && self.rng.chance(self.mix.tail) {
            delay += self.rng.below(self.mix.tail_longest);
            self.count(C::SlowAnswer);
        }
        delay
    }

    /// A stalled store takes requests late or answers late.
    pub fn course(&mut self) -> Course {
        self.count(C::Operations);
        let sent = self.now();
        let mut there = sent + self.delay();
        let stalled = self.stalled_until.saturating_sub(sent);
        if stalled > 0 && self.rng.chance(5_000) {
            there += stalled;
        }
        let mut back = there + self.delay();
        if stalled > 0 && there < self.stalled_until {
            back = back.max(self.stalled_until);
        }
        if stalled > 0 {
            self.count(C::SlowAnswer);
        }
        Course { there, back, gives_up: sent + self.mix.timeout }
    }

    pub fn fault(&mut self, chance: u32, counter: C) -> bool {
        let happens = !self.calm && self.rng.chance(chance);
        if happens {
            self.count(counter);
        }
        happens
    }

    /// Whether a request that is sent now gets out.
    pub fn gets_out(&mut self, proc: ProcId) -> bool {
        let cut = self.cut_of(proc).requests;
        if cut {
            self.count(C::CutMessage);
        }
        !cut
    }

    /// The answer arrives, unless it is lost on the way or comes after the sender gave up.
    pub fn reply<T: Send + 'static>(
        &mut self,
        proc: ProcId,
        course: Course,
        to: oneshot::Sender<T>,
        answer: T,
        unanswered: impl FnOnce() -> T + Send + 'static,
    ) {
        if course.back > course.gives_up {
            self.at(course.gives_up, move |w| w.answer(proc, to, unanswered()));
            return;
        }
        self.at(course.back, move |w| {
            if w.cut_of(proc).replies {
                w.count(C::CutMessage);
                w.at(course.gives_up, move |w| w.answer(proc, to, unanswered()));
            } else {
                w.answer(proc, to, answer);
            }
        });
    }

    fn start_get(&mut self, proc: ProcId, key: &Key, to: oneshot::Sender<Result<Option<Tagged>>>) {
        let course = self.course();
        let index = self.history.index(key);
        if let Some(why) = self.refusal(proc) {
            self.at(course.back, move |w| w.answer(proc, to, Err(why)));
            return;
        }
        if self.fault(self.mix.get_error, C::GetError) {
            self.at(course.back.min(course.gives_up), move |w| w.answer(proc, to, Err(server_error())));
            return;
        }
        if !self.gets_out(proc) || self.fault(self.mix.lost_request, C::LostRequest) {
            self.at(course.gives_up, move |w| w.answer(proc, to, Err(no_answer())));
            return;
        }
        self.at(course.there, move |w| {
            let found = w.tagged(index);
            w.note("get", proc.0 as u64, w.history.keys[index].head.revision);
            w.reply(proc, course, to, Ok(found), || Err(no_answer()));
        });
    }

    fn tagged(&self, index: usize) -> Option<Tagged> {
        let key = &self.history.keys[index];
        let (value, etag) = key.value.clone()?;
        let store_age = self.mix.store_clock.then(|| {
            let store_now = self.now() + self.store_clock_jump;
            Duration::from_nanos(store_now.saturating_sub(key.written_at_store))
        });
        Some(Tagged { value, etag, store_age })
    }

    fn start_put(
        &mut self,
        proc: ProcId,
        key: &Key,
        value: Bytes,
        when: Precondition,
        to: oneshot::Sender<Result<Etag, PutError>>,
        tried: u32,
    ) {
        let course = self.course();
        let index = self.history.index(key);
        let sent = Arc::new(Sent::new(key, value.clone()));
        self.check_bound(index, &sent, &when);
        if matches!(self.mix.answers, Answers::Lsm { .. }) {
            return self.queue(proc, course, Queued { index, sent, when, to });
        }
        let unknown = || Err(PutError::Unknown(no_answer()));
        if self.fault(self.mix.failed, C::Failed) {
            let kinds = [ErrorKind::Unavailable, ErrorKind::Unavailable, ErrorKind::Throttled, ErrorKind::StoreFull];
            let kind = self.rng.pick(&kinds);
            let error = PutError::Failed(Error::new(kind, "the store refused"));
            self.reply(proc, course, to, Err(error), unknown);
            return;
        }
        if self.fault(self.mix.late, C::Late) {
            let ttl = u64::try_from(self.mix.ttl.as_nanos()).unwrap();
            let lands = course.gives_up + self.rng.below(4 * ttl);
            self.at(course.gives_up, move |w| w.answer(proc, to, unknown()));
            self.at(lands, move |w| {
                if w.arrive(proc, index, &sent, &when).is_some() {
                    w.count(C::LateApplied);
                }
            });
            return;
        }
        if !self.gets_out(proc) || self.fault(self.mix.lost_request, C::LostRequest) {
            self.at(course.gives_up, move |w| w.answer(proc, to, unknown()));
            return;
        }
        match self.answered_early(&when, tried) {
            Early::Through => {}
            Early::Again if course.back > course.gives_up => {
                self.at(course.gives_up, move |w| w.answer(proc, to, unknown()));
                return;
            }
            Early::Again => {
                let key = key.clone();
                self.at(course.back, move |w| {
                    // Its process may be gone.
                    if !to.is_closed() {
                        w.start_put(proc, &key, value, when, to, tried + 1);
                    }
                });
                return;
            }
            Early::Ends(answer) => return self.reply(proc, course, to, Err(answer), unknown),
        }
        if self.fault(self.mix.conflict, C::ConflictNoise) {
            self.reply(proc, course, to, Err(PutError::Conflict), unknown);
            return;
        }
        if self.fault(self.mix.unknown, C::UnknownNow) {
            self.reply(proc, course, to, Err(PutError::Unknown(server_error())), unknown);
            return;
        }
        if self.fault(self.mix.duplicate, C::Duplicate) {
            let ttl = u64::try_from(self.mix.ttl.as_nanos()).unwrap();
            let again = course.there + self.rng.below(4 * ttl);
            let (sent, when) = (Arc::clone(&sent), when.clone());
            self.at(again, move |w| {
                if w.arrive(proc, index, &sent, &when).is_some() {
                    w.count(C::LateApplied);
                }
            });
        }
        let spoiled = if self.fault(self.mix.conflict_applied, C::ConflictApplied) {
            Some(PutError::Conflict)
        } else if self.fault(self.mix.unknown_applied, C::UnknownApplied) {
            Some(PutError::Unknown(server_error()))
        } else {
            self.answered_late(&when)
        };
        let lost = self.fault(self.mix.lost_reply, C::LostReply);
        self.at(course.there, move |w| {
            let applied = w.arrive(proc, index, &sent, &when);
            if applied.is_some() && (lost || spoiled.is_some()) {
                let version = w.history.keys[index].head.last_version.0;
                w.history.unanswered.insert((index, version));
            }
            if lost {
                w.at(course.gives_up, move |w| w.answer(proc, to, unknown()));
                return;
            }
            let answer = match (applied, spoiled) {
                (_, Some(spoiled)) => Err(spoiled),
                (Some(etag), None) => Ok(etag),
                (None, None) => Err(w.conflict(&when)),
            };
            w.reply(proc, course, to, answer, unknown);
        });
    }

    /// A put arrives at the store: the atomic moment.
    pub fn arrive(&mut self, proc: ProcId, index: usize, sent: &Sent, when: &Precondition) -> Option<Etag> {
        let present = self.history.keys[index].value.as_ref().map(|(_, etag)| etag.clone());
        let holds = match when {
            Precondition::Absent => present.is_none(),
            Precondition::Matches(wanted) => present.as_ref() == Some(wanted),
        };
        self.note("put", proc.0 as u64, u64::from(holds));
        if !holds {
            return None;
        }
        let etag = self.applied(proc, index, sent);
        self.count(C::Writes);
        self.tell_watchers(index);
        Some(etag)
    }

    fn start_watch(&mut self, proc: ProcId, key: &Key, seen: Option<Etag>, to: oneshot::Sender<Result<()>>) {
        let index = self.history.index(key);
        let wait = self.rng.between(0, self.mix.poll);
        if !self.calm && self.rng.chance(self.mix.get_error / 4) {
            self.after(wait, move |w| w.answer(proc, to, Err(no_answer())));
            return;
        }
        let early = !self.calm && self.rng.chance(500);
        let present = self.history.keys[index].value.as_ref().map(|(_, etag)| etag);
        if early || present != seen.as_ref() {
            self.after(wait, move |w| w.hint(proc, to));
            return;
        }
        let watchers = &mut self.history.keys[index].watchers;
        watchers.retain(|watcher| !watcher.to.is_closed());
        watchers.push(Watcher { proc, to });
    }

    fn tell_watchers(&mut self, index: usize) {
        for watcher in std::mem::take(&mut self.history.keys[index].watchers) {
            let wait = self.rng.between(0, self.mix.poll);
            self.after(wait, move |w| w.hint(watcher.proc, watcher.to));
        }
    }

    /// A hint that the record may have changed waits until the partition is over.
    fn hint(&mut self, proc: ProcId, to: oneshot::Sender<Result<()>>) {
        if self.cut_of(proc).replies && !to.is_closed() {
            self.after(SECOND, move |w| w.hint(proc, to));
        } else {
            self.answer(proc, to, Ok(()));
        }
    }
}
