//! What must be true of every record and of every step, written apart from [`super::step`]: the tables of ARCHITECTURE.md,
//! "Life of a lease", as checks. Tests, models and simulations call them at each step; they decide nothing.
//!
//! [`check`] sees one record; [`check_step`] sees what a step made of one.

use std::time::Duration;

use super::{Acquire, Outcome, Refusal, Release, Request, Step, Update};
use crate::limits::{DONE_REQUESTS, ENDED_LEASES, takeover_age};
pub use crate::model::{Broken, check};
use crate::model::{Done, Ended, FencingToken, How, Lease, LeaseId, Record, Versioned};
use crate::service::Released;

mod answers;

use Broken as B;

/// Checks what `step` made of `before` for `request`, when the present sign of life was written at least `age` ago.
///
/// # Errors
/// The first rule that is broken.
pub fn check_step(before: &Record, request: &Request, age: Duration, step: &Step) -> Result<(), Broken> {
    let Some(after) = step.write.as_deref() else { return answers::without_write(before, request, age, &step.answer) };
    let Ok(outcome) = &step.answer else { return Err(Broken("a refusal writes")) };
    match request {
        Request::Admit(r) => return admitted(before, r.token, after),
        Request::Knock(r) => return knocked(before, &r.waiter, after),
        _ => {}
    }
    let moved = Move::of(before, request, after)?;
    untouched(before, after)?;
    claims(before, request, after, &moved)?;
    lease(before, request, age, &moved)?;
    token(before, request, after, &moved)?;
    beat(before, request, after)?;
    states(before, request, after, &moved)?;
    memory_of_ends(before, request, after, &moved)?;
    memory_of_changes(before, request, after)?;
    memory_of_success(before, request, after)?;
    answers::after_write(before, request, after, outcome)?;
    check(after)
}

