//! `--report`: what came of it, on every way out.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::sandbox::{Running, Sandbox, until};

fn report(sandbox: &Sandbox) -> Value {
    let path = sandbox.path("report");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{e}"));
    fs::remove_file(&path).unwrap();
    assert!(text.ends_with('\n') && text.lines().count() == 1, "{text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    let mut names: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let all = ["child_exit", "child_signal", "exit", "held_ms", "key", "outcome", "schema", "token", "waited_ms"];
    assert_eq!(names, all);
    report
}

/// `lockd exec --report $D/report ARGS -- sh -c SCRIPT`: outcome, exit code, and what the command exited with.
fn of(sandbox: &Sandbox, args: &[&str], script: &str) -> (String, i64, Value) {
    let args: Vec<_> = ["--report", "report"].iter().chain(args).copied().collect();
    let out = sandbox.run(&args, script);
    let report = report(sandbox);
    assert_eq!(report["exit"].as_i64(), out.status.code().map(i64::from), "{out:?}");
    assert_eq!(report["key"], "k");
    (report["outcome"].as_str().unwrap().to_owned(), report["exit"].as_i64().unwrap(), report["child_exit"].clone())
}

fn told(outcome: &str, exit: i64, child: impl Into<Value>) -> (String, i64, Value) {
    (outcome.to_owned(), exit, child.into())
}

#[test]
fn every_way_out_is_reported() {
    let sandbox = Sandbox::new();
    let none = || Value::Null;
    assert_eq!(of(&sandbox, &["k"], "exit 0"), told("ran", 0, 0));
    assert_eq!(of(&sandbox, &["k"], "exit 3"), told("ran", 3, 3));
    assert_eq!(of(&sandbox, &["k"], "kill -9 $$"), told("ran", 137, none()));
    assert_eq!(of(&sandbox, &["--max-runtime", "100ms", "k"], "exec sleep 600"), told("timeout", 124, none()));
    assert_eq!(of(&sandbox, &["--state-file", "k"], "echo x >$LOCKD_STATE_FILE"), told("error", 65, 0));
    assert_eq!(of(&sandbox, &["--once-per", "1h", "k"], "exit 0"), told("ran", 0, 0));
    assert_eq!(of(&sandbox, &["--once-per", "1h", "k"], "exit 9"), told("skipped", 0, none()));
    assert_eq!(of(&sandbox, &["--ttl", "1s", "k"], "exit 9"), told("error", 64, none()));
    assert_eq!(of(&sandbox, &["k"], "exec $LOCKD exec k -- true"), told("ran", 64, 64));
    let holder = sandbox.exec(&["k"], "echo >$D/held; exec sleep 600");
    sandbox.wait_for("held");
    assert_eq!(of(&sandbox, &["-n", "k"], "exit 9"), told("busy", 75, none()));
    assert_eq!(of(&sandbox, &["-n", "-E", "0", "k"], "exit 9"), told("busy", 0, none()));
    assert_eq!(of(&sandbox, &["--if-busy", "skip", "k"], "exit 9"), told("skipped", 0, none()));
    let mut waiter = sandbox.exec(&["--report", "report", "k"], "exit 9");
    assert!(
        BufReader::new(waiter.child().stderr.as_mut().unwrap()).lines().next().unwrap().unwrap().contains("waiting")
    );
    waiter.signal(Signal::INT);
    assert_eq!(waiter.end().0, 130);
    let waited = report(&sandbox);
    assert_eq!((&waited["outcome"], &waited["exit"], &waited["token"]), (&json!("interrupted"), &json!(130), &none()));
    assert!(waited["waited_ms"].as_u64().unwrap() >= 2_000 && waited["held_ms"] == 0, "{waited}");
    drop(holder);
    sandbox.wait_for_nobody();
    let out = sandbox.lockd(&["exec", "--report", "report", "k", "--", "no-such-program"]).output().unwrap();
    assert_eq!(out.status.code(), Some(127));
    assert_eq!(report(&sandbox)["outcome"], "error");
}

#[test]
fn a_signal_of_the_command_and_its_times_are_told() {
    let sandbox = Sandbox::new();
    let out = sandbox.run(&["--report", "report", "--min-hold", "300ms", "k"], "kill -15 $$");
    assert_eq!(out.status.code(), Some(143));
    let report = report(&sandbox);
    assert_eq!((&report["child_exit"], &report["child_signal"]), (&Value::Null, &json!(15)));
    assert!(report["held_ms"].as_u64().unwrap() >= 300, "{report}");
    assert_eq!((&report["token"], &report["schema"]), (&json!(1), &json!(1)));
}

#[test]
fn a_lease_that_is_lost_or_broken_is_reported() {
    let sandbox = Sandbox::new();
    let start = |key: &str| sandbox.exec(&["--report", "report", "--ttl", "6s", key], "echo $$ >$D/up; exec sleep 600");
    let running = start("k");
    sandbox.wait_for("up");
    sandbox.break_lease("k");
    let (code, said) = running.end();
    assert_eq!(code, 84, "{said}");
    assert!(said.contains("was broken by ") && said.contains("the command was ended"), "{said}");
    let told = report(&sandbox);
    assert_eq!((&told["outcome"], &told["child_signal"]), (&json!("broken"), &json!(15)));
    assert!(sandbox.is_free("k"));
    fs::remove_file(sandbox.path("up")).unwrap();
    let running = start("k");
    sandbox.wait_for("up");
    fs::rename(sandbox.path("store"), sandbox.path("elsewhere")).unwrap();
    assert_eq!(running.end().0, 80);
    assert_eq!(report(&sandbox)["outcome"], "lost");
}

#[test]
fn a_report_appears_whole_and_a_killed_exec_leaves_none() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("report"), "the last one\n").unwrap();
    let before = || fs::read_dir(sandbox.path("")).unwrap().count();
    let running = sandbox.exec(&["--report", "report", "k"], "echo >$D/up; exec sleep 600");
    sandbox.wait_for("up");
    assert_eq!(fs::read_to_string(sandbox.path("report")).unwrap(), "the last one\n");
    let during = before();
    running.signal(Signal::KILL);
    running.end();
    until("what was begun is gone", || (before() == during - 1).then_some(()));
    assert_eq!(fs::read_to_string(sandbox.path("report")).unwrap(), "the last one\n");
}

