//! `acquire --keep`: the keeper lives as long as the shell, whatever stands between the two and however the shell ends.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal};
use rustix::pty::OpenptFlags;

use super::exec::sandbox::{Running, Sandbox, until};
use super::lab::has;
use crate::support::left_out;

/// The shells that are here; each as the words that run a script.
fn shells(what: &str) -> Vec<Vec<&'static str>> {
    let all = [vec!["bash", "-c"], vec!["dash", "-c"], vec!["zsh", "-c"], vec!["busybox", "sh", "-c"]];
    let (there, gone): (Vec<_>, Vec<_>) = all.into_iter().partition(|words| has(words[0]));
    for words in gone {
        left_out(what, &format!("{} is not installed", words[0]));
    }
    there
}

fn start(sandbox: &Sandbox, shell: &[&str], script: &str) -> Running {
    let mut command = sandbox.any(shell[0]);
    Running::of(command.args(&shell[1..]).arg(script).stdin(Stdio::piped()))
}

/// The keepers that run: what `ps` shows of them.
fn keepers(sandbox: &Sandbox) -> Vec<i32> {
    let name = |pid: i32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    sandbox.processes().into_iter().map(|(pid, _)| pid).filter(|pid| name(*pid) == "lockd-keeper\n").collect()
}

fn keeper(sandbox: &Sandbox) -> i32 {
    until("there is one keeper", || match keepers(sandbox)[..] {
        [keeper] => Some(keeper),
        _ => None,
    })
}

fn until_free(sandbox: &Sandbox, key: &str) {
    until(&format!("{key} is free"), || sandbox.is_free(key).then_some(()));
    until("no keeper is left", || keepers(sandbox).is_empty().then_some(()));
}

/// Ways to take a lease in a script, and the shells that know them.
const WAYS: [&str; 8] = [
    r#"l=$($LOCKD acquire --keep --ttl 10m k) && eval "$l" || exit 9"#,
    r#"l=$($LOCKD acquire --keep --ttl 10m k || exit) && eval "$l" || exit 9"#,
    r#"eval "$($LOCKD acquire --keep --ttl 10m k)""#,
    r#"l=$(true; $LOCKD acquire --keep --ttl 10m k; true); eval "$l""#,
    r#"l=$($LOCKD acquire --keep --ttl 10m k | cat) && eval "$l""#,
    r#"l=$({ $LOCKD acquire --keep --ttl 10m k; true; } | cat | cat) && eval "$l""#,
    r#"l=$(timeout 20 $LOCKD acquire --keep --ttl 10m k) && eval "$l""#,
    r#"l=$(timeout 20 $LOCKD acquire --keep --ttl 10m k | cat) && eval "$l""#,
];

