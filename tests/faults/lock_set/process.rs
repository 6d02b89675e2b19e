//! The servers and workers of a round: started, stopped for a while, killed and started again.

use std::collections::BTreeMap;
use std::time::Duration;

use lockd::clock::{BootTime, Clock, SystemClock};
use rustix::process::Signal;

use super::worker::{Orders, Over, Role};
use crate::cli::lab::Lab;
use crate::faults::process::Process;
use crate::faults::rng::Rng;
use crate::support::left_out;

pub const SERVERS: usize = 5;
const DIRECT: usize = 5;
pub const PROCESSES: usize = SERVERS + DIRECT + 5;
/// Workers in each process.
const AT_ONCE: usize = 4;
/// In thousandths: two such clocks are within the hundredth that lockd allows for.
const RATES: [Option<i32>; 5] = [None, Some(5), Some(-5), Some(0), None];

/// See the module: first the servers, then those who open the store, then those who ask the servers.
pub struct Cluster<'a> {
    lab: &'a Lab,
    running: Vec<Process>,
    /// When those who are stopped go on.
    stopped: BTreeMap<usize, BootTime>,
    started: u64,
    /// Two servers have a boot clock that is off by an hour, in a namespace.
    namespaces: bool,
}

impl<'a> Cluster<'a> {
    pub fn start(lab: &'a Lab, rng: &mut Rng) -> Self {
        assert_eq!(lab.run(["list"]).code, 0, "a server makes no store");
        let namespaces = namespaces();
        let mut cluster = Self { lab, running: Vec::new(), stopped: BTreeMap::new(), started: 0, namespaces };
        for n in 0..PROCESSES {
            let process = cluster.process(n, rng);
            cluster.running.push(process);
        }
        cluster
    }

    /// Starts the `n`-th process.
    fn process(&mut self, n: usize, rng: &mut Rng) -> Process {
        self.started += 1;
        let (number, seed) = (self.started, rng.next());
        let name = format!("{}-{number}", if n < SERVERS { "server" } else { "worker" });
        let orders = |role, skew| Orders { role, skew, name: name.clone(), seed, number };
        let store = self.lab.store();
        let mut command = match n {
            0..=2 => self.program(n),
            3..SERVERS => orders(Role::Replica { store, at: self.at(n) }, Some(if n == 3 { 5 } else { -5 })).command(),
            _ => {
                let turn = n % 5;
                let over = if n < SERVERS + DIRECT { Over::Store(store) } else { Over::Servers(self.from(turn)) };
                let register = self.lab.path("run/register.sock");
                let role = Role::Worker { register, sets: super::SETS, at_once: AT_ONCE, over };
                orders(role, RATES[turn]).command()
            }
        };
        Process::start(&mut command, &name, &self.lab.path("work"))
    }

    /// `lockd serve` itself: the first on this machine's clocks, the next two on boot clocks that are off.
    fn program(&self, n: usize) -> std::process::Command {
        let lockd = env!("CARGO_BIN_EXE_lockd");
        let off = if n == 1 { 3_600 } else { -an_hour_or_less() };
        let mut command = match n {
            1..=2 if self.namespaces => {
                let mut command = std::process::Command::new("unshare");
                command.args(["--time", "--boottime", &off.to_string(), lockd]);
                command
            }
            _ => std::process::Command::new(lockd),
        };
        self.lab.dressed(&mut command).args(["serve", "--store", &self.lab.store(), "--listen", &self.at(n)]);
        command
    }

    fn at(&self, server: usize) -> String {
        format!("unix://{}", self.lab.path(&format!("run/{server}.sock")).display())
    }

    /// All servers, beginning with one of them.
    fn from(&self, first: usize) -> Vec<String> {
        (0..SERVERS).map(|n| self.at((first + n) % SERVERS)).collect()
    }

    pub fn stopped(&self) -> usize {
        self.stopped.len()
    }

    /// Stops a process, for so long; not one that is stopped.
    pub fn stop(&mut self, n: usize, for_so_long: Duration) {
        if self.stopped.contains_key(&n) {
            return;
        }
        self.running[n].signal(Signal::STOP);
        self.stopped.insert(n, SystemClock.boot() + for_so_long);
    }

    /// Those go on whose time has come, or will have come in so long.
    pub fn calm(&mut self, early: Duration) {
        let now = SystemClock.boot() + early;
        for (n, _) in self.stopped.extract_if(.., |_, until| *until <= now) {
            self.running[n].signal(Signal::CONT);
        }
    }

    /// Kills a process, stopped or not, and starts it again.
    pub fn kill(&mut self, n: usize, rng: &mut Rng) {
        self.stopped.remove(&n);
        self.running.remove(n).kill();
        let next = self.process(n, rng);
        self.running.insert(n, next);
    }

    /// Ends the workers, which must all be alive; the addresses of the servers that go on.
    pub fn only_servers(&mut self) -> Vec<String> {
        self.running.drain(SERVERS..).for_each(Process::kill);
        self.from(0)
    }
}

/// How long this machine has run, when that is less than an hour: no boot clock shows less than nothing.
fn an_hour_or_less() -> i64 {
    let BootTime(now) = SystemClock.boot();
    i64::try_from(now / 1_000_000_000).unwrap().min(3_600 * 2) / 2
}

fn namespaces() -> bool {
    let tried = std::process::Command::new("unshare").args(["--time", "--boottime", "3600", "true"]).output();
    let able = tried.is_ok_and(|output| output.status.success());
    if !able {
        left_out("servers whose boot clock is off by an hour", "no time namespace can be made");
    }
    able
}
