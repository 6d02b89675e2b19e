//! Signals that reach exec go to the command's group: promise 3.

use rustix::process::Signal;

use super::sandbox::{Running, Sandbox, until};

/// A script that exits 40 + n at signal n, once it has said that it is ready.
fn trapping(numbers: &[i32]) -> String {
    let traps: String = numbers.iter().map(|n| format!("trap 'exit {}' {n}; ", 40 + n)).collect();
    // `wait` ends at a signal; what it waits for is ended with the group.
    format!("{traps} sleep 600 & echo >$D/ready; while :; do wait; done")
}

#[test]
fn signals_reach_the_command_and_its_status_comes_back() {
    for signal in
        [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::WINCH, Signal::CONT]
    {
        let sandbox = Sandbox::new();
        let running = sandbox.exec(&["k"], &trapping(&[signal.as_raw()]));
        sandbox.wait_for("ready");
        running.signal(signal);
        assert_eq!(running.end(), (40 + signal.as_raw(), String::new()), "{signal:?}");
        sandbox.wait_for_nobody();
        assert!(sandbox.is_free("k"));
    }
}

#[test]
fn a_signal_reaches_the_whole_group() {
    for signal in [Signal::TERM, Signal::HUP] {
        let sandbox = Sandbox::new();
        let script = "sh -c 'echo >$D/deep; sleep 600; true'; true";
        let running = sandbox.exec(&["k"], script);
        sandbox.wait_for("deep");
        running.signal(signal);
        assert_eq!(running.end().0, 128 + signal.as_raw());
        sandbox.wait_for_nobody();
        assert!(sandbox.is_free("k"));
    }
}

#[test]
fn signals_that_come_at_once_are_not_lost() {
    let sandbox = Sandbox::new();
    // From the first moment on: before it listens, while it takes the lease, before the program runs, after.
    for round in 0..30_u32 {
        let running = sandbox.exec(&["k"], "exec sleep 600");
        let pid = running.pid();
        until("the round's moment has come", || (sandbox.processes().len() as u32 >= round % 4).then_some(()));
        let _over = rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::TERM);
        let (code, said) = running.end();
        assert!(matches!(code, 143 | -15), "{code} {said}");
        sandbox.wait_for_nobody();
        assert!(sandbox.is_free("k"));
    }
}

#[test]
fn a_signal_that_the_caller_ignores_is_ignored_by_all() {
    let sandbox = Sandbox::new();
    let script = "echo >$D/ready; sleep 600; true";
    let mut command = sandbox.any("nohup");
    command.args([env!("CARGO_BIN_EXE_lockd"), "exec", "k", "--", "sh", "-c", script]);
    let running = Running::of(&mut command);
    sandbox.wait_for("ready");
    running.signal(Signal::HUP);
    let group = command_group(&sandbox);
    rustix::process::kill_process_group(group, Signal::HUP).unwrap();
    // Signals that are sent in this order are seen in it: after this one an end by HUP would have been seen.
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, 143);
}

fn command_group(sandbox: &Sandbox) -> rustix::process::Pid {
    let (pid, _) = sandbox.processes().into_iter().find(|(_, line)| line.starts_with("sh -c")).unwrap();
    rustix::process::getpgid(rustix::process::Pid::from_raw(pid)).unwrap()
}

#[test]
fn killing_exec_ends_all_and_frees_the_key_within_the_grace() {
    let sandbox = Sandbox::new();
    let script = "
        setsid sh -c 'trap \"\" TERM; echo >$D/away; sleep 600; sleep 600' &
        sh -c 'trap \"\" TERM; sleep 600; sleep 600' &
        until test -s $D/away; do sleep 0.01; done
        echo >$D/ready
        sleep 600; true";
    let running = sandbox.exec(&["--kill-grace", "500ms", "--ttl", "10m", "k"], script);
    sandbox.wait_for("ready");
    running.signal(Signal::KILL);
    assert_eq!(running.end().0, -9);
    // Not the lease but the guard frees the key: the TTL is longer than this test's patience.
    sandbox.wait_for_nobody();
    assert!(sandbox.is_free("k"));
}

#[test]
fn killing_the_guard_ends_all_and_frees_the_key() {
    let sandbox = Sandbox::new();
    let script = "
        setsid sh -c 'echo >$D/away; sleep 600; sleep 600' &
        until test -s $D/away; do sleep 0.01; done
        echo >$D/ready
        sleep 600; true";
    let running = sandbox.exec(&["--ttl", "10m", "k"], script);
    sandbox.wait_for("ready");
    rustix::process::kill_process(running.guard(), Signal::KILL).unwrap();
    let (code, said) = running.end();
    assert_eq!(code, 137, "{said}");
    assert!(said.contains("guard"), "{said}");
    sandbox.wait_for_nobody();
    assert!(sandbox.is_free("k"));
}

#[test]
fn a_guard_that_is_stopped_is_woken_when_it_is_needed() {
    let sandbox = Sandbox::new();
    let running = sandbox.exec(&["--ttl", "10m", "--max-runtime", "1s", "k"], "echo >$D/ready; sleep 600; true");
    sandbox.wait_for("ready");
    rustix::process::kill_process(running.guard(), Signal::STOP).unwrap();
    assert_eq!(running.end().0, 124);
    sandbox.wait_for_nobody();
}
