//! What an answer may say, given what was written, or that nothing was.

use std::time::Duration;

use super::{Acquire, B, Broken, Done, Ended, How, Outcome, Record, Refusal, Release, Released, Request, Update};
use super::{Lease, old_enough, proves};

/// An answer after a write says what is in the record now, and a request that was applied before is not applied again.
pub(super) fn after_write(before: &Record, request: &Request, after: &Record, outcome: &Outcome) -> Result<(), B> {
    let true_now = match (request, outcome) {
        (Request::Acquire(_), Outcome::Granted { lease, version, etag, taken_over }) => {
            let seen = (*version, etag.as_ref()) == (after.visible().version, after.visible().etag());
            seen && after.lease.as_ref() == Some(lease) && *taken_over == was_taken_over(before, lease)
        }
        (Request::Renew(_), Outcome::Renewed { ttl }) => after.lease.as_ref().is_some_and(|lease| lease.ttl == *ttl),
        (Request::Release(_), Outcome::Released(Released::Released { version })) => *version == after.committed.version,
        (Request::Update(_), Outcome::Updated { version, etag, bytes, changed }) => {
            let new = after.visible();
            let len = new.state.as_ref().map_or(0, |state| state.len);
            *changed && (*version, etag.as_ref(), *bytes) == (new.version, new.etag(), len)
        }
        (Request::Expire(_), Outcome::Expired) | (Request::Break(_), Outcome::Broken(true)) => true,
        _ => false,
    };
    B::unless(true_now, "the answer is not what was written")
}

/// A takeover is one for every answer about its lease, replays too.
fn was_taken_over(before: &Record, granted: &Lease) -> bool {
    match &before.lease {
        Some(present) if present.id == granted.id => before.ended.back().is_some_and(|last| last.how == How::TakenOver),
        present => present.is_some(),
    }
}

/// Without a write nothing is granted, renewed, ended or changed: the answer is a refusal, a first answer again, or "nothing
/// to do"; each only where the record says so.
pub(super) fn without_write(
    before: &Record,
    request: &Request,
    age: Duration,
    answer: &Result<Outcome, Refusal>,
) -> Result<(), B> {
    if *answer == Err(Refusal::Exhausted) {
        let near_the_end = before.token.0.max(before.beat).max(before.last_version.0) >= crate::limits::NUMBER_MAX;
        return B::unless(near_the_end || epoch_of(request) >= 1 << 31, "exhausted long before the end of the numbers");
    }
    match request {
        Request::Acquire(r) => not_granted(before, r, age, answer),
        Request::Renew(_) => {
            let held = before.lease.as_ref().is_some_and(|lease| proves(request, lease));
            B::unless(answer.is_err() && !held, "a renewal without a write, or refused to the holder")
        }
        Request::Release(r) => not_released(before, request, r, answer),
        Request::Update(r) => not_changed(before, request, r, answer),
        Request::Expire(r) => match (&before.lease, answer) {
            (Some(lease), Err(Refusal::NotExpired)) if lease.id == r.lease_id => {
                B::unless(old_enough(lease, age).is_err(), "expire is refused at the age for it")
            }
            (Some(lease), _) if lease.id == r.lease_id => Err(Broken("lease_expired is answered before it is written")),
            (_, answer) => B::unless(*answer == Ok(Outcome::Expired), "a lease that is over is not over"),
        },
        Request::Break(r) => {
            let present = before.lease.as_ref().is_some_and(|lease| lease.id == r.lease_id);
            let broken = before.ended(&r.lease_id).is_some_and(|ended| ended.how == How::Broken);
            B::unless(!present && *answer == Ok(Outcome::Broken(broken)), "a break tells another story than the record")
        }
        Request::Admit(r) => {
            let wanted = if r.token < before.fence { Err(Refusal::Stale(before.fence)) } else { Ok(Outcome::Admitted) };
            B::unless(*answer == wanted && r.token <= before.fence, "an admit is answered against the mark")
        }
        Request::Knock(r) => {
            let in_place = before.knock.as_ref().is_some_and(|knock| knock.waiter == r.waiter);
            let asks = before.lease.as_ref().is_some_and(|lease| lease.id != r.waiter);
            let room = before.knock.is_none() && asks && before.ended(&r.waiter).is_none();
            B::unless(!room && *answer == Ok(Outcome::Knocked(in_place)), "a knock is not heard")
        }
    }
}

fn epoch_of(request: &Request) -> u32 {
    match request {
        Request::Acquire(r) => r.epoch,
        Request::Break(r) => r.epoch,
        _ => 0,
    }
}

