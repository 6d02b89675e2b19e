//! The n-th operation of each kind fails, in the middle of acquire, update and release: the answers are honest, also after the power
//! went, and the next process goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lockd::clock::{Clock, SystemClock};
use lockd::engine::Engine;
#[cfg(feature = "lsm")]
use lockd::engine::Options;
use lockd::error::{ErrorKind, Result};
use lockd::service::LeaseService;
#[cfg(feature = "lsm")]
use lockd::store::{lsm, open::OpenOptions};
use rustix::io::Errno;

use super::clock::JumpClock;
#[cfg(feature = "lsm")]
use super::crash_points::SMALL;
use super::cycle::Worker;
use super::fast_clock::FastClock;
use super::journal::{Fact, Journal, check};
use super::lossy_fs::faults::{Fault, How, Op};
use super::lossy_fs::{Caching, Disk, LossyFs, unavailable};
use super::rng::Rng;
use super::seed;
use super::worker::{Kind, block_on, engine_of};
use crate::support::world::proof;
use crate::support::{full, left_out};

const KEY: &str = "key";
/// Longer than any test, also on a fast clock.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

const OPS: [Op; 8] = [Op::Create, Op::MakeDir, Op::Write, Op::SyncFile, Op::SyncDir, Op::Link, Op::Unlink, Op::Read];

fn ways(op: Op) -> Vec<How> {
    let mut ways = vec![How::Refused(Errno::IO), How::Refused(Errno::NOSPC)];
    match op {
        Op::Link => ways.extend([How::ReplyLost(Errno::IO), How::ReplyLost(Errno::EXIST), How::Refused(Errno::ACCESS)]),
        Op::Create | Op::Unlink => ways.push(How::ReplyLost(Errno::IO)),
        Op::Write => ways.push(How::Short),
        Op::SyncFile | Op::SyncDir => ways.push(How::Refused(Errno::DQUOT)),
        _ => {}
    }
    ways
}

/// What a caller was told of its update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Done,
    NotDone(ErrorKind),
    Unknown,
}

/// A process of its own on the store of a mount.
async fn engine(kind: Kind, mount: &LossyFs, clock: Arc<dyn Clock>) -> Result<Engine> {
    match kind {
        Kind::Disk => engine_of(kind, &mount.store_path(), clock).await,
        #[cfg(feature = "lsm")]
        Kind::Lsm => {
            let options = OpenOptions { clock: clock.clone(), ..OpenOptions::system() };
            let (path, entropy) = (mount.store_path(), options.entropy.clone());
            let opened = lsm::root::open(path.clone(), kind.url(&path), options, SMALL).await?;
            Ok(Engine::new(opened.store, clock, entropy, Options::default()))
        }
    }
}

async fn work(kind: Kind, mount: &LossyFs, journal: &Journal, pad: usize) -> (Told, Result<()>) {
    let mut told = Told::Nothing;
    let done = async {
        let engine = engine(kind, mount, Arc::new(FastClock::new())).await?;
        let worker = Worker { engine: &engine, journal, name: "a", ttl: LONG };
        let grant = worker.acquire(KEY).await?;
        let updated = worker.count_up_padded(KEY, &proof(&grant), pad).await;
        told = match &updated {
            Ok(()) => Told::Done,
            Err(e) if e.kind() == ErrorKind::OutcomeUnknown => Told::Unknown,
            Err(e) => Told::NotDone(e.kind()),
        };
        updated?;
        worker.release(KEY, &proof(&grant)).await?;
        engine.close().await;
        Ok(())
    };
    let done = done.await;
    (told, done)
}

/// One fault, from a store that has been used before or not. What the fault struck, and whether it was felt.
fn one(kind: Kind, fault: Fault, pad: usize, used: bool, seed: u64) -> std::result::Result<(bool, bool), String> {
    let disk = Disk::new();
    let mount = disk.mount(Caching::default()).map_err(|e| e.to_string())?;
    let journal = Journal::in_memory();
    if used {
        let (_, done) = block_on(work(kind, &mount, &journal, pad));
        done.map_err(|e| format!("before the fault: {e}"))?;
    }
    disk.fail(fault);
    let (told, done) = block_on(work(kind, &mount, &journal, pad));
    let struck = disk.heal() > 0;
    if !struck {
        done.as_ref().map_err(|e| format!("without a fault: {e}"))?;
    }
    let mut rng = Rng::new(seed);
    for cut in [false, true] {
        if cut {
            disk.cut_power();
            disk.power_up(&mut rng);
        }
        afterwards(kind, &mount, &journal, told, &mut rng)
            .map_err(|why| format!("{told:?}, power cut: {cut}: {why}"))?;
    }
    Ok((struck, done.is_err()))
}

