//! Two versions on one store under load: this program and the one that `LOCKD_TEST_BEFORE` names, as servers that are restarted in
//! turn with the other version, and as commands that open the store or ask the servers. No renewal fails twice, no lease is lost, and
//! no acknowledged update is missing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lockd::clock::{Clock, SystemClock};
use rustix::process::Signal;

use super::process::Process;
use super::rng::Rng;
use super::{number, pause, seed};
use crate::cli::lab::{Lab, Ran, finished};
use crate::support::not_run;

/// Long enough that a slow machine renews in time.
const TTL: &str = "6s";
const COUNTERS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two restarts, at the most.
const BETWEEN_MS: usize = 2_000;
/// What a holder's command says that was not ended.
const WELL: i32 = 7;

/// A store and two servers of it, each of which is of one version now and of the other later.
struct Place {
    lab: Lab,
    /// This program and the other one.
    programs: [PathBuf; 2],
}

/// How often what came of it, by exit code.
type Codes = BTreeMap<i32, u64>;

impl Place {
    fn command(&self, version: usize) -> Command {
        let mut command = Command::new(&self.programs[version]);
        self.lab.dressed(&mut command);
        command
    }

    fn at(&self, server: usize) -> String {
        format!("unix://{}", self.lab.path(&format!("run/{server}.sock")).display())
    }

    /// Either version, on the store or over both servers.
    fn any(&self, rng: &mut Rng, args: &[&str]) -> Command {
        let mut command = self.command(rng.below(2));
        if rng.chance(50) {
            let first = rng.below(2);
            command.env("LOCKD_SERVER", format!("{},{}", self.at(first), self.at(1 - first)));
        }
        command.args(args);
        command
    }

    fn run(&self, rng: &mut Rng, args: &[&str]) -> Ran {
        finished(&self.any(rng, args).output().unwrap())
    }

    fn server(&self, n: usize, version: usize, started: u64) -> Process {
        let mut command = self.command(version);
        command.args(["serve", "--store", &self.lab.store(), "--listen", &self.at(n), "--drain", "1s"]);
        let server = Process::start(&mut command, &format!("server-{started}"), &self.lab.path("work"));
        let give_up = SystemClock.boot() + PATIENCE;
        while !server.has_said("listening") {
            assert!(SystemClock.boot() < give_up, "a server of version {version} does not start");
            pause(Duration::from_millis(10));
        }
        server
    }

    /// One that holds a lease until a file of its name is there.
    fn holder(&self, name: &str, rng: &mut Rng) -> Process {
        let (key, script) = (format!("held/{name}"), format!("until [ -e {name} ]; do sleep 0.05; done; exit {WELL}"));
        let mut command = self.any(rng, &["exec", "--ttl", TTL, &key, "--", "sh", "-c", &script]);
        Process::start(&mut command, name, &self.lab.path("work"))
    }

    fn let_go(&self, name: &str, holder: Process) {
        self.lab.file(&format!("work/{name}"), "");
        let (code, said) = holder.ended();
        assert_eq!(code, Some(WELL), "{name} lost its lease: {said}");
    }

    /// Restarts servers, of which the first is of this version, and holders in turn.
    fn restart(&self, servers: &mut Vec<Process>, length: Duration, rng: &mut Rng) -> (u64, u64) {
        let (mut restarts, mut holders, mut versions) = (0, 0, [0, 1]);
        let mut held: Vec<_> = (0..3).map(|n| (format!("h{n}"), self.holder(&format!("h{n}"), rng))).collect();
        let end = SystemClock.boot() + length;
        while SystemClock.boot() < end {
            pause(Duration::from_millis(rng.below(BETWEEN_MS) as u64));
            restarts += 1;
            let turn = usize::try_from(restarts % 2).unwrap();
            let server = servers.remove(turn);
            if rng.chance(50) {
                server.kill();
            } else {
                server.signal(Signal::TERM);
                let (code, said) = server.ended();
                assert_eq!(code, Some(0), "{said}");
            }
            versions[turn] = 1 - versions[turn];
            servers.insert(turn, self.server(turn, versions[turn], restarts + 2));
            let (name, holder) = held.remove(0);
            self.let_go(&name, holder);
            let name = format!("h{}", restarts + 3);
            held.push((name.clone(), self.holder(&name, rng)));
            holders += 1;
        }
        for (name, holder) in held {
            self.let_go(&name, holder);
            holders += 1;
        }
        (restarts, holders)
    }

