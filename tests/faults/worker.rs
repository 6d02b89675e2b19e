//! Worker processes: this test binary again, told what to do by `LOCKD_TEST_WORKER`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use lockd::clock::{Clock, SystemClock};
use lockd::engine::{Engine, Options};
use lockd::entropy::KernelEntropy;
use lockd::error::{ErrorKind, Result};
use lockd::http::client::{Address, HttpClient, Nonblocking};
use lockd::service::LeaseService;
use lockd::store::conformance::{self, Outcome};
use lockd::store::open::{self, OpenOptions};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::cycle::Worker;
use super::journal::{FileLog, Journal, history_of};
use super::rng::Rng;
use crate::history::Recorded;
use crate::support::world::{ask, key, proof};

const ENV: &str = "LOCKD_TEST_WORKER";

/// What a worker is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    pub task: Task,
    /// The store's directory.
    pub store: PathBuf,
    pub kind: Kind,
    /// Addresses of servers of that store, which it asks then; none when it opens the store itself.
    pub servers: Vec<String>,
    /// Where answers are noted.
    pub journal: PathBuf,
    pub name: String,
    pub seed: u64,
    pub ttl_ms: u64,
}

/// What store is in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Disk,
    #[cfg(feature = "lsm")]
    Lsm,
}

impl Kind {
    /// The store's URL.
    pub fn url(self, store: &Path) -> String {
        let scheme = match self {
            Self::Disk => "disk",
            #[cfg(feature = "lsm")]
            Self::Lsm => "lsm",
        };
        format!("{scheme}://{}", store.display())
    }
}

/// See [`Orders`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// Cycles on keys picked at random, by several at once; so many each, or until killed.
    Cycles { keys: usize, cycles: Option<u64>, abandon: bool, at_once: u64 },
    /// Cycles, until killed, while the store may be away for longer than one request may take: it says then that it was not applied.
    ThroughOutage { keys: usize },
    /// The store's contract.
    Conformance,
    /// Takes the key `cut`, says so by making the file, and once `go` is there tries to write.
    HoldAndWrite { held: PathBuf, go: PathBuf },
    /// Waits for the key `cut` and writes.
    TakeOver,
}

impl Orders {
    /// The command that carries them out, behind a prefix such as `nsenter`.
    pub fn command(&self, prefix: &[String]) -> Command {
        let mut command = again(prefix, "faults::worker::carries_out_its_orders", ENV, self);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn spawn(&self, prefix: &[String]) -> Running {
        Running { child: Some(self.command(prefix).spawn().unwrap()), name: self.name.clone() }
    }
}

/// This test binary again, behind a prefix, as a process that carries out the orders which it finds under a name in its environment.
pub fn again(prefix: &[String], test: &str, name: &str, orders: &impl Serialize) -> Command {
    let me = std::env::current_exe().unwrap();
    let mut command = match prefix.split_first() {
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(me);
            command
        }
        None => Command::new(me),
    };
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command.env(name, serde_json::to_string(orders).unwrap()).stdin(Stdio::null());
    command
}

/// A worker at work. Killed when dropped.
pub struct Running {
    child: Option<Child>,
    name: String,
}

impl Running {
    /// Kills it (SIGKILL). Panics when it had ended by itself before, with what it said.
    pub fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        if let Some(status) = child.try_wait().unwrap() {
            self.explain(child, status);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Stops it (SIGSTOP): a system call that is under way ends, and nobody learns how.
    pub fn stop(&self) {
        let pid = Pid::from_child(self.child.as_ref().unwrap());
        kill_process(pid, Signal::STOP).unwrap();
    }

    /// Kills it, also when it has ended, for whatever reason.
    pub fn end(mut self) {
        let mut child = self.child.take().unwrap();
        let _may_be_gone = child.kill();
        child.wait().unwrap();
    }

    /// Waits for its end, which must be good.
    pub fn finish(mut self) -> String {
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}: {}: {text}", self.name, output.status);
        text
    }

    fn explain(&self, child: Child, status: ExitStatus) -> ! {
        let output = child.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        panic!("{} ended by itself: {status}: {}", self.name, String::from_utf8_lossy(&text));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _may_be_gone = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// An engine of this process on a directory, with any clock.
pub async fn engine(store: &Path, clock: Arc<dyn Clock>) -> Result<Engine> {
    engine_of(Kind::Disk, store, clock).await
}

/// The same on a store of any kind.
pub async fn engine_of(kind: Kind, store: &Path, clock: Arc<dyn Clock>) -> Result<Engine> {
    let options = OpenOptions { clock: clock.clone(), ..OpenOptions::system() };
    let opened = open::open(&kind.url(store), options).await?;
    Ok(Engine::new(opened.store, clock, Arc::new(KernelEntropy), Options::default()))
}

/// A runtime as a short command has it.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn carries_out_its_orders() {
    // In an ordinary run there are none: the tests that start this process as a worker are the test.
    let Some(orders) = std::env::var_os(ENV) else { return };
    let orders: Orders = serde_json::from_slice(orders.as_encoded_bytes()).unwrap();
    block_on(carry_out(&orders));
}

async fn carry_out(orders: &Orders) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    if orders.servers.is_empty() {
        let engine = engine_of(orders.kind, &orders.store, clock).await.unwrap();
        match orders.task {
            Task::Conformance => conform(&engine).await,
            _ => each(orders, |orders| carry_out_on(engine.clone(), orders)).await,
        }
        engine.close().await;
    } else {
        let at: Vec<Address> = orders.servers.iter().map(|at| Address::parse(at).unwrap()).collect();
        let client = || HttpClient::new(at.clone(), Box::new(Nonblocking::new(clock.clone())), clock.clone());
        each(orders, |orders| carry_out_on(client(), orders)).await;
    }
}

