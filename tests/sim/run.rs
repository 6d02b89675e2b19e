//! One run: a seed, and all that follows from it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};

use lockd::limits::takeover_age;

use super::actor::Actor;
use super::beliefs::Source;
use super::chaos::Kind;
use super::commands::{self, Command, Printed, Script};
use super::counters::{Counter as C, Counters};
use super::mix::Mix;
use super::proc::Proc;
use super::time::{MILLI, Nanos, SECOND};
use super::worker;
use super::world::{ProcId, Shared, Todo, Violation};
use crate::history::Event;
use crate::support::panics;

pub struct Run {
    pub world: Arc<Mutex<Shared>>,
    pub procs: BTreeMap<ProcId, Proc>,
    pub scripts: Vec<Script>,
    notes: Option<tempfile::TempDir>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub seed: u64,
    pub hash: u64,
    pub simulated: Nanos,
    pub counters: Counters,
    pub violation: Option<Violation>,
    pub history: Vec<Event>,
}

/// Runs a seed to its end, or to the first rule that is broken. `shape` may bend what the seed drew.
pub fn run(seed: u64, shape: fn(&mut Mix), trace: bool) -> Report {
    let mut run = Run::new(seed, shape, trace);
    run.safety();
    run.liveness();
    run.report(seed)
}

impl Run {
    fn new(seed: u64, shape: fn(&mut Mix), trace: bool) -> Self {
        panics::forget();
        let world = Arc::new(Mutex::new(Shared::new(seed, shape, trace)));
        let mut run = Self { world, procs: BTreeMap::new(), scripts: Vec::new(), notes: None };
        let (hosts, procs, scripts, keys, notes) = {
            let w = run.world();
            w.say(|| format!("{:#?}", w.mix));
            (w.mix.hosts, w.mix.procs, w.mix.scripts, w.mix.keys, w.mix.notes)
        };
        // In memory where that is at hand: a rename on a disk may wait for it.
        let memory = std::path::Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        run.notes = notes.then(|| tempfile::tempdir_in(place).unwrap());
        for host in 0..hosts {
            run.world().boot(host);
        }
        for n in 0..procs {
            run.start(n % hosts);
        }
        for n in 0..scripts {
            let rng = run.world().rng.fork();
            run.scripts.push(Script::new(n % hosts, n % keys, rng));
            run.world().todo.push(Todo::Command(n));
        }
        for kind in Kind::ALL {
            kind.plan(&mut run.world());
        }
        run
    }

