//! Real NFS, from inside the guest that `scripts/nfs-guest` boots: two hosts with NFS 4.2 mounts of one export, and the server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use lockd::clock::{Clock, SystemClock};
use lockd::service::LeaseService;

use super::clock::JumpClock;
use super::cycle::Worker;
use super::journal::{Fact, Journal, check};
use super::rng::Rng;
use super::worker::{Kind, Orders, Running, Task, block_on, engine};
use super::{number, pause, seed};

/// Where the server has what it exports.
const EXPORT: &str = "/srv/export";
const TTL_MS: u64 = 5_000;

/// A client: how to run something on it, and where it has the export.
struct Host {
    name: &'static str,
    prefix: Vec<String>,
    mount: PathBuf,
}

impl Host {
    fn named(name: &'static str) -> Self {
        let pid = std::fs::read_to_string(format!("/run/{name}.pid")).unwrap();
        let prefix = ["nsenter", "-t", pid.trim(), "-n", "-u", "-m", "--"].map(String::from).to_vec();
        Self { name, prefix, mount: Path::new("/run").join(name) }
    }
}

/// One phase: a store of its own.
struct Phase {
    name: &'static str,
    journal: PathBuf,
    rng: Rng,
    started: u64,
    began: lockd::clock::BootTime,
}

impl Phase {
    fn new(name: &'static str) -> Self {
        let seed = seed();
        println!("guest: {name}: begins, seed {seed}");
        Self {
            name,
            journal: format!("/tmp/{name}").into(),
            rng: Rng::new(seed),
            started: 0,
            began: SystemClock.boot(),
        }
    }

    fn start(&mut self, host: &Host, task: Task) -> Running {
        self.started += 1;
        let orders = Orders {
            task,
            kind: Kind::Disk,
            store: host.mount.join(self.name),
            servers: Vec::new(),
            journal: self.journal.clone(),
            name: format!("{}-{}", host.name, self.started),
            seed: self.rng.next(),
            ttl_ms: TTL_MS,
        };
        orders.spawn(&host.prefix)
    }

    fn facts(&self) -> Vec<Fact> {
        Journal::read(&self.journal)
    }

    fn updates(&self) -> usize {
        self.facts().iter().filter(|fact| matches!(fact, Fact::Updated { .. })).count()
    }

    /// Waits until so many more updates were acknowledged.
    fn progress(&self, more: usize) {
        let goal = self.updates() + more;
        let until = SystemClock.boot() + Duration::from_secs(120);
        while self.updates() < goal {
            assert!(SystemClock.boot() < until, "{}: no progress in 120 s", self.name);
            pause(Duration::from_millis(50));
        }
    }

    /// The server's own view stands by every answer, and goes on with every key.
    fn end(mut self, keys: &[String]) {
        let store = Path::new(EXPORT).join(self.name);
        let journal = Journal::append_to(&self.journal).unwrap();
        let figures = block_on(async {
            let clock = JumpClock::default();
            let engine = engine(&store, Arc::new(clock.clone())).await.unwrap();
            let worker =
                Worker { engine: &engine, journal: &journal, name: "server", ttl: Duration::from_millis(TTL_MS) };
            for pass in 0..2 {
                let finals: BTreeMap<_, _> = worker.finals(keys.iter().map(String::as_str)).await.unwrap();
                check(&Journal::read(&self.journal), &finals)
                    .unwrap_or_else(|why| panic!("{}: pass {pass}: {why}", self.name));
                for on in keys {
                    worker.take_over(on, &clock, &mut self.rng).await.unwrap();
                }
            }
            engine.close().await;
            let finals = worker.finals(keys.iter().map(String::as_str)).await.unwrap();
            check(&Journal::read(&self.journal), &finals).unwrap()
        });
        let took = SystemClock.boot().since(self.began);
        println!("guest: {}: ok, {figures:?}, {took:.1?}", self.name);
    }
}

fn keys(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("k{n}")).collect()
}

fn control(what: &[&str]) {
    let done = Command::new("/init").args(what).status().unwrap();
    assert!(done.success(), "{what:?}: {done}");
}

#[test]
fn real_nfs() {
    // In an ordinary run there is no guest; scripts/ci runs this one through scripts/nfs-guest.
    if std::env::var_os("LOCKD_TEST_GUEST").is_none() {
        return;
    }
    let hosts = [Host::named("anna"), Host::named("bert")];
    let rounds = number("LOCKD_TEST_GUEST_ROUNDS").unwrap_or(100);
    let kills = number("LOCKD_TEST_GUEST_KILLS").unwrap_or(50);
    for phase in std::env::var("LOCKD_TEST_GUEST_PHASES").unwrap().split(',') {
        match phase {
            "verify" => verify(&hosts),
            "conformance" => conformance(&hosts),
            "race" => race(&hosts, rounds),
            "kill" => kill(&hosts, kills),
            "restart" => restart(&hosts),
            "cut" => cut_off(&hosts),
            _ => panic!("there is no phase {phase:?}"),
        }
    }
}

