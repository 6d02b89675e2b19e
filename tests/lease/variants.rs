//! Variants of `step` that each break one rule.

use std::time::Duration;

use lockd::lease::{Change, Outcome, Refusal, Request, Step, step};
use lockd::model::{BlobId, FencingToken, How, Lease, Record, StateRef, Versioned};
use lockd::service::{Guards, Released};

/// A `step` with one rule broken.
pub type Variant = fn(&Record, &Request, Duration) -> Step;

/// Every variant with the rule that it breaks.
pub const VARIANTS: &[(&str, Variant)] = &[
    ("the TTL falls at a renewal", ttl_falls),
    ("an ended lease id is granted again", ended_granted),
    ("a lease is taken over too early", takeover_early),
    ("a lease is expired too early", expire_early),
    ("the margin of 1 s is forgotten", margin_forgotten),
    ("a late renewal is refused before anybody took over", late_renewal_refused),
    ("the token does not rise at a break", break_keeps_token),
    ("the token does not rise at a takeover", takeover_keeps_token),
    ("the token rises at a release", release_raises_token),
    ("the epoch is ignored", epoch_ignored),
    ("an update is a sign of life", update_beats),
    ("an update renews the stamp", update_stamps),
    ("a replayed acquire is answered without a write", replay_from_memory),
    ("a replayed acquire gets a new token", replay_new_token),
    ("a replayed acquire forgets the takeover", replay_forgets_takeover),
    ("a renewal keeps the old stamp", stamp_kept),
    ("a discarded version is given out again", version_reused),
    ("an update is applied at another version than it met", bound_ignored),
    ("guards are ignored", guards_ignored),
    ("renewals flush the memory of changes", done_flushed),
    ("a change is applied twice", applied_twice),
    ("a request id is accepted with another body", id_reused),
    ("the memory of changes is one short", done_short),
    ("the memory of ends is one short", ended_short),
    ("an end is not remembered", end_forgotten),
    ("a staged change survives expire", staged_survives_expire),
    ("a staged change survives a takeover", staged_survives_takeover),
    ("a lost commit looks like success", lost_commit_gone),
    ("a commit after a rollback looks like success", lost_commit_released),
    ("a rollback commits", rollback_commits),
    ("a release discards", release_discards),
    ("a commit without its transaction", commit_unnamed),
    ("a change passes by what is staged", passes_by),
    ("another transaction is accepted", foreign_txn),
    ("a write ignores the token", write_ignores_token),
    ("a renewal ignores the token", renewal_ignores_token),
    ("a release ignores the token", release_ignores_token),
    ("a blob of another token is accepted", old_blob),
    ("a blob of another key is accepted", other_keys_blob),
    ("a blob is named twice", blob_twice),
    ("a release deletes the record", release_deletes),
    ("a refusal writes", refusal_writes),
    ("a break hits any lease", break_any),
    ("lease_expired is answered before it is written", expired_unwritten),
    ("a remove of nothing takes a version", remove_nothing),
    ("the previous blob is forgotten", previous_forgotten),
    ("a knock is lost at a grant to another", knock_lost),
    ("a reservation is passed over", reservation_ignored),
    ("a key is kept for nobody", reservation_forgotten),
    ("who does not yield is turned away", reservation_binds_all),
    ("a knock takes another's place", knock_overwrites),
    ("a knock resets the age", knock_resets_age),
    ("a success is forgotten", success_forgotten),
    ("a rollback records a success", rollback_succeeds),
    ("unknown fields are lost", unknown_lost),
];

type Next<'a> = &'a mut Record;

