//! The pure step: what a request makes of a record.

use super::state::{Change, Done, Kind, Record, Task, remember};
use super::world::{Mutation, World};

/// What a step asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Swap the record for this one (its write id is not yet set).
    Write(Record),
    /// It has been done: by an earlier send, or there is nothing to do.
    Done,
    /// It cannot be done any more.
    Refused,
    /// The lease that it asks for has ended.
    Ended,
    /// Another's lease stands.
    Held,
}

impl World {
    pub fn step(&self, record: &Record, task: &Task, old_enough: bool) -> Outcome {
        match task.kind {
            Kind::Acquire => self.acquire(record, task, old_enough),
            Kind::Renew if record.lease == Some(task.lease) => self.write(record, task, |next| next.beat += 1),
            Kind::Renew => Outcome::Refused,
            Kind::Update => self.update(record, task),
            Kind::Release => self.release(record, task),
            Kind::Break if record.lease.is_some() => self.write(record, task, |next| {
                self.end_lease(next);
                next.token += 1;
            }),
            Kind::Break => Outcome::Refused,
        }
    }

    fn write(&self, record: &Record, task: &Task, change: impl FnOnce(&mut Record)) -> Outcome {
        let mut next = Record { request: Some(task.id), ..*record };
        change(&mut next);
        Outcome::Write(next)
    }

    fn acquire(&self, record: &Record, task: &Task, old_enough: bool) -> Outcome {
        if record.lease == Some(task.lease) {
            // A replayed acquire renews.
            return self.write(record, task, |next| next.beat += 1);
        }
        if record.ended.contains(&Some(task.lease)) && !self.without(Mutation::EndedIdGrantedAgain) {
            return Outcome::Ended;
        }
        if record.lease.is_some() && !old_enough && !self.without(Mutation::TakeoverAtOnce) {
            return Outcome::Held;
        }
        self.write(record, task, |next| {
            self.end_lease(next);
            next.lease = Some(task.lease);
            next.token += 1;
            next.beat += 1;
        })
    }

    fn update(&self, record: &Record, task: &Task) -> Outcome {
        let unguarded = self.without(Mutation::UpdateSteppedAgain);
        if record.has_done(task.id) && !unguarded {
            return Outcome::Done;
        }
        if record.lease != Some(task.lease) && !self.without(Mutation::WriteIgnoresToken) {
            return Outcome::Refused;
        }
        let moved = task.bound.is_some_and(|version| version != record.last_version);
        if moved && !unguarded || task.blob.is_some_and(|blob| blob.token != record.token) {
            return Outcome::Refused;
        }
        self.write(record, task, |next| {
            let version = self.next_version(record);
            let change = Some(Change { version, by: task.id, blob: task.blob });
            *(if self.transactions { &mut next.staged } else { &mut next.committed }) = change;
            next.last_version = version;
            remember(&mut next.done, Done { id: task.id, token: record.token }, self.done);
        })
    }

    fn next_version(&self, record: &Record) -> u8 {
        let shown = [record.committed, record.staged].into_iter().flatten().map(|change| change.version).max();
        1 + if self.without(Mutation::VersionReused) { shown.unwrap_or(0) } else { record.last_version }
    }

    fn release(&self, record: &Record, task: &Task) -> Outcome {
        if record.lease != Some(task.lease) {
            if record.ended.contains(&Some(task.lease)) {
                return Outcome::Done;
            }
            // An acquire that was given up: its id is remembered, so that a delayed duplicate grants nothing.
            return self.write(record, task, |next| remember(&mut next.ended, task.lease, self.ended));
        }
        if self.without(Mutation::DeleteOnRelease) {
            return Outcome::Write(Record { request: Some(task.id), ..Record::ABSENT });
        }
        self.write(record, task, |next| {
            next.committed = next.staged.take().or(next.committed);
            self.end_lease(next);
        })
    }

    fn end_lease(&self, next: &mut Record) {
        next.staged = None;
        if let Some(lease) = next.lease.take() {
            remember(&mut next.ended, lease, self.ended);
        }
    }
}
