//! The hand-over: a release and the next grant in one write, grants that are still to be confirmed, and grants to clients that
//! have gone.

use std::sync::Arc;
use std::time::Duration;

use super::commit::{Answer, Base, Denied, Job, Verdict, overrun, unknown};
use super::task::KeyTask;
use super::turn::Provisional;
use crate::clock::BootTime;
use crate::error::{Error, Result};
use crate::lease::{Outcome, Refusal, Release, Request, Step, held, step};
use crate::limits::{TTL_MAX, confirm_from_memory, confirm_within};
use crate::model::{LeaseId, Record};
use crate::mutants::{Mutant, on};

/// A waiter that rides on somebody's release: the next grant, in the same write.
pub(super) struct Rider {
    job: Job,
    since: BootTime,
    answer: Result<Outcome, Refusal>,
}

impl KeyTask {
    /// After a release the first who waits here is granted the key in the same write.
    pub(super) fn with_rider(&mut self, job: &Job, next: Box<Record>) -> (Box<Record>, Option<Rider>) {
        let free = next.lease.is_none() && next.reserved.is_none() && matches!(job.request, Request::Release(_));
        let Some(first) = self.queue.first().filter(|_| free).map(|first| first.lease_id.clone()) else {
            return (next, None);
        };
        let Some((mut job, since)) = self.queue.take(&first) else { return (next, None) };
        self.prepare(&mut job, &next);
        match step(&next, &job.request, Duration::ZERO) {
            Step { write: Some(granted), answer } => (granted, Some(Rider { job, since, answer })),
            Step { write: None, .. } => {
                self.queue.put_back(job, since);
                (next, None)
            }
        }
    }

    /// What became of a rider's grant is what became of the write that it was in.
    pub(super) fn settle_rider(&mut self, rider: Rider, before: &Base, verdict: &Verdict, began: BootTime) {
        let Rider { job, since, answer } = rider;
        let result = match verdict {
            Verdict::Beaten | Verdict::Given(_) => return self.queue.put_back(job, since),
            Verdict::Applied => self.applied(before, &job.request, answer, began),
            Verdict::Found => self.found(before, &job.request, answer, began),
            Verdict::Indeterminate => Err(Denied::Error(overrun(&self.key))),
            Verdict::Silent(why) => Err(Denied::Error(unknown(&self.key, Error::new(why.kind(), why.message())))),
        };
        self.turn.passed_on();
        self.hand(job, result, true);
    }

    /// Gives an answer. A grant that waited is provisional for those who will confirm it; one whose client has gone is given
    /// back.
    pub(super) fn hand(&mut self, job: Job, result: Result<Answer, Denied>, waited: bool) {
        let mut result = result;
        let mut granted = None;
        if let Ok(answer) = &mut result
            && let Outcome::Granted { lease, .. } = &answer.outcome
        {
            let beat = answer.record.beat;
            let confirms = self.shared.serves && waited && job.wait.as_ref().is_some_and(|wait| wait.confirm);
            if let Some(written) = answer.written.filter(|_| confirms) {
                let within = confirm_within(lease.ttl.duration());
                answer.confirm_within = Some(within);
                let kept = if on(Mutant::UnconfirmedKept) { TTL_MAX } else { within };
                let until = self.shared.clock.boot() + kept;
                self.turn.provisional = Some(Provisional { lease_id: lease.id.clone(), beat, written, until });
            }
            self.turn.grants(&lease.id);
            granted = Some((lease.id.clone(), beat));
        }
        if job.reply.send(result).is_ok() {
            return;
        }
        if let Some(granted) = granted.filter(|_| !on(Mutant::ClientGoneGrantKept)) {
            self.turn.settle(&granted.0);
            self.returns.push_back(granted);
        }
    }

    /// The answer to a keepalive that confirms a grant, while its write is young.
    pub(super) fn confirmed(&mut self, job: &Job) -> Option<Answer> {
        let Request::Renew(r) = &job.request else { return None };
        let base = self.base.as_ref()?;
        let lease = held(&base.record, &r.proof).ok()?;
        let txn = r.proof.txn.as_ref().is_none_or(|txn| *txn == lease.txn);
        let written = self.turn.written(&lease.id)?;
        let young = self.clock().boot().since(written) < confirm_from_memory(lease.ttl.duration());
        if !txn || !young || r.ttl > lease.ttl {
            return None;
        }
        let outcome = Outcome::Renewed { ttl: lease.ttl };
        let answer = Answer { written: Some(written), ..Answer::new(outcome, Arc::clone(&base.record)) };
        self.turn.settle(&r.proof.lease_id);
        Some(answer)
    }

    /// A grant that was not confirmed goes to the next one.
    pub(super) fn withdraw(&mut self, lease_id: &LeaseId) {
        if let Some(unconfirmed) = self.turn.settle(lease_id).filter(|_| !on(Mutant::UnconfirmedKept)) {
            self.returns.push_back((unconfirmed.lease_id, unconfirmed.beat));
        }
    }

    /// A grant whose client has gone is given back at once, unless a sign of life has come since, here or elsewhere.
    pub(super) async fn give_back(&mut self, lease_id: LeaseId, beat: u64) {
        let at = self.clock().wall();
        let release = Release { lease_id, token: None, txn: None, rollback: true, succeeded: None, reserve: false, at };
        let _lease_runs_out_by_itself = self.of_its_own(Request::Release(release), Some(beat)).await;
    }
}