#[test]
fn the_lease_lives_as_long_as_the_shell() {
    for shell in shells("the_lease_lives_as_long_as_the_shell") {
        for way in WAYS {
            let sandbox = Sandbox::new();
            let script =
                format!(r#"{way}; echo "$LOCKD_KEY $$" >$D/up; read line; echo 1 | $LOCKD update || exit 8; exit 3"#);
            let mut running = start(&sandbox, &shell, &script);
            let up = sandbox.wait_for("up");
            assert_eq!(up.trim(), format!("k {}", running.pid()), "{shell:?} {way}");
            // Held by a keeper, while nothing between it and the shell is left.
            until(&format!("only the keeper is left: {shell:?} {way}"), || {
                (sandbox.processes().len() == 2 && keepers(&sandbox).len() == 1).then_some(())
            });
            assert!(!sandbox.is_free("k"), "{shell:?} {way}");
            drop(running.child().stdin.take());
            let (code, said) = running.end();
            assert_eq!((code, said.as_str()), (3, ""), "{shell:?} {way}");
            until_free(&sandbox, "k");
        }
    }
}

#[test]
fn a_shell_that_is_killed_gives_it_back_too() {
    for shell in shells("a_shell_that_is_killed_gives_it_back_too") {
        let sandbox = Sandbox::new();
        let running = start(&sandbox, &shell, &format!("{}; echo >$D/up; sleep 600; true", WAYS[0]));
        sandbox.wait_for("up");
        running.signal(Signal::KILL);
        assert_eq!(running.end().0, -9);
        until_free(&sandbox, "k");
    }
}

#[test]
fn an_explicit_subshell_is_a_shell_of_its_own() {
    for shell in shells("an_explicit_subshell_is_a_shell_of_its_own") {
        let sandbox = Sandbox::new();
        let script = format!("({}; echo >$D/in; read line; true); echo >$D/out; read line; true", WAYS[0]);
        let mut running = start(&sandbox, &shell, &script);
        sandbox.wait_for("in");
        assert!(!sandbox.is_free("k"), "{shell:?}");
        running.child().stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        sandbox.wait_for("out");
        until_free(&sandbox, "k");
        assert!(!running.is_over());
    }
}

#[test]
fn a_script_in_a_script_keeps_to_itself() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("inner.sh"), "$LOCKD acquire --keep --ttl 10m k; echo >$D/in; read line; exit 4\n").unwrap();
    // Not evaluated: its output is read by the outer script, which is not the one that took it.
    let mut running = start(&sandbox, &["bash", "-c"], "x=$(bash $D/inner.sh); echo $? >$D/out; read line; true");
    sandbox.wait_for("in");
    assert!(!sandbox.is_free("k"));
    running.child().stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    assert_eq!(sandbox.wait_for("out"), "4\n");
    until_free(&sandbox, "k");
    assert!(!running.is_over());
}

#[test]
fn fish_keeps_it_too() {
    if !has("fish") {
        return left_out("fish_keeps_it_too", "fish is not installed");
    }
    for way in [
        "$LOCKD acquire --keep --ttl 10m -o fish k | source; or exit 9",
        "set l ($LOCKD acquire --keep --ttl 10m -o fish k); and string join \\n $l | source",
        "timeout 20 $LOCKD acquire --keep --ttl 10m -o fish k | source",
    ] {
        let sandbox = Sandbox::new();
        let script = format!("{way}; echo $LOCKD_KEY >$D/up; read line; true");
        let mut command = sandbox.any("fish");
        let mut running =
            Running::of(command.arg("-c").arg(script).env("HOME", sandbox.path("")).stdin(Stdio::piped()));
        assert_eq!(sandbox.wait_for("up"), "k\n", "{way}");
        keeper(&sandbox);
        assert!(!sandbox.is_free("k"), "{way}");
        drop(running.child().stdin.take());
        running.end();
        until_free(&sandbox, "k");
    }
}

/// A shell at a terminal of its own, and the terminal's other side.
fn at_a_terminal(sandbox: &Sandbox, shell: &[&str]) -> (Child, File) {
    let terminal = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    rustix::pty::grantpt(&terminal).unwrap();
    rustix::pty::unlockpt(&terminal).unwrap();
    let name = rustix::pty::ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let side = || Stdio::from(File::options().read(true).write(true).open(&name).unwrap());
    let mut command = sandbox.any("setsid");
    command.arg("--ctty").args(shell).env("TERM", "dumb").stdin(side()).stdout(side()).stderr(side());
    (command.spawn().unwrap(), File::from(terminal))
}

#[test]
fn a_terminal_that_is_closed_ends_the_shell_and_the_keeper() {
    let all: [&[&str]; 4] =
        [&["bash", "--norc", "-i"], &["dash", "-i"], &["zsh", "-f", "-i"], &["busybox", "sh", "-i"]];
    for shell in all {
        if !has(shell[0]) {
            left_out("a_terminal_that_is_closed_ends_the_shell_and_the_keeper", &format!("{} is missing", shell[0]));
            continue;
        }
        let sandbox = Sandbox::new();
        let (mut running, mut terminal) = at_a_terminal(&sandbox, shell);
        writeln!(terminal, "{}; echo >$D/up", WAYS[0]).unwrap();
        sandbox.wait_for("up");
        assert!(!sandbox.is_free("k"), "{shell:?}");
        drop(terminal);
        until_free(&sandbox, "k");
        running.wait().unwrap();
    }
}

