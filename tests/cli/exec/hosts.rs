//! Two hosts on one directory: played by two namespaces of mounts and processes, which see nothing of each other but the store.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use super::sandbox::{Running, Sandbox};
use crate::support::left_out;

/// A command on a host of its own; killed as a whole, as by a loss of power, when it is killed.
fn host(sandbox: &Sandbox, script: &str) -> Command {
    let mut command = sandbox.any("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--", "sh", "-c", script]);
    command
}

fn possible(sandbox: &Sandbox, what: &str) -> bool {
    let out = host(sandbox, "true").output();
    let possible = out.is_ok_and(|out| out.status.success());
    if !possible {
        left_out(what, "namespaces of mounts and processes need root");
    }
    possible
}

#[test]
fn two_hosts_count_in_one_state_and_miss_nothing() {
    let sandbox = Sandbox::new();
    if !possible(&sandbox, "two_hosts_count_in_one_state_and_miss_nothing") {
        return;
    }
    let script = r#"TMPDIR=$(mktemp -d $D/hostXXXXXX) && mount -t tmpfs none $TMPDIR && export TMPDIR
        for i in 1 2 3 4 5 6 7 8; do
            $LOCKD exec --state-file n -- sh -c 'echo $(($(cat $LOCKD_STATE_FILE 2>/dev/null || echo 0) + 1)) >$LOCKD_STATE_FILE' || exit
        done
        test -z "$(ls -A $TMPDIR)" && umount $TMPDIR && rmdir $TMPDIR"#;
    let both = [Running::of(&mut host(&sandbox, script)), Running::of(&mut host(&sandbox, script))];
    for running in both {
        let (code, said) = running.end();
        assert_eq!(code, 0, "{said}");
    }
    let out = sandbox.lockd(&["get", "n"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout), "16\n");
}

#[test]
fn of_two_hosts_that_start_a_job_at_once_one_runs_it() {
    let sandbox = Sandbox::new();
    if !possible(&sandbox, "of_two_hosts_that_start_a_job_at_once_one_runs_it") {
        return;
    }
    let script = "exec $LOCKD exec --once-per 1h --min-hold 200ms job -- sh -c 'echo >>$D/log'";
    let both = [Running::of(&mut host(&sandbox, script)), Running::of(&mut host(&sandbox, script))];
    for running in both {
        let (code, said) = running.end();
        assert_eq!(code, 0, "{said}");
    }
    assert_eq!(fs::read_to_string(sandbox.path("log")).unwrap().lines().count(), 1);
}

#[test]
fn a_host_that_loses_power_keeps_its_keys_for_their_time_and_no_longer() {
    let sandbox = Sandbox::new();
    if !possible(&sandbox, "a_host_that_loses_power_keeps_its_keys_for_their_time_and_no_longer") {
        return;
    }
    let beats = "while :; do date +%s%N >$D/beat.new && mv $D/beat.new $D/beat; sleep 0.02; done";
    let first = Running::of(&mut host(&sandbox, &format!("exec $LOCKD exec --ttl 5s b a -- sh -c '{beats}'")));
    sandbox.wait_for("beat");
    let busy =
        host(&sandbox, "$LOCKD exec -n a b -- touch $D/ran; exec $LOCKD exec -n b c -- touch $D/ran").output().unwrap();
    assert_eq!(busy.status.code(), Some(75), "{busy:?}");
    let second =
        Running::of(&mut host(&sandbox, "exec $LOCKD exec a b -- sh -c 'date +%s%N; echo $LOCKD_LEASES' >$D/second"));
    // Guard and all: nobody gives anything back.
    first.signal(Signal::KILL);
    drop(first);
    let (code, said) = second.end();
    assert_eq!(code, 0, "{said}");
    let nanos = |text: &str| text.lines().next().unwrap().parse::<u128>().unwrap();
    let last = nanos(&fs::read_to_string(sandbox.path("beat")).unwrap());
    let second = fs::read_to_string(sandbox.path("second")).unwrap();
    assert!(nanos(&second) > last, "{second} begins before {last}");
    assert!(second.contains(r#""key":"a""#) && second.contains(r#""fencing_token":2"#), "{second}");
    assert!(!sandbox.path("ran").exists());
}
