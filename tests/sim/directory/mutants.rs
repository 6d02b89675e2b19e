//! Each rule of the directory protocol, broken once: the simulation must notice every one, in every run, by what callers are
//! told and by what a loss of power leaves. What is answered is not looked up in the tree here.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use lockd::clock::{Clock, SystemClock};
use lockd::mutants::{Mutant, turn};

use super::run::{Report, run};

/// Seeds that each mutant is given, beside the one that caught it before.
const SEEDS: u64 = 4_000;
/// For each mutant a seed that has caught it. It goes on doing so while the steps of the protocol stay the same.
const KEPT: &str = include_str!("mutants.txt");

fn caught(mutant: Mutant) -> Option<Report> {
    let name = format!("{mutant:?}");
    let kept = KEPT.lines().find_map(|line| line.strip_prefix(&name)?.trim().parse().ok());
    turn(Some(mutant));
    let wanted = std::env::var("LOCKD_SIM_CHECK").unwrap_or_default();
    let mut found = kept.into_iter().chain(0..SEEDS).map(|seed| run(seed, false, false));
    let found = found.find(|report| report.violation.as_ref().is_some_and(|broken| broken.check.contains(&wanted)));
    turn(None);
    found
}

#[test]
fn every_mutant_is_caught() {
    let only = std::env::var("LOCKD_SIM_MUTANT").ok();
    let wanted = |mutant: &Mutant| only.as_ref().is_none_or(|name| *name == format!("{mutant:?}"));
    let all: Vec<Mutant> = Mutant::DIRECTORY.iter().copied().filter(wanted).collect();
    let (next, start) = (AtomicUsize::new(0), SystemClock.boot());
    let alive = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(mutant) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match caught(*mutant) {
                        Some(Report { seed, violation: Some(broken), .. }) => {
                            let took = SystemClock.boot().since(start).as_secs_f64();
                            println!("{took:5.0} s {mutant:?} {seed}: {}: {}", broken.check, broken.what);
                        }
                        _ => alive.lock().unwrap().push(*mutant),
                    }
                }
            });
        }
    });
    let alive = alive.into_inner().unwrap();
    assert!(alive.is_empty(), "not caught within {SEEDS} seeds: {alive:?}");
}
