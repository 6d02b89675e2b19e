//! An `lsm` store, which one process at a time has: that process is killed, its file system loses what was not synced, its disk is
//! full; and each time the next one opens it without repair.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lockd::clock::{Clock, SystemClock};
use lockd::engine::Engine;
use lockd::error::{ErrorKind, Result};
use lockd::service::{Grant, LeaseService};

use super::crew::Crew;
use super::cycle::Worker;
use super::ext4::Ext4;
use super::full_disk::fill;
use super::journal::Journal;
use super::worker::{Kind, block_on, engine_of};
use super::{number, pause, seed};
use crate::support::world::{key, proof};
use crate::support::{full, left_out};

/// Many, since a killed process leaves the ones that it held locked for their TTL.
const KEYS: usize = 400;
const AT_ONCE: u64 = 4;
const TTL_MS: u64 = 2_000;

#[test]
fn a_killed_process_loses_nothing_and_the_next_one_opens_the_store() {
    let kills = number("LOCKD_TEST_KILLS")
        .unwrap_or_else(|| if full("1,000 kills of an lsm store instead of 50") { 1_000 } else { 50 });
    let seed = seed();
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let mut crew = Crew::of(Kind::Lsm, AT_ONCE, &store, KEYS, TTL_MS, seed);
    for _ in 0..kills {
        let running = crew.start();
        // Also while it opens.
        let wait = Duration::from_millis(10 + crew.rng().below(190) as u64);
        pause(wait);
        running.kill();
    }
    let start = SystemClock.boot();
    drop(block_on(engine_of(Kind::Lsm, &store, Arc::new(SystemClock))).unwrap());
    let opened = SystemClock.boot().since(start).as_millis();
    let figures = crew.check().unwrap_or_else(|why| panic!("LOCKD_TEST_SEED={seed}: {why}"));
    crew.recover().unwrap_or_else(|why| panic!("LOCKD_TEST_SEED={seed}: {why}"));
    crew.check().unwrap_or_else(|why| panic!("LOCKD_TEST_SEED={seed}: after recovery: {why}"));
    println!("{kills} kills of an lsm store, {figures:?}, opened in {opened} ms, seed {seed}");
    assert!(figures.updates as u64 > kills, "too little was done to prove anything");
}

#[test]
fn ext4_without_its_journal_keeps_every_answer() {
    let mut fs = match Ext4::new(512) {
        Ok(fs) => fs,
        Err(why) => return left_out("an lsm store on ext4 on a loop device", &why),
    };
    let rounds = if full("25 shutdowns of ext4 under an lsm store instead of 4") { 25 } else { 4 };
    let seed = seed();
    let mut crew = Crew::of(Kind::Lsm, AT_ONCE, &fs.path().join("store"), KEYS, TTL_MS, seed);
    for round in 0..rounds {
        let running = crew.start();
        let wait = Duration::from_millis(300 + crew.rng().below(1_200) as u64);
        pause(wait);
        fs.shut_down().unwrap();
        running.end();
        fs.unmount().unwrap();
        fs.mount().unwrap();
        let figures = crew.check().unwrap_or_else(|why| panic!("LOCKD_TEST_SEED={seed}: round {round}: {why}"));
        println!("round {round}: {figures:?}");
    }
    let figures = crew.check().unwrap_or_else(|why| panic!("LOCKD_TEST_SEED={seed}: {why}"));
    println!("{rounds} shutdowns of ext4 under an lsm store, {figures:?}, seed {seed}");
    assert!(figures.updates > 20 * rounds, "too little was done to prove anything");
    fs.unmount().unwrap();
    fs.examine().unwrap();
}

const LEASES: usize = 20;
const TTL: Duration = Duration::from_secs(3_600);

async fn open(store: &Path) -> Engine {
    engine_of(Kind::Lsm, store, Arc::new(SystemClock)).await.unwrap()
}

async fn renew(engine: &Engine, grants: &[(String, Grant)]) -> Result<()> {
    for (on, grant) in grants {
        engine.keepalive(&key(on), &proof(grant), grant.ttl).await?;
    }
    Ok(())
}

/// Somebody else fills the disk: the leases live on, larger states are refused, and there is nothing to repair.
#[test]
fn a_full_disk_loses_no_lease_and_breaks_nothing() {
    let fs = match Ext4::new(512) {
        Ok(fs) => fs,
        Err(why) => return left_out("an lsm store on a full disk", &why),
    };
    let (store, filler) = (fs.path().join("store"), fs.path().join("filler"));
    let journal = Journal::in_memory();
    block_on(async {
        let engine = open(&store).await;
        let worker = Worker { engine: &engine, journal: &journal, name: "holder", ttl: TTL };
        let mut grants = Vec::new();
        for n in 0..LEASES {
            let on = format!("k{n}");
            let grant = worker.acquire(&on).await.unwrap();
            worker.count_up_padded(&on, &proof(&grant), 500).await.unwrap();
            grants.push((on, grant));
        }
        fill(&filler);
        for round in 0..20 {
            renew(&engine, &grants).await.unwrap_or_else(|e| panic!("round {round}: {e}"));
        }
        let (on, grant) = &grants[0];
        for pad in [12_000, 40_000] {
            let refused = worker.count_up_padded(on, &proof(grant), pad).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::StoreFull, "{refused}");
        }
        worker.release(on, &proof(grant)).await.unwrap();
        let again = worker.acquire(on).await.unwrap();
        std::fs::remove_file(&filler).unwrap();
        worker.count_up_padded(on, &proof(&again), 12_000).await.unwrap();
        renew(&engine, &grants[1..]).await.unwrap();
        engine.close().await;
    });
    // There is room again, and the reserve is whole.
    assert!(std::fs::metadata(store.join("reserve")).unwrap().len() > 1 << 20, "the reserve was not restored");
    block_on(async {
        let engine = open(&store).await;
        assert!(engine.describe(&key("k3")).await.unwrap().held.is_some());
    });
}