#[test]
fn a_process_may_be_named_and_must_be_there() {
    let sandbox = Sandbox::new();
    let mut process = sandbox.any("sleep").arg("600").spawn().unwrap();
    let pid = process.id().to_string();
    let out =
        sandbox.lockd(&["acquire", "--keep", "--for-pid", &pid, "--ttl", "10m", "-o", "json", "k"]).output().unwrap();
    let lease: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{out:?}"));
    assert_eq!(lease["keeper_pid"].as_i64(), Some(keeper(&sandbox).into()));
    assert!(!sandbox.is_free("k"));
    let status = sandbox.lockd(&["status", "--json", "k"]).output().unwrap();
    assert!(String::from_utf8_lossy(&status.stdout).contains(&format!("\"pid\":{pid}")), "{status:?}");
    process.kill().unwrap();
    // Not taken away yet by its parent, and over all the same.
    until_free(&sandbox, "k");
    process.wait().unwrap();
    for (bad, says) in
        [(pid.as_str(), "there is no process"), ("0", "not the number"), ("x", "not the number"), ("-1", "")]
    {
        let flag = format!("--for-pid={bad}");
        let out = sandbox.lockd(&["acquire", "--keep", &flag, "k"]).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(64) && said.contains(says), "{bad}: {out:?}");
    }
    let out = sandbox.lockd(&["acquire", "--for-pid", "1", "k"]).output().unwrap();
    assert_eq!(out.status.code(), Some(64), "{out:?}");
    // Nobody's child: who adopted it is not its shell.
    let out =
        sandbox.any("setsid").args(["--wait", env!("CARGO_BIN_EXE_lockd"), "acquire", "--keep", "k"]).output().unwrap();
    assert_eq!(out.status.code(), Some(64), "{out:?}");
    assert!(String::from_utf8_lossy(&out.stderr).contains("--for-pid $$") && sandbox.is_free("k"), "{out:?}");
}

#[test]
fn every_form_is_printed_and_only_documents_name_the_keeper() {
    let sandbox = Sandbox::new();
    for (form, names) in [("sh", false), ("fish", false), ("dotenv", false), ("json", true), ("yaml", true)] {
        let script = format!("$LOCKD acquire --keep -o {form} k >$D/lease; read line");
        let mut running = start(&sandbox, &["sh", "-c"], &script);
        let text = until("it is printed", || {
            fs::read_to_string(sandbox.path("lease")).ok().filter(|text| text.ends_with('\n'))
        });
        assert!(text.contains('k') && text.to_lowercase().contains("lease_id"), "{text}");
        assert_eq!(text.contains("keeper"), names, "{text}");
        drop(running.child().stdin.take());
        running.end();
        until_free(&sandbox, "k");
        fs::remove_file(sandbox.path("lease")).unwrap();
    }
}

#[test]
fn what_cannot_be_printed_goes_back() {
    let sandbox = Sandbox::new();
    for to in [">/dev/full", ">&-", "| true"] {
        let script = format!("($LOCKD acquire --keep --ttl 10m k; echo $? >$D/code) {to}; read line");
        let mut running = start(&sandbox, &["sh", "-c"], &script);
        let code = sandbox.wait_for("code");
        // A reader that is gone at once may come too late to be seen.
        assert!(code == "74\n" || to.starts_with('|'), "{to}: {code}");
        if code == "74\n" {
            assert!(sandbox.is_free("k"), "{to}");
        }
        drop(running.child().stdin.take());
        running.end();
        until_free(&sandbox, "k");
        fs::remove_file(sandbox.path("code")).unwrap();
    }
}