/// Another process: every answer stands, and it goes on without help.
fn afterwards(
    kind: Kind,
    mount: &LossyFs,
    journal: &Journal,
    told: Told,
    rng: &mut Rng,
) -> std::result::Result<(), String> {
    let clock = JumpClock::default();
    block_on(async {
        let text = |e: lockd::error::Error| format!("the next process: {e}");
        let engine = engine(kind, mount, Arc::new(clock.clone())).await.map_err(text)?;
        let worker = Worker { engine: &engine, journal, name: "next", ttl: LONG };
        let facts = journal.facts();
        let finals = worker.finals([KEY]).await.map_err(text)?;
        check(&facts, &finals)?;
        if let (Told::NotDone(kind), Some(Fact::Tried { n, .. })) = (told, facts.last())
            && finals[KEY].n >= *n
        {
            return Err(format!("it was told {kind:?}, which says that nothing was applied, and it was"));
        }
        worker.take_over(KEY, &clock, rng).await.map_err(text)?;
        engine.close().await;
        check(&journal.facts(), &worker.finals([KEY]).await.map_err(text)?).map(drop)
    })
}

#[test]
fn the_nth_operation_of_each_kind_fails() {
    let every = if full("each failing operation instead of every fifth") { 1 } else { 5 };
    each_operation_fails(Kind::Disk, &OPS, every);
}

#[cfg(feature = "lsm")]
#[test]
fn the_nth_operation_of_each_kind_fails_under_an_lsm_store() {
    let every = if full("every eighth failing operation under an lsm store instead of every 40th") { 8 } else { 40 };
    // It makes no links.
    let ops: Vec<Op> = OPS.into_iter().filter(|op| *op != Op::Link).collect();
    each_operation_fails(Kind::Lsm, &ops, every);
}

fn each_operation_fails(kind: Kind, ops: &[Op], every: u64) {
    if let Some(why) = unavailable() {
        return left_out("failing operations", &why);
    }
    let (seed, began) = (seed(), SystemClock.boot());
    let mut figures = BTreeMap::new();
    let mut count = seed;
    for op in ops.iter().copied() {
        for how in ways(op) {
            for (pad, used) in [(100, false), (100, true), (40_000, true)] {
                for nth in 1.. {
                    // Of others than the first one, so that each kind is struck, and then some.
                    count += 1;
                    if nth > 1 && !count.is_multiple_of(every) {
                        continue;
                    }
                    let fault = Fault { op, nth, times: 1, how };
                    let (struck, felt) = one(kind, fault, pad, used, count).unwrap_or_else(|why| {
                        panic!("LOCKD_TEST_SEED={seed}: {kind:?}: {fault:?}, pad {pad}, used {used}: {why}")
                    });
                    if !struck {
                        break;
                    }
                    let (all, failed) = figures.entry(format!("{op:?}")).or_insert((0, 0));
                    *all += 1;
                    *failed += u32::from(felt);
                }
            }
        }
    }
    let took = SystemClock.boot().since(began).as_secs();
    println!("{kind:?}: operations struck, and how often the caller felt it: {figures:?}, seed {seed}, {took} s");
    assert!(figures.len() == ops.len(), "some kind of operation was never struck: {figures:?}");
}

/// Two clients of one file server, each answering from a cache that may be old: nothing is lost and no token is granted twice.
#[test]
fn old_caches_of_two_clients_lose_nothing() {
    if let Some(why) = unavailable() {
        return left_out("two clients with old caches", &why);
    }
    let seed = seed();
    let disk = Disk::new();
    let age = Duration::from_millis(20);
    let caching = Caching { entries: age, attributes: age, absences: age };
    let mounts = [disk.mount(caching).unwrap(), disk.mount(caching).unwrap()];
    let journal = Journal::in_memory();
    let mut refused = 0;
    block_on(async {
        let clock: Arc<dyn lockd::clock::Clock> = Arc::new(JumpClock::default());
        let mut rngs = [Rng::new(seed), Rng::new(!seed)];
        // The second opens what the first has made.
        let engines = [
            engine(Kind::Disk, &mounts[0], Arc::clone(&clock)).await.unwrap(),
            engine(Kind::Disk, &mounts[1], Arc::clone(&clock)).await.unwrap(),
        ];
        let workers = [0, 1].map(|n| Worker { engine: &engines[n], journal: &journal, name: ["a", "b"][n], ttl: LONG });
        for _ in 0..60 {
            let [one, two] = &mut rngs;
            let both = tokio::join!(workers[0].cycle_with(KEY, one, false), workers[1].cycle_with(KEY, two, false));
            // An old cache may make a client give up; it may not make it believe.
            refused += [both.0, both.1].iter().filter(|cycle| cycle.is_err()).count();
        }
        clock.sleep(age * 2).await;
        let nowhere = Journal::in_memory();
        let reader = Worker { engine: &engines[0], journal: &nowhere, name: "reader", ttl: LONG };
        check(&journal.facts(), &reader.finals([KEY]).await.unwrap())
            .unwrap_or_else(|why| panic!("LOCKD_TEST_SEED={seed}: {why}"));
    });
    let updates = journal.facts().iter().filter(|fact| matches!(fact, Fact::Updated { .. })).count();
    println!("{updates} updates from two clients with old caches, {refused} cycles given up, seed {seed}");
    assert!(updates > 30, "too little was done to prove anything");
}
