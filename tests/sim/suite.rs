//! Many seeds: a short sample in every run, the seeds that once broke something, and the full amount.

use std::fmt::Write;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lockd::clock::{BootTime, Clock, SystemClock};

use super::counters::{Counter as C, Counters};
use super::mix::Mix;
use super::run::{self, Report};
use crate::history::{self, Event};
use crate::support;

/// Seeds that broke something once, each with what it was.
const KEPT: &str = include_str!("seeds.txt");

/// What a full run amounts to at the least.
const OPERATIONS: u64 = 20_000_000;
const FAULTS: u64 = 5_000_000;
const HOURS: u64 = 2_000;

/// Totals over many seeds.
#[derive(Default)]
pub struct Totals {
    pub seeds: u64,
    pub simulated: u64,
    pub counters: Counters,
    pub broken: Vec<Report>,
}

impl Totals {
    fn enough(&self) -> bool {
        self.counters.get(C::Operations) >= OPERATIONS
            && self.counters.faults() >= FAULTS
            && self.simulated >= HOURS * 3_600_000_000_000
    }

    fn add(&mut self, mut report: Report) {
        export(report.seed, std::mem::take(&mut report.history));
        self.seeds += 1;
        self.simulated += report.simulated;
        self.counters.merge(&report.counters);
        if report.violation.is_some() {
            self.broken.push(report);
        }
    }

    fn sum(&self, took: Duration) -> String {
        let hours = self.simulated as f64 / 3.6e12;
        let (operations, faults) = (self.counters.get(C::Operations), self.counters.faults());
        let (seeds, seconds) = (self.seeds, took.as_secs_f64());
        format!(
            "{seeds} seeds, {hours:.1} simulated hours, {operations} store operations, {faults} faults in {seconds:.0} s"
        )
    }

    /// How often some of it happened.
    pub fn told_of(&self, counters: &[C]) -> String {
        let mut text = format!("{} seeds, {} store operations", self.seeds, self.counters.get(C::Operations));
        for counter in counters {
            let _fits = write!(text, ", {} {}", self.counters.get(*counter), counter.text());
        }
        text
    }

    /// The totals, and how to see again what was broken.
    fn told(&self, took: Duration) -> String {
        let mut text = self.sum(took) + "\n";
        for counter in C::ALL.iter().filter(|counter| !counter.is_of_one_store()) {
            let _fits = writeln!(text, "{:>12} {}", self.counters.get(*counter), counter.text());
        }
        for report in &self.broken {
            text.push_str(&complaint(report));
        }
        text
    }
}

fn run(seed: u64, trace: bool) -> Report {
    run::run(seed, |_| (), trace)
}

fn complaint(report: &Report) -> String {
    report.violation.as_ref().map_or_else(String::new, |broken| broken.complaint(report.seed, "sim::suite"))
}

/// Runs a seed twice: it must be the same both times, or it cannot be seen again.
fn run_twice(seed: u64, shape: fn(&mut Mix)) -> Report {
    let report = run::run(seed, shape, false);
    assert_eq!(report, run::run(seed, shape, false), "seed {seed} is another run each time");
    report
}

/// One seed in so many runs twice. Whatever makes two runs of a seed differ is in nearly all of them, so that the hundreds of a full
/// run are enough to find it in, and the time of the others goes to new seeds.
const TWICE: u64 = 8;

/// Runs seeds from `first`, some of them twice, until there are enough, or a few have broken a rule.
pub fn run_all(first: u64, shape: fn(&mut Mix), enough: impl Fn(&Totals) -> bool + Sync) -> Totals {
    let (next, start) = (AtomicU64::new(first), SystemClock.boot());
    let totals = Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    {
                        let totals = totals.lock().unwrap();
                        if totals.broken.len() >= 5 || enough(&totals) {
                            return;
                        }
                    }
                    let twice = seed.is_multiple_of(TWICE);
                    let report = if twice { run_twice(seed, shape) } else { run::run(seed, shape, false) };
                    let mut totals = totals.lock().unwrap();
                    totals.add(report);
                    if totals.seeds.is_multiple_of(500) {
                        println!("{}; never reached: {:?}", totals.sum(since(start)), totals.counters.missing());
                    }
                }
            });
        }
    });
    totals.into_inner().unwrap()
}

/// Threads: two, as CI has; `LOCKD_SIM_THREADS` says otherwise.
pub fn threads() -> u64 {
    number("LOCKD_SIM_THREADS").unwrap_or(2)
}

pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn since(start: BootTime) -> Duration {
    SystemClock.boot().since(start)
}

/// With `LOCKD_HISTORY` the histories go to that file, one after the other.
fn export(seed: u64, history: Vec<Event>) {
    let Some(path) = std::env::var_os("LOCKD_HISTORY") else { return };
    let named: Vec<Event> = history.into_iter().map(|event| Event { run: Some(seed), ..event }).collect();
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(history::lines(&named).as_bytes()).unwrap();
}

/// A few seeds. `LOCKD_SIM_SEEDS` and `LOCKD_SIM_FIRST` ask for others.
#[test]
fn sample() {
    let (first, count) = (number("LOCKD_SIM_FIRST").unwrap_or(0), number("LOCKD_SIM_SEEDS").unwrap_or(12));
    let start = SystemClock.boot();
    let totals = run_all(first, |_| (), |totals| totals.seeds >= count);
    println!("{}", totals.told(since(start)));
    assert!(totals.broken.is_empty(), "{}", totals.broken.iter().map(complaint).collect::<String>());
}

/// What was broken once is not broken again.
#[test]
fn kept_seeds() {
    let seeds = KEPT.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok());
    let broken: String = seeds.map(|seed| complaint(&run(seed, false))).collect();
    assert!(broken.is_empty(), "{broken}");
}

/// The full amount, with every rare path reached. With `LOCKD_SIM_RECORD` the totals go to that file.
#[test]
fn full() {
    if !support::full("the full simulation (about 10 minutes)") {
        return;
    }
    let first = number("LOCKD_SIM_FIRST").unwrap_or(0);
    let start = SystemClock.boot();
    let totals = run_all(first, |_| (), Totals::enough);
    let told = totals.told(since(start));
    println!("{told}");
    if let Some(path) = std::env::var_os("LOCKD_SIM_RECORD") {
        std::fs::write(path, &told).unwrap();
    }
    assert!(totals.broken.is_empty(), "{}", totals.broken.iter().map(complaint).collect::<String>());
    assert_eq!(totals.counters.missing(), Vec::<&str>::new(), "never reached: nothing was put to the test there");
}

/// One seed, told event by event.
#[test]
fn replay() {
    let Some(seed) = number("LOCKD_SIM_SEED") else { return };
    let report = run(seed, true);
    println!("hash {:016x}\n{}", report.hash, complaint(&report));
    export(seed, report.history);
    assert_eq!(report.violation, None);
}