#[test]
fn a_descriptor_takes_the_report_and_the_command_keeps_its_own() {
    let sandbox = Sandbox::new();
    let code = |script: &str| {
        let out = sandbox.any("bash").args(["-c", script]).output().unwrap();
        (out.status.code().unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    let (exit, said) = code("exec 5>$D/report; $LOCKD exec --report fd:5 k -- sh -c 'exit 4'");
    assert_eq!((exit, report(&sandbox)["child_exit"].clone()), (4, json!(4)), "{said}");
    let (exit, said) = code("$LOCKD exec --report fd:1 k -- true | cat >$D/report");
    assert_eq!((exit, report(&sandbox)["outcome"].clone()), (0, json!("ran")), "{said}");
    let (exit, said) = code("$LOCKD exec --report fd:1 k -- true >&-");
    assert_eq!(exit, 73, "{said}");
    for bad in ["fd:9", "fd:3", "fd:5"] {
        // Not open; perhaps one that lockd opens for itself; open for reading only.
        let (exit, said) = code(&format!("exec 5</etc/passwd; $LOCKD exec --report {bad} k -- touch $D/ran"));
        assert_eq!(exit, 73, "{bad}: {said}");
        assert!(said.contains(&format!("--report: cannot write to {bad}")), "{said}");
    }
    for bad in ["fd:", "fd:x", "fd:-1", "fd:99999999999"] {
        assert_eq!(code(&format!("$LOCKD exec --report {bad} k -- touch $D/ran")).0, 64, "{bad}");
    }
    assert!(!sandbox.path("ran").exists());
}

#[test]
fn a_report_that_cannot_be_opened_is_said_before_the_wait() {
    let sandbox = Sandbox::new();
    let _holder = sandbox.exec(&["k"], "echo >$D/held; exec sleep 600");
    sandbox.wait_for("held");
    for bad in ["none/report", "store", ""] {
        let out = sandbox.run(&["--report", bad, "k"], "touch $D/ran");
        assert_eq!(out.status.code(), Some(73), "{bad:?}: {out:?}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_no_success_and_hides_no_failure() {
    if !PathBuf::from("/dev/full").exists() {
        return crate::support::left_out("a_report_that_cannot_be_written", "there is no /dev/full");
    }
    let sandbox = Sandbox::new();
    for (exit, code) in [(0, 74), (3, 3)] {
        let running: Running = sandbox.exec(&["--report", "/dev/full", "k"], &format!("exit {exit}"));
        let (got, said) = running.end();
        assert_eq!(got, code, "{said}");
        assert!(said.contains("write the report to /dev/full"), "{said}");
    }
}
