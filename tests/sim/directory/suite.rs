//! Many seeds: a short sample in every run, the seeds that once broke something, and the full amount.

use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lockd::clock::{BootTime, Clock, SystemClock};

use super::counters::{Counter as C, Counters};
use super::run::{Report, run};
use crate::support;

/// Seeds that broke something once, each with what it was.
const KEPT: &str = include_str!("seeds.txt");

/// What a full run amounts to at the least.
const STEPS: u64 = 20_000_000;
const FAULTS: u64 = 80_000;
const LOSSES: u64 = 8_000;

/// Totals over many seeds.
#[derive(Default)]
struct Totals {
    seeds: u64,
    counters: Counters,
    broken: Vec<Report>,
}

impl Totals {
    fn enough(&self) -> bool {
        let counted = |counter| self.counters.get(counter);
        counted(C::Steps) >= STEPS && self.counters.faults() >= FAULTS && counted(C::PowerLoss) >= LOSSES
    }

    fn add(&mut self, report: Report) {
        self.seeds += 1;
        self.counters.merge(&report.counters);
        if report.violation.is_some() {
            self.broken.push(report);
        }
    }

    fn told(&self, took: Duration) -> String {
        let mut text = String::new();
        let (steps, faults) = (self.counters.get(C::Steps), self.counters.faults());
        let took = took.as_secs_f64();
        let _fits = writeln!(text, "{} seeds, each twice, {steps} steps, {faults} faults in {took:.0} s", self.seeds);
        for counter in C::ALL {
            let _fits = writeln!(text, "{:>12} {}", self.counters.get(*counter), counter.text());
        }
        text + &self.complaints()
    }

    fn complaints(&self) -> String {
        self.broken.iter().map(complaint).collect()
    }
}

fn complaint(report: &Report) -> String {
    report.violation.as_ref().map_or_else(String::new, |broken| broken.complaint(report.seed, "sim::directory::suite"))
}

/// Runs a seed twice: it must be the same both times, or it cannot be seen again.
fn run_twice(seed: u64) -> Report {
    let report = run(seed, false, true);
    assert_eq!(report, run(seed, false, true), "seed {seed} is another run each time");
    report
}

/// Runs seeds from `first` on two threads until there are enough, or a few have broken a rule.
fn run_all(first: u64, enough: impl Fn(&Totals) -> bool + Sync) -> Totals {
    let next = AtomicU64::new(first);
    let totals = Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    {
                        let totals = totals.lock().unwrap();
                        if totals.broken.len() >= 5 || enough(&totals) {
                            return;
                        }
                    }
                    let report = run_twice(next.fetch_add(1, Ordering::Relaxed));
                    totals.lock().unwrap().add(report);
                }
            });
        }
    });
    totals.into_inner().unwrap()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn since(start: BootTime) -> Duration {
    SystemClock.boot().since(start)
}

/// A few seeds. `LOCKD_SIM_SEEDS` and `LOCKD_SIM_FIRST` ask for others.
#[test]
fn sample() {
    let (first, count) = (number("LOCKD_SIM_FIRST").unwrap_or(0), number("LOCKD_SIM_SEEDS").unwrap_or(30));
    let start = SystemClock.boot();
    let totals = run_all(first, |totals| totals.seeds >= count);
    println!("{}", totals.told(since(start)));
    assert!(totals.broken.is_empty(), "{}", totals.complaints());
}

/// What was broken once is not broken again.
#[test]
fn kept_seeds() {
    let seeds = KEPT.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok());
    let broken: String = seeds.map(|seed| complaint(&run(seed, false, true))).collect();
    assert!(broken.is_empty(), "{broken}");
}

/// The full amount, with every rare path reached. With `LOCKD_SIM_RECORD` the totals go to that file, with `.directory` behind.
#[test]
fn full() {
    if !support::full("the full simulation of directories (a few minutes)") {
        return;
    }
    let first = number("LOCKD_SIM_FIRST").unwrap_or(0);
    let start = SystemClock.boot();
    let totals = run_all(first, Totals::enough);
    let told = totals.told(since(start));
    println!("{told}");
    if let Ok(path) = std::env::var("LOCKD_SIM_RECORD") {
        std::fs::write(format!("{path}.directory"), &told).unwrap();
    }
    assert!(totals.broken.is_empty(), "{}", totals.complaints());
    assert_eq!(totals.counters.missing(), Vec::<&str>::new(), "never reached: nothing was put to the test there");
}

/// One seed, told step by step.
#[test]
fn replay() {
    let Some(seed) = number("LOCKD_SIM_SEED") else { return };
    let report = run(seed, true, true);
    println!("hash {:016x}\n{}", report.hash, complaint(&report));
    assert_eq!(report.violation, None);
}