#[test]
fn a_key_that_stays_busy_fails_in_the_shell_as_ever() {
    let sandbox = Sandbox::new();
    let holder = sandbox.exec(&["--owner", "them", "k"], "echo >$D/up; exec sleep 600");
    sandbox.wait_for("up");
    for (args, code, says) in [
        ("-n", 75, true),
        ("-w 100ms", 75, true),
        ("-n -E 9", 9, true),
        ("--if-busy fail", 75, true),
        ("--if-busy skip", 0, false),
    ] {
        let script =
            format!(r#"LOCKD_KEY=old; eval "$($LOCKD acquire --keep {args} k)"; c=$?; echo "[$LOCKD_KEY]"; exit $c"#);
        let out = sandbox.any("sh").args(["-c", &script]).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        // Skipped: the script is over, and nothing goes on as if there were a lease.
        let went_on = if code == 0 { &b""[..] } else { b"[]\n" };
        assert_eq!((out.status.code(), &out.stdout[..]), (Some(code), went_on), "{args}: {said}");
        assert_eq!(said.contains("k is held by them"), says, "{said}");
    }
    // Told to stop waiting, or killed: nobody waits any more.
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::KILL, -9)] {
        let waiter = Running::of(&mut sandbox.lockd(&["acquire", "--keep", "--ttl", "10m", "k"]));
        keeper(&sandbox);
        waiter.until_it_listens();
        waiter.signal(signal);
        assert_eq!(waiter.end().0, code);
        until("no keeper is left", || keepers(&sandbox).is_empty().then_some(()));
    }
    // The shell that is gone while it waits wants nothing any more.
    let shell = start(&sandbox, &["sh", "-c"], "l=$($LOCKD acquire --keep --ttl 10m k); echo $? >$D/never");
    keeper(&sandbox);
    shell.signal(Signal::KILL);
    shell.end();
    until("no keeper is left", || keepers(&sandbox).is_empty().then_some(()));
    holder.signal(Signal::TERM);
    holder.end();
    assert!(sandbox.is_free("k"));
}

#[test]
fn a_release_ends_the_keeper_and_so_does_a_break() {
    let sandbox = Sandbox::new();
    let script = format!("{}; $LOCKD release; echo $? >$D/released; read line; true", WAYS[0]);
    let mut running = start(&sandbox, &["sh", "-c"], &script);
    assert_eq!(sandbox.wait_for("released"), "0\n");
    assert!(sandbox.is_free("k"));
    until("the keeper noticed", || keepers(&sandbox).is_empty().then_some(()));
    assert!(!running.is_over());
    let mut running = start(&sandbox, &["sh", "-c"], &format!("{}; echo >$D/up; read line; true", WAYS[0]));
    sandbox.wait_for("up");
    sandbox.break_lease("k");
    until("the keeper noticed", || keepers(&sandbox).is_empty().then_some(()));
    assert!(!running.is_over());
}

#[test]
fn a_keeper_that_is_told_to_end_gives_it_back_and_holds_nothing_of_the_callers() {
    let sandbox = Sandbox::new();
    let script =
        "exec 5>$D/five; l=$($LOCKD acquire --keep --ttl 10m k 2>&1) && eval \"$l\"; echo >$D/up; read line; true";
    let _running = start(&sandbox, &["bash", "-c"], script);
    sandbox.wait_for("up");
    let keeper = keeper(&sandbox);
    let open = fs::read_dir(format!("/proc/{keeper}/fd")).unwrap().flatten();
    let open: Vec<_> =
        open.filter_map(|fd| fs::read_link(fd.path()).ok()?.into_os_string().into_string().ok()).collect();
    let callers: Vec<_> = open.iter().filter(|to| to.starts_with("pipe:") || to.contains("/five")).collect();
    assert!(callers.is_empty(), "{open:?}");
    assert_eq!(fs::read_link(format!("/proc/{keeper}/cwd")).unwrap().to_str(), Some("/"));
    let mut line = String::new();
    File::open(format!("/proc/{keeper}/cmdline")).unwrap().read_to_string(&mut line).unwrap();
    assert!(line.contains("acquire\0--keep") && line.contains("k\0"), "{line:?}");
    rustix::process::kill_process(Pid::from_raw(keeper).unwrap(), Signal::TERM).unwrap();
    until_free(&sandbox, "k");
}
