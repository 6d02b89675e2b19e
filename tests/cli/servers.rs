//! Every command over a server: the same output and exit codes as on a store, and leases of one honoured by the other.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use assert_cmd::Command;
use lockd::clock::{Clock, SystemClock};
use lockd::limits::RELEASE_TRY;
use rustix::process::{Pid, Signal, kill_process};

use super::lab::{Lab, Ran, fifo, finished, ran};

/// `lockd serve` in a lab, on the lab's own store.
pub struct Serving {
    child: Child,
    /// Its address.
    pub url: String,
}

impl Serving {
    pub fn start(lab: &Lab, at: &str) -> Self {
        // A server makes no store.
        assert_eq!(lab.run(["list"]).code, 0);
        let mut command = lab.plain();
        command.args(["serve", "--store", &lab.store(), "--log", "json", "--listen", at]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let bound = loop {
            let line = log.next().expect("the server ended").unwrap();
            let line: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
            if line["message"] == "listening" {
                break line["address"].as_str().unwrap().to_owned();
            }
        };
        // Whatever it says afterwards must not block it.
        std::thread::spawn(move || log.for_each(drop));
        let url = if bound.starts_with("unix:") { bound } else { format!("http://{bound}") };
        Self { child, url }
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.wait();
    }

    /// Returns once it has ended.
    pub fn wait(&mut self) {
        self.child.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _dead_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

pub fn unix(lab: &Lab) -> Serving {
    Serving::start(lab, &format!("unix://{}", lab.path("run/lockd.sock").display()))
}

fn over(lab: &Lab, server: &Serving) -> Command {
    let mut command = lab.lockd();
    command.env("LOCKD_SERVER", &server.url);
    command
}

fn run(lab: &Lab, server: &Serving, args: &[&str]) -> Ran {
    ran(over(lab, server).args(args))
}

fn lease(out: &str) -> Vec<(String, String)> {
    dotenvy::from_read_iter(out.as_bytes()).map(Result::unwrap).collect()
}

#[test]
fn every_command_works_over_tcp_and_over_a_unix_socket() {
    for at in ["127.0.0.1:0".to_owned(), String::new()] {
        let lab = Lab::new();
        let server = if at.is_empty() { unix(&lab) } else { Serving::start(&lab, &at) };
        let run = |args: &[&str]| run(&lab, &server, args);
        let ok = |args: &[&str]| {
            let ran = run(args);
            assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
            ran.out
        };
        assert_eq!(run(&["get", "k"]).code, 1);
        assert_eq!(ran(over(&lab, &server).args(["update", "k"]).write_stdin(" {\"a\" : 1}")).code, 0);
        assert_eq!(ok(&["get", "k"]), "{\"a\":1}\n");
        assert_eq!(ok(&["edit", "k", "/a++"]), "");
        assert_eq!(ok(&["get", "k"]), lab.run(["get", "k"]).out, "the store says the same");
        let conflict = ran(over(&lab, &server).args(["update", "k", "--if-version", "1"]).write_stdin("2"));
        assert_eq!(conflict.code, 82, "{}", conflict.err);
        let refused = ran(over(&lab, &server).args(["update", "k"]).write_stdin("{"));
        assert_eq!(refused.code, 65, "{}", refused.err);
        assert_eq!(run(&["status", "--check", "k"]).code, 1);
        let vars = lease(&ok(&["acquire", "-o", "dotenv", "k"]));
        let with = |args: &[&str]| ran(over(&lab, &server).envs(vars.iter().cloned()).args(args));
        assert_eq!(run(&["status", "--check", "k"]).code, 0);
        let status: serde_json::Value = serde_json::from_str(&ok(&["status", "--json", "k"])).unwrap();
        assert_eq!((&status["server"], &status["waiters"]), (&server.url.as_str().into(), &0.into()));
        assert!(status.get("store").is_none(), "{status}");
        let busy = run(&["acquire", "-n", "k"]);
        assert_eq!(busy.code, 75, "{}", busy.err);
        assert!(busy.err.contains("k is held by"), "{}", busy.err);
        assert_eq!(run(&["acquire", "-w", "200ms", "-E", "9", "k"]).code, 9);
        assert_eq!(with(&["keepalive"]).code, 0);
        assert_eq!(with(&["remove"]).code, 0);
        assert_eq!(ok(&["list", "--held"]).lines().count(), 2);
        assert_eq!(with(&["release"]).code, 0);
        assert_eq!(run(&["get", "k"]).code, 1);
        assert_eq!(with(&["keepalive"]).code, 80, "it is over");
        assert_eq!(ok(&["fence", "admit", "r", "--token", "5"]), "");
        assert_eq!(run(&["fence", "admit", "r", "--token", "4"]).code, 81);
        assert_eq!(ok(&["fence", "admit", "r", "--token", "5", "--", "echo", "in"]), "in\n");
        assert_eq!(run(&["fence", "check", "r", "--token", "4"]).code, 1);
        ok(&["acquire", "-o", "dotenv", "b"]);
        ok(&["break", "b", "--reason", "test", "--yes"]);
        assert_eq!(run(&["status", "--check", "b"]).code, 1);
    }
}

#[test]
fn exec_over_a_server_names_it_to_the_command() {
    let lab = Lab::new();
    let server = unix(&lab);
    let script = "test -z \"$LOCKD_STORE\" && echo $LOCKD_SERVER && echo 7 | lockd update && lockd get k && exit 3";
    let ran = run(&lab, &server, &["exec", "k", "--", "sh", "-c", script]);
    assert_eq!((ran.code, ran.out.as_str()), (3, format!("{}\n7\n", server.url).as_str()), "{}", ran.err);
    assert_eq!(lab.run(["status", "--check", "k"]).code, 1, "given back");
    assert_eq!(lab.run(["get", "k"]).out, "7\n");
    let own = run(&lab, &server, &["exec", "k", "--", "lockd", "exec", "-n", "k", "--", "true"]);
    assert_eq!(own.code, 64, "{}", own.err);
}

#[test]
fn a_lease_of_a_store_is_honoured_by_its_server_and_the_other_way_round() {
    let lab = Lab::new();
    let server = unix(&lab);
    assert_eq!(run(&lab, &server, &["exec", "k", "--", "sh", "-c", "true"]).code, 0);
    let on_store = lab.acquire("k", &[]);
    assert_eq!(run(&lab, &server, &["acquire", "-n", "k"]).code, 75);
    let with =
        |args: &[&str]| ran(lab.lockd().envs(on_store.iter().cloned()).args(args).args(["--server", &server.url]));
    assert_eq!(with(&["keepalive"]).code, 0);
    assert_eq!(with(&["release"]).code, 0);
    let on_server = run(&lab, &server, &["acquire", "-o", "dotenv", "k"]);
    let held = lab.run(["acquire", "-n", "k"]);
    assert_eq!(held.code, 75, "{}", held.err);
    let direct = ran(lab.lockd().envs(lease(&on_server.out)).args(["release", "--store", &lab.store()]));
    assert_eq!(direct.code, 0, "{}", direct.err);
    assert_eq!(lab.run(["status", "--check", "k"]).code, 1);
}

#[test]
fn an_eval_of_what_acquire_prints_names_one_place() {
    let lab = Lab::new();
    let server = unix(&lab);
    let script = format!(
        "export LOCKD_STORE=disk:///nowhere; l=$(lockd acquire k --server {}) && eval \"$l\" || exit\n\
         echo \"${{LOCKD_STORE-unset}} $LOCKD_SERVER\"; lockd keepalive && lockd release",
        server.url
    );
    let ran = ran(&mut lab.shell("sh", &script));
    assert_eq!((ran.code, ran.out.trim()), (0, format!("unset {}", server.url).as_str()), "{}", ran.err);
}

#[test]
fn no_server_is_told_apart_from_silence() {
    let lab = Lab::new();
    for url in ["http://127.0.0.1:9", "unix:///nowhere/lockd.sock"] {
        for args in [&["get", "k"][..], &["acquire", "k"], &["list"], &["exec", "k", "--", "true"]] {
            let ran = ran(lab.lockd().args(args).env("LOCKD_SERVER", url));
            assert_eq!(ran.code, 69, "{args:?}: {}", ran.err);
            assert!(ran.err.contains(url) && ran.err.contains("lockd serve"), "{}", ran.err);
        }
    }
    let ran = lab.run(["get", "k", "--server", "https://lock1"]);
    assert_eq!(ran.code, 64);
    assert!(ran.err.contains("https:// is not offered"), "{}", ran.err);
}

#[test]
fn the_next_server_is_asked_when_one_is_gone() {
    let lab = Lab::new();
    let server = unix(&lab);
    let both = format!("http://127.0.0.1:9,{}", server.url);
    let ran =
        ran(lab.lockd().args(["exec", "k", "--", "sh", "-c", "echo 1 | lockd update", "k"]).env("LOCKD_SERVER", both));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(lab.run(["get", "k"]).out, "1\n");
}

/// A command of this lab that waits over a server, once it has said so.
pub fn waiting(lab: &Lab, server: &str, args: &[&str]) -> Child {
    let mut child = lab
        .plain()
        .env("LOCKD_SERVER", server)
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    if args[0] == "watch" {
        // It is watching once it has shown what is there.
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
    } else {
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut first).unwrap();
        assert!(first.contains("waiting for k"), "{first}");
    }
    child
}

/// A command that waits, over a server that hangs or is well.
#[test]
fn a_signal_ends_a_wait_at_once() {
    let lab = Lab::new();
    let server = unix(&lab);
    lab.acquire("k", &["--ttl", "1h"]);
    for hangs in [false, true] {
        for args in
            [&["acquire", "k", "--ttl", "1h"][..], &["exec", "k", "--", "true"], &["remove", "k"], &["watch", "k"]]
        {
            let child = waiting(&lab, &server.url, args);
            if hangs {
                server.signal(Signal::STOP);
            }
            let began = SystemClock.boot();
            kill_process(Pid::from_child(&child), Signal::INT).unwrap();
            let ran = finished(&child.wait_with_output().unwrap());
            let took = SystemClock.boot().since(began);
            server.signal(Signal::CONT);
            assert_eq!(ran.code, 130, "{args:?}: {}", ran.err);
            assert!(took < RELEASE_TRY, "{args:?}: a server that hangs was waited for, {took:?}");
            println!("{args:?}, a server that {}: {took:?}", if hangs { "hangs" } else { "is well" });
        }
    }
    while run(&lab, &server, &["status", "--json", "k"]).out.contains("\"waiters\":1") {}
}

#[test]
fn the_lease_goes_back_when_exec_is_killed() {
    let lab = Lab::new();
    let server = unix(&lab);
    fifo(&lab.path("work/up"));
    let mut child = lab
        .plain()
        .env("LOCKD_SERVER", &server.url)
        .args(["exec", "k", "--", "sh", "-c", "echo up > up; exec sleep 1000"])
        .spawn()
        .unwrap();
    assert_eq!(std::fs::read_to_string(lab.path("work/up")).unwrap(), "up\n");
    child.kill().unwrap();
    child.wait().unwrap();
    // The guard ends the command and gives the lease back: the next one gets it long before it would run out.
    let next = run(&lab, &server, &["exec", "-w", "20s", "k", "--", "true"]);
    assert_eq!(next.code, 0, "{}", next.err);
}
