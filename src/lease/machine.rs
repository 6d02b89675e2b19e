//! `step`: what a request does to a record. The one place where the rules of leases and state are.
//!
//! | step | lease | token | committed | staged |
//! |---|---|---|---|---|
//! | grant, takeover | new | +1 | same | dropped |
//! | update or remove without transaction | same | same | new | must be none |
//! | update or remove in the lease's transaction | same | same | same | new |
//! | release: commit; rollback | none | same | staged, if any; same | dropped |
//! | expire; break | none | same; +1 | same | dropped |
//!
//! An admit touches nothing of these: it raises the mark of a resource, which has a record of its own. Nor does a knock: it says
//! that a waiter elsewhere wants its turn, and a release may turn it into a reservation of the free key.

use std::cmp::Ordering;
use std::time::Duration;

use super::request::{Acquire, Admit, Break, Change, Expire, Knock, Outcome, Refusal, Release, Renew, Request, Update};
use crate::clock::UnixMillis;
use crate::limits::{DONE_REQUESTS, ENDED_LEASES, NUMBER_MAX, takeover_age};
use crate::model::{
    Done, EditsHash, Ended, FencingToken, How, Lease, LeaseId, Record, RequestId, Reserved, Stamp, Ttl, TxnId, Unknown,
    Versioned,
};
use crate::mutants::{Mutant, on};
use crate::service::{Proof, Released};

/// The answer to a request, and the record that must be written before it may be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What to write first; `None` when the record stays as it is. A refusal never writes.
    pub write: Option<Box<Record>>,
    /// What to answer then.
    pub answer: Result<Outcome, Refusal>,
}

/// Decides what `request` does to `record`, whose present sign of life (token and beat) was written at least `age` ago.
///
/// Total and deterministic. A request that was applied before gets its first answer, as far as the record remembers; a
/// replayed acquire or keepalive of the present lease renews it.
#[must_use]
pub fn step(record: &Record, request: &Request, age: Duration) -> Step {
    let decided = match request {
        Request::Acquire(r) => acquire(record, r, age),
        Request::Renew(_) | Request::Update(_) | Request::Release(_) if wrongly_late(record, age) => {
            Err(Refusal::LeaseExpired)
        }
        Request::Renew(r) => renew(record, r),
        Request::Release(r) => release(record, r),
        Request::Update(r) => update(record, r),
        Request::Expire(r) => expire(record, r, age),
        Request::Break(r) => break_lease(record, r),
        Request::Admit(r) => admit(record, r),
        Request::Knock(r) => knock(record, r),
    };
    decided.unwrap_or_else(|refusal| Step { write: None, answer: Err(refusal) })
}

/// A refusal carries no record, so that it cannot write.
type Decided = Result<Step, Refusal>;

fn write(record: Record, outcome: Outcome) -> Decided {
    Ok(Step { write: Some(Box::new(record)), answer: Ok(outcome) })
}

fn answer(outcome: Outcome) -> Decided {
    Ok(Step { write: None, answer: Ok(outcome) })
}

/// Whether a lease of this age may be taken over, or recorded as expired. Until one of the two is written it goes on.
fn may_take_over(lease: &Lease, age: Duration) -> bool {
    if on(Mutant::TakeoverEarly) {
        return age >= lease.ttl.duration();
    }
    age >= takeover_age(lease.ttl.duration())
}

/// A lease goes on until its end is written; its age alone ends nothing.
fn wrongly_late(record: &Record, age: Duration) -> bool {
    on(Mutant::LateIsRefused) && record.lease.as_ref().is_some_and(|lease| may_take_over(lease, age))
}

fn acquire(record: &Record, r: &Acquire, age: Duration) -> Decided {
    if let Some(ended) = record.ended(&r.lease_id).filter(|_| !on(Mutant::EndedGrantedAgain)) {
        return Err(Refusal::LeaseEnded(ended.how));
    }
    match &record.lease {
        // A replayed acquire renews: same token, one write.
        Some(lease) if lease.id == r.lease_id => {
            let (mut next, mut lease) = renewed(record, lease, r.ttl, r.stamp.as_ref(), r.at)?;
            if on(Mutant::ReplayIsNewGrant) {
                raise_token(&mut next, r.epoch)?;
                lease.token = next.token;
                next.lease = Some(lease.clone());
            }
            return granted(next, lease);
        }
        _ if r.if_not_exists && record.token > FencingToken(0) => return Err(Refusal::AlreadyExists),
        Some(lease) if !may_take_over(lease, age) => return Err(Refusal::Busy(Box::new(lease.clone()))),
        None if r.yields => kept_for_another(record, &r.lease_id)?,
        Some(_) | None => {}
    }
    let mut next = record.clone();
    end_lease(&mut next, How::TakenOver, r.at);
    raise_token(&mut next, r.epoch)?;
    next.beat = following_beat(record)?;
    next.reserved = None;
    // A knock stays until the waiter that left it has the key: grants to others in between are what it is about.
    next.knock = next.knock.filter(|knock| knock.waiter != r.lease_id);
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
        unknown: Unknown::new(),
    };
    next.lease = Some(lease.clone());
    granted(next, lease)
}

