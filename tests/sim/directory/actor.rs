//! A process: how it opens the store, and what its workers do with it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::StreamExt;
use lockd::clock::{BootTime, Clock, UnixMillis};
use lockd::entropy::Entropy;
use lockd::error::ErrorKind;
use lockd::model::Namespace;
use lockd::store::disk::etag::{digest, parse};
use lockd::store::disk::fs::Fs;
use lockd::store::disk::identity::{self, Identity, Kind};
use lockd::store::disk::{Disk, prune};
use lockd::store::{Etag, Precondition, PutError, RecordStore};
use tokio::sync::oneshot;

use super::super::rng::{Rng, SimEntropy};
use super::super::time::MILLI;
use super::counters::Counter as C;
use super::fs::SimFs;
use super::world::{EventId, ProcId, World};

/// Time: the same everywhere, since clocks decide nothing in a directory.
pub struct SimClock {
    now: Arc<AtomicU64>,
    proc: ProcId,
    world: Arc<Mutex<World>>,
}

impl fmt::Debug for SimClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "clock of {}", self.proc)
    }
}

#[async_trait]
impl Clock for SimClock {
    fn boot(&self) -> BootTime {
        BootTime(self.now.load(Ordering::Relaxed))
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(self.boot().0 / MILLI)
    }

    fn boot_id(&self) -> Option<&str> {
        None
    }

    async fn sleep_until(&self, until: BootTime) {
        if self.boot() >= until {
            return;
        }
        let (ring, alarm) = oneshot::channel();
        let proc = self.proc;
        let id = self.world.lock().unwrap().at(until.0, move |w| w.answer(proc, ring, ()));
        let _cancelled_when_dropped = Alarm { world: &self.world, id };
        let _rang = alarm.await;
    }
}

struct Alarm<'a> {
    world: &'a Mutex<World>,
    id: EventId,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.world.lock().unwrap().cancel(self.id);
    }
}

/// One process with the store open.
#[derive(Clone)]
pub struct Actor {
    pub world: Arc<Mutex<World>>,
    pub proc: ProcId,
    pub clock: Arc<SimClock>,
    pub entropy: Arc<SimEntropy>,
    pub disk: Disk<SimFs>,
}

