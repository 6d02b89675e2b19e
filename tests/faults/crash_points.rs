//! Loss of power, or the death of the process, at the n-th change of the file system, under acquire, update and release: every
//! answer given before stands after.

use std::collections::BTreeMap;

use lockd::clock::Clock;
use lockd::engine::{Engine, Options};
use lockd::error::Result;
use lockd::limits::takeover_age;
use lockd::service::LeaseService;
#[cfg(feature = "lsm")]
use lockd::store::lsm::{self, tree::Settings};
use lockd::store::open::{self, OpenOptions};

use super::clock::JumpClock;
use super::cycle::Worker;
use super::journal::{Fact, Final, Journal, check};
use super::lossy_fs::faults::Op;
use super::lossy_fs::{Caching, Disk, LossyFs, unavailable};
use super::rng::Rng;
use super::worker::Kind;
use super::{number, seed};
use crate::support::world::{TTL, proof};
use crate::support::{full, left_out};

const KEYS: [&str; 2] = ["one", "two"];
/// On this file system, and with changes that move into files all the time.
#[cfg(feature = "lsm")]
pub const SMALL: Settings = Settings { memtable_bytes: 8 * 1024, anywhere: true };
/// Losses of power that one disk goes through before a new one is taken.
const LIVES: u64 = 8;

/// A disk, and what was answered by the processes that used it.
struct World {
    kind: Kind,
    disk: Disk,
    mount: LossyFs,
    journal: Journal,
    clock: JumpClock,
    rng: Rng,
}

impl World {
    fn new(kind: Kind, seed: u64) -> Self {
        let disk = Disk::new();
        let mount = disk.mount(Caching::default()).unwrap();
        Self { kind, disk, mount, journal: Journal::in_memory(), clock: JumpClock::default(), rng: Rng::new(seed) }
    }

    /// Runs `work` as a process of its own would: with a runtime that is gone, threads and all, when this returns.
    fn process<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.disk.died() => None,
                done = work => Some(done),
            }
        })
    }

    async fn engine(&self, create: bool) -> Result<Engine> {
        let clock: std::sync::Arc<dyn Clock> = std::sync::Arc::new(self.clock.clone());
        let options = OpenOptions { clock: clock.clone(), create, ..OpenOptions::system() };
        let entropy = options.entropy.clone();
        let url = self.kind.url(&self.mount.store_path());
        let opened = match self.kind {
            Kind::Disk => open::open(&url, options).await?,
            #[cfg(feature = "lsm")]
            Kind::Lsm => lsm::root::open(self.mount.store_path(), url, options, SMALL).await?,
        };
        Ok(Engine::new(opened.store, clock, entropy, Options::default()))
    }

    fn worker<'a>(&'a self, engine: &'a Engine, name: &'a str) -> Worker<'a> {
        Worker { engine, journal: &self.journal, name, ttl: TTL }
    }

    /// Processes work until the power goes.
    async fn work(&self, rng: &mut Rng, cycles: u64) -> Result<()> {
        match self.kind {
            Kind::Disk => self.work_by_turns(rng, cycles).await,
            #[cfg(feature = "lsm")]
            Kind::Lsm => self.work_together(rng, cycles).await,
        }
    }

    /// One process works on both keys at the same time.
    #[cfg(feature = "lsm")]
    async fn work_together(&self, rng: &mut Rng, cycles: u64) -> Result<()> {
        let engine = self.engine(true).await?;
        let worker = self.worker(&engine, "a");
        let (mut one, mut two) = (Rng::new(rng.next()), Rng::new(rng.next()));
        for _ in 0..cycles {
            let both = tokio::join!(worker.cycle(KEYS[0], &mut one), worker.cycle(KEYS[1], &mut two));
            if !(both.0? && both.1?) {
                self.clock.advance(takeover_age(TTL));
            }
        }
        engine.close().await;
        Ok(())
    }

    /// Two processes work by turns.
    async fn work_by_turns(&self, rng: &mut Rng, cycles: u64) -> Result<()> {
        let engines = [self.engine(true).await?, self.engine(true).await?];
        for _ in 0..cycles {
            let who = rng.below(2);
            let on = KEYS[rng.below(KEYS.len())];
            if rng.chance(30) {
                // A process that only reads: what it saw must stand, too.
                self.worker(&engines[1 - who], "reader").read(on, None).await?;
            }
            if !self.worker(&engines[who], ["a", "b"][who]).cycle(on, rng).await? {
                self.clock.advance(takeover_age(TTL));
            }
        }
        engines[0].close().await;
        engines[1].close().await;
        Ok(())
    }

    /// After the power came back: every answer stands, and the next process goes on without help.
    async fn recover(&self, rng: &mut Rng) -> std::result::Result<(), String> {
        let text = |e: lockd::error::Error| format!("after the power came back: {e}");
        let facts = self.journal.facts();
        let granted = facts.iter().any(|fact| matches!(fact, Fact::Granted { .. }));
        let engine = self.engine(!granted).await.map_err(text)?;
        let worker = self.worker(&engine, "next");
        let finals: BTreeMap<String, Final> = worker.finals(KEYS).await.map_err(text)?;
        check(&facts, &finals)?;
        for on in KEYS {
            worker.take_over(on, &self.clock, rng).await.map_err(text)?;
        }
        let finals = worker.finals(KEYS).await.map_err(text)?;
        check(&self.journal.facts(), &finals).map(drop)
    }

    /// Enough revisions for every directory to be pruned twice; then nothing temporary is left.
    async fn settle(&self, rng: &mut Rng) -> std::result::Result<(), String> {
        let text = |e: lockd::error::Error| format!("while settling: {e}");
        let engine = self.engine(false).await.map_err(text)?;
        let worker = self.worker(&engine, "settler");
        for _ in 0..8 {
            for on in KEYS {
                worker.take_over(on, &self.clock, rng).await.map_err(text)?;
            }
        }
        engine.close().await;
        Ok(())
    }
}