/// Several at once, each with choices of its own, where the orders say so.
async fn each<F: Future<Output = ()>>(orders: &Orders, work: impl Fn(Orders) -> F) {
    let at_once = if let Task::Cycles { at_once, .. } = orders.task { at_once } else { 1 };
    let all = (0..at_once).map(|n| {
        let name = if at_once == 1 { orders.name.clone() } else { format!("{}.{n}", orders.name) };
        work(Orders { name, seed: orders.seed.wrapping_add(n), ..orders.clone() })
    });
    futures_util::future::join_all(all).await;
}

async fn carry_out_on(service: impl LeaseService, orders: Orders) {
    let journal = Journal::append_to(&orders.journal).unwrap();
    let ttl = Duration::from_millis(orders.ttl_ms);
    let log = FileLog::append_to(&history_of(&orders.journal), &orders.name).unwrap();
    let recorded = Recorded::new(service, Arc::new(log));
    let worker = Worker { engine: &recorded, journal: &journal, name: &orders.name, ttl };
    let mut rng = Rng::new(orders.seed);
    match &orders.task {
        Task::Cycles { keys, cycles, abandon, .. } => {
            // All servers may be away for a moment.
            let outage = !orders.servers.is_empty();
            cycle(&worker, *keys, *cycles, *abandon, outage, &mut rng).await;
        }
        Task::ThroughOutage { keys } => cycle(&worker, *keys, None, false, true, &mut rng).await,
        Task::Conformance => {}
        Task::HoldAndWrite { held, go } => hold_and_write(&worker, held, go, &mut rng).await,
        Task::TakeOver => take_over(&worker, &mut rng).await,
    }
}

async fn cycle(worker: &Worker<'_>, keys: usize, cycles: Option<u64>, abandon: bool, outage: bool, rng: &mut Rng) {
    let clock: &dyn Clock = &SystemClock;
    let (mut done, mut busy, mut lost, mut doubted, mut refused) = (0, 0, 0, 0, 0);
    while cycles.is_none_or(|cycles| done < cycles) {
        let on = format!("k{}", rng.below(keys));
        match worker.cycle_with(&on, rng, abandon).await {
            Ok(true) => done += 1,
            Ok(false) => {
                busy += 1;
                clock.sleep(Duration::from_millis(2)).await;
            }
            // The machine was too slow for the TTL, and another took over.
            Err(e) if is_lost(e.kind()) => lost += 1,
            // Honest, and checked like any other question without an answer.
            Err(e) if e.kind() == ErrorKind::OutcomeUnknown => doubted += 1,
            Err(e) if outage && e.kind() == ErrorKind::Unavailable => {
                refused += 1;
                clock.sleep(Duration::from_millis(2)).await;
            }
            Err(e) => panic!("{on}: {e} ({:?})", e.kind()),
        }
    }
    println!("{done} cycles, {busy} times busy, {lost} leases lost, {doubted} in doubt, {refused} not applied");
}

fn is_lost(kind: ErrorKind) -> bool {
    use ErrorKind as K;
    matches!(kind, K::LeaseExpired | K::LeaseRequired | K::LeaseEnded | K::FencingMismatch)
}

async fn conform(engine: &Engine) {
    let mut failed = Vec::new();
    for report in conformance::run_all(engine.store(), &SystemClock, &KernelEntropy).await {
        println!("{} {} ({}): {}", report.outcome, report.id, report.clause, report.saw);
        if report.outcome == Outcome::Fail {
            failed.push(report);
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

async fn wait_for(file: &Path) {
    let clock: &dyn Clock = &SystemClock;
    while !file.exists() {
        clock.sleep(Duration::from_millis(20)).await;
    }
}

async fn hold_and_write(worker: &Worker<'_>, held: &Path, go: &Path, rng: &mut Rng) {
    let grant = worker.acquire("cut").await.unwrap();
    worker.count_up("cut", &proof(&grant), rng).await.unwrap();
    std::fs::write(held, b"").unwrap();
    wait_for(go).await;
    let refused = worker.count_up("cut", &proof(&grant), rng).await.unwrap_err();
    assert!(is_lost(refused.kind()), "{refused} ({:?})", refused.kind());
    println!("the old holder was refused: {refused}");
}

async fn take_over(worker: &Worker<'_>, rng: &mut Rng) {
    let mut request = ask("cut", lockd::service::Wait::For(Duration::from_secs(50)));
    request.ttl = lockd::model::Ttl::new(worker.ttl).unwrap();
    let grant = worker.engine.acquire(request).await.unwrap();
    assert!(grant.taken_over);
    worker.count_up("cut", &proof(&grant), rng).await.unwrap();
    let described = worker.engine.describe(&key("cut")).await.unwrap();
    println!("taken over with token {}", described.token.0);
}