/// The real step, with its new record changed when there is one.
pub fn wrote(record: &Record, request: &Request, age: Duration, change: impl FnOnce(Next<'_>, &Outcome)) -> Step {
    let mut made = step(record, request, age);
    if let (Some(next), Ok(outcome)) = (&mut made.write, &made.answer) {
        change(next, outcome);
    }
    made
}

fn present_is(record: &Record, id: &lockd::model::LeaseId) -> bool {
    record.lease.as_ref().is_some_and(|lease| lease.id == *id)
}

fn ttl_falls(record: &Record, request: &Request, age: Duration) -> Step {
    let Request::Renew(r) = request else { return step(record, request, age) };
    let mut made = wrote(record, request, age, |next, _| next.lease.as_mut().unwrap().ttl = r.ttl);
    if let Ok(Outcome::Renewed { ttl }) = &mut made.answer {
        *ttl = r.ttl;
    }
    made
}

fn ended_granted(record: &Record, request: &Request, age: Duration) -> Step {
    let Request::Acquire(r) = request else { return step(record, request, age) };
    let mut forgetful = record.clone();
    forgetful.ended.retain(|ended| ended.id != r.lease_id);
    step(&forgetful, request, age)
}

fn takeover_early(record: &Record, request: &Request, age: Duration) -> Step {
    step(record, request, if matches!(request, Request::Acquire(_)) { Duration::MAX } else { age })
}

fn expire_early(record: &Record, request: &Request, age: Duration) -> Step {
    step(record, request, if matches!(request, Request::Expire(_)) { Duration::MAX } else { age })
}

fn margin_forgotten(record: &Record, request: &Request, age: Duration) -> Step {
    step(record, request, age.saturating_add(Duration::from_secs(1)))
}

fn late_renewal_refused(record: &Record, request: &Request, age: Duration) -> Step {
    let late = |lease: &Lease| age > lease.ttl.duration();
    match request {
        Request::Renew(_) if record.lease.as_ref().is_some_and(late) => refuse(Refusal::LeaseExpired),
        _ => step(record, request, age),
    }
}

pub fn refuse(refusal: Refusal) -> Step {
    Step { write: None, answer: Err(refusal) }
}

fn break_keeps_token(record: &Record, request: &Request, age: Duration) -> Step {
    let broke = matches!(request, Request::Break(_));
    wrote(record, request, age, |next, _| next.token = if broke { record.token } else { next.token })
}

fn grant_under(made: &mut Step, token: FencingToken) {
    let Some(next) = &mut made.write else { return };
    next.token = token;
    next.lease.as_mut().unwrap().token = token;
    if let Ok(Outcome::Granted { lease, .. }) = &mut made.answer {
        lease.token = token;
    }
}

fn takeover_keeps_token(record: &Record, request: &Request, age: Duration) -> Step {
    let mut made = step(record, request, age);
    if let (Request::Acquire(_), Some(_)) = (request, &record.lease) {
        grant_under(&mut made, record.token);
    }
    made
}

fn release_raises_token(record: &Record, request: &Request, age: Duration) -> Step {
    let released = matches!(request, Request::Release(_));
    wrote(record, request, age, |next, _| next.token.0 += u64::from(released))
}

fn epoch_ignored(record: &Record, request: &Request, age: Duration) -> Step {
    let mut request = request.clone();
    match &mut request {
        Request::Acquire(r) => r.epoch = 0,
        Request::Break(r) => r.epoch = 0,
        _ => {}
    }
    step(record, &request, age)
}

fn update_beats(record: &Record, request: &Request, age: Duration) -> Step {
    let updated = matches!(request, Request::Update(_));
    wrote(record, request, age, |next, _| next.beat += u64::from(updated))
}

fn update_stamps(record: &Record, request: &Request, age: Duration) -> Step {
    let Request::Update(r) = request else { return step(record, request, age) };
    wrote(record, request, age, |next, _| next.lease.as_mut().unwrap().renewed = r.at)
}

fn replay_from_memory(record: &Record, request: &Request, age: Duration) -> Step {
    let mut made = step(record, request, age);
    if matches!(request, Request::Acquire(r) if present_is(record, &r.lease_id)) {
        made.write = None;
    }
    made
}

fn replay_new_token(record: &Record, request: &Request, age: Duration) -> Step {
    let mut made = step(record, request, age);
    if matches!(request, Request::Acquire(r) if present_is(record, &r.lease_id)) {
        grant_under(&mut made, FencingToken(record.token.0 + 1));
    }
    made
}

fn replay_forgets_takeover(record: &Record, request: &Request, age: Duration) -> Step {
    let mut made = step(record, request, age);
    if let (Request::Acquire(r), Ok(Outcome::Granted { taken_over, .. })) = (request, &mut made.answer) {
        *taken_over &= !present_is(record, &r.lease_id);
    }
    made
}

fn stamp_kept(record: &Record, request: &Request, age: Duration) -> Step {
    let Request::Renew(_) = request else { return step(record, request, age) };
    wrote(record, request, age, |next, _| next.lease.as_mut().unwrap().stamp = record.lease.clone().unwrap().stamp)
}

fn version_reused(record: &Record, request: &Request, age: Duration) -> Step {
    wrote(record, request, age, |next, _| {
        if next.lease.is_none() {
            next.last_version = next.committed.version;
            next.done.retain(|done| done.version <= next.committed.version);
        }
    })
}

/// The same request with its update changed.
fn with_update(request: &Request, change: impl FnOnce(&mut lockd::lease::Update)) -> Request {
    let mut request = request.clone();
    if let Request::Update(r) = &mut request {
        change(r);
    }
    request
}

fn bound_ignored(record: &Record, request: &Request, age: Duration) -> Step {
    step(record, &with_update(request, |r| r.bound = None), age)
}

fn guards_ignored(record: &Record, request: &Request, age: Duration) -> Step {
    step(record, &with_update(request, |r| r.guards = Guards::default()), age)
}

fn done_flushed(record: &Record, request: &Request, age: Duration) -> Step {
    let renewal = matches!(request, Request::Renew(_));
    wrote(record, request, age, |next, _| {
        if renewal {
            next.done.clear()
        }
    })
}

fn applied_twice(record: &Record, request: &Request, age: Duration) -> Step {
    let Request::Update(r) = request else { return step(record, request, age) };
    let mut forgetful = record.clone();
    forgetful.done.retain(|done| done.id != r.id || done.etag.as_ref() != r.change.etag());
    step(&forgetful, request, age)
}

fn id_reused(record: &Record, request: &Request, age: Duration) -> Step {
    let Request::Update(r) = request else { return step(record, request, age) };
    let mut forgetful = record.clone();
    forgetful.done.retain(|done| done.id != r.id || done.etag.as_ref() == r.change.etag());
    step(&forgetful, request, age)
}

fn done_short(record: &Record, request: &Request, age: Duration) -> Step {
    wrote(record, request, age, |next, _| {
        if next.done.len() > 7 {
            drop(next.done.pop_front())
        }
    })
}

fn ended_short(record: &Record, request: &Request, age: Duration) -> Step {
    wrote(record, request, age, |next, _| {
        if next.ended.len() > 7 {
            drop(next.ended.pop_front())
        }
    })
}

fn end_forgotten(record: &Record, request: &Request, age: Duration) -> Step {
    wrote(record, request, age, |next, _| next.ended.clone_from(&record.ended))
}

fn staged_survives_expire(record: &Record, request: &Request, age: Duration) -> Step {
    let expire = matches!(request, Request::Expire(_));
    wrote(record, request, age, |next, _| {
        if expire {
            next.staged.clone_from(&record.staged)
        }
    })
}

fn staged_survives_takeover(record: &Record, request: &Request, age: Duration) -> Step {
    let takeover = matches!(request, Request::Acquire(_));
    wrote(record, request, age, |next, _| {
        if takeover {
            next.staged.clone_from(&record.staged)
        }
    })
}

fn lost_commit_gone(record: &Record, request: &Request, age: Duration) -> Step {
    let mut made = step(record, request, age);
    if let Err(Refusal::StagedDiscarded(how)) = made.answer {
        made.answer = Ok(Outcome::Released(Released::AlreadyGone { how: Some(how) }));
    }
    made
}

fn lost_commit_released(record: &Record, request: &Request, age: Duration) -> Step {
    let mut made = step(record, request, age);
    if made.answer == Err(Refusal::StagedDiscarded(How::RolledBack)) {
        made.answer = Ok(Outcome::Released(Released::Released { version: record.committed.version }));
    }
    made
}

fn with_release(request: &Request, change: impl FnOnce(&mut lockd::lease::Release)) -> Request {
    let mut request = request.clone();
    if let Request::Release(r) = &mut request {
        change(r);
    }
    request
}

fn rollback_commits(record: &Record, request: &Request, age: Duration) -> Step {
    step(record, &with_release(request, |r| r.rollback = false), age)
}

fn release_discards(record: &Record, request: &Request, age: Duration) -> Step {
    step(record, &with_release(request, |r| r.rollback = true), age)
}

fn commit_unnamed(record: &Record, request: &Request, age: Duration) -> Step {
    let named = with_release(request, |r| {
        r.txn = r.txn.take().or_else(|| record.lease.as_ref().map(|lease| lease.txn.clone()));
    });
    step(record, &named, age)
}

fn passes_by(record: &Record, request: &Request, age: Duration) -> Step {
    let Request::Update(r) = request else { return step(record, request, age) };
    let mut bare = record.clone();
    let staged = if r.proof.txn.is_none() { bare.staged.take() } else { None };
    let mut made = step(&bare, request, age);
    if let (Some(next), Some(staged)) = (&mut made.write, staged) {
        next.staged = Some(staged);
    }
    made
}

fn foreign_txn(record: &Record, request: &Request, age: Duration) -> Step {
    let txn = || record.lease.as_ref().map(|lease| lease.txn.clone());
    step(record, &with_update(request, |r| r.proof.txn = r.proof.txn.take().and_then(|_| txn())), age)
}

fn present_token(record: &Record) -> Option<FencingToken> {
    record.lease.as_ref().map(|lease| lease.token)
}

fn write_ignores_token(record: &Record, request: &Request, age: Duration) -> Step {
    step(record, &with_update(request, |r| r.proof.token = present_token(record).unwrap_or(r.proof.token)), age)
}

fn renewal_ignores_token(record: &Record, request: &Request, age: Duration) -> Step {
    let mut request = request.clone();
    if let Request::Renew(r) = &mut request {
        r.proof.token = present_token(record).unwrap_or(r.proof.token);
    }
    step(record, &request, age)
}

fn release_ignores_token(record: &Record, request: &Request, age: Duration) -> Step {
    step(record, &with_release(request, |r| r.token = None), age)
}

fn old_blob(record: &Record, request: &Request, age: Duration) -> Step {
    accepting(record, request, age, |blob| {
        Some(blob.token()) != present_token(record) && blob.key() == record.key.hash()
    })
}

fn other_keys_blob(record: &Record, request: &Request, age: Duration) -> Step {
    accepting(record, request, age, |blob| blob.key() != record.key.hash())
}

fn blob_twice(record: &Record, request: &Request, age: Duration) -> Step {
    accepting(record, request, age, |blob| record.blobs().any(|named| named == blob))
}

/// Accepts some pointers that are refused: the update is applied with an inline state, and the pointer put in its place.
fn accepting(record: &Record, request: &Request, age: Duration, which: impl Fn(&BlobId) -> bool) -> Step {
    let made = step(record, request, age);
    let (Request::Update(r), Err(Refusal::ForeignBlob)) = (request, &made.answer) else { return made };
    let Change::Put(wanted) = &r.change else { return made };
    if !wanted.blob().is_some_and(which) {
        return made;
    }
    let harmless = StateRef::inline(bytes::Bytes::from_static(b"0"));
    let accepted = with_update(request, |r| r.change = Change::Put(harmless));
    let put = |versioned: &mut Versioned| versioned.state = Some(wanted.clone());
    let mut made = wrote(record, &accepted, age, |next, _| {
        let done = next.done.back_mut().unwrap();
        (done.etag, done.bytes) = (Some(wanted.etag.clone()), wanted.len);
        next.staged.as_mut().map_or_else(|| put(&mut next.committed), put);
    });
    if let Ok(Outcome::Updated { etag, bytes, .. }) = &mut made.answer {
        (*etag, *bytes) = (Some(wanted.etag.clone()), wanted.len);
    }
    made
}

fn release_deletes(record: &Record, request: &Request, age: Duration) -> Step {
    let Request::Release(_) = request else { return step(record, request, age) };
    wrote(record, request, age, |next, _| *next = Record::new(record.key.clone()))
}

fn refusal_writes(record: &Record, request: &Request, age: Duration) -> Step {
    let mut made = step(record, request, age);
    if made.answer.is_err() {
        made.write = Some(Box::new(record.clone()));
    }
    made
}

fn break_any(record: &Record, request: &Request, age: Duration) -> Step {
    let mut request = request.clone();
    if let (Request::Break(r), Some(lease)) = (&mut request, &record.lease) {
        r.lease_id = lease.id.clone();
    }
    step(record, &request, age)
}

fn expired_unwritten(record: &Record, request: &Request, age: Duration) -> Step {
    let mut made = step(record, request, age);
    if matches!(request, Request::Expire(_)) {
        made.write = None;
    }
    made
}

fn remove_nothing(record: &Record, request: &Request, age: Duration) -> Step {
    let made = step(record, request, age);
    let Ok(Outcome::Updated { changed: false, .. }) = made.answer else { return made };
    let mut next = record.clone();
    next.last_version.0 += 1;
    Step { write: Some(Box::new(next)), answer: made.answer }
}

fn previous_forgotten(record: &Record, request: &Request, age: Duration) -> Step {
    wrote(record, request, age, |next, _| next.previous = None)
}

fn success_forgotten(record: &Record, request: &Request, age: Duration) -> Step {
    wrote(record, request, age, |next, _| next.last_success = None)
}

fn rollback_succeeds(record: &Record, request: &Request, age: Duration) -> Step {
    wrote(record, request, age, |next, _| {
        if let Request::Release(r) = request {
            next.last_success = r.succeeded.or(next.last_success);
        }
    })
}

fn knock_lost(record: &Record, request: &Request, age: Duration) -> Step {
    let granted = |outcome: &Outcome| matches!(outcome, Outcome::Granted { .. });
    wrote(record, request, age, |next, outcome| {
        if granted(outcome) {
            next.knock = None
        }
    })
}

fn with_acquire(request: &Request, change: impl FnOnce(&mut lockd::lease::Acquire)) -> Request {
    let mut request = request.clone();
    if let Request::Acquire(r) = &mut request {
        change(r);
    }
    request
}

fn reservation_ignored(record: &Record, request: &Request, age: Duration) -> Step {
    step(record, &with_acquire(request, |r| r.yields = false), age)
}

fn reservation_binds_all(record: &Record, request: &Request, age: Duration) -> Step {
    step(record, &with_acquire(request, |r| r.yields = true), age)
}

fn reservation_forgotten(record: &Record, request: &Request, age: Duration) -> Step {
    let mut request = request.clone();
    if let Request::Release(r) = &mut request {
        r.reserve = false;
    }
    step(record, &request, age)
}

fn knock_overwrites(record: &Record, request: &Request, age: Duration) -> Step {
    match request {
        Request::Knock(r) if record.lease.as_ref().is_some_and(|lease| lease.id != r.waiter) => {
            let mut made = step(&Record { knock: None, ..record.clone() }, request, age);
            made.write = made.write.filter(|next| next.knock != record.knock);
            made
        }
        _ => step(record, request, age),
    }
}

fn knock_resets_age(record: &Record, request: &Request, age: Duration) -> Step {
    let knock = matches!(request, Request::Knock(_));
    wrote(record, request, age, |next, _| next.beat += u64::from(knock))
}

fn unknown_lost(record: &Record, request: &Request, age: Duration) -> Step {
    wrote(record, request, age, |next, _| next.unknown.clear())
}
