//! One run: a seed, and all that follows from it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use lockd::store::disk::floor;
use lockd::store::disk::layout::Entry as Name;

use super::super::proc::Proc;
use super::super::time::{Nanos, SECOND};
use super::actor::{self, Actor};
use super::counters::{Counter as C, Counters};
use super::leases::Holding;
use super::objects;
use super::world::{self, ProcId, Todo, Trouble, World};
use crate::sim::world::Violation;
use crate::support::panics;

pub struct Run {
    world: Arc<Mutex<World>>,
    procs: BTreeMap<ProcId, Proc>,
    engines: Vec<ProcId>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub seed: u64,
    pub hash: u64,
    pub counters: Counters,
    pub violation: Option<Violation>,
}

/// Runs a seed to its end, or to the first rule that is broken.
pub fn run(seed: u64, trace: bool, strict: bool) -> Report {
    let mut run = Run::new(seed, trace, strict);
    let (end, most) = {
        let w = run.world();
        (w.mix.active, w.mix.most_steps)
    };
    run.until_done(end, |w| w.counters.get(C::Steps) >= most);
    run.heal();
    run.report(seed)
}

impl Run {
    fn new(seed: u64, trace: bool, strict: bool) -> Self {
        panics::forget();
        let world = Arc::new(Mutex::new(World::new(seed, trace, strict)));
        let mut run = Self { world, procs: BTreeMap::new(), engines: Vec::new() };
        let (hosts, procs, engines) = {
            let w = run.world();
            w.say(|| format!("{:#?}", w.mix));
            (w.mix.hosts, w.mix.procs, w.mix.engines)
        };
        for n in 0..procs + engines {
            run.start(n % hosts, n >= procs);
        }
        for trouble in [Trouble::Crash, Trouble::Host, Trouble::Power, Trouble::Pause, Trouble::Full] {
            run.plan(trouble);
        }
        run
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    fn plan(&self, trouble: Trouble) {
        let mut w = self.world();
        let every = match trouble {
            Trouble::Crash => w.mix.crash_every,
            Trouble::Host => w.mix.host_every,
            Trouble::Power => w.mix.power_every,
            Trouble::Pause => w.mix.pause_every,
            Trouble::Full => w.mix.full_every,
        };
        if every > 0 && !w.calm {
            let wait = w.rng.between(1, 2 * every);
            w.after(wait, move |w| w.todo.push(Todo::Trouble(trouble)));
        }
    }

    fn new_proc(&mut self, host: usize) -> ProcId {
        let id = {
            let mut w = self.world();
            let pace = w.rng.pick(&[1, 1, 1, 2, 6, 40]);
            let proc = world::Proc {
                host,
                alive: true,
                faults: 0,
                distrusts: false,
                held_up: false,
                pace,
                open: BTreeMap::new(),
            };
            w.procs.push(proc);
            w.procs.len() - 1
        };
        self.procs.insert(id, Proc::new(host, None));
        self.world().woken.insert(id);
        id
    }

    fn start(&mut self, host: usize, engine: bool) {
        let id = self.new_proc(host);
        let (workers, mut rng) = {
            let mut w = self.world();
            (w.mix.workers, w.rng.fork())
        };
        if engine {
            self.engines.push(id);
        }
        let world = Arc::clone(&self.world);
        self.procs[&id].spawn_worker(async move {
            let actor = Actor::open(world, id).await;
            for _ in 0..workers {
                let rng = rng.fork();
                match engine {
                    true => drop(tokio::spawn(Holding::new(actor.clone(), rng).work())),
                    false => drop(tokio::spawn(actor::work(actor.clone(), rng))),
                }
            }
        });
    }

    /// Runs until `end`, or until a rule is broken.
    fn until(&mut self, end: Nanos) {
        self.until_done(end, |_| false);
    }

    fn until_done(&mut self, end: Nanos, done: impl Fn(&World) -> bool) {
        loop {
            self.settle();
            let mut w = self.world();
            if w.violation.is_some() || done(&w) || !w.advance(end) {
                return;
            }
        }
    }

    /// Runs every process that was woken, and does what was asked of the driver.
    fn settle(&mut self) {
        loop {
            let (next, todo) = {
                let mut w = self.world();
                (w.woken.pop_first(), std::mem::take(&mut w.todo))
            };
            if next.is_none() && todo.is_empty() {
                return;
            }
            for one in todo {
                self.act(one);
            }
            if let Some(proc) = next {
                self.let_run(proc);
            }
        }
    }

    fn let_run(&mut self, proc: ProcId) {
        let Some(one) = self.procs.get(&proc).filter(|one| one.paused_until.is_none()) else { return };
        one.run();
        if let Some(message) = panics::take() {
            self.world().broken("no task panics", message);
        }
    }

    fn act(&mut self, todo: Todo) {
        match todo {
            Todo::Crash(proc) => {
                self.world().count(C::Crash);
                self.crash(proc);
            }
            Todo::Power => self.lose_power(),
            Todo::Start(host, engine) => {
                if !self.world().stopping {
                    self.start(host, engine);
                }
            }
            Todo::Resume(proc) => {
                if let Some(one) = self.procs.get_mut(&proc) {
                    one.paused_until = None;
                    self.world().woken.insert(proc);
                }
            }
            Todo::Trouble(trouble) => {
                if !self.world().calm {
                    self.strike(trouble);
                    self.plan(trouble);
                }
            }
        }
    }

    fn strike(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Power => return self.lose_power(),
            Trouble::Host => return self.lose_host(),
            Trouble::Full => {
                let mut w = self.world();
                w.count(C::FullDisk);
                w.tree.room = Some(w.rng.pick(&[0, 500, 5_000]));
                let wait = w.mix.unit * w.rng.between(20, 400);
                return w.after(wait, |w| w.tree.room = None);
            }
            Trouble::Crash | Trouble::Pause => {}
        }
        let alive: Vec<ProcId> = self.procs.keys().copied().collect();
        if alive.is_empty() {
            return;
        }
        let proc = self.world().rng.pick(&alive);
        if trouble == Trouble::Crash {
            return self.act(Todo::Crash(proc));
        }
        let mut w = self.world.lock().unwrap();
        w.count(C::Pause);
        let longest = w.mix.stall_longest;
        let wait = w.mix.unit * w.rng.below(longest);
        let until = w.now() + wait;
        w.after(wait, move |w| w.todo.push(Todo::Resume(proc)));
        if let Some(one) = self.procs.get_mut(&proc) {
            one.paused_until = Some(until);
        }
    }

