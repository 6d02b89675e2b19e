//! Several keys in one exec: all of them or none, in one order, and one lost is all lost.

use std::io::{BufRead, BufReader};

use lockd::limits::takeover_age;
use rustix::process::Signal;
use serde_json::Value;

use super::sandbox::{Running, Sandbox, boot, until};

const HOLD: &str = "echo >$D/up; exec sleep 600";

/// Waits until it says that it waits.
fn waits(running: &mut Running) {
    let mut lines = BufReader::new(running.child().stderr.as_mut().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("waiting"));
}

#[test]
fn the_command_sees_the_first_key_and_all_of_them() {
    let sandbox = Sandbox::new();
    sandbox.run(&["c"], "true");
    let script = r#"printf '%s\n' $LOCKD_KEY $LOCKD_LEASE_ID $LOCKD_FENCING_TOKEN "$LOCKD_LEASES"
        for k in a b c; do $LOCKD --store "$LOCKD_STORE/" exec -n $k -- true 2>/dev/null; echo $?; done
        for k in a b c; do echo "\"$k\"" | $LOCKD update $k && $LOCKD get $k; done"#;
    let out = sandbox.run(&["c", "a", "b"], script);
    let text = String::from_utf8(out.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let [key, id, token, leases, rest @ ..] = &lines[..] else { panic!("{text} {:?}", out.stderr) };
    assert_eq!((*key, *token), ("c", "2"));
    let leases: Vec<Value> = serde_json::from_str(leases).unwrap();
    let seen: Vec<_> =
        leases.iter().map(|l| (l["key"].as_str().unwrap(), l["fencing_token"].as_u64().unwrap())).collect();
    assert_eq!(seen, [("c", 2), ("a", 1), ("b", 1)]);
    assert_eq!(leases[0]["lease_id"], *id);
    assert!(leases.iter().all(|lease| lease.as_object().unwrap().len() == 3), "{leases:?}");
    // Each is held, and each takes a change under the lease in the environment.
    assert_eq!(rest, ["64", "64", "64", "\"a\"", "\"b\"", "\"c\""]);
    for key in ["a", "b", "c"] {
        assert!(sandbox.is_free(key));
    }
}

#[test]
fn the_command_never_runs_with_a_part_of_them() {
    let sandbox = Sandbox::new();
    let holder = sandbox.exec(&["b"], HOLD);
    sandbox.wait_for("up");
    for args in [&["-n", "b", "a"][..], &["-w", "300ms", "a", "b", "c"], &["--if-busy", "fail", "c", "a", "b"]] {
        let out = sandbox.run(args, "touch $D/ran");
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(75), "{said}");
        assert!(said.starts_with("lockd: b is held by"), "{said}");
        assert!(sandbox.is_free("a") && sandbox.is_free("c"));
    }
    let mut waiter = sandbox.exec(&["b", "a", "c"], "echo >$D/ran");
    waits(&mut waiter);
    // What comes before is held while it waits; what comes after is not.
    assert!(!sandbox.is_free("a") && sandbox.is_free("c"));
    assert!(!sandbox.path("ran").exists());
    holder.signal(Signal::TERM);
    holder.end();
    assert_eq!(waiter.end().0, 0);
    assert!(sandbox.path("ran").exists());
}

#[test]
fn a_signal_while_it_waits_gives_all_back() {
    let sandbox = Sandbox::new();
    let _holder = sandbox.exec(&["b"], HOLD);
    sandbox.wait_for("up");
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::KILL, -9)] {
        let mut waiter = sandbox.exec(&["--ttl", "10m", "a", "b"], "touch $D/ran");
        waits(&mut waiter);
        assert!(!sandbox.is_free("a"));
        waiter.signal(signal);
        assert_eq!(waiter.end().0, code);
        until("a is free", || sandbox.is_free("a").then_some(()));
    }
    assert!(!sandbox.path("ran").exists());
}

