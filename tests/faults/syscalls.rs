//! The program itself, with its n-th system call of each kind failing or being its last (strace's `inject`): the exit code is honest,
//! the store can be read, and the next process goes on.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use lockd::clock::{Clock, SystemClock};
use lockd::entropy::KernelEntropy;
use lockd::model::{BlobId, FencingToken};
use lockd::service::{Description, LeaseService};
use lockd::store::Store;
use lockd::store::open::{self, OpenOptions};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::clock::JumpClock;
use super::cycle::{Count, Worker};
use super::journal::{Fact, Journal, check};
use super::rng::Rng;
use super::worker::{Kind, Orders, Task, block_on, engine_of};
use super::{pause, seed};
use crate::support::world::{key, proof};
use crate::support::{full, left_out};

const KEY: &str = "key";
/// What lockd asks of the file system, and what it prints with.
const CALLS: &str = "openat,mkdirat,linkat,unlinkat,fsync,fdatasync,pwrite64,pread64,read,write,getdents64,fstat,newfstatat,statx,\
faccessat,faccessat2,fchmod,fchmodat,ftruncate,fallocate,fstatfs,statfs,lseek,mkdir,readlink,readlinkat,access,rename,unlink,flock";
/// What the runtime says when a write to its own eventfd failed, which a kernel never does to it. Its threads then wait in vain until some
/// timer ends, a minute or more; killed there, the command has been struck as hard.
const LOST_WAKE: &str = "failed to wake I/O driver";
/// Those that may find no room.
const NEED_ROOM: [&str; 8] = ["openat", "mkdirat", "linkat", "pwrite64", "write", "fsync", "fdatasync", "fallocate"];

/// A command that is put to the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Acquire,
    FirstAcquire,
    Update,
    LargeUpdate,
    Keepalive,
    Release,
    /// A release of a key for which a killed process left blobs.
    Collect,
    /// An update of a store that it makes.
    FirstUpdate,
    /// An update of a store whose last process was killed.
    UpdateAfterKill,
}

impl Flow {
    /// Whether it makes the store.
    const fn is_first(self) -> bool {
        matches!(self, Self::FirstAcquire | Self::FirstUpdate)
    }
}

/// What the key's record says before and after.
#[derive(Clone, Debug)]
struct Seen {
    described: Description,
    n: u64,
}

/// A store that every run begins with, and the lease in it.
struct Template {
    kind: Kind,
    dir: TempDir,
    lease: Option<(String, u64)>,
    before: Seen,
    /// The state that an update sends.
    body: PathBuf,
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

/// Kills the process that strace watches, after which strace ends as that did.
fn kill_child_of(strace: u32) {
    let children = std::fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).unwrap_or_default();
    for pid in children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
        // It may have ended by itself.
        let _gone = kill_process(pid, Signal::KILL);
    }
}

