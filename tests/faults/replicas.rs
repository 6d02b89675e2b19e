//! kill -9 of servers at any moment, also while they start, under clients that know them all: several servers on one directory, with
//! a process beside them that opens it itself, and one server on an `lsm` store.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lockd::clock::{BootTime, Clock, SystemClock};

use super::crew::Crew;
use super::process::Process;
use super::worker::{Kind, block_on, engine_of};
use super::{number, pause, seed};
use crate::support::full;

/// Many, since a killed process leaves the ones that it held locked for their TTL.
const KEYS: usize = 200;
const AT_ONCE: u64 = 4;
const TTL_MS: u64 = 2_000;
/// Longer than a server takes to start on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Servers of one store, each with the time at which it is killed next.
struct Servers<'a> {
    crew: &'a mut Crew,
    url: String,
    home: &'a Path,
    running: Vec<(Process, Option<BootTime>)>,
    started: u64,
}

impl Servers<'_> {
    fn at(&self) -> Vec<String> {
        (0..self.running.len()).map(|n| self.address(n)).collect()
    }

    fn address(&self, n: usize) -> String {
        format!("unix://{}", self.home.join(format!("{n}.sock")).display())
    }

    /// Starts the `n`-th one. Every eighth is killed while it starts, the others so long after it listens.
    fn start(&mut self, n: usize) -> (Process, Option<BootTime>) {
        self.started += 1;
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockd"));
        command.args(["serve", "--store", &self.url, "--listen", &self.address(n)]);
        command.env_clear().env("HOME", self.home).env("XDG_RUNTIME_DIR", self.home);
        let process = Process::start(&mut command, &format!("server-{}", self.started), self.home);
        let early = self.crew.rng().chance(12).then(|| self.after(1_000));
        (process, early)
    }

    fn after(&mut self, most: usize) -> BootTime {
        SystemClock.boot() + Duration::from_millis(self.crew.rng().below(most) as u64)
    }

    fn start_all(&mut self, servers: usize) {
        for n in 0..servers {
            let started = self.start(n);
            self.running.push(started);
        }
    }

    /// Kills those whose time has come, and starts them again.
    fn kill_due(&mut self) -> u64 {
        let mut killed = 0;
        for n in 0..self.running.len() {
            match self.running[n].1 {
                None if self.running[n].0.has_said("listening") => self.running[n].1 = Some(self.after(400)),
                Some(due) if due <= SystemClock.boot() => {
                    self.running.remove(n).0.kill();
                    let next = self.start(n);
                    self.running.insert(n, next);
                    killed += 1;
                }
                _ => self.running[n].0.is_alive(),
            }
        }
        killed
    }
}

fn survives(kind: Kind, servers: usize, direct: usize, kills: u64) {
    let (seed, began) = (seed(), SystemClock.boot());
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    // A server makes no store.
    drop(block_on(engine_of(kind, &store, std::sync::Arc::new(SystemClock))).unwrap());
    let mut crew = Crew::of(kind, AT_ONCE, &store, KEYS, TTL_MS, seed);
    let running: Vec<_> = (0..direct).map(|_| crew.start()).collect();
    let mut cluster =
        Servers { crew: &mut crew, url: kind.url(&store), home: dir.path(), running: Vec::new(), started: 0 };
    cluster.start_all(servers);
    let at = cluster.at();
    let clients: Vec<_> = (0..2).map(|_| cluster.crew.start_over(&at)).collect();
    let (mut killed, mut last) = (0, SystemClock.boot());
    while killed < kills {
        match cluster.kill_due() {
            0 => assert!(SystemClock.boot().since(last) < PATIENCE, "LOCKD_TEST_SEED={seed}: no server starts"),
            more => (killed, last) = (killed + more, SystemClock.boot()),
        }
        pause(Duration::from_millis(5));
    }
    drop(cluster);
    for worker in clients.into_iter().chain(running) {
        worker.kill();
    }
    let figures = crew.check().unwrap_or_else(|why| panic!("LOCKD_TEST_SEED={seed}: {why}"));
    crew.recover().unwrap_or_else(|why| panic!("LOCKD_TEST_SEED={seed}: {why}"));
    crew.check().unwrap_or_else(|why| panic!("LOCKD_TEST_SEED={seed}: after recovery: {why}"));
    let took = SystemClock.boot().since(began).as_secs();
    println!("{kind:?}: {killed} kills of {servers} servers, {figures:?}, seed {seed}, {took} s");
    assert!(figures.updates as u64 > 5 * kills, "too little was done to prove anything");
}

#[test]
fn killed_servers_of_a_directory_lose_nothing() {
    let kills =
        number("LOCKD_TEST_KILLS").unwrap_or_else(|| if full("40 kills of servers instead of 4") { 40 } else { 4 });
    survives(Kind::Disk, 3, 1, kills);
}

#[cfg(feature = "lsm")]
#[test]
fn a_killed_server_of_an_lsm_store_loses_nothing() {
    let kills = number("LOCKD_TEST_KILLS")
        .unwrap_or_else(|| if full("15 kills of the server of an lsm store instead of 3") { 15 } else { 3 });
    survives(Kind::Lsm, 1, 0, kills);
}