/// A reservation binds those who yield; it ends with any grant.
fn kept_for_another(record: &Record, asking: &LeaseId) -> Result<(), Refusal> {
    match &record.reserved {
        Some(reserved) if reserved.waiter != *asking => Err(Refusal::Reserved(reserved.waiter.clone())),
        _ => Ok(()),
    }
}

/// The grant of `next`'s present lease, the same for a replay: that the lease was taken over shows in the last end before it.
fn granted(next: Record, lease: Lease) -> Decided {
    let (version, etag) = (next.visible().version, next.visible().etag().cloned());
    let taken_over = next.ended.back().is_some_and(|last| last.how == How::TakenOver);
    write(next, Outcome::Granted { lease: Box::new(lease), version, etag, taken_over })
}

/// The record after a sign of life of its present lease, and that lease: the beat rises, and the TTL never falls.
fn renewed(
    record: &Record,
    lease: &Lease,
    ttl: Ttl,
    stamp: Option<&Stamp>,
    at: UnixMillis,
) -> Result<(Record, Lease), Refusal> {
    let mut next = record.clone();
    next.beat = if on(Mutant::BeatStandsStill) { record.beat } else { following_beat(record)? };
    // The stamp belongs to the beat: without one of its own, this beat has none.
    if on(Mutant::RenewalFlushesDone) {
        next.done.clear();
    }
    let ttl = if on(Mutant::TtlFalls) { ttl } else { lease.ttl.max(ttl) };
    let stamp = if on(Mutant::OldStampKept) { lease.stamp.as_ref() } else { stamp };
    let lease = Lease { ttl, stamp: stamp.cloned(), renewed: at, ..lease.clone() };
    next.lease = Some(lease.clone());
    Ok((next, lease))
}

fn following_beat(record: &Record) -> Result<u64, Refusal> {
    record.beat.checked_add(1).filter(|beat| *beat <= NUMBER_MAX).ok_or(Refusal::Exhausted)
}

/// Tokens rise with every grant and break, past every token of an earlier epoch.
fn raise_token(next: &mut Record, epoch: u32) -> Result<(), Refusal> {
    next.epoch = next.epoch.max(epoch);
    if on(Mutant::TokenStandsStill) && next.token.0 > 0 {
        return Ok(());
    }
    next.token = next.token.next(next.epoch).ok_or(Refusal::Exhausted)?;
    Ok(())
}

fn renew(record: &Record, r: &Renew) -> Decided {
    let lease = held(record, &r.proof)?;
    same_txn(lease, r.proof.txn.as_ref())?;
    let (next, lease) = renewed(record, lease, r.ttl, r.stamp.as_ref(), r.at)?;
    write(next, Outcome::Renewed { ttl: lease.ttl })
}

/// The present lease, when the proof is good for it.
///
/// # Errors
/// The lease-bound refusals, in their order: not the present lease (and what became of it), then the token.
pub fn held<'a>(record: &'a Record, proof: &Proof) -> Result<&'a Lease, Refusal> {
    match &record.lease {
        Some(lease) if on(Mutant::WriteIgnoresToken) => Ok(lease),
        Some(lease) if lease.id == proof.lease_id => {
            same_token(lease.token, Some(proof.token))?;
            Ok(lease)
        }
        _ => Err(record.ended(&proof.lease_id).map_or(Refusal::LeaseRequired, |ended| match ended.how {
            How::Expired | How::TakenOver if record.lease.is_some() => Refusal::LeasePassedOn,
            How::Expired | How::TakenOver => Refusal::LeaseExpired,
            How::Broken => Refusal::LeaseBroken,
            How::Released | How::RolledBack => Refusal::LeaseReleased,
        })),
    }
}

fn same_token(token: FencingToken, shown: Option<FencingToken>) -> Result<(), Refusal> {
    match shown {
        Some(shown) if shown != token && !on(Mutant::ForeignTokenAccepted) => Err(Refusal::FencingMismatch(token)),
        _ => Ok(()),
    }
}

fn same_txn(lease: &Lease, txn: Option<&TxnId>) -> Result<(), Refusal> {
    match txn {
        Some(txn) if *txn != lease.txn && !on(Mutant::ForeignTxnAccepted) => Err(Refusal::TxnMismatch),
        _ => Ok(()),
    }
}

