//! Each rule of the code, broken once: the simulation must notice every one, in every run.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use lockd::mutants::{Mutant, turn};

use super::run::{Report, run};

/// Seeds that each mutant is given. The slowest needs about a tenth of them.
const SEEDS: u64 = 3_000;

fn caught(mutant: Mutant) -> Option<Report> {
    turn(Some(mutant));
    let found = (0..SEEDS).map(|seed| run(seed, false)).find(|report| report.violation.is_some());
    turn(None);
    found
}

#[test]
fn every_mutant_is_caught() {
    let only = std::env::var("LOCKD_SIM_MUTANT").ok();
    let wanted = |mutant: &Mutant| only.as_ref().is_none_or(|name| *name == format!("{mutant:?}"));
    let all: Vec<Mutant> = Mutant::ENGINE.iter().copied().filter(wanted).collect();
    let next = AtomicUsize::new(0);
    let alive = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(mutant) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match caught(*mutant) {
                        Some(Report { seed, violation: Some(broken), .. }) => {
                            println!("{mutant:?}: seed {seed}: {}: {}", broken.check, broken.what);
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
