//! Random histories: several clients, replays, delayed duplicates, any age, any epoch, with and without transaction and guards.

use std::time::Duration;

use lockd::lease::{Outcome, Refusal, Request, Step, step};
use lockd::limits::{DONE_REQUESTS, ENDED_LEASES};
use lockd::model::Record;
use lockd::service::Released;
use proptest::prelude::*;

use super::requests::{Age, Op};
use super::run::{Nets, Run, age, history, op, runner};
use crate::support::full;

fn cases(what: &str, quick: u32, long: u32) -> u32 {
    if full(&format!("{long} histories of {what}, instead of {quick}")) { long } else { quick }
}

#[test]
fn random_histories_keep_the_rules_and_match_the_reference_model() {
    let mut runner = runner(cases("the rules", 2_000, 60_000));
    let outcome = runner.run(&history(90), |history| {
        Run::new().all(&history, &step, Nets::Both).map_err(|caught| TestCaseError::fail(caught.to_string()))
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

type Made = (Op, Age);

/// A prefix, one request, what comes between, and the request again.
fn replays(between: usize) -> impl Strategy<Value = (Vec<Made>, Made, Vec<Made>, Age)> {
    (history(40), (op(), age()), prop::collection::vec((op(), age()), 0..between), age())
}

#[test]
fn a_repeated_request_gets_its_first_answer() {
    let mut runner = runner(cases("repeated requests", 2_000, 60_000));
    let outcome = runner.run(&replays(14), |(before, (op, first_age), between, age)| {
        let fail = |why: String| TestCaseError::fail(why);
        let mut run = Run::new();
        run.all(&before, &step, Nets::Both).map_err(|caught| fail(caught.to_string()))?;
        let Some(request) = run.request(op) else { return Ok(()) };
        let first = run.make(&request, first_age.of(&run.record), &step, Nets::Both);
        let first = first.map_err(|caught| fail(caught.to_string()))?;
        let ends = run.record.ended.back().map(|last| last.token);
        let version = run.record.last_version;
        run.all(&between, &step, Nets::Both).map_err(|caught| fail(caught.to_string()))?;
        let age = age.of(&run.record);
        let again = step(&run.record, &request, age);
        if between.is_empty() && first.write.is_none() && first_age.of(&run.record) == age {
            prop_assert_eq!(&again, &first, "nothing happened in between");
        }
        let changes = run.record.last_version.0 - version.0;
        let newer_ends = run.record.ended.iter().filter(|end| Some(end.token) > ends).count();
        same_answer(&run, &request, &first, &again, changes < DONE_REQUESTS as u64, newer_ends < ENDED_LEASES)
            .map_err(fail)
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// What is promised of a request that was applied, while the record remembers it.
fn same_answer(
    run: &Run,
    request: &Request,
    first: &Step,
    again: &Step,
    change: bool,
    end: bool,
) -> Result<(), String> {
    let (Some(_), Ok(outcome)) = (&first.write, &first.answer) else { return Ok(()) };
    let fits = match (request, outcome) {
        (Request::Update(_), _) => !change || (again.write.is_none() && again.answer == first.answer),
        (Request::Release(_) | Request::Break(_) | Request::Expire(_), _) => {
            !end || (again.write.is_none() && again.answer == first.answer)
        }
        (Request::Acquire(r), Outcome::Granted { lease, taken_over, .. }) => match &run.record.lease {
            Some(present) if present.id == r.lease_id && present.token == lease.token => match &again.answer {
                Ok(Outcome::Granted { lease: now, taken_over: still, .. }) => {
                    now.token == lease.token && now.ttl >= lease.ttl && still == taken_over && again.write.is_some()
                }
                _ => false,
            },
            _ => !end || matches!(again.answer, Err(Refusal::LeaseEnded(_))),
        },
        _ => true,
    };
    if fits { Ok(()) } else { Err(format!("{request:?}\nfirst {:?}\nagain {:?}", first.answer, again.answer)) }
}

/// Nothing above would fail if histories never came anywhere: count what they reach.
#[test]
fn random_histories_reach_every_answer() {
    let mut seen = std::collections::BTreeMap::<String, u32>::new();
    let counted = std::cell::RefCell::new(&mut seen);
    let counting = |record: &Record, request: &_, age: Duration| {
        let step = step(record, request, age);
        let name = match &step.answer {
            Ok(Outcome::Updated { changed, .. }) => {
                format!("updated changed={changed} written={}", step.write.is_some())
            }
            Ok(Outcome::Granted { taken_over, .. }) => format!("granted over={taken_over}"),
            Ok(Outcome::Released(Released::AlreadyGone { how })) => format!("gone {how:?}"),
            answer => format!("{answer:?}").split(['(', ')', '{', ' ']).take(2).collect::<Vec<_>>().join(" "),
        };
        let name = format!("{} {name}", format!("{request:?}").split('(').next().unwrap());
        for (ring, full) in [("changes", record_is_full(record).0), ("ends", record_is_full(record).1)] {
            *counted.borrow_mut().entry(format!("forgets one of the {ring}")).or_default() +=
                u32::from(full && step.write.is_some());
        }
        *counted.borrow_mut().entry(name).or_default() += 1;
        step
    };
    let outcome = runner(800).run(&history(90), |history| {
        Run::new().all(&history, &counting, Nets::Both).map_err(|caught| TestCaseError::fail(caught.to_string()))
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    for (name, count) in &seen {
        println!("{count:>8} {name}");
    }
    assert!(seen.len() >= 40 && seen.values().all(|count| *count > 0), "only {} kinds of answer: {seen:?}", seen.len());
}

fn record_is_full(record: &Record) -> (bool, bool) {
    (record.done.len() == DONE_REQUESTS, record.ended.len() == ENDED_LEASES)
}