    /// Renews one lease with whatever version, until it is over. How often, and how often that took a second try.
    fn renew(&self, over: &AtomicBool, rng: &mut Rng) -> (u64, u64) {
        let lease = self.lab.acquire("renewed", &["--ttl", TTL]);
        let wanted = ["LOCKD_KEY", "LOCKD_LEASE_ID", "LOCKD_FENCING_TOKEN"];
        let lease: Vec<_> = lease.into_iter().filter(|(name, _)| wanted.contains(&name.as_str())).collect();
        assert_eq!(lease.len(), wanted.len());
        let once =
            |rng: &mut Rng, what: &str| finished(&self.any(rng, &[what]).envs(lease.iter().cloned()).output().unwrap());
        let (mut renewed, mut again) = (0, 0);
        while !over.load(Ordering::Relaxed) {
            let mut ran = once(rng, "keepalive");
            if ran.code != 0 {
                again += 1;
                ran = once(rng, "keepalive");
            }
            assert_eq!(ran.code, 0, "a renewal failed twice: {}", ran.err);
            renewed += 1;
            pause(Duration::from_millis(50));
        }
        let ran = once(rng, "release");
        assert_eq!(ran.code, 0, "{}", ran.err);
        (renewed, again)
    }

    /// Counts up with whatever version, until it is over.
    fn count(&self, over: &AtomicBool, counter: usize, rng: &mut Rng) -> Codes {
        let (counter, mut codes) = (format!("counter/{counter}"), Codes::new());
        while !over.load(Ordering::Relaxed) {
            let ran = self.run(rng, &["edit", &counter, "/n++"]);
            // 69: both servers were away for a moment. 83: nobody can say. All others would be wrong.
            assert!(matches!(ran.code, 0 | 69 | 83), "exit {}: {}", ran.code, ran.err);
            *codes.entry(ran.code).or_default() += 1;
        }
        codes
    }

    /// All of that at the same time.
    fn load(&self, length: Duration, rng: &mut Rng) -> (u64, u64, (u64, u64), Vec<Codes>) {
        let (renewed, over) = (&AtomicBool::new(false), &AtomicBool::new(false));
        let mut servers: Vec<_> = (0..2).map(|n| self.server(n, n, n as u64)).collect();
        std::thread::scope(|scope| {
            let mut renewer = Rng::new(rng.next());
            let renewing = scope.spawn(move || self.renew(renewed, &mut renewer));
            let counting: Vec<_> = (0..COUNTERS)
                .map(|n| {
                    let mut counter = Rng::new(rng.next());
                    scope.spawn(move || self.count(over, n, &mut counter))
                })
                .collect();
            // Whatever it finds, the others end.
            let work = std::panic::AssertUnwindSafe(|| self.restart(&mut servers, length, rng));
            let restarted = std::panic::catch_unwind(work);
            renewed.store(true, Ordering::Relaxed);
            let renewing = renewing.join();
            // In the end no server answers: what was under way is in doubt, and is told so.
            drop(servers);
            pause(Duration::from_millis(500));
            over.store(true, Ordering::Relaxed);
            let codes = counting.into_iter().map(|thread| thread.join().unwrap()).collect();
            let ((restarts, holders), renewals) = (restarted.unwrap(), renewing.unwrap());
            (restarts, holders, renewals, codes)
        })
    }
}

#[test]
fn another_version_on_the_same_store_loses_nothing() {
    let Some(before) = std::env::var_os("LOCKD_TEST_BEFORE") else {
        return not_run("two versions on one store: set LOCKD_TEST_BEFORE to the program of another commit");
    };
    let length = Duration::from_secs(number("LOCKD_TEST_SECONDS").unwrap_or(45));
    let (seed, began) = (seed(), SystemClock.boot());
    let mut rng = Rng::new(seed);
    println!("LOCKD_TEST_SEED={seed}");
    let place = Place { lab: Lab::new(), programs: [env!("CARGO_BIN_EXE_lockd").into(), before.into()] };
    assert!(place.command(1).arg("list").status().unwrap().success(), "the other version makes the store");
    for counter in 0..COUNTERS {
        let ran = place.lab.feed(&["update", &format!("counter/{counter}")], "{\"n\": 0}");
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    let (restarts, holders, (renewed, again), codes) = place.load(length, &mut rng);
    let mut sum = Codes::new();
    for (counter, codes) in codes.iter().enumerate() {
        let found = place.lab.run(["get", &format!("counter/{counter}")]).out;
        let found = serde_json::from_str::<serde_json::Value>(&found).unwrap()["n"].as_u64().unwrap();
        let (sure, doubts) = (codes.get(&0).copied().unwrap_or(0), codes.get(&83).copied().unwrap_or(0));
        assert!((sure..=sure + doubts).contains(&found), "counter {counter}: {found} counted, {codes:?}");
        codes.iter().for_each(|(code, times)| *sum.entry(*code).or_default() += times);
    }
    let took = SystemClock.boot().since(began).as_secs();
    println!(
        "two versions on one store: {restarts} restarts of servers, {holders} holders, {renewed} renewals, {again} of them at the \
         second try, updates by exit code {sum:?}, {took} s"
    );
    assert!(renewed > length.as_secs(), "too little was done to prove anything");
}
