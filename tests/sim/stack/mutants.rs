//! Each rule of the server, broken once: the simulation of the whole stack must notice every one.

use std::collections::BTreeMap;

use lockd::mutants::{Mutant, turn};

use super::run::run;

/// Seeds that each mutant is given.
const SEEDS: u64 = 10;

#[test]
fn every_mutant_is_caught() {
    let only = std::env::var("LOCKD_SIM_MUTANT").ok();
    let wanted = Mutant::SERVER.iter().filter(|mutant| only.as_ref().is_none_or(|name| *name == format!("{mutant:?}")));
    let mut alive = BTreeMap::new();
    for mutant in wanted {
        turn(Some(*mutant));
        let broken = (0..SEEDS).find_map(|seed| run(seed, false).report.violation.map(|broken| (seed, broken)));
        turn(None);
        match broken {
            Some((seed, broken)) => println!("{mutant:?}: seed {seed}: {}: {}", broken.check, broken.what),
            None => drop(alive.insert(format!("{mutant:?}"), SEEDS)),
        }
    }
    assert!(alive.is_empty(), "not caught within so many seeds: {alive:?}");
}
