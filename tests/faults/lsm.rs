//! An `lsm` store, which one process at a time has: that process is killed, its file system loses what was not synced, its disk is
//! full; and each time the next one opens it without repair.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lockd::clock::{Clock, SystemClock};
use lockd::engine::Engine;
use lockd::error::{ErrorKind, Result};
use lockd::model::Key;
use lockd::service::{Grant, LeaseService};
use lockd::store::open;
use lockd::store::{Precondition, Store};

use super::crew::Crew;
use super::cycle::Worker;
use super::ext4::{Ext4, cut_off_under};
use super::full_disk::fill;
use super::journal::Journal;
use super::rng::Rng;
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
    cut_off_under(&mut fs, &mut crew, 1, rounds, seed);
    let figures = crew.check().unwrap_or_else(|why| panic!("LOCKD_TEST_SEED={seed}: {why}"));
    println!("{rounds} shutdowns of ext4 under an lsm store, {figures:?}, seed {seed}");
    assert!(figures.updates > 20 * rounds, "too little was done to prove anything");
    fs.unmount().unwrap();
    fs.examine().unwrap();
}

/// Writers, each with a key of its own.
const WRITERS: usize = 32;
/// Of these, some journals are full.
const RECORD: usize = 15_000;

/// A writer's key, and how often it was answered.
struct Writer {
    n: usize,
    answered: AtomicU64,
}

impl Writer {
    fn key(&self) -> Key {
        key(&format!("w{}", self.n))
    }

    fn answered(&self) -> u64 {
        self.answered.load(Ordering::SeqCst)
    }

    /// Puts ever new values until one fails.
    async fn write(self: Arc<Self>, store: Store) {
        let mut etag = store.records.get(&self.key()).await.unwrap().map(|found| found.etag);
        loop {
            let mut value = (self.answered() + 1).to_le_bytes().to_vec();
            value.resize(RECORD, self.n as u8);
            let when = etag.take().map_or(Precondition::Absent, Precondition::Matches);
            match store.records.put(&self.key(), value.into(), when).await {
                Ok(new) => etag = Some(new),
                Err(_) => return,
            }
            self.answered.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Takes the value that there is for the last one.
    async fn look(&self, store: &Store) -> u64 {
        let found = store.records.get(&self.key()).await.unwrap();
        let found = found.map_or(0, |found| u64::from_le_bytes(found.value[..8].try_into().unwrap()));
        self.answered.store(found, Ordering::SeqCst);
        found
    }
}

async fn reopened(path: &Path) -> Store {
    open::open(&Kind::Lsm.url(path), open::OpenOptions::system()).await.unwrap().store
}

/// The power goes while journals are full, changes move into files and old journals are removed.
#[test]
fn full_journals_keep_every_answer() {
    let mut fs = match Ext4::new(1_024) {
        Ok(fs) => fs,
        Err(why) => return left_out("full journals of an lsm store on ext4 on a loop device", &why),
    };
    let rounds = if full("10 shutdowns under full journals instead of 2") { 10 } else { 2 };
    let (seed, store) = (seed(), fs.path().join("store"));
    let mut rng = Rng::new(seed);
    let writers: Vec<_> = (0..WRITERS).map(|n| Arc::new(Writer { n, answered: AtomicU64::new(0) })).collect();
    for round in 0..rounds {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let begin: u64 = writers.iter().map(|writer| writer.answered()).sum();
        let enough = begin + ((80 + rng.below(200) as u64) << 20) / RECORD as u64;
        let before = runtime.block_on(async {
            let store = reopened(&store).await;
            let work: Vec<_> =
                writers.iter().map(|writer| tokio::spawn(Arc::clone(writer).write(store.clone()))).collect();
            while writers.iter().map(|writer| writer.answered()).sum::<u64>() < enough {
                tokio::task::yield_now().await;
            }
            let before: Vec<u64> = writers.iter().map(|writer| writer.answered()).collect();
            fs.shut_down().unwrap();
            futures_util::future::join_all(work).await.into_iter().for_each(|ended| ended.unwrap());
            before
        });
        drop(runtime);
        fs.unmount().unwrap();
        fs.mount().unwrap();
        block_on(async {
            let store = reopened(&store).await;
            for (writer, before) in writers.iter().zip(&before) {
                let (sent, found) = (writer.answered() + 1, writer.look(&store).await);
                let good = (*before..=sent).contains(&found);
                assert!(good, "LOCKD_TEST_SEED={seed}: round {round}: {before} was answered, {found} is there");
            }
        });
        println!("round {round}: {} MiB of records", (before.iter().sum::<u64>() * RECORD as u64) >> 20);
    }
    fs.unmount().unwrap();
    fs.examine().unwrap();
}

const LEASES: usize = 20;
const TTL: Duration = Duration::from_secs(3_600);

async fn holder(store: &Path) -> Engine {
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
        let engine = holder(&store).await;
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
        let engine = holder(&store).await;
        assert!(engine.describe(&key("k3")).await.unwrap().held.is_some());
    });
}
