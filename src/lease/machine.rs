//! `step`: what a request does to a record. The one place where the rules of leases and state are.
//!
//! | step | lease | token | committed | staged |
//! |---|---|---|---|---|
//! | grant, takeover | new | +1 | same | dropped |
//! | update or remove without transaction | same | same | new | must be none |
//! | update or remove in the lease's transaction | same | same | same | new |
//! | release: commit; rollback | none | same | staged, if any; same | dropped |
//! | expire; break | none | same; +1 | same | dropped |

use std::time::Duration;

use super::request::{Acquire, Break, Change, Expire, Outcome, Refusal, Release, Renew, Request, Update};
use crate::clock::UnixMillis;
use crate::limits::{DONE_REQUESTS, ENDED_LEASES, takeover_age};
use crate::model::{Done, Ended, FencingToken, How, Lease, LeaseId, Record, TxnId, Version, Versioned};
use crate::service::{Proof, Released};

/// The answer to a request, and the record that must be written before it may be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What to write first; `None` when the record stays as it is.
    pub write: Option<Box<Record>>,
    /// What to answer then.
    pub answer: Result<Outcome, Refusal>,
}

/// Decides what `request` does to `record`, whose present sign of life (token and beat) was written at least `age` ago.
///
/// Total and deterministic. A request that was applied before gets its first answer, as far as the record remembers.
#[must_use]
pub fn step(record: &Record, request: &Request, age: Duration) -> Step {
    match request {
        Request::Acquire(r) => acquire(record, r, age),
        Request::Renew(r) => renew(record, r),
        Request::Release(r) => release(record, r),
        Request::Update(r) => update(record, r),
        Request::Expire(r) => expire(record, r, age),
        Request::Break(r) => break_lease(record, r),
    }
}

fn write(record: Record, outcome: Outcome) -> Step {
    Step { write: Some(Box::new(record)), answer: Ok(outcome) }
}

fn answer(outcome: Outcome) -> Step {
    Step { write: None, answer: Ok(outcome) }
}

fn refuse(refusal: Refusal) -> Step {
    Step { write: None, answer: Err(refusal) }
}

/// Whether a lease of this age may be taken over, or recorded as expired. Until one of the two is written it goes on.
fn may_take_over(lease: &Lease, age: Duration) -> bool {
    age >= takeover_age(lease.ttl.duration())
}

fn acquire(record: &Record, r: &Acquire, age: Duration) -> Step {
    if let Some(ended) = record.ended(&r.lease_id) {
        return refuse(Refusal::LeaseEnded(ended.how));
    }
    let mut next = record.clone();
    match &record.lease {
        Some(lease) if lease.id == r.lease_id => {
            // A replayed acquire renews: same token, one write.
            let lease = beat(&mut next, r.ttl, r.stamp.clone(), r.at);
            return granted(next, lease, false);
        }
        _ if r.if_not_exists && record.token > FencingToken(0) => return refuse(Refusal::AlreadyExists),
        Some(lease) if !may_take_over(lease, age) => return refuse(Refusal::Busy(Box::new(lease.clone()))),
        Some(_) => end_lease(&mut next, How::TakenOver, r.at),
        None => {}
    }
    next.epoch = next.epoch.max(r.epoch);
    next.token = next.token.next(next.epoch);
    next.beat += 1;
    next.knock = None;
    next.reserved = None;
    let lease = Lease {
        id: r.lease_id.clone(),
        token: next.token,
        txn: r.txn.clone(),
        ttl: r.ttl,
        owner: r.owner.clone(),
        reason: r.reason.clone(),
        holder: r.holder.clone(),
        since: r.at,
        renewed: r.at,
        stamp: r.stamp.clone(),
        unknown: crate::model::Unknown::new(),
    };
    next.lease = Some(lease.clone());
    granted(next, Some(lease), record.lease.is_some())
}

fn granted(next: Record, lease: Option<Lease>, taken_over: bool) -> Step {
    let Some(lease) = lease.map(Box::new) else { return refuse(Refusal::LeaseRequired) };
    let (version, etag) = (next.visible().version, next.visible().etag().cloned());
    write(next, Outcome::Granted { lease, version, etag, taken_over })
}

