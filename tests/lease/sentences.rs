//! Sentences of ARCHITECTURE.md and of the HTTP API about `step`, each shown by one short history.

use std::time::Duration;

use lockd::lease::{Outcome, Refusal, edited_before, step};
use lockd::limits::NUMBER_MAX;
use lockd::model::{FencingToken, How, Version};
use lockd::service::Released;

use super::requests::{Age, Guard, Op, Shown, What, Who, edits, inline, request_id, write_id};
use super::run::{Nets, Run};

type Answer = Result<Outcome, Refusal>;

const fn acquire(n: u8) -> Op {
    Op::Acquire { who: Who::Id(n), secs: 30, epoch: 0, unused: false }
}

const fn renew(n: u8) -> Op {
    Op::Renew { who: Who::Id(n), token: Shown::Right, txn: Shown::Not, secs: 30 }
}

const fn release(n: u8, rollback: bool) -> Op {
    Op::Release { who: Who::Id(n), token: Shown::Right, txn: Shown::Right, rollback }
}

const fn update(n: u8, txn: Shown, id: u8, what: What) -> Op {
    Op::Update { who: Who::Id(n), token: Shown::Right, txn, id, what, guard: Guard::None }
}

const STAGE: Op = update(0, Shown::Right, 0, What::Inline(0));
const PUT: Op = update(0, Shown::Not, 0, What::Inline(0));

/// Asks at this age, and gives the answer and whether it was written.
fn ask_at(run: &mut Run, op: Op, age: Age) -> (Answer, bool) {
    let request = run.request(op).unwrap();
    let step = run.make(&request, age.of(&run.record), &step, Nets::Both).unwrap_or_else(|caught| panic!("{caught}"));
    (step.answer, step.write.is_some())
}

fn ask(run: &mut Run, op: Op) -> Answer {
    ask_at(run, op, Age::Zero).0
}

fn after(ops: &[Op]) -> Run {
    let mut run = Run::new();
    for op in ops {
        let answer = ask(&mut run, *op);
        assert!(answer.is_ok(), "{op:?}: {answer:?}");
    }
    run
}

fn released(version: u64) -> Answer {
    Ok(Outcome::Released(Released::Released { version: Version(version) }))
}

#[test]
fn a_lost_commit_never_looks_like_success() {
    let mut run = after(&[acquire(0), STAGE, release(0, true)]);
    assert_eq!(ask(&mut run, release(0, true)), released(0), "the rollback again");
    assert_eq!(ask(&mut run, release(0, false)), Err(Refusal::StagedDiscarded(How::RolledBack)), "a commit after it");
    for (end, how) in [
        (Op::Expire { who: Who::Id(0) }, How::Expired),
        (acquire(1), How::TakenOver),
        (Op::Break { who: Who::Id(0), epoch: 0 }, How::Broken),
    ] {
        let mut run = after(&[acquire(0), STAGE]);
        assert!(ask_at(&mut run, end, Age::Takeover).1);
        assert_eq!(ask(&mut run, release(0, false)), Err(Refusal::StagedDiscarded(how)));
        let rolled_back = match how {
            How::TakenOver => Released::Fenced,
            how => Released::AlreadyGone { how: Some(how) },
        };
        assert_eq!(ask(&mut run, release(0, true)), Ok(Outcome::Released(rolled_back)));
    }
}

#[test]
fn a_repeated_release_gets_its_first_answer_while_another_holds_the_key_too() {
    let mut run = after(&[acquire(0), STAGE, release(0, false), acquire(1)]);
    assert_eq!(ask_at(&mut run, release(0, false), Age::Zero), (released(1), false));
    let wrong = Op::Release { who: Who::Id(0), token: Shown::Wrong, txn: Shown::Right, rollback: false };
    assert_eq!(ask(&mut run, wrong), Err(Refusal::FencingMismatch(FencingToken(1))));
}

#[test]
fn until_somebody_writes_its_end_a_late_holder_goes_on() {
    for op in [renew(0), PUT, STAGE, release(0, false), acquire(0)] {
        let (answer, written) = ask_at(&mut after(&[acquire(0)]), op, Age::Long);
        assert!(answer.is_ok() && written, "{op:?}: {answer:?}");
    }
}

#[test]
fn an_update_is_answered_from_memory_when_its_lease_is_over() {
    let mut run = after(&[acquire(0), PUT, release(0, false), acquire(1)]);
    let again = update(0, Shown::Not, 0, What::Inline(0));
    let first =
        Outcome::Updated { version: Version(1), etag: Some(inline(0).etag), bytes: inline(0).len, changed: true };
    assert_eq!(ask_at(&mut run, again, Age::Zero), (Ok(first), false));
    assert_eq!(
        ask(&mut run, update(0, Shown::Not, 0, What::Remove)),
        Err(Refusal::RequestIdReused),
        "put, then remove"
    );
    assert_eq!(ask(&mut run, update(0, Shown::Not, 1, What::Remove)), Err(Refusal::LeaseReleased), "a new request");
}

