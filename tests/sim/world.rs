//! The world that the processes share: true time, what will happen, the store's content, and what is known of all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use tokio::sync::oneshot;

use super::beliefs::Beliefs;
use super::blobs::Blobs;
use super::counters::{Counter, Counters};
use super::history::History;
use super::mix::Mix;
use super::rng::{Rng, mix};
use super::services::Commits;
use super::time::{Boot, Nanos, SECOND};
use crate::history;

/// A process, over the whole run: a restarted one is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcId(pub usize);

pub type EventId = (Nanos, u64);
pub type Event = Box<dyn FnOnce(&mut Shared) + Send>;

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub check: &'static str,
    pub what: String,
    pub at: Nanos,
}

impl Violation {
    /// What was broken by this seed, and the command that shows it again in these tests.
    pub fn complaint(&self, seed: u64, suite: &str) -> String {
        format!(
            "seed {seed}: {}: {} at {:.6} s\n  see it again: LOCKD_SIM_SEED={seed} cargo test --profile sim --test main \
             {suite}::replay -- --nocapture\n",
            self.check,
            self.what,
            self.at as f64 / 1e9
        )
    }
}

/// What only the driver can do, between events.
#[derive(Debug)]
pub enum Todo {
    Crash(ProcId),
    Start(usize),
    Resume(ProcId),
    Chaos(super::chaos::Kind),
    Command(usize),
}

/// A cut between a host and the store.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cut {
    pub requests: bool,
    pub replies: bool,
}

pub struct Shared {
    pub now: Arc<AtomicU64>,
    events: BTreeMap<EventId, Event>,
    seq: u64,
    pub rng: Rng,
    pub mix: Mix,
    /// No new faults from now on.
    pub calm: bool,
    /// Nobody starts anything new from now on.
    pub stopping: bool,
    pub hash: u64,
    pub counters: Counters,
    pub violation: Option<Violation>,
    pub woken: BTreeSet<ProcId>,
    pub todo: Vec<Todo>,
    /// The host of each process, by id.
    pub host_of: Vec<usize>,
    pub born: Vec<Nanos>,
    pub boots: Vec<Arc<Boot>>,
    pub cuts: Vec<Cut>,
    pub stalled_until: Nanos,
    pub store_clock_jump: Nanos,
    pub history: History,
    /// Every call and every write, for the checks that know nothing of this world.
    pub told: Vec<history::Event>,
    pub calls: u64,
    pub blobs: Blobs,
    pub commits: Commits,
    pub beliefs: Beliefs,
    pub trace: bool,
}

impl Shared {
    pub fn new(seed: u64, shape: fn(&mut Mix), trace: bool) -> Self {
        let mut rng = Rng::new(mix(seed ^ 0x006c_6f63_6b64));
        let mut mix = Mix::draw(&mut rng);
        shape(&mut mix);
        let keys = mix.keys;
        Self {
            now: Arc::default(),
            events: BTreeMap::new(),
            seq: 0,
            rng,
            mix,
            calm: false,
            stopping: false,
            hash: seed,
            counters: Counters::default(),
            violation: None,
            woken: BTreeSet::new(),
            todo: Vec::new(),
            host_of: Vec::new(),
            born: Vec::new(),
            boots: Vec::new(),
            cuts: Vec::new(),
            stalled_until: 0,
            store_clock_jump: 0,
            history: History::new(keys),
            told: Vec::new(),
            calls: 0,
            blobs: Blobs::default(),
            commits: Commits::default(),
            beliefs: Beliefs::default(),
            trace,
        }
    }

    pub fn now(&self) -> Nanos {
        self.now.load(Ordering::Relaxed)
    }

    /// A host boots: a new boot clock under a new id.
    pub fn boot(&mut self, host: usize) {
        let n = self.rng.next();
        let offset = if self.boots.len() > host { 3 * SECOND } else { self.rng.below(100_000) * SECOND };
        let boot = Boot {
            host,
            id: format!("boot-{n:x}"),
            born: self.now(),
            offset,
            ppm: self.mix.ppm[host % self.mix.ppm.len()],
            wall: AtomicI64::new(i64::try_from(self.rng.below(7_200_000)).unwrap() - 3_600_000),
        };
        if self.boots.len() > host {
            self.boots[host] = Arc::new(boot);
        } else {
            self.boots.push(Arc::new(boot));
            self.cuts.push(Cut::default());
        }
    }

    /// A process starts on a host.
    pub fn process(&mut self, host: usize) -> ProcId {
        let proc = ProcId(self.host_of.len());
        self.host_of.push(host);
        let now = self.now();
        self.born.push(now);
        proc
    }

    /// Something that happens at a time.
    pub fn at(&mut self, at: Nanos, event: impl FnOnce(&mut Self) + Send + 'static) -> EventId {
        self.seq += 1;
        let id = (at.max(self.now()), self.seq);
        self.events.insert(id, Box::new(event));
        id
    }

    pub fn after(&mut self, delay: Nanos, event: impl FnOnce(&mut Self) + Send + 'static) {
        let at = self.now() + delay;
        self.at(at, event);
    }

    pub fn cancel(&mut self, id: EventId) {
        self.events.remove(&id);
    }

    pub const fn events_mut(&mut self) -> &mut BTreeMap<EventId, Event> {
        &mut self.events
    }

    /// The next thing happens, unless it is later than `end`.
    pub fn advance(&mut self, end: Nanos) -> bool {
        let Some(entry) = self.events.first_entry() else { return false };
        let at = entry.key().0;
        if at > end {
            self.now.store(end, Ordering::Relaxed);
            return false;
        }
        let event = entry.remove();
        self.now.store(at, Ordering::Relaxed);
        event(self);
        true
    }

    /// An answer arrives at a process; one that nobody waits for any more is nothing.
    pub fn answer<T>(&mut self, proc: ProcId, to: oneshot::Sender<T>, answer: T) {
        if to.send(answer).is_ok() {
            self.woken.insert(proc);
        }
    }

    pub fn cut_of(&self, proc: ProcId) -> Cut {
        self.cuts[self.host_of[proc.0]]
    }

    /// Puts an event into the hash of the run.
    pub fn note(&mut self, kind: &'static str, a: u64, b: u64) {
        self.hash = mix(self.hash ^ mix(self.now() ^ mix(a ^ b.rotate_right(32) ^ (kind.len() as u64) << 56)))
            ^ u64::from(kind.as_bytes()[0]);
        if self.trace {
            println!("{:>14.6} {kind} {a:x} {b:x}", self.now() as f64 / 1e9);
        }
    }

    pub fn say(&self, text: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>14.6} {}", self.now() as f64 / 1e9, text());
        }
    }

    pub fn count(&mut self, counter: Counter) {
        self.counters.add(counter);
    }

    /// The first rule that was broken is kept: the run ends there.
    pub fn broken(&mut self, check: &'static str, what: impl Into<String>) {
        let at = self.now();
        if self.violation.is_none() {
            self.violation = Some(Violation { check, what: what.into(), at });
        }
    }

    pub fn ensure(&mut self, holds: bool, check: &'static str, what: impl FnOnce() -> String) {
        if !holds {
            self.broken(check, what());
        }
    }
}
