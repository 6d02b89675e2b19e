//! Leases in the hands of scripts: acquire, keepalive, release.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use super::lab::{Lab, Ran, finished, has, ran};

fn with(lab: &Lab, lease: &[(String, String)], args: &[&str]) -> Ran {
    ran(lab.lockd().args(args).envs(lease.iter().cloned()))
}

fn value<'a>(lease: &'a [(String, String)], name: &str) -> &'a str {
    &lease.iter().find(|(n, _)| n == name).unwrap().1
}

#[test]
fn a_lease_is_taken_held_extended_and_given_back() {
    let lab = Lab::new();
    let lease = lab.acquire("deploy/web", &["--owner", "ci", "--reason", "release 7"]);
    assert_eq!(value(&lease, "LOCKD_KEY"), "deploy/web");
    assert_eq!(value(&lease, "LOCKD_OWNER"), "ci");
    assert_eq!(value(&lease, "LOCKD_NAMESPACE"), "default");
    assert_eq!(value(&lease, "LOCKD_STORE"), lab.store());
    let status = lab.status("deploy/web");
    assert_eq!(status["holder"]["owner"], "ci");
    assert_eq!(status["holder"]["reason"], "release 7");
    assert_eq!(status["waiters"], serde_json::Value::Null);
    assert_eq!(lab.run(["status", "--check", "deploy/web"]).code, 0);

    let busy = lab.run(["acquire", "-n", "deploy/web"]);
    assert_eq!(busy.code, 75);
    assert!(busy.err.contains("deploy/web is held by ci"), "{}", busy.err);
    assert!(busy.err.contains("release 7") && busy.err.contains("lockd status deploy/web"), "{}", busy.err);
    assert_eq!(lab.run(["acquire", "-n", "-E", "9", "deploy/web"]).code, 9);
    assert_eq!(lab.run(["acquire", "--if-busy", "fail", "deploy/web"]).code, 75);
    assert_eq!(lab.run(["acquire", "-w", "0", "deploy/web"]).code, 75);

    let kept = with(&lab, &lease, &["keepalive"]);
    assert_eq!((kept.code, kept.out.as_str()), (0, ""), "{}", kept.err);
    let kept: serde_json::Value = serde_json::from_str(&with(&lab, &lease, &["keepalive", "--json"]).out).unwrap();
    assert_eq!((kept["schema"].as_u64(), kept["key"].as_str()), (Some(1), Some("deploy/web")));
    assert_eq!(kept["ttl_ms"], 30_000);

    assert_eq!(
        with(&lab, &lease, &["release", "--json"]).out,
        "{\"schema\":1,\"key\":\"deploy/web\",\"outcome\":\"released\"}\n"
    );
    assert_eq!(with(&lab, &lease, &["release"]).code, 0, "what is gone already is no error");
    assert_eq!(lab.run(["status", "--check", "deploy/web"]).code, 1);
    assert_eq!(with(&lab, &lease, &["keepalive"]).code, 80);
}

#[test]
fn a_lease_that_ran_out_passes_on_and_its_old_holder_is_told() {
    let lab = Lab::new();
    let old = lab.acquire("k", &["--ttl", "2s"]);
    // It waits by itself until the old lease has run out.
    let new = lab.acquire("k", &["-w", "60s"]);
    assert!(
        value(&old, "LOCKD_FENCING_TOKEN").parse::<u64>().unwrap()
            < value(&new, "LOCKD_FENCING_TOKEN").parse().unwrap()
    );
    assert_eq!(with(&lab, &old, &["keepalive"]).code, 80);
    let released = with(&lab, &old, &["release"]);
    assert_eq!(released.code, 80, "{}", released.err);
    let written = ran(lab.lockd().args(["update", "k"]).envs(old.iter().cloned()).write_stdin("1"));
    assert_eq!(written.code, 80, "{}", written.err);
    assert_eq!(lab.run(["get", "k"]).code, 1, "a holder that was fenced off writes nothing");
    assert_eq!(lab.status("k")["ended"][0]["how"], "taken_over");
}

#[test]
fn a_lease_in_the_environment_is_used_for_its_own_key_only() {
    let lab = Lab::new();
    let lease = lab.acquire("a", &[]);
    let with_lease = |args: &[&str]| ran(lab.lockd().args(args).envs(lease.iter().cloned()).write_stdin("1"));
    assert_eq!(with_lease(&["update"]).code, 0, "the key comes from LOCKD_KEY");
    assert_eq!(with_lease(&["update", "-"]).code, 0);
    assert_eq!(with_lease(&["update", "b"]).code, 0, "a lease for the moment");
    assert_eq!(with_lease(&["release", "b"]).code, 64);
    assert_eq!(with_lease(&["update", "a", "--namespace", "other"]).code, 0, "another namespace, another key");
    assert_eq!(lab.status("a")["version"], 2);
    assert!(lab.status("a")["held"].as_bool().unwrap(), "the lease is still there");
    assert!(!lab.status("b")["held"].as_bool().unwrap());
    // Nobody else gets in meanwhile.
    assert_eq!(lab.feed(&["update", "-n", "a"], "1").code, 75);
    assert_eq!(lab.feed(&["update", "-n", "-E", "3", "a"], "1").code, 3);
    // A lease of another store is no proof here.
    let elsewhere = format!("disk://{}", lab.path("other").display());
    assert_eq!(with_lease(&["update", "a", "--store", &elsewhere]).code, 0);
    assert_eq!(with_lease(&["release", "a", "--store", &elsewhere]).code, 64);
}