#[test]
fn keys_in_opposite_orders_never_wait_for_each_other() {
    let sandbox = Sandbox::new();
    let rounds = |keys: &str| {
        let script = format!(
            "for i in 1 2 3 4 5 6; do $LOCKD exec {keys} -- sh -c 'mkdir $D/in && rmdir $D/in' || exit 1; done"
        );
        Running::of(sandbox.any("sh").args(["-c", &script]))
    };
    let all = [rounds("a b"), rounds("b a"), rounds("b c a"), rounds("c a b")];
    for running in all {
        let (code, said) = running.end();
        assert_eq!(code, 0, "{said}");
    }
}

#[test]
fn one_lost_is_all_lost() {
    let sandbox = Sandbox::new();
    let running = sandbox.exec(&["--ttl", "6s", "a", "b", "c"], HOLD);
    sandbox.wait_for("up");
    sandbox.break_lease("b");
    let (code, said) = running.end();
    assert_eq!(code, 84, "{said}");
    sandbox.wait_for_nobody();
    assert!(["a", "b", "c"].iter().all(|key| sandbox.is_free(key)));
    // And one that is lost while the next is waited for.
    let _holder = sandbox.exec(&["b"], "echo >$D/held; exec sleep 600");
    sandbox.wait_for("held");
    let mut waiter = sandbox.exec(&["--ttl", "6s", "a", "b"], "touch $D/ran");
    waits(&mut waiter);
    sandbox.break_lease("a");
    let (code, said) = waiter.end();
    assert_eq!(code, 84, "{said}");
    assert!(said.contains("nothing ran"), "{said}");
    assert!(sandbox.is_free("a") && !sandbox.path("ran").exists());
}

#[test]
fn what_is_held_is_renewed_while_the_next_is_waited_for() {
    let sandbox = Sandbox::new();
    let holder = sandbox.exec(&["--ttl", "10m", "b"], HOLD);
    sandbox.wait_for("up");
    let ttl = std::time::Duration::from_secs(6);
    let mut waiter = sandbox.exec(&["--ttl", "6s", "a", "b"], "echo >$D/ran");
    waits(&mut waiter);
    let began = boot();
    until("the first lease would have run out", || {
        assert!(!waiter.is_over());
        (boot().since(began) > takeover_age(ttl)).then_some(())
    });
    assert!(!sandbox.is_free("a"));
    holder.signal(Signal::TERM);
    holder.end();
    assert_eq!(waiter.end().0, 0);
}

#[test]
fn whoever_is_killed_all_keys_are_free() {
    let sandbox = Sandbox::new();
    let script = "setsid sleep 600 & echo >$D/up; sleep 600; true";
    for kill_guard in [false, true] {
        let running = sandbox.exec(&["--ttl", "10m", "a", "b", "c"], script);
        sandbox.wait_for("up");
        if kill_guard {
            rustix::process::kill_process(running.guard(), Signal::KILL).unwrap();
        } else {
            running.signal(Signal::KILL);
        }
        assert_eq!(running.end().0, if kill_guard { 137 } else { -9 });
        sandbox.wait_for_nobody();
        assert!(["a", "b", "c"].iter().all(|key| sandbox.is_free(key)));
        std::fs::remove_file(sandbox.path("up")).unwrap();
    }
}

#[test]
fn what_cannot_be_several_is_usage() {
    let sandbox = Sandbox::new();
    let many: Vec<String> = (0..17).map(|n| format!("k{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (args, says) in [
        (&["a", "b", "a"][..], "a was given twice"),
        (&many, "16 are the most"),
        (&["--once-per", "1h", "a", "b"], "one key only"),
        (&["--state-file", "a", "b"], "one key only"),
        (&["a", "b c"], "b c"),
    ] {
        let out = sandbox.run(args, "touch $D/ran");
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(64), "{said}");
        assert!(said.contains(says), "{said}");
    }
    assert!(sandbox.run(&many[..16], "exit 0").status.success());
    assert!(!sandbox.path("ran").exists());
}
