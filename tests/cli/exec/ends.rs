//! The command is ended before the lease can pass to another: promises 2 and 4.

use std::fs;

use lockd::limits::takeover_age;
use rustix::process::Signal;

use super::sandbox::{Sandbox, boot, until};

/// Writes the boot clock to a file again and again, from a grandchild that has left the group and ignores TERM.
const PROBE: &str = r#"
    setsid sh -c 'trap "" TERM
        while read -r up rest </proc/uptime; do echo $up >>$D/probe; sleep 0.01; done' &
    until test -s $D/probe; do sleep 0.01; done
    echo >$D/ready
    trap "" TERM
    while :; do sleep 600; done"#;

/// The last time that the probe wrote, in seconds since boot.
fn last_probe(sandbox: &Sandbox) -> f64 {
    fs::read_to_string(sandbox.path("probe")).unwrap().lines().last().unwrap().parse().unwrap()
}

#[test]
fn work_is_dead_before_the_lease_of_a_stopped_exec_passes_on() {
    let sandbox = Sandbox::new();
    let running = sandbox.exec(&["--ttl", "10s", "k"], PROBE);
    sandbox.wait_for("ready");
    running.signal(Signal::STOP);
    let next = sandbox.run(&["-w", "60s", "k"], "read -r up rest </proc/uptime; echo $up");
    let passed_on: f64 = String::from_utf8(next.stdout).unwrap().trim().parse().unwrap();
    let worked = last_probe(&sandbox);
    assert!(worked < passed_on, "worked until {worked}, the next began at {passed_on}");
    // The next one waited for the lease; the work had stopped 1.5 s before, the two margins of holder and contender.
    assert!(worked + 1.0 < passed_on, "worked until {worked}, the next began at {passed_on}");
    running.signal(Signal::CONT);
    let (code, said) = running.end();
    assert_eq!(code, 80, "{said}");
    assert!(said.contains("the command was ended"), "{said}");
    sandbox.wait_for_nobody();
    assert_eq!(last_probe(&sandbox), worked);
}

#[test]
fn the_lease_runs_out_when_exec_and_guard_are_killed() {
    let sandbox = Sandbox::new();
    let before = boot();
    let running = sandbox.exec(&["--ttl", "10s", "k"], "echo >$D/ready; exec sleep 600");
    sandbox.wait_for("ready");
    let guard = running.guard();
    // Both at once: neither may see the other's end.
    running.signal(Signal::STOP);
    rustix::process::kill_process(guard, Signal::STOP).unwrap();
    rustix::process::kill_process(guard, Signal::KILL).unwrap();
    running.signal(Signal::KILL);
    assert_eq!(running.end().0, -9);
    // The command itself dies with its guard.
    sandbox.wait_for_nobody();
    assert!(!sandbox.is_free("k"));
    let next = sandbox.run(&["-w", "60s", "k"], "true");
    assert!(next.status.success(), "{next:?}");
    let age = takeover_age(std::time::Duration::from_secs(10));
    assert!(boot().since(before) >= age, "free after {:?}, and not before {age:?}", boot().since(before));
}

#[test]
fn a_lease_that_is_lost_ends_the_command_first() {
    let sandbox = Sandbox::new();
    let script = "trap 'echo >$D/asked; exit 0' TERM; sleep 600 & echo >$D/ready; while :; do wait; done";
    let running = sandbox.exec(&["--ttl", "10s", "k"], script);
    sandbox.wait_for("ready");
    // Nothing can be renewed in a store that is not there.
    fs::rename(sandbox.path("store"), sandbox.path("elsewhere")).unwrap();
    let (code, said) = running.end();
    assert_eq!(code, 80, "{said}");
    sandbox.wait_for("asked");
    sandbox.wait_for_nobody();
}

