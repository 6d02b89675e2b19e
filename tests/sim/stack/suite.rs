//! Many seeds, each twice: a short sample in every run, and the full amount.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use lockd::clock::{Clock, SystemClock};

use super::run::{Outcome, run};
use super::troubles::Trouble;
use crate::sim::counters::{Counter as C, Counters};
use crate::sim::run::Report;
use crate::sim::suite::{number, threads};
use crate::support;

/// What a full run amounts to.
const SEEDS: u64 = 250;
const REQUESTS: u64 = 100_000;

/// Totals over many seeds.
#[derive(Default)]
struct Totals {
    seeds: u64,
    simulated: u64,
    tally: BTreeMap<&'static str, u64>,
    counters: Counters,
    /// All hashes, in order of their seeds.
    hashes: BTreeMap<u64, u64>,
    broken: Vec<Report>,
}

impl Totals {
    fn add(&mut self, outcome: Outcome) {
        let Outcome { report, tally } = outcome;
        self.seeds += 1;
        self.simulated += report.simulated;
        self.counters.merge(&report.counters);
        self.hashes.insert(report.seed, report.hash);
        for (what, times) in tally {
            *self.tally.entry(what).or_default() += times;
        }
        if report.violation.is_some() {
            self.broken.push(report);
        }
    }

    fn told(&self, took: f64) -> String {
        let (seeds, seconds) = (self.seeds, self.simulated / 1_000_000_000);
        let requests = self.tally.get("requests").copied().unwrap_or_default();
        let mut text = format!(
            "{seeds} seeds twice, {seconds} simulated seconds, {requests} requests over HTTP, {} calls in histories that are \
             linearizable, {} faults of the network and {} of the store in {took:.0} s\n",
            self.counters.get(C::Calls),
            self.tally.iter().filter(|(what, _)| what.starts_with("fault: ")).map(|(_, times)| times).sum::<u64>(),
            self.counters.faults(),
        );
        for (what, times) in &self.tally {
            let _fits = writeln!(text, "{times:>12} {what}");
        }
        for counter in C::ALL.iter().filter(|counter| self.counters.get(**counter) > 0) {
            let _fits = writeln!(text, "{:>12} {}", self.counters.get(*counter), counter.text());
        }
        let all = self.hashes.values().fold(0, |sum: u64, hash| crate::sim::rng::mix(sum ^ hash));
        let _fits = writeln!(text, "hash of all: {all:016x}");
        text
    }

    fn complaints(&self) -> String {
        self.broken.iter().map(complaint).collect()
    }
}

fn complaint(report: &Report) -> String {
    report.violation.as_ref().map_or_else(String::new, |broken| broken.complaint(report.seed, "sim::stack::suite"))
}

/// Runs a seed twice: it must be the same both times, or it cannot be seen again.
fn run_twice(seed: u64) -> Outcome {
    let (one, other) = (run(seed, false), run(seed, false));
    assert_eq!(one.report.hash, other.report.hash, "seed {seed} is another run each time");
    assert_eq!(one, other, "seed {seed} is another run each time");
    one
}

fn run_all(first: u64, seeds: u64) -> (Totals, f64) {
    let (next, start) = (AtomicU64::new(first), SystemClock.boot());
    let totals = Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds || totals.lock().unwrap().broken.len() >= 5 {
                        return;
                    }
                    let outcome = run_twice(seed);
                    totals.lock().unwrap().add(outcome);
                }
            });
        }
    });
    (totals.into_inner().unwrap(), SystemClock.boot().since(start).as_secs_f64())
}

/// A few seeds. `LOCKD_SIM_SEEDS` and `LOCKD_SIM_FIRST` ask for others.
#[test]
fn sample() {
    let (first, count) = (number("LOCKD_SIM_FIRST").unwrap_or(0), number("LOCKD_SIM_SEEDS").unwrap_or(4));
    let (totals, took) = run_all(first, count);
    println!("{}", totals.told(took));
    assert!(totals.broken.is_empty(), "{}", totals.complaints());
}

/// The full amount, with every fault and every rare path of the network reached.
#[test]
fn full() {
    if !support::full("the whole stack in simulation, 250 seeds (2 minutes)") {
        return;
    }
    let (totals, took) = run_all(number("LOCKD_SIM_FIRST").unwrap_or(0), SEEDS);
    println!("{}", totals.told(took));
    assert!(totals.broken.is_empty(), "{}", totals.complaints());
    let requests = totals.tally.get("requests").copied().unwrap_or_default();
    assert!(requests >= REQUESTS, "{requests} requests are too few to say anything");
    let missed: Vec<_> = Trouble::texts().filter(|what| !totals.tally.contains_key(what)).collect();
    assert_eq!(missed, Vec::<&str>::new(), "never happened: nothing was put to the test there");
}

/// One seed, told event by event.
#[test]
fn replay() {
    let Some(seed) = number("LOCKD_SIM_SEED") else { return };
    let Outcome { report, tally } = run(seed, true);
    println!("hash {:016x} {tally:#?}\n{}", report.hash, complaint(&report));
    assert_eq!(report.violation, None);
}