/// With something staged, a change or a commit must name the transaction.
fn txn_of_staged(record: &Record, txn: Option<&TxnId>) -> Result<(), Refusal> {
    match record.staged.is_some() && txn.is_none() && !on(Mutant::MissingTxnAccepted) {
        true => Err(Refusal::MissingTxn),
        false => Ok(()),
    }
}

/// Ends the present lease, if there is one, dropping what it staged; the version of that is burned, since `last_version`
/// keeps it.
fn end_lease(next: &mut Record, how: How, at: UnixMillis) {
    let Some(lease) = next.lease.take() else { return };
    if on(Mutant::TakeoverCommitsStaged)
        && how == How::TakenOver
        && let Some(staged) = next.staged.take()
    {
        commit(next, staged);
    }
    next.ended.push_back(Ended {
        id: lease.id,
        token: lease.token,
        how,
        version: next.committed.version,
        discarded: next.staged.take().is_some(),
        ttl: Some(lease.ttl),
        owner: lease.owner,
        at,
        by: None,
        reason: None,
        unknown: Unknown::new(),
    });
    while next.ended.len() > ENDED_LEASES {
        next.ended.pop_front();
    }
}

fn release(record: &Record, r: &Release) -> Decided {
    let lease = match &record.lease {
        Some(lease) if lease.id == r.lease_id => lease,
        present => return released_before(record, present.is_some(), r),
    };
    same_token(lease.token, r.token)?;
    if !r.rollback {
        txn_of_staged(record, r.txn.as_ref())?;
    }
    same_txn(lease, r.txn.as_ref())?;
    let mut next = record.clone();
    if !r.rollback
        && let Some(staged) = next.staged.take()
    {
        commit(&mut next, staged);
    }
    if !r.rollback {
        next.last_success = r.succeeded.or(next.last_success);
    }
    if on(Mutant::DeleteOnRelease) {
        next = Record::new(record.key.clone());
    }
    end_lease(&mut next, if r.rollback { How::RolledBack } else { How::Released }, r.at);
    if r.reserve
        && let Some(knock) = next.knock.take()
    {
        next.reserved = Some(Reserved { waiter: knock.waiter, unknown: knock.unknown });
    }
    let version = next.committed.version;
    write(next, Outcome::Released(Released::Released { version }))
}

/// A repeated release gets its first answer; one for a lease that ended otherwise learns the truth.
fn released_before(record: &Record, held_by_another: bool, r: &Release) -> Decided {
    let ended = record.ended(&r.lease_id);
    if let Some(ended) = ended {
        same_token(ended.token, r.token)?;
        // A lost commit must not look like success, not even when the same client's rollback came first.
        if ended.discarded && !r.rollback && !on(Mutant::LostCommitIsSuccess) {
            return Err(Refusal::StagedDiscarded(ended.how));
        }
    }
    answer(Outcome::Released(match ended {
        Some(Ended { how: How::Released | How::RolledBack, version, .. }) if !on(Mutant::ReleaseReplayIsGone) => {
            Released::Released { version: *version }
        }
        _ if held_by_another => Released::Fenced,
        _ => Released::AlreadyGone { how: ended.map(|ended| ended.how) },
    }))
}

fn update(record: &Record, r: &Update) -> Decided {
    if let Some(done) = record.done.iter().rev().find(|done| done.id == r.id) {
        return replayed(done, r);
    }
    let token = may_update(record, r)?.token;
    let seen = record.visible();
    if r.change == Change::Remove && seen.state.is_none() {
        return answer(Outcome::Updated { version: seen.version, etag: None, bytes: 0, changed: false });
    }
    let mut next = record.clone();
    let last = if on(Mutant::VersionsReused) { record.visible().version } else { record.last_version };
    let version = last.next().ok_or(Refusal::Exhausted)?;
    next.last_version = version.max(record.last_version);
    let state = match &r.change {
        Change::Put(state) => Some(state.clone()),
        Change::Remove => None,
    };
    let (etag, bytes) = (r.change.etag().cloned(), state.as_ref().map_or(0, |state| state.len));
    let new = Versioned { version, state, at: r.at, unknown: Unknown::new() };
    match r.proof.txn {
        Some(_) if !on(Mutant::TransactionIgnored) => next.staged = Some(new),
        _ => commit(&mut next, new),
    }
    let (id, edits, unknown) = (r.id.clone(), r.edits.clone(), Unknown::new());
    next.done.push_back(Done { id, etag: etag.clone(), edits, token, version, bytes, unknown });
    while next.done.len() > DONE_REQUESTS {
        next.done.pop_front();
    }
    write(next, Outcome::Updated { version, etag, bytes, changed: true })
}