impl Template {
    fn new(kind: Kind, flow: Flow) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        let journal = Journal::in_memory();
        let (lease, before) = block_on(async {
            let engine = engine_of(kind, &store, Arc::new(SystemClock)).await.unwrap();
            let worker = Worker { engine: &engine, journal: &journal, name: "before", ttl: Duration::from_secs(600) };
            let mut lease = None;
            if !flow.is_first() {
                let grant = worker.acquire(KEY).await.unwrap();
                worker.count_up_padded(KEY, &proof(&grant), 100).await.unwrap();
                if matches!(flow, Flow::Keepalive | Flow::Release | Flow::Collect) {
                    lease = Some((grant.lease_id.to_string(), grant.token.0));
                } else {
                    worker.release(KEY, &proof(&grant)).await.unwrap();
                }
            }
            engine.close().await;
            if flow == Flow::Collect {
                leave_blobs(&store).await;
            }
            (lease, look(&worker).await.unwrap())
        });
        // Opened again, it cuts the journal that was made with room to spare, which every copy would have, too.
        if kind != Kind::Disk {
            drop(block_on(engine_of(kind, &store, Arc::new(SystemClock))).unwrap());
        }
        if flow == Flow::UpdateAfterKill {
            work_and_be_killed(kind, &store, dir.path());
        }
        if flow.is_first() {
            std::fs::remove_dir_all(&store).unwrap();
        }
        let pad = if flow == Flow::LargeUpdate { 10 << 20 } else { 1_000 };
        let count = Count { n: before.n + 1, by: "lockd".into(), pad: "x".repeat(pad) };
        let body = dir.path().join("body.json");
        std::fs::write(&body, serde_json::to_vec(&count).unwrap()).unwrap();
        Self { kind, dir, lease, before, body }
    }

    /// A fresh copy of the store.
    fn copy(&self) -> (TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let store = home.path().join("store");
        if self.dir.path().join("store").exists() {
            copy(&self.dir.path().join("store"), &store);
        }
        (home, store)
    }

    /// The command under strace with these options.
    fn run(&self, flow: Flow, home: &Path, store: &Path, strace: &[&str]) -> (ExitStatus, String) {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq"]).args(strace).arg("--").arg(env!("CARGO_BIN_EXE_lockd"));
        match flow {
            Flow::Acquire | Flow::FirstAcquire => command.args(["acquire", "-n", "-o", "json", KEY]),
            Flow::Update | Flow::LargeUpdate | Flow::FirstUpdate | Flow::UpdateAfterKill => {
                command.args(["update", "-n", KEY]).arg(&self.body)
            }
            Flow::Keepalive => command.args(["keepalive", KEY]),
            Flow::Release | Flow::Collect => command.args(["release", KEY]),
        };
        command.env_clear().env("HOME", home).env("XDG_RUNTIME_DIR", home).env("LOCKD_STORE", self.kind.url(store));
        command.env("RUST_BACKTRACE", "0");
        if let Some((id, token)) = &self.lease {
            command.env("LOCKD_KEY", KEY).env("LOCKD_LEASE_ID", id).env("LOCKD_FENCING_TOKEN", token.to_string());
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut complained = String::new();
        for line in BufReader::new(child.stderr.take().unwrap()).split(b'\n') {
            let line = line.unwrap();
            let line = String::from_utf8_lossy(&line);
            if line.contains(LOST_WAKE) {
                kill_child_of(child.id());
            }
            complained += &line;
            complained.push('\n');
        }
        let output = child.wait_with_output().unwrap();
        (output.status, format!("{}{complained}", String::from_utf8_lossy(&output.stdout)))
    }

    /// How often each kind of call is made, by the thread that makes it most.
    fn calls(&self, flow: Flow) -> BTreeMap<String, u32> {
        let (home, store) = self.copy();
        let log = home.path().join("strace");
        let trace = format!("trace={CALLS}");
        let (status, said) = self.run(flow, home.path(), &store, &["-o", log.to_str().unwrap(), "-e", &trace]);
        assert!(status.success(), "{flow:?} without a fault: {status}: {said}");
        let mut by_thread: BTreeMap<(String, String), u32> = BTreeMap::new();
        for line in std::fs::read_to_string(log).unwrap().lines() {
            let mut words = line.split_whitespace();
            let (Some(thread), Some(call)) = (words.next(), words.next()) else { continue };
            // A resumed call was counted when it began.
            if let Some((call, _)) = call.split_once('(') {
                *by_thread.entry((thread.into(), call.into())).or_default() += 1;
            }
        }
        let mut most: BTreeMap<String, u32> = BTreeMap::new();
        for ((_, call), count) in by_thread {
            let known = most.entry(call).or_default();
            *known = count.max(*known);
        }
        most
    }
}

async fn pair(store: &Path) -> Store {
    open::open(&Kind::Disk.url(store), OpenOptions::system()).await.unwrap().store
}

/// Blobs of attempts that no record names: their process was killed before its put.
async fn leave_blobs(store: &Path) {
    let store = pair(store).await;
    for _ in 0..3 {
        let id = BlobId::random(key(KEY).hash(), FencingToken(0), &KernelEntropy);
        let body = stream::iter([Ok(Bytes::from_static(b"\"left\""))]).boxed();
        store.blobs.write(&id, body).await.unwrap();
    }
}

/// The blobs of those attempts that are there after the end of another lease.
async fn left_after_another_lease(store: &Path) -> lockd::error::Result<Vec<BlobId>> {
    // Its clock does not jump: it waits for what is collected behind the answer.
    let engine = engine_of(Kind::Disk, store, Arc::new(SystemClock)).await?;
    let journal = Journal::in_memory();
    let worker = Worker { engine: &engine, journal: &journal, name: "last", ttl: Duration::from_secs(600) };
    let grant = worker.acquire(KEY).await?;
    worker.release(KEY, &proof(&grant)).await?;
    engine.close().await;
    let there = pair(store).await.blobs.list(key(KEY).hash()).await?;
    Ok(there.into_iter().filter(|blob| blob.token() == FencingToken(0)).collect())
}