/// One disk through some losses of power. `points` is how many of them are left to do.
fn disk_life(kind: Kind, seed: u64, points: u64, lie: Option<Op>) -> std::result::Result<(u64, usize), String> {
    let world = World::new(kind, seed);
    let mut rng = world.rng.clone();
    let mut done = 0;
    if let Some(sync) = lie {
        // A store and keys that are durable, so that what is missed are the syncs of later revisions.
        let settled = world.process(world.work(&mut rng, 8)).ok_or("the power went")?;
        settled.map_err(|e| format!("before the lie: {e}"))?;
        world.disk.lie_about(sync);
    }
    while done < points.min(LIVES) {
        let cycles = 1 + rng.below(12) as u64;
        // The first cuts of a disk strike while the store is being made.
        let making = if kind == Kind::Disk { 40 } else { 120 };
        let n = 1 + rng.below(if done == 0 { making } else { 30 * cycles as usize }) as u64;
        let after = rng.chance(50);
        world.disk.cut_power_at(n, after);
        if let Some(Err(e)) = world.process(world.work(&mut rng, cycles)) {
            // What a process says when the power has gone is nobody's to hear.
            if world.disk.has_power() {
                return Err(format!("without a fault, before operation {n}: {e}"));
            }
        }
        // The work may have ended before operation n.
        world.disk.cut_power();
        world.process(std::future::pending::<()>());
        if done > 0 && rng.chance(30) {
            // Only the process died, kill -9 at that operation; the power goes in a later life, or never.
            world.disk.next_process();
        } else {
            world.disk.power_up(&mut rng);
        }
        world.process(world.recover(&mut rng)).ok_or("the power went")??;
        done += 1;
    }
    world.process(world.settle(&mut rng)).ok_or("the power went")??;
    let temporary: Vec<_> = world.disk.paths().into_iter().filter(|(path, _)| path.contains("/t.")).collect();
    match temporary.is_empty() {
        true => Ok((done, world.journal.facts().len())),
        false => Err(format!("temporary files are left after recovery: {temporary:?}")),
    }
}

#[test]
fn every_answer_survives_a_loss_of_power() {
    survives(Kind::Disk);
}

#[cfg(feature = "lsm")]
#[test]
fn every_answer_of_an_lsm_store_survives_a_loss_of_power() {
    survives(Kind::Lsm);
}

fn survives(kind: Kind) {
    if let Some(why) = unavailable() {
        return left_out("crash points", &why);
    }
    let points = number("LOCKD_TEST_CRASH_POINTS")
        .unwrap_or_else(|| if full("500 crash points instead of 40") { 500 } else { 40 });
    let first = seed();
    let (mut done, mut facts) = (0, 0);
    let mut disks = Rng::new(first);
    while done < points {
        let seed = disks.next();
        let (more, noted) = disk_life(kind, seed, points - done, None)
            .unwrap_or_else(|why| panic!("LOCKD_TEST_SEED={first}: disk {seed:#x}, after {done} points: {why}"));
        done += more;
        facts += noted;
    }
    println!("{kind:?}: {done} losses of power or of the process, {facts} answers checked, seed {first}");
    // Too little work would prove nothing.
    assert!(facts as u64 > 10 * points, "only {facts} answers in {points} points");
}

/// Without syncs of files, or of directories, answers would be lost, and this test would see it.
#[test]
fn a_sync_left_out_is_found_out() {
    if let Some(why) = unavailable() {
        return left_out("crash points without syncs", &why);
    }
    for sync in [Op::SyncFile, Op::SyncDir] {
        is_found_out(Kind::Disk, sync);
    }
    // Its directories change when files of changes come and go, which is seldom.
    #[cfg(feature = "lsm")]
    is_found_out(Kind::Lsm, Op::SyncFile);
}

fn is_found_out(kind: Kind, sync: Op) {
    let first = seed();
    let mut seeds = Rng::new(first);
    let found = (1..=50).find_map(|n| disk_life(kind, seeds.next(), LIVES, Some(sync)).err().map(|why| (n, why)));
    let (disks, why) = found.unwrap_or_else(|| panic!("LOCKD_TEST_SEED={first}: {kind:?}: {sync:?} is not missed"));
    assert!(!why.starts_with("before"), "{why}");
    println!("{kind:?} without {sync:?}, on disk {disks}: {why}");
}

/// A process that was killed has left a directory that nobody has synced: the next one must not build on it as it is.
#[test]
fn directories_left_unsynced_by_a_killed_process_are_made_durable() {
    if let Some(why) = unavailable() {
        return left_out("unsynced directories of a killed process", &why);
    }
    let world = World::new(Kind::Disk, seed());
    let mut rng = world.rng.clone();
    world.process(world.engine(true)).unwrap().unwrap();
    let hash = crate::support::world::key("one").hash().hex();
    for top in ["records", "blobs"] {
        std::fs::create_dir_all(world.mount.store_path().join(top).join(&hash[..2]).join(&hash)).unwrap();
    }
    let work = async {
        let engine = world.engine(false).await?;
        let worker = world.worker(&engine, "a");
        let grant = worker.acquire("one").await?;
        // Large, so that it becomes a blob.
        worker.count_up_padded("one", &proof(&grant), 50_000).await
    };
    world.process(work).unwrap().unwrap();
    world.disk.cut_power();
    world.process(std::future::pending::<()>());
    world.disk.power_up_with_nothing_unsynced();
    world.process(world.recover(&mut rng)).unwrap().unwrap();
}