fn replayed(done: &Done, r: &Update) -> Decided {
    let same = match &r.edits {
        Some(edits) => done.edits.as_ref() == Some(edits),
        None => done.edits.is_none() && done.etag.as_ref() == r.change.etag(),
    };
    match same || on(Mutant::ReusedIdAccepted) {
        true => answer(first_answer(done)),
        false => Err(Refusal::RequestIdReused),
    }
}

fn first_answer(done: &Done) -> Outcome {
    Outcome::Updated { version: done.version, etag: done.etag.clone(), bytes: done.bytes, changed: true }
}

/// What an edit was answered when it came before, as far as that is remembered. It is asked before the edit is made of what is
/// there by now, which the first time has changed already.
///
/// # Errors
/// [`Refusal::RequestIdReused`] when the request was another one.
pub fn edited_before(record: &Record, id: &RequestId, edits: &EditsHash) -> Result<Option<Outcome>, Refusal> {
    let done = record.done.iter().rev().find(|done| done.id == *id);
    match done {
        Some(done) if done.edits.as_ref() != Some(edits) => Err(Refusal::RequestIdReused),
        done => Ok(done.map(first_answer)),
    }
}

fn may_update<'a>(record: &'a Record, r: &Update) -> Result<&'a Lease, Refusal> {
    let lease = held(record, &r.proof)?;
    txn_of_staged(record, r.proof.txn.as_ref())?;
    same_txn(lease, r.proof.txn.as_ref())?;
    if let Change::Put(state) = &r.change
        && let Some(blob) = state.blob()
        && (blob.token() != lease.token || blob.key() != record.key.hash() || record.blobs().any(|named| named == blob))
    {
        return Err(Refusal::ForeignBlob);
    }
    let seen = record.visible();
    if r.guards.version.is_some_and(|wanted| wanted != seen.version)
        || r.bound.is_some_and(|first| first != seen.version)
    {
        return Err(Refusal::VersionConflict(seen.version, seen.etag().cloned()));
    }
    if r.guards.etag.as_ref().is_some_and(|wanted| Some(wanted) != seen.etag()) {
        return Err(Refusal::EtagMismatch(seen.version, seen.etag().cloned()));
    }
    Ok(lease)
}

/// Makes `new` the committed state. The blob before it stays until the next publish, for readers under way.
fn commit(next: &mut Record, new: Versioned) {
    let old = std::mem::replace(&mut next.committed, new);
    next.previous = old.blob().filter(|_| !on(Mutant::PreviousForgotten)).cloned();
}

fn expire(record: &Record, r: &Expire, age: Duration) -> Decided {
    match &record.lease {
        Some(lease) if lease.id == r.lease_id && may_take_over(lease, age) => {
            let mut next = record.clone();
            end_lease(&mut next, How::Expired, r.at);
            write(next, Outcome::Expired)
        }
        Some(lease) if lease.id == r.lease_id => Err(Refusal::NotExpired),
        _ => answer(Outcome::Expired),
    }
}

fn break_lease(record: &Record, r: &Break) -> Decided {
    match &record.lease {
        Some(lease) if lease.id == r.lease_id => {
            let mut next = record.clone();
            end_lease(&mut next, How::Broken, r.at);
            raise_token(&mut next, r.epoch)?;
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

/// The high-water mark of a resource only rises.
fn admit(record: &Record, r: &Admit) -> Decided {
    match r.token.cmp(&record.fence) {
        Ordering::Less => Err(Refusal::Stale(record.fence)),
        Ordering::Equal => answer(Outcome::Admitted),
        Ordering::Greater => write(Record { fence: r.token, ..record.clone() }, Outcome::Admitted),
    }
}

/// There is one slot for a knock, and nobody to ask while the key is free or the waiter's own. A waiter whose lease has ended
/// waits no more.
fn knock(record: &Record, r: &Knock) -> Decided {
    let waits = record.ended(&r.waiter).is_none();
    match (&record.lease, &record.knock) {
        (Some(lease), None) if waits && lease.id != r.waiter => {
            let knock = crate::model::Knock { waiter: r.waiter.clone(), unknown: Unknown::new() };
            let beat = if on(Mutant::KnockIsSignOfLife) { following_beat(record)? } else { record.beat };
            write(Record { knock: Some(knock), beat, ..record.clone() }, Outcome::Knocked(true))
        }
        (_, Some(knock)) => answer(Outcome::Knocked(knock.waiter == r.waiter)),
        (_, None) => answer(Outcome::Knocked(false)),
    }
}
