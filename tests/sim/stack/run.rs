//! One run: a seed, and all that follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use lockd::limits::takeover_age;
use turmoil::Sim;

use super::hosts::{Host, Protocol, Role, Tally, count};
use super::last::{unconfirmed, vanished};
use super::troubles::{Act, Troubles};
use crate::sim::actor::Actor;
use crate::sim::last::{hold, take};
use crate::sim::mix::Mix;
use crate::sim::rng::{Rng, mix};
use crate::sim::run::Report;
use crate::sim::time::{MILLI, Nanos, SECOND};
use crate::sim::world::{Cut, Shared};
use crate::support::panics;

/// What is drawn for the stack alone.
#[derive(Clone, Debug)]
pub struct Shape {
    pub servers: usize,
    pub clients: usize,
    pub workers: usize,
    /// A step of the network.
    pub tick: Duration,
    pub latency: (Duration, Duration),
    pub drain: Duration,
}

impl Shape {
    fn draw(rng: &mut Rng) -> Self {
        let least = rng.pick(&[1, 2, 5]);
        Self {
            servers: usize::try_from(rng.between(2, 3)).unwrap(),
            clients: usize::try_from(rng.between(2, 4)).unwrap(),
            workers: usize::try_from(rng.between(2, 3)).unwrap(),
            tick: Duration::from_millis(rng.pick(&[5, 10])),
            latency: (Duration::from_millis(least), Duration::from_millis(least * rng.pick(&[2, 5, 10]))),
            drain: Duration::from_secs(rng.between(1, 8)),
        }
    }
}

/// The mix of the other runs, made shorter: a step of the network costs more than an event there.
fn shorter(mix: &mut Mix) {
    (mix.serves, mix.remote) = (true, true);
    (mix.stamps, mix.notes) = (false, false);
    mix.ttl = mix.ttl.min(Duration::from_secs(5));
    mix.other_ttl = mix.other_ttl.min(Duration::from_secs(8));
    mix.think = mix.think.min(Duration::from_millis(500));
    mix.active = mix.active.min(120 * SECOND);
    mix.timeout = mix.timeout.min(5 * SECOND);
    mix.tail_longest = mix.tail_longest.min(3 * SECOND);
    mix.longest_trouble = mix.longest_trouble.min(15 * SECOND);
}

pub struct Stack {
    pub world: Arc<Mutex<Shared>>,
    pub sim: Sim<'static>,
    pub hosts: Vec<Host>,
    pub rng: Rng,
    pub shape: Shape,
    pub troubles: Troubles,
    /// What will happen, in order.
    pub due: BTreeMap<(Nanos, u64), Act>,
    pub scheduled: u64,
    pub down: BTreeSet<usize>,
    pub tally: Tally,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub report: Report,
    pub tally: BTreeMap<&'static str, u64>,
}

/// Runs a seed to its end, or to the first rule that is broken.
pub fn run(seed: u64, trace: bool) -> Outcome {
    let mut run = Stack::new(seed, trace);
    run.active();
    run.heal();
    run.quiet();
    run.all_is_granted();
    run.outcome(seed)
}

impl Stack {
    fn new(seed: u64, trace: bool) -> Self {
        panics::forget();
        let world = Arc::new(Mutex::new(Shared::new(seed, shorter, trace)));
        let mut rng = world.lock().unwrap().rng.fork();
        let shape = Shape::draw(&mut rng);
        let sim = turmoil::Builder::new()
            .tick_duration(shape.tick)
            .simulation_duration(Duration::from_secs(100_000))
            .min_message_latency(shape.latency.0)
            .max_message_latency(shape.latency.1)
            .tcp_capacity(4_096)
            .rng_seed(rng.next())
            .build();
        let troubles = Troubles::draw(&mut rng);
        let (hosts, due, scheduled, down, tally) = Default::default();
        let mut run = Self { world, sim, hosts, rng, shape, troubles, due, scheduled, down, tally };
        run.build();
        run.plan_all();
        run
    }