impl Actor {
    /// Opens the store, and makes it where there is none, as often as it takes.
    pub async fn open(world: Arc<Mutex<World>>, proc: ProcId) -> Self {
        let (now, rng, network) = {
            let mut w = world.lock().unwrap();
            (Arc::clone(&w.now), w.rng.fork(), w.mix.network)
        };
        let clock = Arc::new(SimClock { now, proc, world: Arc::clone(&world) });
        let entropy = Arc::new(SimEntropy::new(rng));
        let fs = SimFs { world: Arc::clone(&world), proc };
        let identity = loop {
            match find_or_make(&fs, &*entropy).await {
                Ok(identity) => break identity,
                Err(e) => {
                    let torn = e.kind() == ErrorKind::StoreMissing && !e.message().contains("store.json is gone");
                    let unit = {
                        let mut w = world.lock().unwrap();
                        w.ensure(!torn, "a store is whole", || e.to_string());
                        w.mix.unit
                    };
                    let clock: &dyn Clock = &*clock;
                    clock.sleep(Duration::from_nanos(unit)).await;
                }
            }
        };
        // What failed before is no reason not to trust what comes.
        world.lock().unwrap().procs[proc].distrusts = false;
        let disk = Disk::new(fs, identity, clock.clone(), entropy.clone(), network);
        Self { world, proc, clock, entropy, disk }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub async fn pass(&self, nanos: u64) {
        let clock: &dyn Clock = &*self.clock;
        clock.sleep(Duration::from_nanos(nanos)).await;
    }

    pub fn count(&self, counter: C) {
        self.world().count(counter);
    }
}

async fn find_or_make(fs: &SimFs, entropy: &dyn Entropy) -> lockd::error::Result<Identity> {
    let io = |e| lockd::store::disk::io_error("open the root", e);
    let root = fs.open_root().await.map_err(io)?;
    if let Some(identity) = identity::read(fs, &root, Kind::Plain).await? {
        return Ok(identity);
    }
    let (identity, made) = identity::make(fs, &root, Kind::Plain, entropy).await?;
    if made {
        fs.world().count(C::StoresMade);
    }
    Ok(identity)
}

/// A record that no other is like: the first lines say whose it is, as those of a real one.
fn value(key: &lockd::model::Key, rng: &mut Rng, most: u64) -> Bytes {
    let (namespace, name, n) = (key.namespace().as_str(), key.name(), rng.next());
    let pad = "x".repeat(usize::try_from(rng.below(most + 1)).unwrap());
    format!("lockd-record 1 {n:016x}\n{{\"namespace\":\"{namespace}\",\"key\":\"{name}\"}}\n{pad}").into()
}

pub async fn work(actor: Actor, mut rng: Rng) {
    loop {
        let (stopping, think, keys, prunes, blobs, lists, refused) = {
            let w = actor.world();
            let m = &w.mix;
            (w.stopping, m.think, m.keys, m.prunes, m.blobs, m.lists, w.procs[actor.proc].distrusts)
        };
        if stopping {
            return;
        }
        if refused && rng.chance(2_000) {
            // Its operator starts it again.
            let (proc, host) = (actor.proc, actor.world().host_of(actor.proc));
            let mut w = actor.world();
            w.todo.push(super::world::Todo::Crash(proc));
            w.todo.push(super::world::Todo::Start(host, false));
            w.woken.insert(proc);
            return;
        }
        actor.pass(rng.below(think)).await;
        let key = if rng.chance(6_000) { 0 } else { usize::try_from(rng.below(keys as u64)).unwrap() };
        if rng.chance(prunes) {
            sweep(&actor, key).await;
        } else if rng.chance(blobs) {
            super::objects::work(&actor, &mut rng, key).await;
        } else if rng.chance(lists) {
            list(&actor).await;
        } else if rng.chance(200) {
            wait_for_change(&actor, &mut rng, key).await;
        } else {
            records(&actor, &mut rng, key).await;
        }
    }
}

/// Reads a key and puts to it some times in a row, each on top of the one before.
async fn records(actor: &Actor, rng: &mut Rng, key: usize) {
    let mut when = if actor.world().truth.keys[key].answered == 0 && rng.chance(5_000) {
        Precondition::Absent
    } else {
        match get(actor, key).await {
            Some(when) => when,
            None => return,
        }
    };
    let chain = {
        let most = actor.world().mix.chain;
        rng.below(most + 1)
    };
    let first = when.clone();
    for _ in 0..chain {
        match put(actor, rng, key, when).await {
            Some(etag) => when = Precondition::Matches(etag),
            None => return,
        }
        if rng.chance(500) {
            // What stands on an old revision never wins.
            put(actor, rng, key, first.clone()).await;
        }
    }
}

async fn get(actor: &Actor, key: usize) -> Option<Precondition> {
    let (call, name) = {
        let w = actor.world();
        (w.call(actor.proc, key), w.truth.keys[key].key.clone())
    };
    let result = actor.disk.get(&name).await;
    actor.world().get_ends(call, &result);
    result.ok().map(|tagged| tagged.map_or(Precondition::Absent, |tagged| Precondition::Matches(tagged.etag)))
}

/// Puts a new value; what is of unknown outcome is sad or sent again.
async fn put(actor: &Actor, rng: &mut Rng, key: usize, when: Precondition) -> Option<Etag> {
    let (name, most) = {
        let w = actor.world();
        (w.truth.keys[key].key.clone(), w.mix.value)
    };
    let bytes = value(&name, rng, most);
    let content = digest(&bytes);
    let n = match &when {
        Precondition::Absent => 1,
        Precondition::Matches(etag) => parse(etag).map_or(0, |(n, _)| n) + 1,
    };
    for _ in 0..3 {
        let call = actor.world().put_begins(actor.proc, key, content, n);
        let result = actor.disk.put(&name, bytes.clone(), when.clone()).await;
        actor.world().put_ends(call, content, &result);
        match result {
            Ok(etag) => return Some(etag),
            Err(PutError::Conflict) => return None,
            Err(PutError::Unknown(_) | PutError::Failed(_)) if rng.chance(5_000) => return None,
            Err(_) => {}
        }
    }
    None
}

pub async fn sweep(actor: &Actor, key: usize) -> bool {
    let (call, hash) = {
        let w = actor.world();
        (w.call(actor.proc, key), w.truth.keys[key].hash)
    };
    let result = prune::pass(actor.disk.shared(), hash).await;
    match &result {
        Ok(()) => actor.count(C::Pruned),
        Err(e) => {
            let mut w = actor.world();
            w.count(C::PruneEnded);
            let waits = w.mix.network && (e.message().contains("pruning waits") || e.message().contains("/.nfs"));
            if !waits {
                w.plausible(&call, "prune", e);
            }
        }
    }
    result.is_ok()
}

/// Lists all keys: none that was answered for before is missing.
async fn list(actor: &Actor) {
    let (call, wanted) = {
        let w = actor.world();
        let answered = w.truth.keys.iter().filter(|key| key.answered > 0).map(|key| key.key.clone());
        (w.call(actor.proc, 0), answered.collect::<Vec<_>>())
    };
    let namespace = Namespace::default();
    let found: Vec<_> = RecordStore::list(&actor.disk, &namespace, None).collect().await;
    let mut w = actor.world();
    let mut whole = true;
    let mut keys = Vec::new();
    for item in found {
        match item {
            Ok((key, _)) => keys.push(key),
            Err(e) => {
                whole = false;
                w.plausible(&call, "list", &e);
            }
        }
    }
    if whole {
        w.count(C::Listed);
        let missing = wanted.iter().find(|key| !keys.contains(key));
        let excused = w.excused(&call);
        w.ensure(missing.is_none() || excused, "a listing has every key", || format!("{missing:?}"));
    }
}

async fn wait_for_change(actor: &Actor, rng: &mut Rng, key: usize) {
    let Some(Precondition::Matches(seen)) = get(actor, key).await else { return };
    let (call, name) = {
        let w = actor.world();
        (w.call(actor.proc, key), w.truth.keys[key].key.clone())
    };
    let clock: &dyn Clock = &*actor.clock;
    let until = clock.boot() + Duration::from_nanos(rng.below(MILLI * 200));
    match clock.timeout_at(until, actor.disk.changed(&name, Some(&seen))).await {
        Some(Ok(())) => actor.count(C::Changed),
        Some(Err(e)) => actor.world().plausible(&call, "changed", &e),
        None => {}
    }
}

/// After the faults: reads and writes a key, often enough for a prune, and leaves nothing behind.
pub async fn heal(actor: &Actor, key: usize) {
    let mut rng = Rng::new(key as u64);
    let Some(mut when) = get(actor, key).await else { return };
    for _ in 0..24 {
        let Some(etag) = put(actor, &mut rng, key, when).await else {
            return actor.world().broken("every key can be written after the faults", format!("key {key}"));
        };
        when = Precondition::Matches(etag);
    }
    // What tidies after an answer goes on by itself; then nobody is in the way.
    let unit = actor.world().mix.unit;
    actor.pass(unit * 2_000).await;
    if !sweep(actor, key).await {
        return actor.world().broken("every key can be pruned after the faults", format!("key {key}"));
    }
    let mut w = actor.world();
    w.nothing_left_over(key);
    w.count(C::Healed);
}