/// What an operator runs on a mount: on one host, and then on both, which meet in it.
fn verify(hosts: &[Host; 2]) {
    use std::os::unix::fs::DirBuilderExt;
    let at_server = Path::new(EXPORT).join("verify");
    std::fs::DirBuilder::new().mode(0o700).create(&at_server).unwrap();
    let start = |host: &Host, form: &str| {
        let mut command = Command::new(&host.prefix[0]);
        command.args(&host.prefix[1..]).args(["/test/lockd", "verify", "store", form]).arg(host.mount.join("verify"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let good = |child: Child| {
        let output = child.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}: {out}{err}", output.status);
        out.lines().filter(|line| !line.starts_with("ok ")).for_each(|line| println!("guest: {line}"));
    };
    good(start(&hosts[0], "--quick"));
    let both = [start(&hosts[0], "--peer"), start(&hosts[1], "--peer")];
    both.into_iter().for_each(good);
    assert_eq!(std::fs::read_dir(at_server).unwrap().count(), 0, "nothing stays behind");
}

/// The store's contract, on both hosts at once.
fn conformance(hosts: &[Host; 2]) {
    let mut phase = Phase::new("conformance");
    let both = [phase.start(&hosts[0], Task::Conformance), phase.start(&hosts[1], Task::Conformance)];
    for worker in both {
        let said = worker.finish();
        said.lines().filter(|line| line.contains(" (")).for_each(|line| println!("guest: {line}"));
    }
    phase.end(&[]);
}

/// Two processes on each host, on two keys: they meet all the time.
fn race(hosts: &[Host; 2], rounds: u64) {
    let mut phase = Phase::new("race");
    let task = Task::Cycles { keys: 2, cycles: Some(rounds), abandon: false, at_once: 1 };
    let running: Vec<_> = [0, 1, 0, 1].iter().map(|n| phase.start(&hosts[*n], task.clone())).collect();
    for worker in running {
        worker.finish();
    }
    phase.end(&keys(2));
}

fn kill(hosts: &[Host; 2], kills: u64) {
    let mut phase = Phase::new("kill");
    let task = Task::Cycles { keys: 24, cycles: None, abandon: true, at_once: 1 };
    let mut running: Vec<_> = [0, 1, 0, 1].iter().map(|n| phase.start(&hosts[*n], task.clone())).collect();
    phase.progress(1);
    for n in 0..kills {
        let wait = Duration::from_millis(50 + phase.rng.below(400) as u64);
        pause(wait);
        running.remove(0).kill();
        running.push(phase.start(&hosts[n as usize % 2], task.clone()));
    }
    drop(running);
    phase.end(&keys(24));
}

/// The server goes away and comes back under load: everybody waits, and goes on.
fn restart(hosts: &[Host; 2]) {
    let mut phase = Phase::new("restart");
    // Its grace period and the pauses of the kernel's client add up to more than the 15 s that a request has.
    let task = Task::ThroughOutage { keys: 8 };
    let running: Vec<_> = [0, 1].iter().map(|n| phase.start(&hosts[*n], task.clone())).collect();
    phase.progress(10);
    control(&["restart"]);
    phase.progress(20);
    running.into_iter().for_each(Running::kill);
    phase.end(&keys(8));
}

/// A holder is cut off for longer than the NFS lease and the lease of lockd: the other takes over, and when the first is back,
/// its write is refused.
fn cut_off(hosts: &[Host; 2]) {
    let mut phase = Phase::new("cut");
    let (held, go) = (PathBuf::from("/tmp/held"), PathBuf::from("/tmp/go"));
    let holder = phase.start(&hosts[0], Task::HoldAndWrite { held: held.clone(), go: go.clone() });
    let until = SystemClock.boot() + Duration::from_secs(60);
    while !held.exists() {
        assert!(SystemClock.boot() < until, "the holder got nothing");
        pause(Duration::from_millis(50));
    }
    control(&["cut", "anna"]);
    // Its write is sent into the void, and arrives when the network is back.
    std::fs::write(&go, b"").unwrap();
    println!(
        "guest: {}",
        phase.start(&hosts[1], Task::TakeOver).finish().lines().find(|l| l.contains("taken")).unwrap_or("")
    );
    // Longer than the NFS lease, so that the server forgets the client.
    pause(Duration::from_secs(15));
    control(&["join", "anna"]);
    println!("guest: {}", holder.finish().lines().find(|l| l.contains("refused")).unwrap_or(""));
    phase.end(&["cut".to_owned()]);
}
