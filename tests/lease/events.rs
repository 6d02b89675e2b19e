//! Events between two looks at a record: what is told adds up to what is there, whatever happened in between and however much
//! of it was merged.

use std::time::Duration;

use lockd::lease::{Look, Outcome, Request, events, step};
use lockd::limits::takeover_age;
use lockd::model::{FencingToken, Record};
use lockd::service::{Event, EventKind as Kind};
use proptest::prelude::*;

use super::requests::{Age, Guard, Op, Shown, What, Who, ttl};
use super::run::{Nets, Run, history, runner};

/// What somebody knows who reads only events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    held: Option<FencingToken>,
    version: u64,
    state: bool,
}

fn known(look: Look<'_>) -> Known {
    Known {
        held: look.record.lease.as_ref().filter(|_| !look.lapsed).map(|lease| lease.token),
        version: look.record.committed.version.0,
        state: look.record.committed.state.is_some(),
    }
}

/// Reads one event on; what cannot follow is an error.
fn read(known: Known, event: &Event) -> Result<Known, String> {
    let bad = |why: &str| Err(format!("{why}: {event:?} after {known:?}"));
    let mut next = known;
    match event.kind {
        Kind::Acquired if known.held.is_some() => return bad("two hold it"),
        Kind::Acquired => next.held = Some(event.token),
        Kind::Expired if known.held != Some(event.token) => return bad("who does not hold it expires"),
        Kind::Released | Kind::Expired | Kind::Broken => {
            if known.held.is_some_and(|held| held != event.token) {
                return bad("another's lease ends");
            }
            next.held = None;
        }
        Kind::Updated | Kind::Removed => {
            if event.version.0 <= known.version {
                return bad("a change is told twice");
            }
            (next.version, next.state) = (event.version.0, event.kind == Kind::Updated);
        }
    }
    if event.version.0 != next.version { bad("the version is another") } else { Ok(next) }
}

/// What is told between two looks, when it adds up.
fn told(before: Look<'_>, after: Look<'_>) -> Result<Vec<Event>, String> {
    let events = events(before, after);
    let end = events.iter().try_fold(known(before), read)?;
    let wanted = known(after);
    if end != wanted {
        return Err(format!("{events:?} leads from {:?} to {end:?}, there is {wanted:?}", known(before)));
    }
    Ok(events)
}

/// The looks that can be made of two records: a lease that has lapsed stays so until its next sign of life.
fn looks<'a>(before: &'a Record, after: &'a Record) -> impl Iterator<Item = (Look<'a>, Look<'a>)> {
    let ways = |record: &Record| if record.lease.is_some() { vec![false, true] } else { vec![false] };
    let same_sign = before.lease.is_some() && (before.token, before.beat) == (after.token, after.beat);
    let pairs = ways(before).into_iter().flat_map(move |a| ways(after).into_iter().map(move |b| (a, b)));
    pairs
        .filter(move |(a, b)| !(same_sign && *a && !*b))
        .map(move |(a, b)| (Look { record: before, lapsed: a }, Look { record: after, lapsed: b }))
}

/// The requests that end, begin and change something, few enough for every history of four.
fn alphabet() -> Vec<(Op, Duration)> {
    let old = takeover_age(ttl(2).duration());
    let present = Who::Present;
    let right = Shown::Right;
    let acquire = |n| Op::Acquire { who: Who::Id(n), secs: 2, epoch: 0, unused: false };
    let update = |txn, id, what| Op::Update { who: present, token: right, txn, id, what, guard: Guard::None };
    let release = |rollback| Op::Release { who: present, token: right, txn: right, rollback };
    let at_once = [
        acquire(0),
        acquire(1),
        Op::Renew { who: present, token: right, txn: Shown::Not, secs: 2 },
        release(false),
        release(true),
        Op::Break { who: present, epoch: 0 },
        update(Shown::Not, 0, What::Inline(0)),
        update(Shown::Not, 1, What::Remove),
        update(right, 2, What::Inline(1)),
        update(right, 3, What::Remove),
    ];
    let mut letters: Vec<_> = at_once.map(|op| (op, Duration::ZERO)).into();
    letters.extend([(acquire(2), old), (acquire(3), old), (Op::Expire { who: present }, old)]);
    letters
}