/// A process works on other keys and is killed at that: it closed nothing.
fn work_and_be_killed(kind: Kind, store: &Path, home: &Path) {
    let task = Task::Cycles { keys: 3, cycles: None, abandon: false, at_once: 1 };
    let (journal, name) = (home.join("journal"), "killed".to_owned());
    let (store, servers) = (store.to_owned(), Vec::new());
    let orders = Orders { task, kind, store, servers, journal, name, seed: 1, ttl_ms: 3_000 };
    let (running, give_up) = (orders.spawn(&[]), SystemClock.boot() + Duration::from_secs(60));
    while Journal::read(&orders.journal).len() < 20 {
        assert!(SystemClock.boot() < give_up, "it does nothing");
        pause(Duration::from_millis(2));
    }
    running.kill();
}

async fn look(worker: &Worker<'_>) -> lockd::error::Result<Seen> {
    let described = worker.engine.describe(&key(KEY)).await?;
    let n = worker.read(KEY, None).await?.map_or(0, |(_, n)| n);
    Ok(Seen { described, n })
}

/// Whether the exit code tells the truth about what is there now.
fn honest(flow: Flow, status: ExitStatus, said: &str, before: &Seen, now: &Seen) -> Result<(), String> {
    let Some(code) = status.code() else { return Ok(()) };
    let applied = match flow {
        Flow::Acquire | Flow::FirstAcquire => now.described.held.is_some(),
        Flow::Update | Flow::LargeUpdate | Flow::FirstUpdate | Flow::UpdateAfterKill => now.n > before.n,
        Flow::Keepalive => now.described.held.is_some(),
        Flow::Release | Flow::Collect => now.described.held.is_none(),
    };
    match code {
        0 if !applied => Err("it said done, and it is not".into()),
        0 if matches!(flow, Flow::Acquire | Flow::FirstAcquire) => {
            let token = now.described.token.0;
            let printed = said.contains(&format!("\"fencing_token\":{token}"));
            if printed { Ok(()) } else { Err(format!("it printed another token than {token}")) }
        }
        0 | 83 => Ok(()),
        // 127: the loader found a library unreadable, before lockd began.
        69 | 73 | 74 | 77 | 78 | 127 if flow == Flow::Keepalive || !applied => Ok(()),
        69 | 73 | 74 | 77 | 78 | 127 => Err("it said not applied, and it is".into()),
        _ => Err("this exit code says something else".into()),
    }
}

/// One call of the command with one call of its own gone wrong.
fn one(template: &Template, flow: Flow, inject: &str, rng: &mut Rng) -> Result<ExitStatus, String> {
    let (home, store) = template.copy();
    let (status, said) = template.run(flow, home.path(), &store, &["-o", "/dev/null", "-e", inject]);
    let context = |why: String| format!("exit {status}: {why}; it said: {said}");
    let clock = JumpClock::default();
    block_on(async {
        let text = |e: lockd::error::Error| format!("the next process: {e}");
        let engine = engine_of(template.kind, &store, Arc::new(clock.clone())).await.map_err(text)?;
        let journal = Journal::in_memory();
        let worker = Worker { engine: &engine, journal: &journal, name: "next", ttl: Duration::from_secs(600) };
        let now = look(&worker).await.map_err(text)?;
        honest(flow, status, &said, &template.before, &now)?;
        journal.note(Fact::Granted { key: KEY.into(), token: now.described.token.0, by: "lockd".into() });
        journal.note(Fact::Tried { key: KEY.into(), token: 0, n: now.n });
        worker.take_over(KEY, &clock, rng).await.map_err(text)?;
        engine.close().await;
        if flow == Flow::Collect {
            let left = left_after_another_lease(&store).await.map_err(text)?;
            if !left.is_empty() {
                return Err(format!("still there: {left:?}"));
            }
        }
        check(&journal.facts(), &worker.finals([KEY]).await.map_err(text)?).map(drop)
    })
    .map_err(context)?;
    Ok(status)
}

