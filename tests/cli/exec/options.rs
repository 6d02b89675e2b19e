//! `--min-hold` and `--once-per`.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use super::sandbox::{Sandbox, boot, until};

#[test]
fn the_key_is_held_for_a_while_after_a_quick_command() {
    let sandbox = Sandbox::new();
    let began = boot();
    let out = sandbox.run(&["--min-hold", "700ms", "k"], "exit 6");
    assert_eq!(out.status.code(), Some(6), "{out:?}");
    assert!(boot().since(began) >= Duration::from_millis(700));
    // One that took long enough by itself is not held longer.
    assert_eq!(sandbox.run(&["--min-hold", "1ms", "k"], "exit 0").status.code(), Some(0));
    for (signal, code) in [(Signal::TERM, 5), (Signal::INT, 5), (Signal::KILL, -9)] {
        let running = sandbox.exec(&["--min-hold", "10m", "--ttl", "10m", "k"], "echo $$ >$D/pid; exit 5");
        let pid: i32 = sandbox.wait_for("pid").trim().parse().unwrap();
        until("the command is over", || sandbox.processes().iter().all(|(p, _)| *p != pid).then_some(()));
        assert!(!sandbox.is_free("k"));
        running.signal(signal);
        assert_eq!(running.end().0, code);
        until("the key is free", || sandbox.is_free("k").then_some(()));
        fs::remove_file(sandbox.path("pid")).unwrap();
    }
}

#[test]
fn nothing_is_held_on_when_somebody_asked_for_an_end_or_nothing_ran() {
    let sandbox = Sandbox::new();
    let running = sandbox.exec(&["--min-hold", "10m", "k"], "echo >$D/up; exec sleep 600");
    sandbox.wait_for("up");
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, 143);
    fs::write(sandbox.path("broken"), "#!/no/such/interpreter\n").unwrap();
    assert!(sandbox.any("chmod").args(["755", "broken"]).status().unwrap().success());
    let out = sandbox.lockd(&["exec", "--min-hold", "10m", "k", "--", "./broken"]).output().unwrap();
    assert_eq!(out.status.code(), Some(127));
}

#[test]
fn a_run_that_succeeded_is_enough_for_a_while() {
    let sandbox = Sandbox::new();
    let runs = || fs::read_to_string(sandbox.path("log")).unwrap_or_default().lines().count();
    let daily =
        |exit: u8| sandbox.run(&["--once-per", "1d", "k"], &format!("echo >>$D/log; exit {exit}")).status.code();
    // One that failed, or that did not ask for it, is not counted.
    assert_eq!(daily(1), Some(1));
    assert_eq!(sandbox.run(&["k"], "exit 0").status.code(), Some(0));
    assert_eq!((daily(0), runs()), (Some(0), 2));
    assert_eq!((daily(1), runs()), (Some(0), 2));
    let out = sandbox.lockd(&["-v", "exec", "--once-per", "1d", "k", "--", "false"]).output().unwrap();
    assert!(String::from_utf8_lossy(&out.stderr).contains("skipped: k was done less than 1d ago"), "{out:?}");
    // Another key is another job, and a shorter span is over sooner.
    assert_eq!(sandbox.run(&["--once-per", "1d", "j"], "exit 3").status.code(), Some(3));
    until("the span is over", || {
        let out = sandbox.run(&["--once-per", "500ms", "k"], "echo >>$D/log");
        assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
        (runs() > 2).then_some(())
    });
    // It does not wait for who holds the key now.
    let _holder = sandbox.exec(&["k"], "echo >$D/up; exec sleep 600");
    sandbox.wait_for("up");
    assert_eq!((daily(1), runs()), (Some(0), 3));
    for bad in ["0", "2y", "366d"] {
        assert_eq!(sandbox.run(&["--once-per", bad, "x"], "true").status.code(), Some(64), "{bad}");
    }
}

#[test]
fn of_many_at_once_one_runs() {
    let sandbox = Sandbox::new();
    let all: Vec<_> = (0..6).map(|_| sandbox.exec(&["--once-per", "1h", "k"], "echo >>$D/log; sleep 0.2")).collect();
    for running in all {
        let (code, said) = running.end();
        assert_eq!((code, said.as_str()), (0, ""));
    }
    assert_eq!(fs::read_to_string(sandbox.path("log")).unwrap().lines().count(), 1);
}

#[test]
fn what_is_not_certain_to_have_succeeded_is_not_counted() {
    let sandbox = Sandbox::new();
    let out = sandbox.run(&["--once-per", "1h", "--state-file", "k"], "echo nonsense >$LOCKD_STATE_FILE");
    assert_eq!(out.status.code(), Some(65));
    let running = sandbox
        .exec(&["--once-per", "1h", "--ttl", "10m", "k"], "echo >$D/up; until test -e $D/go; do sleep 0.01; done");
    sandbox.wait_for("up");
    sandbox.break_lease("k");
    fs::write(sandbox.path("go"), "").unwrap();
    let (code, said) = running.end();
    // Its own end is told, and that the lease was over.
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("was over before it was given back"), "{said}");
    assert_eq!(sandbox.run(&["--once-per", "1h", "k"], "exit 7").status.code(), Some(7));
}