#[test]
fn skip_exits_0_without_a_lease() {
    let lab = Lab::new();
    lab.acquire("k", &[]);
    let ran = lab.run(["acquire", "--if-busy", "skip", "k"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.starts_with("unset LOCKD_KEY "), "{}", ran.out);
    assert_eq!(ran.err, "", "who asked to skip wants to hear nothing");
    assert!(lab.run(["acquire", "-v", "--if-busy", "skip", "k"]).err.contains("skipped: k is held by"));
}

/// The idiom of the help must not go on without a lease when the caller wants no failure.
#[test]
fn a_script_that_skips_ends_with_success_and_does_nothing() {
    let lab = Lab::new();
    lab.acquire("k", &[]);
    for shell in ["sh", "dash", "bash", "zsh", "busybox"] {
        if !has(shell) {
            continue;
        }
        for flags in ["--if-busy skip", "-n -E 0"] {
            let script = format!("l=$(lockd acquire {flags} k) && eval \"$l\" || exit 7; echo unlocked");
            let script = if shell == "busybox" { format!("exec busybox sh -c '{script}'") } else { script };
            let ran = ran(&mut lab.shell(if shell == "busybox" { "sh" } else { shell }, &script));
            assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{shell} {flags}: {}", ran.err);
        }
    }
}

#[test]
fn lines_of_an_env_file_are_no_code_when_a_shell_sources_them() {
    let lab = Lab::new();
    let owner = "it's `touch ran` $(touch ran) \"; touch ran; \\\" $HOME \\";
    let printed = lab.run(["acquire", "-o", "dotenv", "--owner", owner, "k"]);
    lab.file("work/lease.env", &printed.out);
    let ran = ran(&mut lab.shell("sh", ". ./lease.env && printf %s \"$LOCKD_OWNER\""));
    assert_eq!((ran.code, ran.out.as_str()), (0, owner), "{}", ran.err);
    assert!(!lab.path("work/ran").exists(), "{}", printed.out);
    // The same file means the same to lockd.
    let released = lab.run(["release", "k", "--env-file", "lease.env"]);
    assert_eq!(released.code, 0, "{}", released.err);
}

#[test]
fn who_leaves_the_queue_leaves_nothing_behind() {
    let lab = Lab::new();
    let lease = lab.acquire("k", &[]);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut child = lab.plain();
        child.args(["acquire", "k"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.spawn().unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        err.read_line(&mut line).unwrap();
        assert!(line.starts_with("lockd: waiting for k, held by "), "{line}");
        kill_process(Pid::from_child(&child), signal).unwrap();
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        let ran = finished(&child.wait_with_output().unwrap());
        assert_eq!(ran.code, code);
        assert!(out.contains(&format!("(exit {code})")), "{out}");
    }
    assert_eq!(with(&lab, &lease, &["release"]).code, 0);
    assert_eq!(lab.run(["acquire", "-n", "k"]).code, 0, "no waiter got the key");
}

#[test]
fn a_lease_that_cannot_be_printed_goes_back() {
    let lab = Lab::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = lab.plain().args(["acquire", "k"]).stdout(full).output().unwrap();
    let ran = finished(&output);
    assert_eq!(ran.code, 74, "{}", ran.err);
    assert!(ran.err.contains("the lease was given back"), "{}", ran.err);
    assert_eq!(lab.run(["status", "--check", "k"]).code, 1);

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = lab.plain().args(["acquire", "k"]).stdout(writer).output().unwrap();
    assert_eq!(finished(&output).code, 74);
    assert_eq!(lab.run(["status", "--check", "k"]).code, 1);

    let closed = super::lab::ran(&mut lab.shell("bash", "lockd acquire k >&-"));
    assert_eq!(closed.code, 74, "{}", closed.err);
    assert_eq!(lab.run(["status", "--check", "k"]).code, 1);
}

#[test]
fn it_says_when_the_lease_ends() {
    let lab = Lab::new();
    let ran = lab.run(["acquire", "k", "--ttl", "1h"]);
    assert!(ran.err.contains("the lease of k ends at 20"), "{}", ran.err);
    assert!(ran.err.contains("in 58m") && ran.err.contains("lockd keepalive"), "{}", ran.err);
    assert_eq!(lab.run(["acquire", "-q", "l"]).err, "");
}
