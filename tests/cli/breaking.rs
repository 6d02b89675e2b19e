//! `lockd break`: who is asked, what is said, and what becomes of the old holder.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use lockd::clock::{Clock, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::lab::{Lab, Ran, finished, ran};
use super::pty::{self, Pty};

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {ran:?}"))
}

#[test]
fn a_broken_lease_is_free_and_its_holder_is_told_by_whom_and_why() {
    let lab = Lab::new();
    let lease = lab.acquire("k", &["--owner", "old\x1b[31m"]);
    let id = lab.status("k")["holder"]["lease_id"].as_str().unwrap().to_owned();
    let token = lab.status("k")["fencing_token"].as_u64().unwrap();
    let broke =
        ran(lab.lockd().args(["break", "k", "--reason", "it\x1b hangs", "--yes", "--json"]).env("LOCKD_OWNER", "ops"));
    assert_eq!(broke.code, 0, "{}", broke.err);
    let body = json(&broke);
    assert_eq!((&body["schema"], &body["key"], &body["broken"]), (&1.into(), &"k".into(), &true.into()));
    assert_eq!((&body["lease_id"], &body["fencing_token"]), (&id.as_str().into(), &token.into()));
    assert!(body["over_in_ms"].as_u64().unwrap() <= 31_300, "{body}");
    for args in [&["keepalive"][..], &["update", "-"]] {
        let told = ran(lab.lockd().args(args).envs(lease.iter().cloned()).write_stdin("1"));
        assert_eq!(told.code, 84, "{}", told.err);
        assert!(told.err.contains("broken by ops: it\\u{1b} hangs; `lockd status k`"), "{}", told.err);
    }
    let released = ran(lab.lockd().args(["release"]).envs(lease.iter().cloned()));
    assert_eq!(released.code, 0, "it is gone already: {}", released.err);
    let status = lab.status("k");
    assert_eq!((&status["held"], &status["ended"][0]["by"]), (&false.into(), &"ops".into()));
    assert!(status["fencing_token"].as_u64().unwrap() > token);
    let page = lab.run(["status", "k"]).out;
    assert!(page.contains("broken by ops: it\\u{1b} hangs (old\\u{1b}[31m, token"), "{page}");
    assert_eq!(lab.run(["acquire", "-n", "k"]).code, 0);
}

#[test]
fn what_cannot_be_broken() {
    let lab = Lab::new();
    let with = |args: &[&str]| lab.run(["break", "k", "--reason", "test"].iter().chain(args));
    let free = with(&["--yes"]);
    assert_eq!((free.code, free.out.as_str()), (1, ""));
    assert!(free.err.contains("nothing to break: k is free"), "{}", free.err);
    let free = with(&["--yes", "--json", "-q"]);
    assert_eq!((free.code, &json(&free)["broken"], free.err.as_str()), (1, &false.into(), ""));
    assert_eq!(with(&["--dry-run"]).code, 1);
    lab.acquire("k", &[]);
    let asked = with(&[]);
    assert_eq!(asked.code, 64);
    assert!(asked.err.contains("--yes"), "{}", asked.err);
    let dry = with(&["--dry-run", "--json"]);
    assert_eq!((dry.code, &json(&dry)["dry_run"], &json(&dry)["broken"]), (0, &true.into(), &false.into()));
    assert!(dry.err.contains("it would break the lease of k, held by"), "{}", dry.err);
    for more in [&["--yes"][..], &["--dry-run"]] {
        let other = with(&[&["--lease-id", "another"], more].concat());
        assert_eq!(other.code, 82, "{}", other.err);
    }
    assert_eq!(lab.run(["break", "k", "--yes"]).code, 64, "a reason must be given");
    assert_eq!(lab.run(["break", "k", "--yes", "--reason", ""]).code, 64);
    assert!(lab.status("k")["held"].as_bool().unwrap(), "nothing of this broke it");
    // Named by its id it is broken once, and the answer stays the same.
    let id = lab.status("k")["holder"]["lease_id"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        assert_eq!(with(&["--yes", "--lease-id", &id]).code, 0);
    }
    assert_eq!(with(&["--yes"]).code, 1);
}

