//! lock-set, as Jepsen runs it on etcd: workers take the lock of a set outside of lockd, read the set, add an element, write it, and
//! give the lock back, while processes are stopped for up to three TTLs and killed, servers too, and clocks are off by an hour.
//!
//! Where the set checks fencing tokens, no element that was acknowledged may be missing in the end. Where it does not, some may be:
//! a holder that is stopped after it has looked at its deadline writes over what others added meanwhile. They are counted.
//!
//! Five servers and five processes that open the store themselves work on one directory, and five that ask the servers.

mod process;
mod register;
mod worker;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockd::clock::{Clock, SystemClock};

use super::rng::Rng;
use super::{number, pause, seed};
use crate::cli::lab::{Lab, ran};
use crate::support::full;
use process::Cluster;
use register::{Findings, Register, serve};

/// The shortest that a store gives.
const TTL: Duration = lockd::limits::TTL_MIN;
const SETS: usize = 32;
/// A longer run begins anew after this time, since sets only grow.
const ROUND: Duration = Duration::from_secs(60);
/// Fewer operations a second prove nothing.
const LEAST_RATE: u64 = 100;
/// Between two faults, at the most.
const BETWEEN_MS: usize = 1_000;
/// Of the processes so many are stopped at once at the most.
const STOPPED_AT_ONCE: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);

/// What was done to processes.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    servers_killed: u64,
    workers_killed: u64,
    stopped: u64,
}

#[test]
fn with_fencing_no_acknowledged_element_is_lost() {
    let Some(totals) = run("with fencing", true) else { return };
    assert_eq!(totals.lost, 0, "acknowledged elements are missing");
}

#[test]
fn without_fencing_losses_are_counted() {
    // Nothing is promised; that the lock is never given twice is, and is checked in each round.
    run("without fencing", false);
}

/// Runs for `LOCKD_TEST_SECONDS`, and prints a line for `docs/track-record/lock-set.tsv`.
fn run(told: &str, fencing: bool) -> Option<Findings> {
    let length = match number("LOCKD_TEST_SECONDS") {
        Some(seconds) => seconds,
        None if full("lock-set: stopped and killed processes around sets outside of lockd") => 40,
        None => return None,
    };
    let (seed, began) = (seed(), SystemClock.boot());
    let mut rng = Rng::new(seed);
    let (mut all, mut faults) = (Findings::default(), Faults::default());
    let mut left = Duration::from_secs(length.max(1));
    while !left.is_zero() {
        let this = left.min(ROUND);
        let (found, struck) = round(fencing, this, &mut rng);
        left -= this;
        assert!(found.wrong.is_empty(), "LOCKD_TEST_SEED={seed}: {:#?}", found.wrong);
        all.operations += found.operations;
        all.grants += found.grants;
        all.stale += found.stale;
        all.lost += found.lost;
        for (what, times) in found.told {
            *all.told.entry(what).or_default() += times;
        }
        faults.servers_killed += struck.servers_killed;
        faults.workers_killed += struck.workers_killed;
        faults.stopped += struck.stopped;
    }
    let Faults { servers_killed, workers_killed, stopped } = faults;
    let Findings { operations, grants, stale, lost, told: others, .. } = &all;
    let took = SystemClock.boot().since(began).as_secs();
    println!(
        "lock-set {told}: {operations} operations in {length} s under {grants} leases, {stopped} processes stopped, \
         {servers_killed} servers and {workers_killed} workers killed, {stale} writes of overtaken holders, {lost} lost; \
         {others:?}; seed {seed}, {took} s in all"
    );
    println!("{told}\t{seed}\t{length}\t{operations}\t{stopped}\t{servers_killed}\t{workers_killed}\t{stale}\t{lost}");
    assert!(*operations >= LEAST_RATE * length, "invalid: fewer than {LEAST_RATE} operations a second");
    Some(all)
}

/// One cluster on one store, for so long.
fn round(fencing: bool, length: Duration, rng: &mut Rng) -> (Findings, Faults) {
    let lab = Lab::new();
    let register = Arc::new(Mutex::new(Register::new(SETS, fencing)));
    serve(&register, &lab.path("run/register.sock"));
    let mut cluster = Cluster::start(&lab, rng);
    let mut faults = Faults::default();
    let end = SystemClock.boot() + length;
    while SystemClock.boot() < end {
        pause(Duration::from_millis(rng.below(BETWEEN_MS / 8) as u64 * 8));
        strike(&mut cluster, rng, &mut faults);
    }
    cluster.calm(Duration::MAX);
    let servers = cluster.only_servers();
    let found = register.lock().unwrap().findings();
    for at in &servers {
        answers(&lab, at);
    }
    still_works(&lab, &servers[0]);
    (found, faults)
}

fn strike(cluster: &mut Cluster<'_>, rng: &mut Rng, faults: &mut Faults) {
    cluster.calm(Duration::ZERO);
    match rng.below(10) {
        0..=5 if cluster.stopped() < STOPPED_AT_ONCE => {
            let longest = 3 * usize::try_from(TTL.as_millis()).unwrap();
            cluster.stop(rng.below(process::PROCESSES), Duration::from_millis(rng.below(longest) as u64));
            faults.stopped += 1;
        }
        6..=7 => {
            cluster.kill(rng.below(process::SERVERS), rng);
            faults.servers_killed += 1;
        }
        8 => {
            cluster.kill(process::SERVERS + rng.below(process::PROCESSES - process::SERVERS), rng);
            faults.workers_killed += 1;
        }
        _ => {}
    }
}

/// Each server is up again, however lately it was killed.
fn answers(lab: &Lab, at: &str) {
    let give_up = SystemClock.boot() + PATIENCE;
    while lab.run(["list", "--server", at]).code != 0 {
        assert!(SystemClock.boot() < give_up, "{at} does not answer any more");
        pause(Duration::from_millis(50));
    }
}

/// The locks of the dead run out by themselves, and there is nothing to repair.
fn still_works(lab: &Lab, at: &str) {
    for set in 0..SETS {
        let set = format!("set/{set}");
        let ran = ran(lab.lockd().args(["exec", "-w", "30s", &set, "--", "true"]).env("LOCKD_SERVER", at));
        assert_eq!(ran.code, 0, "{set}: {}", ran.err);
    }
}