/// The rows of the table.
#[derive(Clone, Copy)]
enum Move<'a> {
    /// A new lease, and the one that it ended, if it did.
    Grant { asked: &'a Acquire, new: &'a Lease, over: Option<&'a Lease> },
    /// A sign of life of the present lease, or a change of state under it.
    GoesOn { was: &'a Lease, now: &'a Lease },
    /// The end of the present lease.
    End { was: &'a Lease, how: How },
}

impl<'a> Move<'a> {
    /// A record is only written for one of the rows, and the request names the row.
    fn of(before: &'a Record, request: &'a Request, after: &'a Record) -> Result<Self, B> {
        let end = |was, how| Ok(Self::End { was, how });
        match (request, &before.lease, &after.lease) {
            (Request::Acquire(asked), over, Some(new)) if over.as_ref().is_none_or(|was| was.id != new.id) => {
                Ok(Self::Grant { asked, new, over: over.as_ref() })
            }
            (Request::Acquire(_) | Request::Renew(_) | Request::Update(_), Some(was), Some(now))
                if was.id == now.id =>
            {
                Ok(Self::GoesOn { was, now })
            }
            (Request::Release(r), Some(was), None) => {
                end(was, if r.rollback { How::RolledBack } else { How::Released })
            }
            (Request::Expire(_), Some(was), None) => end(was, How::Expired),
            (Request::Break(_), Some(was), None) => end(was, How::Broken),
            _ => Err(Broken("this request does not do this to a lease")),
        }
    }
}

/// The seal is put on by the commit loop, and what is unknown survives.
fn untouched(before: &Record, after: &Record) -> Result<(), B> {
    let seal = |r: &Record| (r.min_read, r.min_write, r.revision, r.write_id);
    B::unless(before.key == after.key && seal(before) == seal(after), "a step touches key or seal")?;
    B::unless(before.recent == after.recent, "a step touches the memory of writes")?;
    B::unless(before.unknown == after.unknown, "unknown fields are lost")?;
    B::unless(before.fence == after.fence, "the mark of a resource moves without an admit")
}

/// A knock is only taken by its own waiter's grant, or by a release that keeps the free key for that waiter, where it was asked
/// to. A reservation lives until the next grant, which passes nobody over that it yields to.
fn claims(before: &Record, request: &Request, after: &Record, moved: &Move<'_>) -> Result<(), B> {
    let waiter = |r: &Record| r.knock.as_ref().map(|knock| knock.waiter.clone());
    let kept = |r: &Record| r.reserved.as_ref().map(|reserved| reserved.waiter.clone());
    let (knock, reserved) = match (moved, request) {
        (Move::Grant { asked, new, .. }, _) => {
            let passed = kept(before).is_some_and(|waiter| waiter != new.id);
            B::unless(!asked.yields || !passed || before.lease.is_some(), "a grant passes over a reservation")?;
            (waiter(before).filter(|waiter| *waiter != new.id), None)
        }
        (Move::End { .. }, Request::Release(r)) if r.reserve && before.knock.is_some() => (None, waiter(before)),
        _ => (waiter(before), kept(before)),
    };
    B::unless(waiter(after) == knock, "a knock is lost")?;
    B::unless(kept(after) == reserved, "a reservation is not what the table says")
}

/// A knock is put into its empty slot while another holds the key, and touches nothing else.
fn knocked(before: &Record, waiter: &LeaseId, after: &Record) -> Result<(), B> {
    let asks = before.lease.as_ref().is_some_and(|lease| lease.id != *waiter) && before.ended(waiter).is_none();
    B::unless(asks, "a knock without anybody to ask")?;
    let own = after.knock.as_ref().is_some_and(|knock| knock.waiter == *waiter);
    B::unless(before.knock.is_none() && own, "a knock takes another's place")?;
    B::unless(Record { knock: None, ..after.clone() } == *before, "a knock touches more than its slot")?;
    check(after)
}

/// A lease begins by a grant under an id that has not ended; it ends by release, takeover, expire or break of just that lease,
/// the middle two only at the age for it; within it nothing but sign of life and TTL moves, and the TTL never falls.
fn lease(before: &Record, request: &Request, age: Duration, moved: &Move<'_>) -> Result<(), B> {
    let proved = |was| B::unless(proves(request, was), "a write without the proof of the present lease");
    match *moved {
        Move::Grant { asked, new, over } => {
            B::unless(
                new.id == asked.lease_id && new.txn == asked.txn && new.ttl == asked.ttl,
                "another lease than asked for",
            )?;
            B::unless(before.ended(&new.id).is_none(), "an ended lease id is granted again")?;
            B::unless(!asked.if_not_exists || before.token.0 == 0, "a used key is granted to who wants it unused")?;
            over.map_or(Ok(()), |was| old_enough(was, age))
        }
        Move::GoesOn { was, now } => {
            proved(was)?;
            goes_on(was, request, now)
        }
        Move::End { was, how: How::Expired } => {
            proved(was)?;
            old_enough(was, age)
        }
        Move::End { was, .. } => proved(was),
    }
}

fn old_enough(present: &Lease, age: Duration) -> Result<(), B> {
    B::unless(age >= takeover_age(present.ttl.duration()), "a lease ends before 1.01 x TTL + 1 s")
}

fn goes_on(before: &Lease, request: &Request, after: &Lease) -> Result<(), B> {
    B::unless(after.ttl >= before.ttl, "the TTL falls within one lease")?;
    let (ttl, stamp) = match request {
        Request::Acquire(r) => (r.ttl, &r.stamp),
        Request::Renew(r) => (r.ttl, &r.stamp),
        _ => return B::unless(after == before, "a change of state is taken for a sign of life"),
    };
    B::unless(after.ttl == before.ttl.max(ttl), "the TTL is neither the old nor the one asked for")?;
    B::unless(after.stamp == *stamp, "the stamp is not of the writer of this beat")?;
    let same = Lease { ttl: before.ttl, renewed: before.renewed, stamp: before.stamp.clone(), ..after.clone() };
    B::unless(same == *before, "a lease changes while it stands")
}

/// Whether the request shows what it must of the present lease: id, token (a release may not know it, expire and break have
/// none), and the right transaction where one is shown.
fn proves(request: &Request, lease: &Lease) -> bool {
    let (id, token, txn) = match request {
        Request::Acquire(r) => (&r.lease_id, None, None),
        Request::Renew(r) => (&r.proof.lease_id, Some(r.proof.token), r.proof.txn.as_ref()),
        Request::Update(r) => (&r.proof.lease_id, Some(r.proof.token), r.proof.txn.as_ref()),
        Request::Release(r) => (&r.lease_id, r.token, r.txn.as_ref()),
        Request::Expire(r) => (&r.lease_id, None, None),
        Request::Break(r) => (&r.lease_id, None, None),
        Request::Admit(_) | Request::Knock(_) => return false,
    };
    *id == lease.id && token.is_none_or(|token| token == lease.token) && txn.is_none_or(|txn| *txn == lease.txn)
}

/// Tokens rise exactly at grants and breaks, to max(last + 1, epoch << 32); the epoch only with them.
fn token(before: &Record, request: &Request, after: &Record, moved: &Move<'_>) -> Result<(), B> {
    let asked = match (moved, request) {
        (Move::Grant { asked, .. }, _) => asked.epoch,
        (Move::End { .. }, Request::Break(r)) => r.epoch,
        _ => {
            B::unless(after.epoch == before.epoch, "the epoch rises without a token")?;
            return B::unless(after.token == before.token, "the token moves without a grant or break");
        }
    };
    B::unless(after.epoch == before.epoch.max(asked), "the epoch is not the highest seen")?;
    let wanted = (before.token.0 + 1).max(u64::from(after.epoch) << 32);
    B::unless(after.token == FencingToken(wanted), "the token does not rise at a grant or break")
}

/// The beat rises exactly at grants and renewals: (token, beat) names one sign of life.
fn beat(before: &Record, request: &Request, after: &Record) -> Result<(), B> {
    let sign_of_life = matches!(request, Request::Acquire(_) | Request::Renew(_));
    B::unless(after.beat == before.beat + u64::from(sign_of_life), "the beat does not rise exactly at signs of life")
}

/// An admit raises the mark to its token and touches nothing else.
fn admitted(before: &Record, token: FencingToken, after: &Record) -> Result<(), B> {
    B::unless(token > before.fence && after.fence == token, "the mark does not rise to the token admitted")?;
    B::unless(Record { fence: before.fence, ..after.clone() } == *before, "an admit touches more than the mark")?;
    check(after)
}

/// The columns "committed" and "staged"; each new change takes the version after the last ever given out.
fn states(before: &Record, request: &Request, after: &Record, moved: &Move<'_>) -> Result<(), B> {
    let (committed, staged, last) = match (moved, request) {
        (_, Request::Update(r)) => return changed(before, r, after),
        (Move::End { how: How::Released, .. }, _) if before.staged.is_some() => {
            (before.staged.as_ref(), None, before.last_version)
        }
        (Move::End { .. } | Move::Grant { .. }, _) => (Some(&before.committed), None, before.last_version),
        _ => (Some(&before.committed), before.staged.as_ref(), before.last_version),
    };
    B::unless(after.last_version == last, "a version is given out without a change, or again")?;
    B::unless(Some(&after.committed) == committed, "the committed state is not what the table says")?;
    B::unless(after.staged.as_ref() == staged, "the staged change is not what the table says")?;
    previous(before, after)?;
    let Request::Release(r) = request else { return Ok(()) };
    let named = before.staged.is_none() || r.rollback || r.txn.is_some();
    B::unless(named, "a staged change is committed without its transaction")
}

/// An update is applied once, under its guards, bound to the version that it met first.
fn changed(before: &Record, r: &Update, after: &Record) -> Result<(), B> {
    let seen = before.visible();
    B::unless(
        r.bound.is_none_or(|first| first == seen.version),
        "an update is applied at another version than it met",
    )?;
    B::unless(r.guards.version.is_none_or(|wanted| wanted == seen.version), "a version guard is ignored")?;
    B::unless(r.guards.etag.as_ref().is_none_or(|wanted| Some(wanted) == seen.etag()), "an ETag guard is ignored")?;
    B::unless(after.last_version.0 == before.last_version.0 + 1, "a change does not take the next version")?;
    let new = match &r.proof.txn {
        Some(_) => {
            B::unless(after.committed == before.committed, "a change in the transaction is committed at once")?;
            after.staged.as_ref()
        }
        None => {
            B::unless(before.staged.is_none() && after.staged.is_none(), "a change passes by what is staged")?;
            Some(&after.committed)
        }
    };
    let new = new.ok_or(Broken("a change is lost"))?;
    B::unless(new.version == after.last_version, "a change has another version than the newest")?;
    B::unless(asked_for(r, new), "another state than asked for")?;
    B::unless(new.blob().is_none_or(|blob| blob.token() == r.proof.token), "a blob of another token is named")?;
    previous(before, after)
}

fn asked_for(r: &Update, new: &Versioned) -> bool {
    match &r.change {
        super::Change::Put(state) => new.state.as_ref() == Some(state),
        super::Change::Remove => new.state.is_none(),
    }
}

/// The blob before the committed one is kept from its publish to the next.
fn previous(before: &Record, after: &Record) -> Result<(), B> {
    let published = before.committed.version != after.committed.version;
    let wanted = if published { before.committed.blob() } else { before.previous.as_ref() };
    B::unless(after.previous.as_ref() == wanted, "the previous blob is not kept until the next publish")
}

/// Every end is remembered, with what it committed and whether it discarded; nothing else touches that memory.
fn memory_of_ends(before: &Record, request: &Request, after: &Record, moved: &Move<'_>) -> Result<(), B> {
    let (was, how) = match *moved {
        Move::End { was, how } => (was, how),
        Move::Grant { over: Some(was), .. } => (was, How::TakenOver),
        _ => return B::unless(before.ended == after.ended, "the memory of ends changes without an end"),
    };
    let own = |last: &&Ended| last.id == was.id && last.token == was.token && last.how == how;
    let last = after.ended.back().filter(own).ok_or(Broken("an end is not remembered"))?;
    B::unless(last.version == after.committed.version, "an end is remembered with another version")?;
    let discarded = before.staged.is_some() && how != How::Released;
    B::unless(last.discarded == discarded, "an end is remembered with another fate of the staged change")?;
    let by = match request {
        Request::Break(r) => (Some(&r.by), Some(&r.reason)),
        _ => (None, None),
    };
    B::unless((last.by.as_ref(), last.reason.as_ref()) == by, "a break without who and why, or another end with them")?;
    let kept = before.ended.len().min(ENDED_LEASES - 1);
    B::unless(remembered(&before.ended, &after.ended, kept), "an end is forgotten too early")
}

/// Every change is remembered, the last [`DONE_REQUESTS`] of them; nothing else touches that memory: renewals do not enter.
fn memory_of_changes(before: &Record, request: &Request, after: &Record) -> Result<(), B> {
    let Request::Update(r) = request else {
        return B::unless(before.done == after.done, "the memory of changes changes without a change");
    };
    B::unless(before.done.iter().all(|done| done.id != r.id), "a request is applied twice")?;
    let last = after.done.back().map(|last| (&last.id, last.etag.as_ref(), last.version));
    B::unless(last == Some((&r.id, r.change.etag(), after.last_version)), "a change is not remembered")?;
    let kept = before.done.len().min(DONE_REQUESTS - 1);
    B::unless(remembered(&before.done, &after.done, kept), "a change is forgotten too early")
}

/// The last success is the one that a commit's release told of; nothing else touches that memory.
fn memory_of_success(before: &Record, request: &Request, after: &Record) -> Result<(), B> {
    let told = match request {
        Request::Release(r) if !r.rollback => r.succeeded,
        _ => None,
    };
    B::unless(after.last_success == told.or(before.last_success), "a success is not what the last release told")
}

/// Whether `after` is the last `kept` of `before` and one more.
fn remembered<T: PartialEq>(
    before: &std::collections::VecDeque<T>,
    after: &std::collections::VecDeque<T>,
    kept: usize,
) -> bool {
    after.len() == kept + 1 && before.iter().skip(before.len() - kept).eq(after.iter().take(kept))
}