#[test]
fn an_edit_is_remembered_by_what_it_asked_for() {
    let edit = |id, n| update(0, Shown::Not, id, What::Edit(n));
    let mut run = after(&[acquire(0), PUT]);
    let first = ask(&mut run, edit(1, 2));
    let Ok(Outcome::Updated { version: Version(2), etag: Some(made), .. }) = first.clone() else { panic!("{first:?}") };
    // By now it would make another state, and it gets its first answer all the same, when its lease is over too.
    for over in [None, Some(release(0, false)), Some(acquire(1))] {
        over.map(|op| ask(&mut run, op));
        assert_eq!(ask_at(&mut run, edit(1, 2), Age::Zero), (first.clone(), false));
        assert_eq!(ask(&mut run, edit(1, 3)), Err(Refusal::RequestIdReused), "other edits");
        let same_state = update(0, Shown::Not, 1, What::Inline(3));
        assert_eq!(inline(3).etag, made);
        assert_eq!(ask(&mut run, same_state), Err(Refusal::RequestIdReused), "the state that they made");
        assert_eq!(ask(&mut run, edit(0, 0)), Err(Refusal::RequestIdReused), "edits after a put");
        for (id, n, wanted) in [
            (1, 2, first.clone().map(Some)),
            (1, 3, Err(Refusal::RequestIdReused)),
            (0, 2, Err(Refusal::RequestIdReused)),
            (9, 2, Ok(None)),
        ] {
            let asked = edits(What::Edit(n)).unwrap();
            assert_eq!(edited_before(&run.record, &request_id(id), &asked), wanted, "before they are made: {id} {n}");
        }
    }
}

#[test]
fn a_remove_is_remembered_apart_from_a_put() {
    let mut run = after(&[acquire(0), PUT, update(0, Shown::Not, 1, What::Remove)]);
    let removed = Outcome::Updated { version: Version(2), etag: None, bytes: 0, changed: true };
    assert_eq!(ask(&mut run, update(0, Shown::Not, 1, What::Remove)), Ok(removed));
    assert_eq!(ask(&mut run, update(0, Shown::Not, 1, What::Inline(0))), Err(Refusal::RequestIdReused));
    let nothing = Outcome::Updated { version: Version(2), etag: None, bytes: 0, changed: false };
    let no_op = update(0, Shown::Not, 2, What::Remove);
    assert_eq!(ask_at(&mut run, no_op, Age::Zero), (Ok(nothing), false), "a no-op writes nothing");
}

#[test]
fn a_replayed_acquire_tells_of_the_takeover_again_and_raises_the_ttl() {
    let mut run = after(&[acquire(0)]);
    let taken_over = |(answer, written): (Answer, bool)| match answer {
        Ok(Outcome::Granted { lease, taken_over, .. }) => (lease.token.0, lease.ttl.millis(), taken_over, written),
        answer => panic!("{answer:?}"),
    };
    assert_eq!(taken_over(ask_at(&mut run, acquire(1), Age::Takeover)), (2, 30_000, true, true));
    let longer = Op::Acquire { who: Who::Id(1), secs: 60, epoch: 0, unused: true };
    assert_eq!(taken_over(ask_at(&mut run, longer, Age::Zero)), (2, 60_000, true, true));
    assert_eq!(taken_over(ask_at(&mut run, acquire(1), Age::Zero)), (2, 60_000, true, true), "the TTL never falls");
}

#[test]
fn tokens_skip_to_the_epoch_at_grants_and_breaks_only() {
    let mut run =
        after(&[acquire(0), release(0, false), Op::Acquire { who: Who::Id(1), secs: 30, epoch: 2, unused: false }]);
    assert_eq!(run.record.token, FencingToken(2 << 32));
    let again = Op::Acquire { who: Who::Id(1), secs: 30, epoch: 3, unused: false };
    assert!(ask(&mut run, again).is_ok());
    assert_eq!((run.record.token, run.record.epoch), (FencingToken(2 << 32), 2), "a renewal keeps its token");
    assert!(ask(&mut run, Op::Break { who: Who::Id(1), epoch: 3 }).is_ok());
    assert_eq!((run.record.token, run.record.epoch), (FencingToken(3 << 32), 3));
    assert!(ask(&mut run, acquire(2)).is_ok());
    assert_eq!(
        (run.record.token, run.record.epoch),
        (FencingToken((3 << 32) + 1), 3),
        "an old reader does not lower it"
    );
}

/// The answer to a request at a record near the end of the numbers; the log cannot count so far.
fn at_the_end(run: &Run, op: Op) -> Answer {
    let request = run.request(op).unwrap();
    run.check(&request, Duration::MAX, &step, Nets::Invariants).unwrap_or_else(|caught| panic!("{caught}")).0.answer
}

