//! Leases for update: what becomes of one when its holder's connection has gone, and how one has ended.
//!
//! Transport is no evidence of life: the kernel of a stopped process acknowledges, and a process whose connection broke may be at
//! work. So the loss of a connection ends a lease at once only when the holder has said that it may; otherwise it ends when that
//! of any holder which is silent does, and a sign of life makes it an ordinary lease again.

use std::time::Duration;

use crate::limits::takeover_age;
use crate::model::{How, LeaseId, Record};
use crate::service::{LeaseEnd, OnDisconnect};

/// What to do about a lease whose holder's connection has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// Nothing: it is not the present one any more.
    Over,
    /// Nothing: there was a sign of life after the connection had gone.
    GoesOn,
    /// Look again when so much time has passed without a sign of life.
    Wait(Duration),
    /// Give it back, and drop what it has staged.
    Release,
    /// Record that it expired.
    Expire,
}

/// Decides what to do about `lease_id`, whose last sign of life was written at least `age` ago. `beat` is that of the first look
/// after the connection had gone.
#[must_use]
pub fn parting(
    record: &Record,
    lease_id: &LeaseId,
    beat: Option<u64>,
    on_disconnect: OnDisconnect,
    age: Duration,
) -> Parting {
    let Some(lease) = record.lease.as_ref().filter(|lease| lease.id == *lease_id) else { return Parting::Over };
    if on_disconnect == OnDisconnect::Release {
        return Parting::Release;
    }
    if beat.is_some_and(|beat| beat != record.beat) {
        return Parting::GoesOn;
    }
    match takeover_age(lease.ttl.duration()).saturating_sub(age) {
        Duration::ZERO => Parting::Expire,
        left => Parting::Wait(left),
    }
}

/// How a lease ended; `None` while it is the present one.
#[must_use]
pub fn end_of(record: &Record, lease_id: &LeaseId) -> Option<LeaseEnd> {
    if record.lease.as_ref().is_some_and(|lease| lease.id == *lease_id) {
        return None;
    }
    Some(match record.ended(lease_id).map(|ended| ended.how) {
        Some(How::Released | How::RolledBack) => LeaseEnd::Released,
        Some(How::Broken) => LeaseEnd::Broken,
        Some(How::Expired | How::TakenOver) | None => LeaseEnd::Lost,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMillis;
    use crate::lease::{Acquire, Break, Expire, Release, Renew, Request, step};
    use crate::model::{Holder, Key, Namespace, Owner, Reason, Ttl, TxnId};
    use crate::service::Proof;

    const AT: UnixMillis = UnixMillis(1);

    fn id(name: &str) -> LeaseId {
        LeaseId::new(name).unwrap()
    }

    fn acquire(name: &str) -> Request {
        Request::Acquire(Acquire {
            lease_id: id(name),
            txn: TxnId::new("t").unwrap(),
            ttl: Ttl::default(),
            owner: Owner::new("me").unwrap(),
            reason: None,
            holder: Holder::default(),
            if_not_exists: false,
            yields: false,
            epoch: 0,
            stamp: None,
            at: AT,
        })
    }

    fn after(record: &Record, request: &Request, age: Duration) -> Record {
        *step(record, request, age).write.expect("it is written")
    }

    fn held() -> Record {
        after(&Record::new(Key::new(Namespace::default(), "k").unwrap()), &acquire("a"), Duration::ZERO)
    }

    #[test]
    fn a_fenced_holder_parts_at_once_and_another_when_a_takeover_may_be_tried() {
        let record = held();
        let bound = takeover_age(Ttl::default().duration());
        let least = Duration::from_nanos(1);
        let at = |how, age| parting(&record, &id("a"), Some(record.beat), how, age);
        for age in [Duration::ZERO, bound - least, bound] {
            assert_eq!(at(OnDisconnect::Release, age), Parting::Release);
        }
        assert_eq!(at(OnDisconnect::Expire, Duration::ZERO), Parting::Wait(bound));
        assert_eq!(at(OnDisconnect::Expire, bound - least), Parting::Wait(least));
        assert_eq!(at(OnDisconnect::Expire, bound), Parting::Expire);
        // The machine allows exactly what is decided here.
        let expire = Request::Expire(Expire { lease_id: id("a"), at: AT });
        assert!(step(&record, &expire, bound - least).write.is_none());
        assert_eq!(end_of(&after(&record, &expire, bound), &id("a")), Some(LeaseEnd::Lost));
    }

    #[test]
    fn a_sign_of_life_after_the_connection_had_gone_counts() {
        let record = held();
        let proof = Proof { lease_id: id("a"), token: record.token, txn: None };
        let renew = Request::Renew(Renew { proof, ttl: Ttl::default(), stamp: None, at: AT });
        let renewed = after(&record, &renew, Duration::ZERO);
        let long = Duration::from_secs(3_600);
        assert_eq!(parting(&renewed, &id("a"), Some(record.beat), OnDisconnect::Expire, long), Parting::GoesOn);
        assert_eq!(parting(&renewed, &id("a"), Some(renewed.beat), OnDisconnect::Expire, long), Parting::Expire);
        assert_eq!(parting(&renewed, &id("a"), Some(record.beat), OnDisconnect::Release, long), Parting::Release);
    }

    #[test]
    fn nothing_is_done_to_another_lease_and_the_end_is_told() {
        let record = held();
        for how in [OnDisconnect::Expire, OnDisconnect::Release] {
            assert_eq!(parting(&record, &id("b"), None, how, Duration::MAX), Parting::Over);
        }
        assert_eq!((end_of(&record, &id("a")), end_of(&record, &id("b"))), (None, Some(LeaseEnd::Lost)));
        let release = |rollback| {
            let lease_id = id("a");
            Request::Release(Release {
                lease_id,
                token: None,
                txn: None,
                rollback,
                succeeded: None,
                reserve: false,
                at: AT,
            })
        };
        let broken = Break {
            lease_id: id("a"),
            by: Owner::new("op").unwrap(),
            reason: Reason::new("x").unwrap(),
            epoch: 0,
            at: AT,
        };
        for (request, end) in [
            (release(false), LeaseEnd::Released),
            (release(true), LeaseEnd::Released),
            (Request::Break(broken), LeaseEnd::Broken),
            (acquire("b"), LeaseEnd::Lost),
        ] {
            let next = after(&record, &request, Duration::from_secs(3_600));
            assert_eq!(end_of(&next, &id("a")), Some(end), "{request:?}");
        }
    }
}