#[test]
fn renewal_keeps_a_short_lease_for_as_long_as_the_command_runs() {
    let sandbox = Sandbox::new();
    let mut command =
        sandbox.lockd(&["exec", "--ttl", "10s", "k", "--", "sh", "-c", "echo >$D/ready; read line; exit 3"]);
    let mut running = super::sandbox::Running::of(command.stdin(std::process::Stdio::piped()));
    sandbox.wait_for("ready");
    let began = boot();
    let past = takeover_age(std::time::Duration::from_secs(10)) + std::time::Duration::from_secs(1);
    until("the lease would have run out", || {
        assert!(!running.is_over(), "it ended early");
        (boot().since(began) > past).then_some(())
    });
    assert!(!sandbox.is_free("k"));
    drop(running.child().stdin.take());
    assert_eq!(running.end(), (3, String::new()));
}

#[test]
fn a_command_that_runs_too_long_is_ended_with_all_that_it_started() {
    let sandbox = Sandbox::new();
    let script = "setsid sleep 600 & trap '' TERM; echo >$D/ready; sleep 600; sleep 600";
    let out = sandbox.run(&["--max-runtime", "300ms", "--kill-grace", "300ms", "k"], script);
    assert_eq!(out.status.code(), Some(124), "{out:?}");
    assert!(String::from_utf8_lossy(&out.stderr).contains("ran longer than"), "{out:?}");
    assert_eq!(sandbox.processes(), []);
    assert!(sandbox.is_free("k"));
    // One that is done in time is none of this.
    assert_eq!(sandbox.run(&["--max-runtime", "10m", "k"], "exit 4").status.code(), Some(4));
    assert_eq!(sandbox.run(&["--max-runtime", "0", "k"], "exit 4").status.code(), Some(4), "no limit, as with timeout");
}

#[test]
fn a_release_that_fails_does_not_hide_the_commands_status() {
    let sandbox = Sandbox::new();
    let out = sandbox.run(&["k"], "mv $D/store $D/elsewhere; exit 9");
    assert_eq!(out.status.code(), Some(9), "{out:?}");
    assert!(String::from_utf8_lossy(&out.stderr).contains("k is not released"), "{out:?}");
}

#[test]
fn what_cannot_be_ended_is_named_and_nothing_is_released() {
    if !rustix::process::geteuid().is_root() {
        println!("not run: only root can make a process that exec may not end");
        return;
    }
    let sandbox = Sandbox::new();
    // lockd runs as nobody, and its command turns into somebody else for good, as sudo would.
    let prepare =
        "chmod 777 $D && chown -R 65534 $D/store && cp $(command -v setpriv) $D/become && chmod 4755 $D/become";
    assert!(sandbox.any("sh").args(["-c", prepare]).status().unwrap().success());
    let script = "exec setpriv --reuid=65534 --clear-groups $LOCKD exec --ttl 10m --kill-grace 100ms --max-runtime 5s k -- \
        $D/become --reuid=1234 --clear-groups sh -c 'echo $$ >$D/pid; exec sleep 600'";
    let running = super::sandbox::Running::of(sandbox.any("sh").args(["-c", script]));
    let pid: i32 = sandbox.wait_for("pid").trim().parse().unwrap();
    let (code, said) = running.end();
    assert_eq!(code, 124, "{said}");
    assert!(said.contains(&format!("cannot end {pid} (sleep)")) && said.contains("not released"), "{said}");
    assert_eq!(sandbox.processes(), [(pid, "sleep 600".to_owned())]);
    assert!(!sandbox.is_free("k"));
    // Too many for one message: the first are named, the rest are counted.
    let many = script.replace(" k -- ", " many -- ").replace(
        "echo $$ >$D/pid; exec sleep 600",
        "n=0; while [ $n -lt 40 ]; do sleep 600 & n=$((n + 1)); done; echo >$D/many; wait",
    );
    let running = super::sandbox::Running::of(sandbox.any("sh").args(["-c", &many]));
    sandbox.wait_for("many");
    let (_, said) = running.end();
    assert!(said.contains("(sleep)") && said.contains(" and 25 more; the lease is not released"), "{said}");
}
