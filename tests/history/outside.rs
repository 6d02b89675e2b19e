//! Histories from files: `LOCKD_HISTORY_CHECK=FILE` checks one.

use std::path::Path;

use lockd::limits::ENDED_LEASES;

use super::{Answer, Event, Op, What, Wrote, check, read};

#[test]
fn of_a_file() {
    let Some(path) = std::env::var_os("LOCKD_HISTORY_CHECK") else { return };
    let figures = check(&read(Path::new(&path))).unwrap_or_else(|why| panic!("{why}"));
    println!("{figures:?}");
    assert_eq!(figures.undecided, 0, "keys whose search was given up");
}

/// A history by hand: who, when it asks, what, when it is answered.
pub fn history(calls: &[(usize, Op, usize, Answer)]) -> Vec<Event> {
    let mut moments = Vec::new();
    for (n, (begins, op, ends, answer)) in calls.iter().enumerate() {
        moments.push((*begins, n, What::Invoke(op.clone())));
        moments.push((*ends, n, What::Return(answer.clone())));
    }
    moments.sort_by_key(|(at, ..)| *at);
    let event =
        |(at, n, what)| Event { run: None, at: at as u64, by: "p".into(), call: n as u64, key: "k".into(), what };
    moments.into_iter().map(event).collect()
}

fn acquire(lease: &str) -> Op {
    Op::Acquire { lease: lease.into() }
}

fn granted(token: u64, version: u64) -> Answer {
    Answer::Granted { token, version, provisional: false }
}

fn update(lease: &str, token: u64, request: &str) -> Op {
    Op::Update { lease: lease.into(), token, request: request.into(), txn: false, remove: false }
}

fn updated(version: u64) -> Answer {
    Answer::Updated { version, etag: Some(format!("e{version}")), changed: true }
}

fn release(lease: &str, token: u64) -> Op {
    Op::Release { lease: lease.into(), token: Some(token), txn: false, rollback: false }
}

fn get() -> Op {
    Op::Get { proof: None }
}

fn state(version: u64) -> Answer {
    Answer::State { version, etag: format!("e{version}") }
}

fn unknown() -> Answer {
    Answer::Unknown { why: "silent".into() }
}

#[test]
fn good_histories_pass() {
    let plain = [
        (1, acquire("a"), 2, granted(1, 0)),
        (3, update("a", 1, "r"), 6, updated(1)),
        (4, get(), 5, Answer::NoState),
        (7, get(), 8, state(1)),
        (9, release("a", 1), 10, Answer::Released { version: 1 }),
        (11, acquire("b"), 12, granted(2, 1)),
    ];
    assert_eq!(check(&history(&plain)).map(|figures| figures.undecided), Ok(0));
    let doubtful = [
        (1, acquire("a"), 2, granted(1, 0)),
        (3, update("a", 1, "r"), 4, unknown()),
        (5, get(), 6, Answer::NoState),
        (7, get(), 8, state(1)),
        (9, acquire("c"), 10, unknown()),
        (11, acquire("b"), 12, granted(3, 1)),
    ];
    assert_eq!(check(&history(&doubtful)).map(|figures| figures.unanswered), Ok(2));
}

/// One lease, so many others after it, and the first again.
fn granted_again(others: u64) -> Vec<(usize, Op, usize, Answer)> {
    let mut calls = Vec::new();
    let names = std::iter::once("a".to_owned()).chain((0..others).map(|n| format!("b{n}")));
    for (n, lease) in names.enumerate() {
        let (at, token) = (4 * n, n as u64 + 1);
        calls.push((at, acquire(&lease), at + 1, granted(token, 0)));
        calls.push((at + 2, release(&lease, token), at + 3, Answer::Released { version: 0 }));
    }
    let at = 4 * calls.len();
    calls.push((at, acquire("a"), at + 1, granted(others + 2, 0)));
    let renew = Op::Renew { lease: "a".into(), token: others + 2 };
    calls.push((at + 2, renew, at + 3, Answer::Renewed));
    calls
}

#[test]
fn a_lease_is_granted_again_once_it_is_forgotten_and_not_before() {
    let remembered = ENDED_LEASES as u64;
    assert!(check(&history(&granted_again(remembered))).is_ok());
    assert!(check(&history(&granted_again(remembered - 1))).is_err());
}

