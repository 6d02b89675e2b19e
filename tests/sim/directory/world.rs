//! The world that the processes share: time, what will happen, the tree of files, and what is known of all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lockd::store::disk::fs::Errno;
use tokio::sync::oneshot;

use super::super::rng::{Rng, mix};
use super::super::time::Nanos;
use super::counters::{Counter as C, Counters};
use super::leases::Leases;
use super::mix::{Kind, Mix, Strike};
use super::objects::Objects;
use super::tree::{Ino, Tree};
use super::truth::Truth;
use crate::sim::world::Violation;

/// A process, over the whole run: a restarted one is another.
pub type ProcId = usize;
pub type EventId = (Nanos, u64);
type Event = Box<dyn FnOnce(&mut World) + Send>;

/// What happens to processes and machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    Crash,
    Host,
    Power,
    Pause,
    Full,
}

/// What only the driver can do, between events.
#[derive(Debug)]
pub enum Todo {
    Trouble(Trouble),
    Crash(ProcId),
    Power,
    Start(usize, bool),
    Resume(ProcId),
}

/// What the world knows of a process.
pub struct Proc {
    pub host: usize,
    pub alive: bool,
    /// Faults that it met.
    pub faults: u64,
    /// A sync failed that ends its use of the store.
    pub distrusts: bool,
    /// The reply to its link was lost: what it does next may come late.
    pub held_up: bool,
    /// How slow it is.
    pub pace: u64,
    pub open: BTreeMap<Ino, u32>,
}

pub struct World {
    pub now: Arc<AtomicU64>,
    events: BTreeMap<EventId, Event>,
    seq: u64,
    pub rng: Rng,
    pub mix: Mix,
    /// No new faults from now on.
    pub calm: bool,
    /// Nobody starts anything new from now on.
    pub stopping: bool,
    /// What is answered is also checked for being durable at that moment, without a loss of power.
    pub strict: bool,
    pub hash: u64,
    pub counters: Counters,
    pub violation: Option<Violation>,
    pub woken: BTreeSet<ProcId>,
    pub todo: Vec<Todo>,
    pub procs: Vec<Proc>,
    pub tree: Tree,
    pub truth: Truth,
    pub objects: Objects,
    pub leases: Leases,
    pub trace: bool,
    /// Whether the client of the step that is being made will hear of it.
    pub heard: bool,
}

/// How a step goes wrong.
enum Fault {
    Refused(Errno),
    Hidden(Errno),
}

impl World {
    pub fn new(seed: u64, trace: bool, strict: bool) -> Self {
        let mut rng = Rng::new(mix(seed ^ 0x6469_7265_6374));
        let mix = Mix::draw(&mut rng);
        let network = mix.network;
        Self {
            now: Arc::default(),
            events: BTreeMap::new(),
            seq: 0,
            rng,
            truth: Truth::new(mix.keys, mix.leases),
            leases: Leases::new(mix.leases),
            objects: Objects::default(),
            mix,
            calm: false,
            stopping: false,
            strict,
            hash: seed,
            counters: Counters::default(),
            violation: None,
            woken: BTreeSet::new(),
            todo: Vec::new(),
            procs: Vec::new(),
            tree: Tree::new(network),
            trace,
            heard: true,
        }
    }

    pub fn now(&self) -> Nanos {
        self.now.load(Ordering::Relaxed)
    }

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

    pub fn end(&mut self) {
        self.events.clear();
    }

    /// The next thing happens, unless it is later than `end`.
    pub fn advance(&mut self, end: Nanos) -> bool {
        let next = self.events.first_entry().filter(|entry| entry.key().0 <= end);
        let Some(entry) = next else {
            self.now.store(end, Ordering::Relaxed);
            return false;
        };
        self.now.store(entry.key().0, Ordering::Relaxed);
        let event = entry.remove();
        event(self);
        true
    }

    pub fn host_of(&self, proc: ProcId) -> usize {
        self.procs[proc].host
    }

    pub fn answer<T>(&mut self, proc: ProcId, to: oneshot::Sender<T>, answer: T) {
        if to.send(answer).is_ok() {
            self.woken.insert(proc);
        }
    }