#[test]
fn numbers_end_in_a_refusal() {
    let mut free = after(&[acquire(0), release(0, false)]);
    (free.record.token, free.record.ended[0].token) = (FencingToken(NUMBER_MAX - 1), FencingToken(NUMBER_MAX - 1));
    assert!(matches!(at_the_end(&free, acquire(1)), Ok(Outcome::Granted { .. })), "the last token");
    (free.record.token, free.record.ended[0].token) = (FencingToken(NUMBER_MAX), FencingToken(NUMBER_MAX));
    assert_eq!(at_the_end(&free, acquire(1)), Err(Refusal::Exhausted));

    let mut held = after(&[acquire(0)]);
    held.record.token = FencingToken(NUMBER_MAX);
    held.record.lease.as_mut().unwrap().token = FencingToken(NUMBER_MAX);
    assert_eq!(at_the_end(&held, Op::Break { who: Who::Id(0), epoch: 0 }), Err(Refusal::Exhausted));
    assert_eq!(at_the_end(&held, acquire(1)), Err(Refusal::Exhausted), "a takeover");
    assert_eq!(at_the_end(&held, Op::Expire { who: Who::Id(0) }), Ok(Outcome::Expired), "but it can end");
    assert!(at_the_end(&held, renew(0)).is_ok());

    let mut held = after(&[acquire(0)]);
    held.record.beat = NUMBER_MAX - 1;
    assert!(at_the_end(&held, renew(0)).is_ok(), "the last beat");
    held.record.beat = NUMBER_MAX;
    assert_eq!(at_the_end(&held, renew(0)), Err(Refusal::Exhausted));
    assert_eq!(at_the_end(&held, acquire(0)), Err(Refusal::Exhausted));
    held.record.last_version = Version(NUMBER_MAX);
    assert_eq!(at_the_end(&held, PUT), Err(Refusal::Exhausted));
    assert_eq!(at_the_end(&held, release(0, false)), released(0), "what needs no number goes on");

    let epoch = |epoch| Op::Acquire { who: Who::Id(0), secs: 30, epoch, unused: false };
    assert!(at_the_end(&Run::new(), epoch(i32::MAX as u32)).is_ok());
    assert_eq!(at_the_end(&Run::new(), epoch(1 << 31)), Err(Refusal::Exhausted));
}

#[test]
fn a_knock_is_answered_by_its_waiters_grant_and_a_reservation_ends_with_any() {
    // Number 3 has knocked already.
    let claims = |run: &Run| (run.record.knock.is_some(), run.record.reserved.is_some());
    let mut run = after(&[acquire(1)]);
    assert_eq!(claims(&run), (true, false), "a grant to another leaves the knock");
    assert!(ask(&mut run, Op::ReleaseReserving { who: Who::Id(1) }).is_ok());
    assert_eq!(claims(&run), (false, true), "the free key is kept for who had knocked");
    let yielding = |n| Op::AcquireYielding { who: Who::Id(n) };
    for (asks, granted) in [(yielding(5), false), (yielding(3), true), (acquire(5), true)] {
        let mut run = after(&[acquire(1), Op::ReleaseReserving { who: Who::Id(1) }]);
        assert_eq!(ask(&mut run, asks).is_ok(), granted, "{asks:?}");
        assert_eq!(claims(&run), (false, !granted), "any grant ends it");
    }
    let mut run = after(&[acquire(3)]);
    assert_eq!(claims(&run), (false, false), "its own grant answers a knock");
    assert_eq!(ask(&mut run, Op::Knock { who: Who::Id(5) }), Ok(Outcome::Knocked(true)));
    assert_eq!(ask(&mut run, Op::Knock { who: Who::Id(6) }), Ok(Outcome::Knocked(false)), "there is one slot");
    assert!(ask(&mut run, release(3, false)).is_ok());
    assert_eq!(claims(&run), (true, false), "a release that was not asked to keeps it for nobody");
}

#[test]
fn a_key_that_was_written_but_never_granted_is_unused() {
    let mut run = Run::new();
    run.record = run.record.sealed(write_id(1));
    let unused = Op::Acquire { who: Who::Id(0), secs: 30, epoch: 0, unused: true };
    assert!(ask(&mut run, unused).is_ok(), "a killed write leaves such a record");
}

#[test]
fn who_wants_an_unused_key_gets_it_once_and_finds_its_own_lease() {
    let unused = |n| Op::Acquire { who: Who::Id(n), secs: 30, epoch: 0, unused: true };
    let mut run = after(&[unused(0), unused(0)]);
    assert_eq!(run.record.token, FencingToken(1));
    assert_eq!(ask(&mut run, unused(1)), Err(Refusal::AlreadyExists));
    assert!(ask(&mut run, release(0, false)).is_ok());
    assert_eq!(ask(&mut run, unused(1)), Err(Refusal::AlreadyExists), "once used, never unused again");
    assert_eq!(ask(&mut run, unused(0)), Err(Refusal::LeaseEnded(How::Released)));
}