    fn build(&mut self) {
        let Shape { servers, clients, workers, drain, .. } = self.shape;
        let names: Vec<String> = (0..servers).map(|n| format!("server-{n}")).collect();
        let mut roles: Vec<_> = names.iter().map(|name| (name.clone(), Role::Server)).collect();
        for n in 0..clients {
            let protocol = if self.rng.chance(3_500) { Protocol::Http2 } else { Protocol::Http1 };
            roles.push((format!("client-{n}"), Role::Client(protocol, workers)));
        }
        // They come in at the end.
        roles.push(("late-0".into(), Role::Client(Protocol::Http1, 0)));
        roles.push(("late-1".into(), Role::Client(Protocol::Http2, 0)));
        for (index, (name, role)) in roles.into_iter().enumerate() {
            self.world().boot(index);
            let mut servers = names.clone();
            servers.rotate_left(index % names.len());
            // Each client knows two of them.
            servers.truncate(2);
            let (life, world, tally) = (Arc::default(), Arc::clone(&self.world), Arc::clone(&self.tally));
            let host = Host { name: name.clone(), index, role, servers, drain, life, world, tally };
            self.hosts.push(host.clone());
            self.sim.host(name, move || host.start());
        }
        self.world().say(|| format!("{:#?} {:#?}", self.shape, self.troubles));
    }