    /// A process asks for a step. One that is held up for ever never gets an answer: its sender goes with it.
    pub fn start<T: Send + 'static>(
        &mut self,
        proc: ProcId,
        kind: Kind,
        on: Ino,
        to: oneshot::Sender<Result<T, Errno>>,
        apply: impl FnOnce(&mut Self) -> Result<T, Errno> + Send + 'static,
    ) {
        self.count(C::Steps);
        let mut wait = 1 + self.rng.below(self.mix.unit * self.procs[proc].pace);
        if self.chance(self.mix.forever) {
            self.count(C::Forever);
            self.say(|| format!("{proc} {kind:?} is held up for ever"));
            self.procs[proc].faults += 1;
            // On a file server nothing is: it comes when all is well again.
            if !self.mix.network {
                return;
            }
            wait = self.mix.active;
        }
        let strike = (self.mix.hot.contains(&kind) && self.chance(self.mix.hot_chance)).then(|| self.draw_strike());
        let held_up = std::mem::take(&mut self.procs[proc].held_up) && self.chance(5_000);
        if held_up || strike == Some(Strike::StallBefore) || self.chance(self.mix.stall) {
            self.count(C::Stall);
            wait += self.rng.below(self.mix.unit * self.mix.stall_longest);
        }
        let losses = self.truth.losses;
        self.after(wait, move |w| {
            // What was under way when the power went never comes.
            if losses == w.truth.losses {
                w.arrive(proc, kind, on, strike, to, apply);
            }
        });
    }

    fn draw_strike(&mut self) -> Strike {
        let strikes = std::mem::take(&mut self.mix.strikes);
        let strike = self.rng.pick(&strikes);
        self.mix.strikes = strikes;
        strike
    }

    fn arrive<T>(
        &mut self,
        proc: ProcId,
        kind: Kind,
        on: Ino,
        strike: Option<Strike>,
        to: oneshot::Sender<Result<T, Errno>>,
        apply: impl FnOnce(&mut Self) -> Result<T, Errno>,
    ) {
        if !self.procs[proc].alive {
            if kind.changes_names() && self.chance(self.mix.late_step) {
                self.count(C::LateStep);
                self.heard = false;
                let _nobody_asks = apply(self);
                self.heard = true;
            }
            return;
        }
        match strike {
            Some(Strike::CrashBefore) => return self.todo.push(Todo::Crash(proc)),
            Some(Strike::PowerBefore) => return self.todo.push(Todo::Power),
            _ => {}
        }
        let outcome = match self.fault(kind) {
            None => apply(self),
            Some(Fault::Refused(e)) => {
                self.count(C::Refused);
                self.failed(proc, kind, on, e);
                Err(e)
            }
            Some(Fault::Hidden(e)) => {
                self.count(C::Hidden);
                self.heard = false;
                let made = apply(self);
                self.heard = true;
                if kind == Kind::Link && made.is_ok() {
                    self.procs[proc].held_up = true;
                    self.count(C::LinkReplyLost);
                }
                self.failed(proc, kind, on, e);
                made.and(Err(e))
            }
        };
        let word = match &outcome {
            Ok(_) => 0,
            Err(e) => u64::from(e.raw_os_error().unsigned_abs()),
        };
        self.note(kind as u64, proc as u64, word);
        self.say(|| format!("{proc} {kind:?} {on}: {:?}", outcome.as_ref().err()));
        match strike {
            Some(Strike::CrashAfter) => self.todo.push(Todo::Crash(proc)),
            Some(Strike::PowerAfter) => self.todo.push(Todo::Power),
            _ => {}
        }
        self.answer(proc, to, outcome);
    }

    fn fault(&mut self, kind: Kind) -> Option<Fault> {
        if !self.chance(self.mix.errors[kind as usize]) {
            return None;
        }
        let network = self.mix.network;
        let hidden = self.chance(self.mix.hidden);
        // A client that lost the reply sends again and is told what it made itself.
        let (again, plain): (&[Errno], &[Errno]) = match kind {
            Kind::Link | Kind::Create | Kind::MakeDir => {
                (&[Errno::EXIST, Errno::IO, Errno::TIMEDOUT], &[Errno::IO, Errno::NOSPC, Errno::DQUOT])
            }
            Kind::Unlink => (&[Errno::NOENT, Errno::IO], &[Errno::IO, Errno::BUSY]),
            Kind::Write | Kind::SyncData | Kind::SyncFile | Kind::SyncDir => {
                (&[Errno::IO], &[Errno::IO, Errno::NOSPC, Errno::INTR])
            }
            _ => (&[Errno::IO], &[Errno::IO, Errno::ACCESS, Errno::MFILE, Errno::INTR]),
        };
        Some(match (hidden, network) {
            (true, true) => Fault::Hidden(self.rng.pick(again)),
            (true, false) => Fault::Hidden(Errno::IO),
            (false, true) if self.rng.chance(2_000) => Fault::Refused(Errno::STALE),
            (false, _) => Fault::Refused(self.rng.pick(plain)),
        })
    }

    /// What follows from a fault beyond its error.
    fn failed(&mut self, proc: ProcId, kind: Kind, on: Ino, error: Errno) {
        self.procs[proc].faults += 1;
        self.say(|| format!("{proc} {kind:?} {on}: fault {error:?}"));
        match kind {
            Kind::SyncDir => self.procs[proc].distrusts = true,
            Kind::SyncData | Kind::SyncFile => {
                self.tree.fail_sync(on);
                let dir = self.tree.node(on).map_or(0, |node| node.parent);
                // Whoever raises it again writes the byte again: a full disk is no reason to distrust the next sync.
                let full = matches!(error, Errno::NOSPC | Errno::DQUOT);
                let raised = self.tree.stat(on).is_ok_and(|stat| stat.len > 0);
                if kind == Kind::SyncFile && self.tree.find(dir, "floor") == Some(on) && !(full && raised) {
                    self.procs[proc].distrusts = true;
                }
            }
            _ => {}
        }
    }

    /// Whether a fault of this chance happens.
    pub fn chance(&mut self, in_10_000: u32) -> bool {
        !self.calm && self.rng.chance(in_10_000)
    }

    /// A process ends, with all that it has open.
    pub fn close_all(&mut self, proc: ProcId) {
        self.procs[proc].alive = false;
        let host = self.host_of(proc);
        for (ino, times) in std::mem::take(&mut self.procs[proc].open) {
            for _ in 0..times {
                self.unuse(host, ino);
            }
        }
    }

    /// Puts an event into the hash of the run.
    pub fn note(&mut self, kind: u64, a: u64, b: u64) {
        self.hash = mix(self.hash ^ mix(self.now() ^ mix(a ^ b.rotate_right(32) ^ kind << 56)));
    }

    pub fn say(&self, text: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>14.6} {}", self.now() as f64 / 1e9, text());
        }
    }

    pub fn count(&mut self, counter: C) {
        self.counters.add(counter, 1);
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
