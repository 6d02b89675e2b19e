//! Records that cannot be: each rule of one record is broken once, and is named; none is written, none is read.

use std::collections::BTreeSet;

use lockd::clock::UnixMillis;
use lockd::error::ErrorKind;
use lockd::lease::invariants::{Broken, check};
use lockd::lease::step;
use lockd::limits::NUMBER_MAX;
use lockd::model::{FencingToken, Key, Namespace, Record, Reserved, StateEtag, StateRef, Unknown, Version, Versioned};

use super::requests::{Age, Guard, Op, Shown, What, Who, blob, inline, lease_id, request, write_id};
use super::run::{Nets, Run};
use super::search::all;

/// A record that holds something of everything: writes, changes, ends, a lease, a staged blob, a committed one and the one
/// before it.
pub fn rich() -> Record {
    let (token, txn, guard) = (Shown::Right, Shown::Not, Guard::None);
    let acquire = |n| Op::Acquire { who: Who::Id(n), secs: 30, epoch: 0, unused: false };
    let change = |id, what| Op::Update { who: Who::Present, token, txn, id, what, guard };
    let release = |rollback| Op::Release { who: Who::Present, token, txn: Shown::Right, rollback };
    let staged = |id, what| Op::Update { who: Who::Present, token, txn: Shown::Right, id, what, guard };
    let history = [
        acquire(0),
        change(0, What::Inline(0)),
        release(false),
        acquire(1),
        change(1, What::Blob(1)),
        change(2, What::Blob(2)),
        Op::Expire { who: Who::Present },
        acquire(2),
        staged(3, What::Inline(1)),
        release(true),
        acquire(4),
        Op::Renew { who: Who::Present, token, txn, secs: 60 },
        staged(4, What::Blob(4)),
    ];
    let mut run = Run::new();
    run.all(&history.map(|op| (op, Age::Long)), &step, Nets::Both).unwrap();
    assert_eq!((run.record.done.len(), run.record.ended.len(), run.record.recent.len()), (5, 3, 12));
    run.record
}

fn staged(r: &mut Record) -> &mut Versioned {
    r.staged.as_mut().unwrap()
}

fn put(r: &mut Record, state: StateRef) {
    staged(r).state = Some(state);
}

fn previous(r: &mut Record, key: &Key, token: u64) {
    r.previous = blob(key.hash(), FencingToken(token), 9).blob().cloned();
}

type Break = fn(&mut Record);