fn injections(call: &str, n: u32) -> Vec<String> {
    let mut all = vec![format!("inject={call}:error=EIO:when={n}"), format!("inject={call}:signal=KILL:when={n}")];
    all.push(format!("inject={call}:error=EINTR:when={n}"));
    if NEED_ROOM.contains(&call) {
        all.push(format!("inject={call}:error=ENOSPC:when={n}"));
    }
    all
}

fn enumerate(kind: Kind, flow: Flow, every: u64) {
    let (seed, began) = (seed(), SystemClock.boot());
    let mut rng = Rng::new(seed);
    let template = Template::new(kind, flow);
    let mut exits: BTreeMap<String, u32> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut possible = 0;
    for (call, times) in template.calls(flow) {
        for inject in (1..=times).flat_map(|n| injections(&call, n)) {
            possible += 1;
            if !(seed + possible).is_multiple_of(every) {
                continue;
            }
            match one(&template, flow, &inject, &mut rng) {
                Ok(status) => {
                    let what =
                        status.code().map_or_else(|| format!("signal {:?}", status.signal()), |code| code.to_string());
                    *exits.entry(what).or_default() += 1;
                }
                Err(why) => wrong.push(format!("{inject}: {why}")),
            }
        }
    }
    let took = SystemClock.boot().since(began).as_secs();
    println!("{kind:?}, {flow:?}: of {possible} faults those struck, by exit code: {exits:?}, {took} s");
    assert!(wrong.is_empty(), "LOCKD_TEST_SEED={seed}: {} of them: {wrong:#?}", wrong.len());
    assert!(possible > 100, "only {possible} faults are possible: the trace is not read right");
}

fn unavailable() -> Option<&'static str> {
    let traced = Command::new("strace").args(["-qq", "-e", "trace=none", "true"]).stderr(Stdio::null()).status();
    match traced {
        Err(_) => Some("strace is not installed"),
        Ok(status) if !status.success() => Some("this process may not trace another"),
        Ok(_) => None,
    }
}

#[test]
fn acquire_and_update_are_honest_when_any_system_call_fails_or_is_the_last() {
    if let Some(why) = unavailable() {
        return left_out("system calls of acquire and update", why);
    }
    let every = if full("every system call of acquire and update instead of every ninth") { 1 } else { 9 };
    enumerate(Kind::Disk, Flow::Acquire, every);
    enumerate(Kind::Disk, Flow::Update, every);
}

#[cfg(feature = "lsm")]
#[test]
fn an_update_of_an_lsm_store_is_honest_when_any_system_call_fails_or_is_the_last() {
    if let Some(why) = unavailable() {
        return left_out("system calls of an update in an lsm store", why);
    }
    let every = every("every fifth system call of an update in an lsm store instead of every 19th", 5, 19);
    enumerate(Kind::Lsm, Flow::Update, every);
}

#[cfg(feature = "lsm")]
#[test]
fn the_other_commands_of_an_lsm_store_are_honest_when_a_system_call_fails_or_is_the_last() {
    if let Some(why) = unavailable() {
        return left_out("system calls of the other commands in an lsm store", why);
    }
    let every = every("every 24th system call of the other commands in an lsm store instead of every 80th", 24, 80);
    for flow in [Flow::FirstUpdate, Flow::UpdateAfterKill, Flow::LargeUpdate, Flow::Keepalive, Flow::Release] {
        enumerate(Kind::Lsm, flow, every);
    }
}

/// One fault of so many, in the long and the short form; all with `LOCKD_TEST_SYSCALLS=all`.
fn every(what: &str, long: u64, short: u64) -> u64 {
    let all = std::env::var_os("LOCKD_TEST_SYSCALLS").is_some_and(|value| value == "all");
    match (all, full(what)) {
        (true, _) => 1,
        (false, true) => long,
        (false, false) => short,
    }
}

#[test]
fn the_other_commands_are_honest_when_a_system_call_fails_or_is_the_last() {
    if let Some(why) = unavailable() {
        return left_out("system calls of the other commands", why);
    }
    let every = every("every seventh system call of the other commands instead of every fortieth", 7, 40);
    for flow in [Flow::FirstAcquire, Flow::LargeUpdate, Flow::Keepalive, Flow::Release, Flow::Collect] {
        enumerate(Kind::Disk, flow, every);
    }
}