/// A grant that is to be confirmed, perhaps is, and is over when its holder releases it.
fn provisional(renewed: bool) -> Vec<(usize, Op, usize, Answer)> {
    let mut calls = vec![(1, acquire("a"), 2, Answer::Granted { token: 1, version: 0, provisional: true })];
    if renewed {
        calls.push((3, Op::Renew { lease: "a".into(), token: 1 }, 4, Answer::Renewed));
    }
    calls.push((5, acquire("b"), 6, granted(2, 0)));
    calls.push((7, release("a", 1), 8, Answer::Released { version: 0 }));
    calls
}

#[test]
fn a_grant_is_given_back_while_it_is_not_confirmed_and_never_after() {
    assert!(check(&history(&provisional(false))).is_ok());
    assert!(check(&history(&provisional(true))).is_err());
}

/// One acquire that was granted token 1 in the store while its server was away, and is told of another when so many leases had
/// ended since that the first was forgotten.
fn granted_twice_in_one_call() -> (Vec<Event>, Vec<Event>) {
    let others = ENDED_LEASES + 1;
    let told = others as u64 + 2;
    let mut calls = vec![(0, acquire("a"), 100 * others, granted(told, 0))];
    let mut writes = vec![(1, Some("a".to_owned()), 1)];
    for n in 0..others {
        let (at, lease, token) = (100 * n, format!("b{n}"), n as u64 + 2);
        calls.push((at + 10, acquire(&lease), at + 30, granted(token, 0)));
        writes.push((at + 20, Some(lease.clone()), token));
        calls.push((at + 40, release(&lease, token), at + 60, Answer::Released { version: 0 }));
        writes.push((at + 50, None, token));
    }
    writes.push((100 * others - 1, Some("a".to_owned()), told));
    let alone = history(&calls);
    let mut all = alone.clone();
    for (n, (at, lease, token)) in writes.into_iter().enumerate() {
        let before = n.checked_sub(1).map(|before| format!("w{before}"));
        let (write, revision) = (format!("w{n}"), n as u64 + 1);
        let wrote =
            Wrote { write, before, revision, token, lease, committed: 0, last: 0, request: None, expired: None };
        let event = Event {
            run: None,
            at: at as u64,
            by: "p".into(),
            call: revision,
            key: "k".into(),
            what: What::Wrote(wrote),
        };
        all.push(event);
    }
    all.sort_by_key(|event| event.at);
    (alone, all)
}

#[test]
fn a_call_may_be_granted_a_second_time_where_the_writes_say_so() {
    let (alone, all) = granted_twice_in_one_call();
    assert_eq!(check(&all).map(|figures| figures.undecided), Ok(0));
    assert!(check(&alone).is_err(), "and nowhere else");
}

#[test]
fn bad_histories_do_not() {
    let (a, granted_a) = ((1, acquire("a"), 2, granted(1, 0)), granted(1, 0));
    let bad: Vec<(&str, Vec<_>)> = vec![
        ("a token twice", vec![a.clone(), (3, acquire("b"), 4, granted_a.clone())]),
        ("a skipped token", vec![a.clone(), (3, acquire("b"), 4, granted(3, 0))]),
        ("a lost update", vec![a.clone(), (3, update("a", 1, "r"), 4, updated(1)), (5, get(), 6, Answer::NoState)]),
        (
            "a fenced-off write",
            vec![a.clone(), (3, acquire("b"), 4, granted(2, 0)), (5, update("a", 1, "r"), 6, updated(1))],
        ),
        (
            "a write after the release",
            vec![
                a.clone(),
                (3, release("a", 1), 4, Answer::Released { version: 0 }),
                (5, update("a", 1, "r"), 6, updated(1)),
            ],
        ),
        ("a grant of what ended", {
            let released = (3, release("a", 1), 4, Answer::Released { version: 0 });
            vec![a.clone(), released, (5, acquire("a"), 6, granted(2, 0))]
        }),
        ("an applied failure", {
            let failed = (3, update("a", 1, "r"), 4, Answer::Failed { why: "Unavailable".into() });
            vec![a.clone(), failed, (5, get(), 6, state(1))]
        }),
        ("busy without a holder", {
            let busy = Answer::Refused { why: "Busy".into(), holder: Some("z".into()) };
            vec![a.clone(), (3, acquire("b"), 4, busy)]
        }),
        ("a stale read", {
            let (one, two) = ((3, update("a", 1, "r"), 4, updated(1)), (5, update("a", 1, "s"), 6, updated(2)));
            vec![a.clone(), one, two, (7, get(), 8, state(1))]
        }),
    ];
    for (what, calls) in bad {
        assert!(check(&history(&calls)).is_err(), "{what} passes");
    }
}