#[test]
fn a_terminal_is_asked_and_only_yes_is_yes() {
    let lab = Lab::new();
    lab.acquire("k", &[]);
    for answer in ["\n", "n\n", "x\n", "\x04"] {
        let mut pty = Pty::start(&lab, &["break", "k", "--reason", "test"], &[]);
        pty.expect("? [y/N] ");
        pty.type_in(answer);
        let ran = pty.end();
        assert_eq!(ran.code, 1, "{}", ran.out);
        assert!(
            ran.out.contains("break the lease of k, held by") && ran.out.contains("nothing was broken"),
            "{}",
            ran.out
        );
    }
    let mut pty = Pty::start(&lab, &["break", "k", "--reason", "test"], &[]);
    pty.expect("? [y/N] ");
    pty.type_in("\x03");
    assert_eq!(pty.end().code, 130);
    assert!(lab.status("k")["held"].as_bool().unwrap());
    let mut pty = Pty::start(&lab, &["break", "k", "--reason", "test"], &[]);
    pty.expect("? [y/N] ");
    // Somebody else has it by the time of the answer: that was not the question.
    assert_eq!(lab.run(["break", "k", "--reason", "faster", "--yes"]).code, 0);
    lab.acquire("k", &[]);
    pty.type_in("y\n");
    // What was asked about is broken, by somebody else.
    assert_eq!(pty.end().code, 0);
    assert!(lab.status("k")["held"].as_bool().unwrap());
    let mut pty = Pty::start(&lab, &["break", "k", "--reason", "test"], &[]);
    pty.expect("? [y/N] ");
    pty.type_in("y\n");
    assert_eq!(pty.end().code, 0);
    assert!(!lab.status("k")["held"].as_bool().unwrap());
}

#[test]
fn a_drain_waits_until_the_old_holder_has_stopped() {
    let lab = Lab::new();
    lab.acquire("k", &["--ttl", "2s"]);
    let began = SystemClock.boot();
    let drained = lab.run(["break", "k", "--reason", "test", "--yes", "--drain", "--json"]);
    let took = SystemClock.boot().since(began);
    assert_eq!(drained.code, 0, "{}", drained.err);
    let over_in = json(&drained)["over_in_ms"].as_u64().unwrap();
    assert!(over_in > 0 && over_in <= 3_020 && took.as_millis() as u64 >= over_in, "{over_in} {took:?}");
    // Its TTL is remembered, so that a repeated drain is no shorter.
    let id = lab.status("k")["ended"][0]["lease_id"].as_str().unwrap().to_owned();
    let again = json(&lab.run(["break", "k", "--reason", "test", "--yes", "--lease-id", &id, "--json"]));
    assert_eq!(again["over_in_ms"], 3_020);
    // On a terminal it shows how far it is.
    lab.acquire("k", &["--ttl", "2s"]);
    let shown = pty::shown(&lab, &["break", "k", "--reason", "test", "--yes", "--drain"], &[]);
    assert_eq!(shown.code, 0, "{}", shown.out);
    assert!(shown.out.contains("left for"), "{:?}", shown.out);
}

#[test]
fn a_drain_can_be_left_and_the_break_stands() {
    let lab = Lab::new();
    lab.acquire("k", &["--ttl", "1h"]);
    let mut child = lab.plain();
    child.args(["break", "k", "--reason", "test", "--yes", "--drain"]).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    err.read_line(&mut line).unwrap();
    assert!(line.contains("waiting 1h until what "), "{line}");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(finished(&child.wait_with_output().unwrap()).code, 130);
    assert!(!lab.status("k")["held"].as_bool().unwrap());
}

#[test]
fn the_command_of_a_broken_exec_is_ended_and_says_why() {
    let lab = Lab::new();
    let mut child = lab.plain();
    child.args(["exec", "--ttl", "3s", "k", "--", "sh", "-c", "echo up; exec sleep 600"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    assert_eq!(lab.run(["break", "k", "--reason", "stuck for hours", "--yes"]).code, 0);
    let ran = finished(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, 84, "{}", ran.err);
    assert!(ran.err.contains("stuck for hours"), "{}", ran.err);
}