/// A sign of life: the beat rises, and within one lease the TTL never falls.
fn beat(
    next: &mut Record,
    ttl: crate::model::Ttl,
    stamp: Option<crate::model::Stamp>,
    at: UnixMillis,
) -> Option<Lease> {
    next.beat += 1;
    let lease = next.lease.as_mut()?;
    lease.ttl = lease.ttl.max(ttl);
    lease.stamp = stamp;
    lease.renewed = at;
    Some(lease.clone())
}

fn renew(record: &Record, r: &Renew) -> Step {
    if let Err(refusal) = held(record, &r.proof).and_then(|lease| same_txn(lease, r.proof.txn.as_ref())) {
        return refuse(refusal);
    }
    let mut next = record.clone();
    match beat(&mut next, r.ttl, r.stamp.clone(), r.at) {
        Some(lease) => write(next, Outcome::Renewed { ttl: lease.ttl }),
        None => refuse(Refusal::LeaseRequired),
    }
}

/// The present lease, when the proof is good for it.
///
/// # Errors
/// The lease-bound refusals, in their order: not the present lease (and what became of it), then the token.
pub fn held<'a>(record: &'a Record, proof: &Proof) -> Result<&'a Lease, Refusal> {
    match &record.lease {
        Some(lease) if lease.id == proof.lease_id => match lease.token == proof.token {
            true => Ok(lease),
            false => Err(Refusal::FencingMismatch(lease.token)),
        },
        _ => Err(record.ended(&proof.lease_id).map_or(Refusal::LeaseRequired, |ended| match ended.how {
            How::Expired | How::TakenOver => Refusal::LeaseExpired,
            How::Broken => Refusal::LeaseBroken,
            How::Released | How::RolledBack => Refusal::LeaseReleased,
        })),
    }
}

fn same_txn(lease: &Lease, txn: Option<&TxnId>) -> Result<(), Refusal> {
    match txn {
        Some(txn) if *txn != lease.txn => Err(Refusal::TxnMismatch),
        _ => Ok(()),
    }
}

/// With something staged, a change or a commit must name the transaction.
fn txn_of_staged(record: &Record, txn: Option<&TxnId>) -> Result<(), Refusal> {
    match record.staged.is_some() && txn.is_none() {
        true => Err(Refusal::MissingTxn),
        false => Ok(()),
    }
}

/// Ends the present lease, dropping what it staged; the version of that is burned, since `last_version` keeps it.
fn end_lease(next: &mut Record, how: How, at: UnixMillis) {
    let discarded = next.staged.take().is_some();
    next.reserved = None;
    let Some(lease) = next.lease.take() else { return };
    next.ended.push_back(Ended {
        id: lease.id,
        token: lease.token,
        how,
        version: next.committed.version,
        discarded,
        owner: lease.owner,
        at,
        by: None,
        reason: None,
    });
    while next.ended.len() > ENDED_LEASES {
        next.ended.pop_front();
    }
}

fn release(record: &Record, r: &Release) -> Step {
    let lease = match &record.lease {
        Some(lease) if lease.id == r.lease_id => lease,
        present => return released_before(record, present.is_some(), r),
    };
    if r.token.is_some_and(|token| token != lease.token) {
        return refuse(Refusal::FencingMismatch(lease.token));
    }
    let txn = match r.rollback {
        true => Ok(()),
        false => txn_of_staged(record, r.txn.as_ref()),
    };
    if let Err(refusal) = txn.and_then(|()| same_txn(lease, r.txn.as_ref())) {
        return refuse(refusal);
    }
    let mut next = record.clone();
    if !r.rollback
        && let Some(staged) = next.staged.take()
    {
        commit(&mut next, staged);
    }
    end_lease(&mut next, if r.rollback { How::RolledBack } else { How::Released }, r.at);
    let version = next.committed.version;
    write(next, Outcome::Released(Released::Released { version }))
}

/// A release of a lease that is over gets its first answer; otherwise it learns the truth.
fn released_before(record: &Record, held_by_another: bool, r: &Release) -> Step {
    let ended = record.ended(&r.lease_id);
    if let Some(Ended { how: How::Released | How::RolledBack, version, .. }) = ended {
        return answer(Outcome::Released(Released::Released { version: *version }));
    }
    match ended {
        // A lost commit must not look like success.
        Some(ended) if ended.discarded && !r.rollback => refuse(Refusal::StagedDiscarded(ended.how)),
        _ if held_by_another => answer(Outcome::Released(Released::Fenced)),
        _ => answer(Outcome::Released(Released::AlreadyGone { how: ended.map(|ended| ended.how) })),
    }
}