    pub fn world(&self) -> MutexGuard<'_, Shared> {
        self.world.lock().unwrap()
    }

    fn spawn(&mut self, host: usize, script: Option<usize>, notes: Option<PathBuf>) -> (ProcId, Actor) {
        let (proc, boot) = {
            let mut w = self.world();
            let proc = w.process(host);
            w.woken.insert(proc);
            (proc, Arc::clone(&w.boots[host]))
        };
        self.procs.insert(proc, Proc::new(host, script));
        (proc, Actor::new(&self.world, proc, &boot, notes))
    }

    /// A long-lived process with its workers.
    fn start(&mut self, host: usize) {
        let (proc, actor) = self.spawn(host, None, None);
        let workers = self.world().mix.workers;
        for _ in 0..workers {
            let rng = self.world().rng.fork();
            self.procs[&proc].spawn_worker(worker::work(actor.clone(), rng));
        }
    }

    /// The next command of a script.
    fn command(&mut self, n: usize) {
        let (ttl, stopping, shared) = {
            let w = self.world();
            (w.mix.ttl, w.stopping, w.mix.notes_shared)
        };
        let script = &mut self.scripts[n];
        let Some(command) = script.next(ttl, stopping) else { return };
        script.running = Some(command.clone());
        *script.output.lock().unwrap() = None;
        if let Command::Release { id, .. } = &command {
            // From the moment of sending a holder must not believe.
            self.world.lock().unwrap().disbelieve(None, id);
        }
        let (host, key, output) = (script.host, script.key, Arc::clone(&script.output));
        let rng = script.rng.fork();
        let notes =
            self.notes.as_ref().map(|dir| dir.path().join(if shared { "home".into() } else { format!("host-{host}") }));
        let (proc, actor) = self.spawn(host, Some(n), notes);
        self.world().say(|| format!("{proc:?} runs {command:?}"));
        self.procs[&proc].spawn(commands::run(actor, rng, key, command, output));
        let most = self.world().mix.latest();
        let impatient = self.world().rng.chance(700);
        if impatient {
            // Killed by whoever ran it.
            let mut w = self.world();
            let wait = w.rng.below(most);
            w.after(wait, move |w| w.todo.push(Todo::Crash(proc)));
        }
    }

    /// A command has exited or was killed: the script goes on with what was printed.
    pub fn command_over(&mut self, n: usize) {
        let script = &mut self.scripts[n];
        let Some(command) = script.running.take() else { return };
        let printed = script.output.lock().unwrap().take();
        let mut w = self.world.lock().unwrap();
        let boot = Arc::clone(&w.boots[script.host]);
        match (command, printed) {
            (Command::Acquire { .. }, Some(Printed::Granted(held, deadline))) => {
                w.believe(None, &boot, script.key, &held.id, deadline, Source::Said);
                script.held = Some(held);
            }
            (Command::Acquire { id, .. }, None | Some(Printed::Failed)) => script.doubt = Some(id),
            (Command::Keepalive(held), Some(Printed::Renewed(deadline))) => {
                w.believe(None, &boot, script.key, &held.id, deadline, Source::Said);
            }
            (Command::Keepalive(held), Some(Printed::Lost)) => {
                w.disbelieve(None, &held.id);
                if script.rng.chance(6_000) {
                    script.held = None;
                }
            }
            (Command::Release { .. }, _) => script.held = None,
            _ => {}
        }
        let think = w.mix.think;
        let wait = script.rng.upto(think * 2);
        w.after(u64::try_from(wait.as_nanos()).unwrap(), move |w| w.todo.push(Todo::Command(n)));
    }

    /// Runs until `end`, or until a rule is broken.
    fn until(&mut self, end: Nanos) {
        loop {
            self.settle();
            let mut w = self.world();
            if w.violation.is_some() || !w.advance(end) {
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

    fn act(&mut self, todo: Todo) {
        match todo {
            Todo::Crash(proc) => self.crash(proc),
            Todo::Start(host) => self.start(host),
            Todo::Chaos(kind) => self.chaos(kind),
            Todo::Command(n) => self.command(n),
            Todo::Resume(proc) => {
                let now = self.world().now();
                if let Some(one) = self.procs.get_mut(&proc)
                    && one.paused_until.is_some_and(|until| until <= now)
                {
                    one.paused_until = None;
                    self.world().woken.insert(proc);
                }
            }
        }
    }

    fn let_run(&mut self, proc: ProcId) {
        let Some(one) = self.procs.get(&proc) else { return };
        if one.paused_until.is_some() {
            return;
        }
        one.run();
        self.world().check_beliefs(Some(proc));
        if let Some(message) = panics::take() {
            self.world().broken("no task panics", message);
        }
        if one.done.load(Ordering::Relaxed) {
            let script = one.script;
            if let Some(gone) = self.procs.remove(&proc) {
                self.bury(gone);
            }
            if let Some(script) = script {
                self.command_over(script);
            }
        }
    }

    /// Drops a process with its tasks, in whatever order that happens: what they leave behind is told in one.
    pub fn bury(&self, gone: Proc) {
        let told = self.world().told.len();
        drop(gone);
        self.world().told[told..].sort_by_key(|event| event.call);
    }

    fn safety(&mut self) {
        let end = self.world().mix.active;
        self.until(end);
    }

    /// The faults stop; then what must happen has its time.
    fn liveness(&mut self) {
        self.heal();
        let (ttl, latest, think) = {
            let w = self.world();
            (w.mix.ttl.max(w.mix.other_ttl), w.mix.latest(), w.mix.think)
        };
        // Everybody goes on without faults, then nobody begins anew.
        let part = u64::try_from((takeover_age(ttl) + think * 4).as_nanos()).unwrap();
        let now = self.world().now();
        self.until(now + part.max(latest) + 20 * SECOND);
        self.world().stopping = true;
        let now = self.world().now();
        self.until(now + 10 * part + latest + 200 * SECOND);
        if self.world().violation.is_none() {
            self.all_is_granted(ttl);
        }
    }

    fn heal(&mut self) {
        {
            let mut w = self.world();
            w.calm = true;
            w.stalled_until = 0;
            w.cuts.fill(super::world::Cut::default());
            w.mix.delay = (MILLI, 5 * MILLI);
        }
        for (proc, one) in &mut self.procs {
            one.paused_until = None;
            self.world.lock().unwrap().woken.insert(*proc);
        }
    }

    /// A fresh process takes each key, whoever had it, within the time promised; then nothing is left over.
    fn all_is_granted(&mut self, ttl: std::time::Duration) {
        let keys = self.world().mix.keys;
        let bound =
            u64::try_from(takeover_age(ttl).as_nanos()).unwrap() * 102 / 100 + self.world().mix.poll + 2 * SECOND;
        for key in 0..keys {
            let (proc, actor) = self.spawn(0, None, None);
            let granted = Arc::new(Mutex::new(None));
            let told = Arc::clone(&granted);
            self.procs[&proc].spawn(async move {
                *told.lock().unwrap() = super::last::take(&actor, key).await;
            });
            let now = self.world().now();
            self.until(now + bound);
            let took = granted.lock().unwrap().take();
            let mut w = self.world();
            match took {
                Some(()) => w.count(C::HealedGrant),
                None => w.broken("a free or expired key is granted in time", format!("key {key}")),
            }
            w.nothing_left_over(key);
            drop(w);
            let (proc, actor) = self.spawn(0, None, None);
            self.procs[&proc].spawn(async move {
                super::last::vanish(&actor, key).await;
                super::last::abandon(&actor, key).await;
                super::last::paused(&actor, key).await;
            });
            let now = self.world().now();
            self.until(now + 20 * SECOND);
        }
        for writes in [false, true] {
            if self.world().violation.is_none() {
                self.takeover(bound, writes);
            }
        }
    }

    /// A holder that does not renew holds nobody up, not even when it goes on writing.
    fn takeover(&mut self, bound: Nanos, writes: bool) {
        let (proc, holder) = self.spawn(0, None, None);
        self.procs[&proc].spawn(async move { super::last::hold(&holder, 0, writes).await });
        let now = self.world().now();
        self.until(now + SECOND);
        let (proc, taker) = self.spawn(0, None, None);
        let granted = Arc::new(Mutex::new(None));
        let told = Arc::clone(&granted);
        self.procs[&proc].spawn(async move {
            *told.lock().unwrap() = super::last::take(&taker, 0).await;
        });
        let now = self.world().now();
        self.until(now + bound);
        if granted.lock().unwrap().is_none() {
            self.world()
                .broken("a free or expired key is granted in time", format!("its last holder writes on: {writes}"));
        }
    }

    fn report(mut self, seed: u64) -> Report {
        for (_, proc) in std::mem::take(&mut self.procs) {
            self.bury(proc);
        }
        let world = self.world;
        let mut w = world.lock().unwrap();
        if w.violation.is_none() {
            w.check_history();
        }
        let end = w.now();
        let committed: u64 = w.history.keys.iter().map(|key| key.head.committed.version.0).sum();
        let operations = w.counters.get(C::Operations);
        w.note("end", committed, operations);
        w.drop_events();
        let history = std::mem::take(&mut w.told);
        let (counters, violation) = (w.counters.clone(), w.violation.clone());
        Report { seed, hash: w.hash, simulated: end, counters, violation, history }
    }
}
