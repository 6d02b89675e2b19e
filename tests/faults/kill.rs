//! kill -9 at any moment: four processes on one directory, one of them killed every 10 to 200 ms.

use std::time::Duration;

use super::crew::Crew;
use super::{number, pause, seed};
use crate::support::full;

const PROCESSES: usize = 4;
const KEYS: usize = 48;
const TTL_MS: u64 = 3_000;

#[test]
fn killed_processes_lose_nothing_and_leave_nothing() {
    let cycles =
        number("LOCKD_TEST_KILLS").unwrap_or_else(|| if full("1,000 kills instead of 50") { 1_000 } else { 50 });
    let seed = seed();
    let dir = tempfile::tempdir().unwrap();
    let mut crew = Crew::new(&dir.path().join("store"), KEYS, TTL_MS, seed);
    let mut running: Vec<_> = (0..PROCESSES).map(|_| crew.start()).collect();
    let mut most_temporary = 0;
    for cycle in 0..cycles {
        let wait = Duration::from_millis(10 + crew.rng().below(190) as u64);
        pause(wait);
        let victim = crew.rng().below(PROCESSES);
        running.swap_remove(victim).kill();
        running.push(crew.start());
        if cycle % 50 == 49 {
            most_temporary = most_temporary.max(crew.temporary().len());
        }
    }
    drop(running);
    let figures = crew.check().unwrap_or_else(|why| panic!("LOCKD_TEST_SEED={seed}: {why}"));
    let left = crew.temporary().len();
    crew.recover().unwrap_or_else(|why| panic!("LOCKD_TEST_SEED={seed}: {why}"));
    crew.check().unwrap_or_else(|why| panic!("LOCKD_TEST_SEED={seed}: after recovery: {why}"));
    println!("{cycles} kills, {figures:?}, at most {most_temporary} temporary files, {left} at the end, seed {seed}");
    // What a killed process leaves is swept with its key's next revisions, so it cannot pile up.
    assert!(most_temporary < 10 * KEYS, "{most_temporary} temporary files");
    assert!(figures.history.calls > figures.updates as u64, "the history is not that of these workers");
    assert!(figures.updates as u64 > cycles, "too little was done to prove anything");
}