    pub fn world(&self) -> MutexGuard<'_, Shared> {
        self.world.lock().unwrap()
    }

    pub fn now(&self) -> Nanos {
        self.world().now()
    }

    fn is_broken(&self) -> bool {
        self.world().violation.is_some()
    }

    /// One step of the network, and of the world after it.
    pub fn step(&mut self) {
        self.sim.step().unwrap();
        let now = u64::try_from(self.sim.elapsed().as_nanos()).unwrap();
        let mut w = self.world.lock().unwrap();
        while w.advance(now) {}
        w.now.store(now, Ordering::Relaxed);
        w.woken.clear();
        for host in self.hosts.iter().filter(|host| host.role != Role::Server) {
            if let Some(life) = host.life() {
                w.check_beliefs(Some(life.proc));
            }
        }
        if let Some(message) = panics::take() {
            w.broken("no task panics", message);
        }
    }

    fn until(&mut self, end: Nanos) {
        while self.now() < end && !self.is_broken() {
            self.step();
            self.act();
        }
    }

    fn active(&mut self) {
        let end = self.world().mix.active;
        self.until(end);
    }

    /// The faults stop.
    fn heal(&mut self) {
        {
            let mut w = self.world();
            w.calm = true;
            w.stalled_until = 0;
            w.cuts.fill(Cut::default());
            w.mix.delay = (MILLI, 5 * MILLI);
        }
        self.mend();
    }

    /// Everybody goes on without faults, then nobody begins anew.
    fn quiet(&mut self) {
        let (ttl, latest) = {
            let w = self.world();
            (w.mix.ttl.max(w.mix.other_ttl), w.mix.latest())
        };
        let now = self.now();
        self.until(now + 5 * SECOND);
        self.world().stopping = true;
        let part = u64::try_from(takeover_age(ttl).as_nanos()).unwrap();
        let end = self.now() + 10 * part + latest + 200 * SECOND;
        let working = |host: &Host| host.life().is_some_and(|life| life.working.load(Ordering::Relaxed) > 0);
        while self.hosts.iter().any(working) && self.now() < end && !self.is_broken() {
            let now = self.now();
            self.until(now + SECOND);
        }
        // What was sent late arrives.
        let now = self.now();
        self.until(now + latest);
    }

    /// Lets a client that has come late do something; `None` when it takes longer than that.
    fn ask<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &mut self,
        which: usize,
        bound: Nanos,
        work: impl FnOnce(Actor) -> F,
    ) -> Option<T> {
        let host = &self.hosts[self.hosts.len() - 2 + which % 2];
        let life = host.life()?;
        let (actor, jobs) = life.client.as_ref()?;
        let (done, work) = (Arc::new(Mutex::new(None)), work(actor.clone()));
        let slot = Arc::clone(&done);
        let job = Box::pin(async move {
            let result = work.await;
            *slot.lock().unwrap() = Some(result);
        });
        jobs.send(job).ok()?;
        let end = self.now() + bound;
        while self.now() < end && !self.is_broken() {
            if let Some(result) = done.lock().unwrap().take() {
                return Some(result);
            }
            self.step();
        }
        done.lock().unwrap().take()
    }

    /// Late clients take each key within the time promised, whoever had it; and what a server owes to who has gone is paid.
    fn all_is_granted(&mut self) {
        let (keys, ttl, poll) = {
            let w = self.world();
            (w.mix.keys, w.mix.ttl.max(w.mix.other_ttl), w.mix.poll)
        };
        let bound = u64::try_from(takeover_age(ttl).as_nanos()).unwrap() * 102 / 100 + poll + 5 * SECOND;
        for key in 0..keys {
            let taken = self.ask(key, bound, move |actor| async move { take(&actor, key).await });
            if self.is_broken() {
                return;
            }
            if taken.flatten().is_none() {
                self.world().broken("a free or expired key is granted in time", format!("key {key}"));
                return;
            }
            let now = self.now();
            self.until(now + 3 * SECOND);
            self.world().nothing_left_over(key);
        }
        for which in 0..2 {
            for (what, done) in [
                ("a waiter that goes", self.ask(which, 60 * SECOND, |actor| async move { vanished(&actor, 0).await })),
                (
                    "a grant that nobody confirms",
                    self.ask(which, 60 * SECOND, |actor| async move { unconfirmed(&actor, 0).await }),
                ),
            ] {
                if done.is_none() {
                    self.world().broken("what is asked at the end is answered", what);
                }
            }
            self.takeover(which, bound);
        }
    }

    /// A holder that does not renew holds nobody up.
    fn takeover(&mut self, which: usize, bound: Nanos) {
        if self.is_broken() {
            return;
        }
        let _held = self.ask(which, bound, |actor| async move { hold(&actor, 0, false).await });
        let taken = self.ask(which + 1, bound, |actor| async move { take(&actor, 0).await });
        if taken.flatten().is_none() {
            self.world().broken("a free or expired key is granted in time", "its last holder is silent");
        }
    }

    /// What hosts leave behind when they are dropped is told in one order, whatever order their tasks are dropped in.
    pub fn sorted(&mut self, drops: impl FnOnce(&mut Self)) {
        let before = self.world().told.len();
        drops(self);
        self.world().told[before..].sort_by_key(|event| event.call);
    }

    fn outcome(mut self, seed: u64) -> Outcome {
        self.sorted(|run| {
            run.hosts.iter().for_each(|host| *host.life.lock().unwrap() = None);
            run.sim = turmoil::Builder::new().build();
        });
        let tally = self.tally.lock().unwrap().clone();
        let mut w = self.world.lock().unwrap();
        if w.violation.is_none() {
            w.check_history();
        }
        let history = std::mem::take(&mut w.told);
        let told = crate::history::lines(&history);
        w.hash = told.bytes().fold(w.hash, |sum, byte| mix(sum ^ u64::from(byte)));
        for (n, (_, times)) in tally.iter().enumerate() {
            w.note("tally", n as u64, *times);
        }
        w.drop_events();
        let (hash, simulated) = (w.hash, w.now());
        let (counters, violation) = (w.counters.clone(), w.violation.clone());
        let report = Report { seed, hash, simulated, counters, violation, history };
        Outcome { report, tally }
    }

    pub fn count(&self, what: &'static str) {
        count(&self.tally, what);
    }
}
