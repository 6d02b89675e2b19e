//! Many seeds.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::counters::{Counter as C, Counters};
use super::run::{Report, run};

/// Totals over many seeds.
#[derive(Default)]
pub struct Totals {
    pub seeds: u64,
    pub simulated: u64,
    pub counters: Counters,
    pub broken: Vec<Report>,
}

/// Runs seeds on two threads until one breaks a rule.
pub fn run_all(seeds: std::ops::Range<u64>, twice: u64) -> Totals {
    let next = AtomicU64::new(seeds.start);
    let totals = Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || totals.lock().unwrap().broken.len() >= 5 {
                        return;
                    }
                    let report = run(seed, false);
                    if seed % twice == 0 {
                        assert_eq!(report, run(seed, false), "seed {seed} is not deterministic");
                    }
                    let mut totals = totals.lock().unwrap();
                    totals.seeds += 1;
                    totals.simulated += report.simulated;
                    totals.counters.merge(&report.counters);
                    if report.violation.is_some() {
                        totals.broken.push(report);
                    }
                }
            });
        }
    });
    totals.into_inner().unwrap()
}

fn told(totals: &Totals) {
    println!("{} seeds, {:.1} simulated hours", totals.seeds, totals.simulated as f64 / 3.6e12);
    println!("{} store operations, {} faults", totals.counters.get(C::Operations), totals.counters.faults());
    for counter in C::ALL {
        println!("{:>12} {}", totals.counters.get(*counter), counter.text());
    }
}

#[test]
fn sample() {
    let count = std::env::var("LOCKD_SIM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    let totals = run_all(0..count, 10);
    told(&totals);
    for report in &totals.broken {
        let violation = report.violation.as_ref().unwrap();
        println!(
            "seed {}: {} at {:.3} s: {}\n  LOCKD_SIM_SEED={} cargo test --profile sim sim::suite::replay -- --nocapture",
            report.seed,
            violation.check,
            violation.at as f64 / 1e9,
            violation.what,
            report.seed
        );
    }
    assert!(totals.broken.is_empty());
}

#[test]
fn replay() {
    let Some(seed) = std::env::var("LOCKD_SIM_SEED").ok().and_then(|n| n.parse().ok()) else { return };
    let report = run(seed, true);
    println!("{report:#?}");
    assert_eq!(report.violation, None);
}