    /// A process ends, wherever it is. Another one is started in its place.
    fn crash(&mut self, proc: ProcId) {
        let Some(gone) = self.procs.remove(&proc) else { return };
        let engine = self.engines.contains(&proc);
        {
            let mut w = self.world();
            w.say(|| format!("{proc} crashes"));
            w.close_all(proc);
            let (host, longest) = (w.host_of(proc), w.mix.unit * 100);
            let wait = w.rng.below(longest);
            w.after(wait, move |w| w.todo.push(Todo::Start(host, engine)));
        }
        drop(gone);
    }

    fn lose_host(&mut self) {
        let host = {
            let mut w = self.world();
            w.count(C::HostCrash);
            let hosts = w.mix.hosts as u64;
            usize::try_from(w.rng.below(hosts)).unwrap()
        };
        let there: Vec<ProcId> = self.procs.iter().filter(|(_, one)| one.host == host).map(|(id, _)| *id).collect();
        {
            // Nobody is left to remove what was renamed.
            let mut w = self.world.lock().unwrap();
            let w = &mut *w;
            for proc in &there {
                w.procs[*proc].open.clear();
            }
            w.tree.lose_host(host, &mut w.rng);
        }
        for proc in there {
            self.crash(proc);
        }
    }

    fn lose_power(&mut self) {
        for proc in self.procs.keys().copied().collect::<Vec<_>>() {
            self.crash(proc);
        }
        let mut w = self.world.lock().unwrap();
        let w = &mut *w;
        w.count(C::PowerLoss);
        let at_stake = w.count_at_stake();
        let keeps = w.rng.pick(&w.mix.keeps);
        let torn = w.tree.lose_power(&mut w.rng, keeps);
        w.counters.add(C::Torn, torn);
        w.say(|| format!("power is lost: {keeps:?}"));
        w.survey(&at_stake);
    }

    /// The faults stop. Then every key can be read, written and tidied, by whoever comes.
    fn heal(&mut self) {
        let (unit, longest) = {
            let mut w = self.world();
            w.calm = true;
            w.tree.room = None;
            (w.mix.unit, w.mix.active + w.mix.unit * (w.mix.stall_longest + 10_000))
        };
        for (proc, one) in &mut self.procs {
            one.paused_until = None;
            self.world.lock().unwrap().woken.insert(*proc);
        }
        let now = self.world().now();
        self.until(now + unit * 300);
        self.world().stopping = true;
        let now = self.world().now();
        self.until(now + longest + 20 * SECOND);
        let id = self.new_proc(0);
        self.world().procs[id].pace = 1;
        let world = Arc::clone(&self.world);
        let proc = &self.procs[&id];
        let done = Arc::clone(&proc.done);
        proc.spawn(async move {
            let actor = Actor::open(world, id).await;
            let (keys, leases) = {
                let w = actor.world();
                (w.mix.keys, w.leases.len())
            };
            for key in 0..keys {
                actor::heal(&actor, key).await;
            }
            objects::heal(&actor).await;
            for key in 0..leases {
                let rng = actor.world().rng.fork();
                let healed = Holding::new(actor.clone(), rng).heal(key).await.is_some();
                actor.world().ensure(healed, "every lease can be had after the faults", || format!("{key}"));
            }
        });
        let now = self.world().now();
        let over = || done.load(std::sync::atomic::Ordering::Relaxed);
        self.until_done(now + unit * 200_000 + 60 * SECOND, |_| over());
        self.world().ensure(over(), "after the faults all goes on", String::new);
    }

    fn report(self, seed: u64) -> Report {
        let Self { world, procs, .. } = self;
        drop(procs);
        let mut w = world.lock().unwrap();
        let steps = w.counters.get(C::Steps);
        w.note(0, steps, 0);
        w.end();
        Report { seed, hash: w.hash, counters: w.counters.clone(), violation: w.violation.clone() }
    }
}

impl World {
    /// After a prune in peace: no temporary file, and no more revisions than the floor leaves.
    pub fn nothing_left_over(&mut self, key: usize) {
        let known = &self.truth.keys[key];
        let head = known.published.last_key_value().map_or(0, |(n, _)| *n);
        let Some(Ok(names)) = known.dir.map(|dir| self.names(dir)) else {
            return self.broken("a key has its directory", format!("key {key}"));
        };
        let kept = head - floor::target(head);
        let revisions = names.iter().filter(|name| matches!(Name::parse(name), Name::Revision(_))).count() as u64;
        let others: Vec<_> = names.iter().filter(|name| !matches!(Name::parse(name), Name::Revision(_))).collect();
        let tidy = others == ["floor"] && revisions == kept;
        self.ensure(tidy, "nothing is left over", || format!("head {head}: {names:?}"));
    }
}