fn update(record: &Record, r: &Update) -> Step {
    if let Some(done) = record.done.iter().rev().find(|done| done.id == r.id) {
        return replayed(done, &r.change);
    }
    if let Err(refusal) = may_update(record, r) {
        return refuse(refusal);
    }
    let seen = record.visible();
    if r.change == Change::Remove && seen.state.is_none() {
        return answer(Outcome::Updated { version: seen.version, etag: None, bytes: 0, changed: false });
    }
    let mut next = record.clone();
    next.last_version = Version(next.last_version.0 + 1);
    let version = next.last_version;
    let state = match &r.change {
        Change::Put(state) => Some(state.clone()),
        Change::Remove => None,
    };
    let (etag, bytes) = (r.change.etag().cloned(), state.as_ref().map_or(0, |state| state.len));
    let new = Versioned { version, state, at: r.at, unknown: crate::model::Unknown::new() };
    match r.proof.txn {
        Some(_) => next.staged = Some(new),
        None => commit(&mut next, new),
    }
    next.done.push_back(Done { id: r.id.clone(), etag: etag.clone(), version, bytes });
    while next.done.len() > DONE_REQUESTS {
        next.done.pop_front();
    }
    write(next, Outcome::Updated { version, etag, bytes, changed: true })
}

fn replayed(done: &Done, change: &Change) -> Step {
    match done.etag.as_ref() == change.etag() {
        true => answer(Outcome::Updated {
            version: done.version,
            etag: done.etag.clone(),
            bytes: done.bytes,
            changed: true,
        }),
        false => refuse(Refusal::RequestIdReused),
    }
}

fn may_update(record: &Record, r: &Update) -> Result<(), Refusal> {
    let lease = held(record, &r.proof)?;
    txn_of_staged(record, r.proof.txn.as_ref())?;
    same_txn(lease, r.proof.txn.as_ref())?;
    if let Change::Put(state) = &r.change
        && state.blob().is_some_and(|blob| blob.token() != lease.token || blob.key() != record.key.hash())
    {
        return Err(Refusal::ForeignBlob);
    }
    let seen = record.visible();
    let conflict = || Refusal::VersionConflict(seen.version, seen.etag().cloned());
    if r.guards.version.is_some_and(|wanted| wanted != seen.version)
        || r.bound.is_some_and(|first| first != seen.version)
    {
        return Err(conflict());
    }
    if r.guards.etag.as_ref().is_some_and(|wanted| Some(wanted) != seen.etag()) {
        return Err(Refusal::EtagMismatch(seen.version, seen.etag().cloned()));
    }
    Ok(())
}

/// Makes `new` the committed state. The blob before it stays until the next publish, for readers under way.
fn commit(next: &mut Record, new: Versioned) {
    let old = std::mem::replace(&mut next.committed, new);
    next.previous = old.blob().cloned();
}

fn expire(record: &Record, r: &Expire, age: Duration) -> Step {
    match &record.lease {
        Some(lease) if lease.id == r.lease_id && may_take_over(lease, age) => {
            let mut next = record.clone();
            end_lease(&mut next, How::Expired, r.at);
            write(next, Outcome::Expired)
        }
        Some(lease) if lease.id == r.lease_id => refuse(Refusal::NotExpired),
        _ => answer(Outcome::Expired),
    }
}

fn break_lease(record: &Record, r: &Break) -> Step {
    match &record.lease {
        Some(lease) if lease.id == r.lease_id => {
            let mut next = record.clone();
            end_lease(&mut next, How::Broken, r.at);
            next.epoch = next.epoch.max(r.epoch);
            next.token = next.token.next(next.epoch);
            if let Some(ended) = next.ended.back_mut() {
                ended.by = Some(r.by.clone());
                ended.reason = Some(r.reason.clone());
            }
            write(next, Outcome::Broken(true))
        }
        _ => answer(Outcome::Broken(broken_before(record, &r.lease_id))),
    }
}

fn broken_before(record: &Record, id: &LeaseId) -> bool {
    record.ended(id).is_some_and(|ended| ended.how == How::Broken)
}
