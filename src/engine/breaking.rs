//! Breaking a lease: its holder is not asked, and learns at its next call.

use std::time::Duration;

use super::{Engine, refusal, unexpected};
use crate::error::{Details, Error, ErrorKind, Result};
use crate::lease::{Break, Outcome, Request};
use crate::limits::{BREAK_TRIES, TTL_MAX, takeover_age};
use crate::model::{Ended, How, Key, LeaseId, Record};
use crate::service::{BreakRequest, Broke};

impl Engine {
    /// A break names one lease. Without a name it is the present one, looked up again when that ended by itself meanwhile.
    pub(super) async fn break_by_force(&self, r: BreakRequest) -> Result<Broke> {
        for _ in 0..BREAK_TRIES {
            let (seen, _) = self.shared.read(&r.key).await?;
            let age = self.shared.ages.age(&seen);
            let Some(lease) = chosen(&seen, r.lease_id.as_ref(), age)? else {
                let before = r.lease_id.as_ref().and_then(|id| seen.ended(id)).filter(|ended| ended.how == How::Broken);
                return Ok(before.map_or(Broke::Free, |ended| broken(ended, full_time(ended))));
            };
            let request = Break {
                lease_id: lease,
                by: r.by.clone(),
                reason: r.reason.clone(),
                epoch: self.shared.store.facts.epoch,
                at: self.shared.clock.wall(),
            };
            let id = request.lease_id.clone();
            let answer = self.ask(&r.key, Request::Break(request)).await?;
            match answer.outcome {
                Outcome::Broken(true) => {
                    self.collect_soon(&answer.record);
                    let ended = answer.record.ended(&id).ok_or_else(|| forgotten(&r.key))?;
                    return Ok(broken(ended, over_in(&seen, age, &answer.record, ended)));
                }
                Outcome::Broken(false) => {}
                other => return Err(unexpected(&other)),
            }
        }
        Err(Error::new(ErrorKind::Unavailable, format!("{} passed on each time before it could be broken", r.key))
            .with_hint("nothing was broken; try again"))
    }
}

/// The lease to break; `None` when there is nothing to do.
fn chosen(record: &Record, named: Option<&LeaseId>, age: Duration) -> Result<Option<LeaseId>> {
    match (&record.lease, named) {
        (Some(lease), None) => Ok(Some(lease.id.clone())),
        (Some(lease), Some(id)) if lease.id == *id => Ok(Some(id.clone())),
        // Broken before, whoever has the key now: the first answer again.
        (_, Some(id)) if record.ended(id).is_some_and(|ended| ended.how == How::Broken) => Ok(None),
        (Some(lease), Some(id)) => {
            let message = format!("{} is not held by lease {id}, but by {}", record.key, lease.id);
            let details = Details { busy: Some(Box::new(refusal::busy(lease, age))), ..Details::default() };
            Err(Error::new(ErrorKind::LeaseMismatch, message)
                .with_hint(format!("nothing was broken; `lockd status {}` tells who has it", record.key))
                .with_details(details))
        }
        (None, _) => Ok(None),
    }
}

fn broken(ended: &Ended, over_in: Duration) -> Broke {
    Broke::Broken { lease_id: ended.id.clone(), token: ended.token, owner: ended.owner.clone(), over_in }
}

/// How long its holder may still believe in a lease that was just broken: what a takeover would have had to wait. The age of
/// its last sign of life counts only when none came between the look and the break.
fn over_in(seen: &Record, age: Duration, after: &Record, ended: &Ended) -> Duration {
    let full = full_time(ended);
    let same_sign = seen.lease.as_ref().is_some_and(|lease| lease.token == ended.token) && seen.beat == after.beat;
    if same_sign { full.saturating_sub(age) } else { full }
}

fn full_time(ended: &Ended) -> Duration {
    takeover_age(ended.ttl.map_or(TTL_MAX, crate::model::Ttl::duration))
}

fn forgotten(key: &Key) -> Error {
    Error::new(ErrorKind::OutcomeUnknown, format!("the lease of {key} was broken, and its end is forgotten by now"))
        .with_hint(format!("see what `lockd status {key}` says"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::{Acquire, Renew, step};
    use crate::model::{Holder, Namespace, Owner, Reason, Ttl, TxnId};
    use crate::service::Proof;

    fn after(record: &Record, request: &Request) -> Record {
        *step(record, request, Duration::ZERO).write.expect("it is written")
    }

    /// A renewal between the look and the break makes the lease young again: its age at the look proves nothing then.
    #[test]
    fn an_age_counts_only_for_the_sign_of_life_that_it_is_of() {
        let (lease_id, txn) = (LeaseId::new("l").unwrap(), TxnId::new("t").unwrap());
        let at = crate::clock::UnixMillis(1);
        let owner = Owner::new("me").unwrap();
        let acquire = Acquire {
            lease_id: lease_id.clone(),
            txn,
            ttl: Ttl::default(),
            owner: owner.clone(),
            reason: None,
            holder: Holder::default(),
            if_not_exists: false,
            yields: false,
            epoch: 0,
            stamp: None,
            at,
        };
        let never = Record::new(Key::new(Namespace::default(), "k").unwrap());
        let seen = after(&never, &Request::Acquire(acquire));
        let proof = Proof { lease_id: lease_id.clone(), token: seen.token, txn: None };
        let renewed = after(&seen, &Request::Renew(Renew { proof, ttl: Ttl::default(), stamp: None, at }));
        let request = Break { lease_id, by: owner, reason: Reason::new("x").unwrap(), epoch: 0, at };
        let (age, full) = (Duration::from_secs(10), takeover_age(Ttl::default().duration()));
        for (before, left) in [(&seen, full - age), (&renewed, full)] {
            let broken = after(before, &Request::Break(request.clone()));
            assert_eq!(over_in(&seen, age, &broken, &broken.ended[0]), left);
        }
    }
}
