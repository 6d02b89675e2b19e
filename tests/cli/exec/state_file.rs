//! `--state-file`: the state as a file, and what becomes of it.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;

use super::sandbox::{Running, Sandbox, until};
use crate::cli::lab::is_root;
use crate::support::left_out;

/// Largest state, as stored.
const LARGEST: usize = 100 * 1024 * 1024;

fn put(sandbox: &Sandbox, text: &str) {
    let mut child = sandbox.lockd(&["update", "s", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// The state and its version; nothing when there is none.
fn state(sandbox: &Sandbox) -> Option<(String, u64)> {
    let out = sandbox.lockd(&["get", "--json", "s"]).output().unwrap();
    let document: serde_json::Value =
        (out.status.code() == Some(0)).then(|| serde_json::from_slice(&out.stdout).unwrap())?;
    Some((document["state"].to_string(), document["version"].as_u64().unwrap()))
}

/// `lockd exec --state-file s -- sh -c SCRIPT` with a place for its file that holds nothing else. `$F` is the file.
fn command(sandbox: &Sandbox, args: &[&str], script: &str) -> Command {
    let script = format!("F=$LOCKD_STATE_FILE; {script}");
    let args: Vec<_> =
        ["exec", "--state-file"].iter().chain(args).chain(&["s", "--", "sh", "-c", &script]).copied().collect();
    let mut command = sandbox.lockd(&args);
    command.env("TMPDIR", place(sandbox));
    command
}

fn place(sandbox: &Sandbox) -> PathBuf {
    let place = sandbox.path("place");
    fs::create_dir_all(&place).unwrap();
    place
}

fn run(sandbox: &Sandbox, script: &str) -> Output {
    command(sandbox, &[], script).output().unwrap()
}

fn nothing_is_left(sandbox: &Sandbox) {
    let left: Vec<_> = fs::read_dir(place(sandbox)).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// What was said of where the file is kept, and what is in it.
fn kept(sandbox: &Sandbox, out: &Output) -> String {
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let (_, path) = said.split_once("is kept in ").unwrap_or_else(|| panic!("{said}"));
    let path = PathBuf::from(path.split(';').next().unwrap());
    assert!(path.starts_with(place(sandbox)), "{path:?}");
    let text = fs::read_to_string(&path).unwrap_or_default();
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    text
}

#[test]
fn the_command_gets_the_state_and_leaves_the_new_one() {
    let sandbox = Sandbox::new();
    let out = run(&sandbox, r#"test ! -e $F && echo '{ "n": 1 }' >$F"#);
    assert_eq!((out.status.code(), out.stderr.as_slice()), (Some(0), &b""[..]), "{out:?}");
    assert_eq!(state(&sandbox), Some((r#"{"n":1}"#.to_owned(), 1)));
    let out = run(&sandbox, r#"cat $F; stat -c %a $F $(dirname $F); echo '{"n":2}' >$F.new && mv $F.new $F"#);
    assert_eq!(String::from_utf8_lossy(&out.stdout), "{\"n\":1}\n600\n700\n", "{out:?}");
    assert_eq!(state(&sandbox), Some((r#"{"n":2}"#.to_owned(), 2)));
    // What is the same, however it is written, is no change.
    for script in ["true", "touch $F", r#"printf '{ "n"\n:2}' >$F"#] {
        assert!(run(&sandbox, script).status.success());
        assert_eq!(state(&sandbox).unwrap().1, 2, "{script}");
    }
    assert!(run(&sandbox, "rm $F").status.success());
    assert_eq!(state(&sandbox), None);
    assert!(run(&sandbox, "test ! -e $F").status.success());
    nothing_is_left(&sandbox);
}

#[test]
fn any_other_exit_commits_nothing() {
    let sandbox = Sandbox::new();
    put(&sandbox, "1");
    for (args, script, code) in [
        (&[][..], "echo 2 >$F; exit 3", 3),
        (&[], "rm $F; kill -9 $$", 137),
        (&["--max-runtime", "200ms"], "echo 2 >$F; sleep 600; exit 0", 124),
        (&["--max-runtime", "200ms"], "echo 2 >$F; trap 'exit 0' TERM; sleep 600 & wait", 124),
    ] {
        let out = command(&sandbox, args, script).output().unwrap();
        assert_eq!(out.status.code(), Some(code), "{script}: {out:?}");
        assert_eq!(state(&sandbox), Some(("1".to_owned(), 1)), "{script}");
        nothing_is_left(&sandbox);
    }
    let out =
        sandbox.lockd(&["exec", "--state-file", "s", "--", "no-such-program"]).env("TMPDIR", place(&sandbox)).output();
    assert_eq!(out.unwrap().status.code(), Some(127));
    nothing_is_left(&sandbox);
}

#[test]
fn what_is_no_state_is_65_and_kept_where_it_is_said() {
    let sandbox = Sandbox::new();
    put(&sandbox, "1");
    for (script, text) in [
        ("echo '{\"n\":' >$F", "{\"n\":\n"),
        ("echo 1 2 >$F", "1 2\n"),
        (": >$F", ""),
        ("rm $F; mkfifo $F", ""),
        ("rm $F; mkdir $F", ""),
    ] {
        // The last two are looked for in no pipe and no directory.
        let out = run(&sandbox, script);
        assert_eq!(out.status.code(), Some(65), "{script}: {out:?}");
        assert!(out.stdout.is_empty());
        if script.contains("mk") {
            let dir = fs::read_dir(place(&sandbox)).unwrap().next().unwrap().unwrap().path();
            fs::remove_dir_all(dir).unwrap();
        } else {
            assert_eq!(kept(&sandbox, &out), text, "{script}");
        }
        assert_eq!(state(&sandbox), Some(("1".to_owned(), 1)), "{script}");
        assert!(sandbox.is_free("s"));
    }
}

#[test]
fn a_commit_that_is_refused_is_the_exit_code_and_loses_nothing() {
    let sandbox = Sandbox::new();
    put(&sandbox, "1");
    // Somebody changed it under the same lease: the file was made from what was there before.
    let out = run(&sandbox, "echo 2 | $LOCKD update && echo 3 >$F");
    assert_eq!(out.status.code(), Some(82), "{out:?}");
    assert_eq!(kept(&sandbox, &out), "3\n");
    assert_eq!(state(&sandbox), Some(("2".to_owned(), 2)));
    // Broken, and nobody heard of it before the command was over.
    let running = Running::of(&mut command(
        &sandbox,
        &["--ttl", "10m"],
        "echo >$D/up; until test -e $D/go; do sleep 0.01; done; echo 4 >$F",
    ));
    sandbox.wait_for("up");
    sandbox.break_lease("s");
    fs::write(sandbox.path("go"), "").unwrap();
    let (code, said) = running.end();
    assert_eq!(code, 84, "{said}");
    assert!(said.contains("is kept in"), "{said}");
    assert_eq!(state(&sandbox), Some(("2".to_owned(), 2)));
    // Taken away, the directory is no wish to remove the state.
    let out = run(&sandbox, "rm -r $(dirname $F)");
    assert_eq!(out.status.code(), Some(74), "{out:?}");
    assert_eq!(state(&sandbox), Some(("2".to_owned(), 2)));
    let out = run(&sandbox, "echo 5 >$F; mv $D/store $D/elsewhere");
    assert!(!matches!(out.status.code(), None | Some(0)), "{out:?}");
    assert_eq!(kept(&sandbox, &out), "5\n");
}

#[test]
fn a_killed_exec_leaves_no_file_and_commits_nothing() {
    let sandbox = Sandbox::new();
    put(&sandbox, "1");
    let script = "echo 2 >$F; cp $F $F.copy; echo >$D/up; exec sleep 600";
    let running = Running::of(&mut command(&sandbox, &["--ttl", "10m"], script));
    sandbox.wait_for("up");
    running.signal(Signal::KILL);
    assert_eq!(running.end().0, -9);
    sandbox.wait_for_nobody();
    nothing_is_left(&sandbox);
    assert!(sandbox.is_free("s"));
    assert_eq!(state(&sandbox), Some(("1".to_owned(), 1)));
    // The same when it is killed while it waits, or its guard while the command runs.
    let holder = sandbox.exec(&["s"], "echo >$D/held; exec sleep 600");
    sandbox.wait_for("held");
    let waiter = Running::of(&mut command(&sandbox, &[], "true"));
    until("its directory is there", || fs::read_dir(place(&sandbox)).unwrap().next().map(drop));
    waiter.signal(Signal::KILL);
    waiter.end();
    until("the guard took it away", || fs::read_dir(place(&sandbox)).unwrap().next().is_none().then_some(()));
    holder.signal(Signal::TERM);
    holder.end();
    let running = Running::of(&mut command(&sandbox, &["--ttl", "10m"], "echo 2 >$F; echo >$D/again; exec sleep 600"));
    sandbox.wait_for("again");
    rustix::process::kill_process(running.guard(), Signal::KILL).unwrap();
    assert_eq!(running.end().0, 137);
    nothing_is_left(&sandbox);
    assert_eq!(state(&sandbox), Some(("1".to_owned(), 1)));
}

#[test]
fn a_large_state_goes_both_ways_and_one_that_is_too_large_is_65() {
    let sandbox = Sandbox::new();
    let text = |bytes: usize| format!("{{ printf '\"'; head -c {bytes} /dev/zero | tr '\\0' a; printf '\"'; }} >$F");
    let out = run(&sandbox, &text(LARGEST - 2));
    assert!(out.status.success(), "{out:?}");
    let out = run(&sandbox, "wc -c <$F; printf 1 >$F");
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), (LARGEST + 1).to_string(), "{out:?}");
    assert_eq!(state(&sandbox), Some(("1".to_owned(), 2)));
    let out = run(&sandbox, &text(LARGEST - 1));
    assert_eq!(out.status.code(), Some(65), "{out:?}");
    assert_eq!(kept(&sandbox, &out).len(), LARGEST + 1);
}

#[test]
fn a_place_that_cannot_be_used_is_said_before_the_wait() {
    let sandbox = Sandbox::new();
    let holder = sandbox.exec(&["s"], "echo >$D/held; exec sleep 600");
    sandbox.wait_for("held");
    fs::write(sandbox.path("file"), "").unwrap();
    for place in ["none", "file"] {
        let out = command(&sandbox, &[], "touch $D/ran").env("TMPDIR", sandbox.path(place)).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(73), "{said}");
        assert!(said.contains("--state-file: cannot make") && said.contains("TMPDIR"), "{said}");
    }
    drop(holder);
    assert!(!sandbox.path("ran").exists());
}

#[test]
fn a_full_disk_is_74_and_nothing_runs() {
    if !is_root() {
        return left_out("a_full_disk_is_74_and_nothing_runs", "only root can mount a small file system");
    }
    let sandbox = Sandbox::new();
    put(&sandbox, &format!("\"{}\"", "a".repeat(300_000)));
    let script = format!(
        "mount -t tmpfs -o size=64k none {0} && TMPDIR={0} $LOCKD exec --state-file s -- touch $D/ran; c=$?; ls {0}; exit $c",
        place(&sandbox).display()
    );
    let out = sandbox.any("unshare").args(["--mount", "sh", "-c", &script]).output().unwrap();
    assert_eq!(out.status.code(), Some(74), "{out:?}");
    assert!(String::from_utf8_lossy(&out.stderr).contains("more room") && out.stdout.is_empty(), "{out:?}");
    assert!(!sandbox.path("ran").exists() && sandbox.is_free("s"));
}
