//! Waiting for the lease: promise 7, giving up, and being told to.

use std::io::{BufRead, BufReader};

use rustix::process::Signal;

use super::sandbox::{Sandbox, boot, until};

const HOLD: &str = "echo >$D/ready; exec sleep 600";

fn held(sandbox: &Sandbox) -> super::sandbox::Running {
    let holder = sandbox.exec(&["--owner", "evil\u{1b}[31m", "--reason", "for\nfun", "k"], HOLD);
    sandbox.wait_for("ready");
    holder
}

#[test]
fn a_key_that_stays_busy_is_75_or_what_was_asked_for() {
    let sandbox = Sandbox::new();
    let _holder = held(&sandbox);
    for (args, code) in [
        (&["-n", "k"][..], 75),
        (&["-w", "0", "k"], 75),
        (&["-w", "200ms", "k"], 75),
        (&["--if-busy", "fail", "k"], 75),
        (&["-n", "-E", "9", "k"], 9),
        (&["-n", "-E", "0", "k"], 0),
        (&["-n", "-E", "255", "k"], 255),
    ] {
        let out = sandbox.run(args, "touch $D/ran");
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.starts_with("lockd: k is held by evil\\u{1b}[31m"), "{said}");
        assert!(said.contains("(sh)") && said.contains(": for\\nfun") && said.contains("lockd status k"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let out = sandbox.run(&["--if-busy", "skip", "k"], "touch $D/ran");
    assert!(out.status.success() && out.stdout.is_empty() && out.stderr.is_empty(), "{out:?}");
    assert!(!sandbox.path("ran").exists());
}

#[test]
fn the_wait_says_so_after_a_while() {
    let sandbox = Sandbox::new();
    let holder = held(&sandbox);
    let began = boot();
    let mut waiter = sandbox.exec(&["k"], "echo ran");
    let mut lines = BufReader::new(waiter.child().stderr.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    // Where nobody watches, two seconds are not worth a word.
    assert!(boot().since(began).as_millis() >= 2_000, "{line}");
    assert!(line.starts_with("lockd: waiting") && line.contains("k") && line.contains("held by evil"), "{line}");
    holder.signal(Signal::TERM);
    assert_eq!(holder.end().0, 143);
    let mut status = None;
    until("the waiter ends", || {
        status = waiter.child().try_wait().unwrap();
        status
    });
    assert!(status.unwrap().success());
}

#[test]
fn a_signal_ends_the_wait_and_takes_nothing() {
    let sandbox = Sandbox::new();
    let holder = held(&sandbox);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129), (Signal::QUIT, 131)] {
        let mut waiter = sandbox.exec(&["k"], "echo >$D/ran");
        // It listens to signals before it asks for the lease, and says so after it has asked.
        let mut lines = BufReader::new(waiter.child().stderr.as_mut().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().contains("waiting"));
        let began = boot();
        waiter.signal(signal);
        assert_eq!(waiter.end().0, code);
        let took = boot().since(began);
        assert!(took.as_millis() < 1_000, "{signal:?} took {took:?}");
    }
    holder.signal(Signal::TERM);
    holder.end();
    assert!(sandbox.is_free("k"));
    assert!(!sandbox.path("ran").exists());
    sandbox.wait_for_nobody();
}

#[test]
fn a_waiter_that_is_killed_leaves_nothing() {
    let sandbox = Sandbox::new();
    let holder = held(&sandbox);
    let mut waiter = sandbox.exec(&["k"], "echo >$D/ran");
    let mut lines = BufReader::new(waiter.child().stderr.as_mut().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("waiting"));
    let guard = waiter.guard().as_raw_nonzero().get();
    waiter.signal(Signal::KILL);
    assert_eq!(waiter.end().0, -9);
    until("the guard is gone", || sandbox.processes().iter().all(|(pid, _)| *pid != guard).then_some(()));
    holder.signal(Signal::TERM);
    holder.end();
    assert!(sandbox.is_free("k"));
    assert!(!sandbox.path("ran").exists());
}