const BREAKS: &[(&str, Break)] = &[
    ("a number is too large", |r| r.last_version.0 = NUMBER_MAX + 1),
    ("a number is too large", |r| r.token.0 = NUMBER_MAX + 1),
    ("a number is too large", |r| r.beat = NUMBER_MAX + 1),
    ("a number is too large", |r| r.revision = NUMBER_MAX + 1),
    ("the token is below its epoch", |r| r.epoch = 1),
    ("a written record has a revision and a write id", |r| r.write_id = None),
    ("a written record has a revision and a write id", |r| r.revision = 0),
    ("token and beat begin with the first grant", |r| r.beat = 0),
    ("something is staged without a lease", |r| r.lease = None),
    ("the lease's token is not the highest", |r| r.lease.as_mut().unwrap().token.0 -= 1),
    ("the lease's token is not the highest", |r| r.token.0 += 1),
    ("the key is held and reserved", |r| {
        r.reserved = Some(Reserved { waiter: lease_id(9), unknown: Unknown::new() });
    }),
    ("the committed version was never given out", |r| r.committed.version.0 = r.last_version.0 + 1),
    ("a state was changed before the first grant", |r| {
        (r.token.0, r.beat, r.lease, r.staged) = (0, 0, None, None);
    }),
    ("a run succeeded before the first grant", |r| {
        r.last_success = Some(UnixMillis(1));
        (r.token.0, r.beat, r.lease, r.staged) = (0, 0, None, None);
    }),
    ("there is a state without a version", |r| r.committed.version = Version(0)),
    ("the staged version was never given out", |r| staged(r).version.0 += 1),
    ("the staged change is not newer than the committed one", |r| staged(r).version = r.committed.version),
    ("an ETag is not a SHA-256", |r| put(r, StateRef { etag: StateEtag::from_caller("x"), ..inline(0) })),
    ("an ETag is not a SHA-256", |r| {
        let upper = inline(0).etag.as_str().to_uppercase();
        put(r, StateRef { etag: StateEtag::from_caller(&upper), ..inline(0) });
    }),
    ("an inline state has another length", |r| put(r, StateRef { len: 9, ..inline(0) })),
    ("a blob belongs to another key", |r| previous(r, &Key::new(Namespace::default(), "other").unwrap(), 1)),
    ("a blob's token was never given out", |r| previous(r, &r.key.clone(), r.token.0 + 1)),
    ("a blob's token was never given out", |r| previous(r, &r.key.clone(), 0)),
    ("a blob is named twice", |r| r.previous = r.committed.blob().cloned()),
    ("the staged blob is not the present lease's", |r| put(r, blob(r.key.hash(), FencingToken(r.token.0 - 1), 9))),
    ("too many writes are remembered", |r| {
        r.revision = 100;
        r.recent = (67..100).map(|n| (write_id(n + 100), n)).collect();
    }),
    ("the remembered writes have a gap", |r| r.revision += 1),
    ("the remembered writes have a gap", |r| r.recent.retain(|(_, revision)| *revision != 3)),
    ("a remembered write has no revision", |r| r.recent.push_front((write_id(99), 0))),
    ("a write id is there twice", |r| r.recent[0].0 = r.write_id.unwrap()),
    ("too many requests are remembered", |r| r.done = (0..9).map(|_| r.done[0].clone()).collect()),
    ("a request is remembered twice", |r| r.done[0].id = r.done[1].id.clone()),
    ("remembered versions do not rise", |r| r.done[0].version = r.done[1].version),
    ("a remembered version was never given out", |r| r.done.back_mut().unwrap().version.0 += 1),
    ("a remembered version was never given out", |r| r.done[0].version.0 = 0),
    ("tokens of remembered requests fall", |r| {
        let newest = r.done.back().unwrap().token.0;
        r.done[0].token = FencingToken(newest + 1);
    }),
    ("a remembered token was never given out", |r| r.done.back_mut().unwrap().token = FencingToken(r.token.0 + 1)),
    ("a remembered token was never given out", |r| r.done[0].token = FencingToken(0)),
    ("too many ended leases are remembered", |r| r.ended = (0..9).map(|_| r.ended[0].clone()).collect()),
    ("a lease ended twice", |r| r.ended[0].id = r.ended[1].id.clone()),
    ("the present lease has ended", |r| r.ended[0].id = r.lease.as_ref().unwrap().id.clone()),
    ("tokens of ended leases do not rise", |r| r.ended[1].token = r.ended[2].token),
    ("an ended lease has no token", |r| r.ended[0].token = FencingToken(0)),
    ("the last ended lease does not fit the token", |r| r.ended[2].token = r.token),
    ("the last ended lease does not fit the token", |r| (r.lease, r.staged) = (None, None)),
    ("a lease ended at a later version", |r| r.ended[2].version.0 = r.committed.version.0 + 1),
    ("committed versions of ended leases fall", |r| r.ended[1].version = Version(0)),
    ("a release committed and discarded", |r| r.ended[0].discarded = true),
];

#[test]
fn each_rule_of_a_record_is_seen_to_break() {
    assert_eq!(check(&rich()), Ok(()));
    for (rule, break_it) in BREAKS {
        let mut record = rich();
        break_it(&mut record);
        assert_eq!(check(&record), Err(Broken(rule)));
        let error = record.encode().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{rule}: {error}");
    }
}

/// The rules are read from the source, so that none is added without a record that breaks it.
#[test]
fn no_rule_of_a_record_is_left_out() {
    let source = include_str!("../../src/model/rules.rs");
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let named: BTreeSet<&str> = code.split('"').skip(1).step_by(2).collect();
    let broken: BTreeSet<&str> = BREAKS.iter().map(|(rule, _)| *rule).collect();
    assert!(named.len() > 20);
    assert_eq!(named, broken);
}

/// Decode lets none of these in, but `step` is total: it answers, whatever it is given.
#[test]
fn step_is_total_even_on_records_that_cannot_be() {
    let beyond: Break = |r| {
        (r.token.0, r.beat, r.last_version.0, r.epoch) = (u64::MAX, u64::MAX, u64::MAX, u32::MAX);
        r.lease.as_mut().unwrap().token = r.token;
    };
    let mut answers = 0;
    for (rule, break_it) in BREAKS.iter().chain([&("beyond the end of all numbers", beyond)]) {
        let mut record = rich();
        break_it(&mut record);
        for (op, age) in all() {
            let request = request(op, &record, &[], 0).unwrap();
            let step = step(&record, &request, age);
            assert!(step.answer.is_ok() || step.write.is_none(), "{rule}: a refusal writes");
            answers += 1;
        }
    }
    assert!(answers > 1_000, "{answers}");
}