/// Every history of the small world up to a depth, each record of it compared with each one before it.
fn walk(run: &Run, past: &mut Vec<Record>, depth: usize, letters: &[(Op, Duration)], seen: &mut usize) {
    for earlier in past.iter() {
        for (before, after) in looks(earlier, &run.record) {
            told(before, after).unwrap_or_else(|why| panic!("{why}"));
            *seen += 1;
        }
    }
    if depth == 0 {
        return;
    }
    past.push(run.record.clone());
    for (op, age) in letters {
        let Some(request) = run.request(*op) else { continue };
        let made = step(&run.record, &request, *age);
        if made.write.is_some() {
            let mut next = run.clone();
            next.go_on(made.write, vec![]);
            walk(&next, past, depth - 1, letters, seen);
        }
    }
    past.pop();
}

#[test]
fn what_is_told_adds_up_in_every_small_history() {
    let letters = alphabet();
    let mut seen = 0;
    // From a key never used, and from one with a state, so that there is something to change at once.
    walk(&Run::new(), &mut vec![], 5, &letters, &mut seen);
    let mut used = Run::new();
    let ops = [(letters[0].0, Age::Zero), (letters[6].0, Age::Zero), (letters[3].0, Age::Zero)];
    used.all(&ops, &step, Nets::Both).unwrap();
    walk(&used, &mut vec![], 4, &letters, &mut seen);
    assert!(seen > 20_000, "{seen} pairs of looks");
}

#[test]
fn what_is_told_adds_up_in_long_histories() {
    let picks = prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 12);
    let outcome = runner(200).run(&(history(60), picks), |(history, picks)| {
        let mut run = Run::new();
        let mut records = vec![run.record.clone()];
        for (op, age) in history {
            let Some(request) = run.request(op) else { continue };
            run.make(&request, age.of(&run.record), &step, Nets::Invariants).unwrap();
            records.push(run.record.clone());
        }
        for (a, b) in picks {
            let (a, b) = (a.index(records.len()), b.index(records.len()));
            for (before, after) in looks(&records[a.min(b)], &records[a.max(b)]) {
                told(before, after).map_err(TestCaseError::fail)?;
            }
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Who looks after every step hears of each by its name.
#[test]
fn each_step_is_told_as_what_it_was() {
    let outcome = runner(300).run(&history(60), |history| {
        let mut run = Run::new();
        for (op, age) in history {
            let Some(request) = run.request(op) else { continue };
            let before = run.record.clone();
            let made = run.make(&request, age.of(&run.record), &step, Nets::Invariants).unwrap();
            let looks = [&before, &run.record].map(|record| Look { record, lapsed: false });
            let heard: Vec<Kind> = events(looks[0], looks[1]).iter().map(|event| event.kind).collect();
            prop_assert_eq!(
                heard,
                wanted(&before, &request, made.write.is_some(), made.answer.as_ref().ok(), &run.record)
            );
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

fn wanted(before: &Record, request: &Request, wrote: bool, outcome: Option<&Outcome>, after: &Record) -> Vec<Kind> {
    let changed = before.committed.version != after.committed.version;
    let change = if after.committed.state.is_some() { Kind::Updated } else { Kind::Removed };
    let change = changed.then_some(change);
    match (request, outcome) {
        _ if !wrote => vec![],
        (Request::Acquire(r), _) => match &before.lease {
            None => vec![Kind::Acquired],
            Some(lease) if lease.id == r.lease_id => vec![],
            Some(_) => vec![Kind::Expired, Kind::Acquired],
        },
        (Request::Release(_), _) => change.into_iter().chain([Kind::Released]).collect(),
        (Request::Expire(_), _) => vec![Kind::Expired],
        (Request::Break(_), _) => vec![Kind::Broken],
        (Request::Update(_), _) => change.into_iter().collect(),
        (Request::Renew(_) | Request::Admit(_) | Request::Knock(_), _) => vec![],
    }
}

#[test]
fn who_broke_a_lease_and_why_is_told() {
    let mut run = Run::new();
    let ops =
        [Op::Acquire { who: Who::Id(0), secs: 2, epoch: 0, unused: false }, Op::Break { who: Who::Present, epoch: 0 }];
    let never = run.record.clone();
    run.all(&ops.map(|op| (op, Age::Zero)), &step, Nets::Both).unwrap();
    let looks = [&never, &run.record].map(|record| Look { record, lapsed: false });
    let [acquired, broken] = &events(looks[0], looks[1])[..] else { panic!("two events") };
    assert_eq!(
        (acquired.kind, acquired.token, broken.kind, broken.token),
        (Kind::Acquired, FencingToken(1), Kind::Broken, FencingToken(1))
    );
    assert_eq!(broken.by.as_ref().unwrap().as_str(), "operator");
    assert_eq!(broken.reason.as_ref().unwrap().as_str(), "stuck");
}

#[test]
fn every_kind_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), Kind::ALL.len());
}
