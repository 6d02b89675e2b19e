//! Many at once on one key.

use std::process::Stdio;

use rustix::process::Signal;

use super::sandbox::{Running, Sandbox, boot, until};

#[test]
fn eight_shells_take_turns() {
    let sandbox = Sandbox::new();
    let began = boot();
    let mut all: Vec<_> = (0..8)
        .map(|_| {
            let script = "exec $LOCKD exec k -- sh -c 'echo begin >>$D/log; date >/dev/null; echo end >>$D/log'";
            Running::of(sandbox.any("sh").args(["-c", script]).stdin(Stdio::null()))
        })
        .collect();
    for running in all.drain(..) {
        let (code, said) = running.end();
        assert_eq!(code, 0, "{said}");
    }
    let took = boot().since(began);
    println!("eight took {took:?} in all, {:?} each", took / 8);
    let log = std::fs::read_to_string(sandbox.path("log")).unwrap();
    assert_eq!(log, "begin\nend\n".repeat(8));
}

#[test]
fn waiters_that_are_killed_hold_nobody_up() {
    let sandbox = Sandbox::new();
    let holder = sandbox.exec(&["--ttl", "10m", "k"], "echo >$D/ready; exec sleep 600");
    sandbox.wait_for("ready");
    let waiters: Vec<_> =
        (0..5).map(|n| sandbox.exec(&["--ttl", "10m", "k"], &format!("echo {n} >>$D/log; echo >$D/ran{n}"))).collect();
    // Each has its guard: they are past the start.
    until("five wait", || (sandbox.processes().len() >= 12).then_some(()));
    for (n, waiter) in waiters.iter().enumerate() {
        if (1..4).contains(&n) {
            waiter.signal(Signal::KILL);
        }
    }
    let began = boot();
    holder.signal(Signal::TERM);
    assert_eq!(holder.end().0, 143);
    sandbox.wait_for("ran0");
    sandbox.wait_for("ran4");
    println!("both ran {:?} after the release", boot().since(began));
    for (n, waiter) in waiters.into_iter().enumerate() {
        let expected = if (1..4).contains(&n) { -9 } else { 0 };
        assert_eq!(waiter.end().0, expected);
    }
    let mut log: Vec<_> = std::fs::read_to_string(sandbox.path("log")).unwrap().lines().map(str::to_owned).collect();
    log.sort();
    assert_eq!(log, ["0", "4"]);
    sandbox.wait_for_nobody();
    assert!(sandbox.is_free("k"));
}

#[test]
fn no_two_commands_of_one_key_run_at_once() {
    let sandbox = Sandbox::new();
    // Each finds the file gone, makes it, and takes it away.
    let script = "for i in 1 2 3 4 5; do $LOCKD exec k -- sh -c 'mkdir $D/in || exit 99; sleep 0.01; rmdir $D/in' || exit $?; done";
    let all: Vec<_> = (0..4).map(|_| Running::of(sandbox.any("sh").args(["-c", script]))).collect();
    for running in all {
        let (code, said) = running.end();
        assert_eq!(code, 0, "{said}");
    }
}