/// An acquire is refused because its id has ended, because the key is used, or because another holds it and may not be taken
/// over; never otherwise.
fn not_granted(before: &Record, r: &Acquire, age: Duration, answer: &Result<Outcome, Refusal>) -> Result<(), B> {
    if let Some(ended) = before.ended(&r.lease_id) {
        return B::unless(*answer == Err(Refusal::LeaseEnded(ended.how)), "an ended lease id is not refused");
    }
    let another = before.lease.as_ref().filter(|lease| lease.id != r.lease_id);
    let used = r.if_not_exists && before.token.0 > 0;
    match (answer, another) {
        (Err(Refusal::AlreadyExists), _) => {
            let own = before.lease.is_some() && another.is_none();
            B::unless(used && !own, "a key is called used without need")
        }
        (Err(Refusal::Busy(told)), Some(holder)) => {
            B::unless(**told == *holder && old_enough(holder, age).is_err(), "busy without need, or another holder")
        }
        (Err(Refusal::Reserved(waiter)), _) => {
            let kept = before.reserved.as_ref().is_some_and(|reserved| reserved.waiter == *waiter);
            let passed = before.lease.is_none() && kept && *waiter != r.lease_id;
            B::unless(passed && r.yields, "a key is called reserved without need")
        }
        _ => Err(Broken("an acquire is refused, or answered without a write, for no reason")),
    }
}

/// A release of a lease that is over: its first answer again, else the truth; a lost commit never looks like success.
fn not_released(before: &Record, request: &Request, r: &Release, answer: &Result<Outcome, Refusal>) -> Result<(), B> {
    let ended = before.ended(&r.lease_id);
    if let Some(lease) = before.lease.as_ref().filter(|lease| lease.id == r.lease_id) {
        B::unless(answer.is_err(), "a release of the present lease is answered without a write")?;
        let unnamed = before.staged.is_some() && !r.rollback && r.txn.is_none();
        let justified = unnamed || !proves(request, lease);
        return B::unless(justified, "a release of the present lease is refused for no reason");
    }
    let lost = ended.is_some_and(|ended| ended.discarded) && !r.rollback;
    B::unless(!lost || answer.is_err(), "a lost commit looks like success")?;
    let by_holder = |ended: &Ended| matches!(ended.how, How::Released | How::RolledBack);
    let fits = match answer {
        Ok(Outcome::Released(Released::Released { version })) => {
            ended.is_some_and(|ended| by_holder(ended) && ended.version == *version)
        }
        Ok(Outcome::Released(Released::AlreadyGone { how })) => {
            before.lease.is_none() && *how == ended.map(|ended| ended.how) && !ended.is_some_and(by_holder)
        }
        Ok(Outcome::Released(Released::Fenced)) => before.lease.is_some() && !ended.is_some_and(by_holder),
        Err(Refusal::StagedDiscarded(how)) => lost && ended.is_some_and(|ended| ended.how == *how),
        Err(Refusal::FencingMismatch(token)) => {
            ended.is_some_and(|ended| ended.token == *token) && r.token.is_some_and(|shown| shown != *token)
        }
        _ => false,
    };
    B::unless(fits, "a release tells another story than the record")
}

/// A change that writes nothing: the first answer again (an id with another body is refused), or a remove of nothing, or a
/// refusal.
fn not_changed(before: &Record, request: &Request, r: &Update, answer: &Result<Outcome, Refusal>) -> Result<(), B> {
    if let Some(done) = before.done.iter().find(|done| done.id == r.id) {
        let asked = |done: &Done| (done.edits.clone(), done.etag.clone().filter(|_| done.edits.is_none()));
        let same = asked(done) == (r.edits.clone(), r.change.etag().cloned().filter(|_| r.edits.is_none()));
        let wanted = if same { Ok(first_answer(done)) } else { Err(Refusal::RequestIdReused) };
        return B::unless(*answer == wanted, "a repeated change does not get its first answer");
    }
    let Ok(outcome) = answer else {
        return B::unless(may_refuse(before, request, r), "a change is refused for no reason");
    };
    let nothing = before.visible().state.is_none() && r.change == super::super::Change::Remove;
    let held = before.lease.as_ref().is_some_and(|lease| proves(request, lease));
    let same = Outcome::Updated { version: before.visible().version, etag: None, bytes: 0, changed: false };
    B::unless(nothing && held && *outcome == same, "a change is answered without a write")
}

fn first_answer(done: &Done) -> Outcome {
    Outcome::Updated { version: done.version, etag: done.etag.clone(), bytes: done.bytes, changed: true }
}

fn may_refuse(before: &Record, request: &Request, r: &Update) -> bool {
    let Some(lease) = before.lease.as_ref().filter(|lease| proves(request, lease)) else { return true };
    let seen = before.visible();
    let foreign = match &r.change {
        super::super::Change::Put(state) => state.blob().is_some_and(|blob| {
            blob.token() != lease.token || blob.key() != before.key.hash() || before.blobs().any(|named| named == blob)
        }),
        super::super::Change::Remove => false,
    };
    let passes_by = before.staged.is_some() && r.proof.txn.is_none();
    let guards = r.guards.version.is_none_or(|wanted| wanted == seen.version)
        && r.bound.is_none_or(|first| first == seen.version)
        && r.guards.etag.as_ref().is_none_or(|wanted| Some(wanted) == seen.etag());
    foreign || passes_by || !guards
}
