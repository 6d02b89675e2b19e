//! Each rule of the code, broken once: the simulation must notice every one, in every run.
//!
//! `caught.txt` has the seed that caught each mutant last; it is tried first. When the simulator or the code has changed so that
//! it no longer does, other seeds are searched. `LOCKD_REGENERATE=1` writes the file anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use lockd::mutants::{Mutant, turn};

use super::bias;
use super::run::{Report, run};

/// Seeds that each mutant is given when the known one does not catch it. The slowest needs about a tenth of them.
const SEEDS: u64 = 300;

/// Read when the test runs: a new one needs no new build.
fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/caught.txt")
}

/// The seed that caught each mutant.
fn known() -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(file()).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.filter_map(|(name, seed)| Some((name.to_owned(), seed.parse().ok()?))).collect()
}

fn broken(mutant: Mutant, seed: u64) -> Option<Report> {
    turn(Some(mutant));
    let report = run(seed, bias::of(mutant), false);
    turn(None);
    report.violation.is_some().then_some(report)
}

fn caught(mutant: Mutant, first: Option<u64>) -> Option<Report> {
    first.into_iter().chain(0..SEEDS).find_map(|seed| broken(mutant, seed))
}

/// All mutants of the engine and the client, or the one that `LOCKD_SIM_MUTANT` names.
fn wanted() -> Vec<Mutant> {
    let only = std::env::var("LOCKD_SIM_MUTANT").ok();
    let wanted = |mutant: &Mutant| only.as_ref().is_none_or(|name| *name == format!("{mutant:?}"));
    Mutant::ENGINE.iter().copied().filter(wanted).collect()
}

/// Does something with each mutant, on two threads.
fn each<T: Send>(mutants: &[Mutant], work: impl Fn(Mutant) -> T + Sync) -> BTreeMap<String, T> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..super::suite::threads() {
            scope.spawn(|| {
                while let Some(mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = work(*mutant);
                    done.lock().unwrap().insert(format!("{mutant:?}"), result);
                }
            });
        }
    });
    done.into_inner().unwrap()
}

#[test]
fn every_mutant_is_caught() {
    let (mutants, known) = (wanted(), known());
    let results = each(&mutants, |mutant| {
        let report = caught(mutant, known.get(&format!("{mutant:?}")).copied())?;
        let (seed, broken) = (report.seed, report.violation?);
        println!("{mutant:?}: seed {seed}: {}: {}", broken.check, broken.what);
        Some(seed)
    });
    let alive: Vec<&String> = results.iter().filter(|(_, seed)| seed.is_none()).map(|(name, _)| name).collect();
    assert!(alive.is_empty(), "not caught within {SEEDS} seeds: {alive:?}");
    if std::env::var("LOCKD_REGENERATE").is_ok_and(|value| value == "1") && mutants.len() == Mutant::ENGINE.len() {
        let mut text = String::new();
        for (name, seed) in results.iter().filter_map(|(name, seed)| Some((name, (*seed)?))) {
            let _fits = writeln!(text, "{name} {seed}");
        }
        std::fs::write(file(), text).unwrap();
    }
}

/// In how many of the first `LOCKD_SIM_SURVEY` seeds each mutant is caught, and by which checks.
#[test]
fn survey() {
    let Some(seeds) = super::suite::number("LOCKD_SIM_SURVEY") else { return };
    each(&wanted(), |mutant| {
        let mut checks = BTreeMap::<&str, u64>::new();
        for report in (0..seeds).filter_map(|seed| broken(mutant, seed)) {
            *checks.entry(report.violation.map_or("", |broken| broken.check)).or_default() += 1;
        }
        println!("{mutant:?}: {} of {seeds}: {checks:?}", checks.values().sum::<u64>());
    });
}

/// Without a mutant the bent mixes break nothing.
#[test]
fn no_bias_breaks_a_rule() {
    let broken: Vec<_> =
        Mutant::ENGINE.iter().filter_map(|mutant| run(7, bias::of(*mutant), false).violation).collect();
    assert_eq!(broken, [], "seed 7");
}
