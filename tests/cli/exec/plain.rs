//! What the command gets and what comes back: promises 1, 5 and 6, and the exit codes.

use std::io::Read;
use std::process::Stdio;

use super::sandbox::{Running, Sandbox, until};

#[test]
fn every_exit_code_is_the_commands_own() {
    let sandbox = Sandbox::new();
    std::thread::scope(|threads| {
        for part in 0..4 {
            let sandbox = &sandbox;
            threads.spawn(move || {
                for code in (part..256).step_by(4) {
                    let out = sandbox.run(&[&format!("k{part}")], &format!("exit {code}"));
                    assert_eq!(out.status.code(), Some(code), "{out:?}");
                    assert!(out.stdout.is_empty() && out.stderr.is_empty(), "{out:?}");
                }
            });
        }
    });
}

#[test]
fn a_signal_that_ends_the_command_is_128_and_its_number() {
    let sandbox = Sandbox::new();
    for signal in [1, 2, 9, 10, 13, 15, 34] {
        let out = sandbox.run(&["k"], &format!("kill -{signal} $$"));
        assert_eq!(out.status.code(), Some(128 + signal), "{out:?}");
    }
}

/// What a process can see of what it inherited.
const LOOK: &str = r#"
    grep -E "^(Sig(Blk|Ign)|NoNewPrivs|Cpus_allowed):" /proc/self/status
    umask; ulimit -a; nice; pwd; cat /proc/self/oom_score_adj
    for fd in /proc/self/fd/*; do echo "${fd##*/} $(readlink $fd)"; done | grep -v "/proc/"
"#;

#[test]
fn the_command_gets_exactly_what_the_caller_had() {
    let sandbox = Sandbox::new();
    // The inner shell is bash because it tells what it inherited; `exec` leaves no shell between it and its caller.
    for (name, set) in [
        ("plain", ""),
        ("ignored signals", "trap '' HUP INT PIPE USR1 CHLD TSTP TTOU;"),
        ("caught signals", "trap 'echo' TERM INT;"),
        ("umask and nice", "umask 027; ulimit -n 512; renice -n 3 $$ >/dev/null;"),
        ("descriptors", "exec 7</etc/passwd 9>>$D/log 3<>$D/both;"),
        ("no stdin", "exec 0<&-;"),
        ("no stderr", "exec 2>&-;"),
    ] {
        let look = |prefix: &str| {
            let script = format!("{set} exec {prefix} bash -c '{LOOK}'");
            let out = sandbox.any("bash").args(["-c", &script]).output().unwrap();
            assert!(out.status.success(), "{name}: {out:?}");
            String::from_utf8(out.stdout).unwrap()
        };
        let (direct, under) = (look(""), look("$LOCKD exec k --"));
        let pipes =
            |text: &str| text.lines().map(|line| line.split(" pipe:").next().unwrap().to_owned()).collect::<Vec<_>>();
        assert!(direct.contains("SigIgn"), "{direct}");
        assert_eq!(pipes(&under), pipes(&direct), "{name}");
    }
}

#[test]
fn standard_input_goes_to_the_command_and_its_output_back() {
    let sandbox = Sandbox::new();
    let out = sandbox.any("sh").args(["-c", "printf 'a\\nb' | $LOCKD exec k -- cat"]).output().unwrap();
    assert_eq!(out.stdout, b"a\nb");
    assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
    for closed in [">&-", "<&-", "2>&-", "<&- >&- 2>&-"] {
        let out =
            sandbox.any("sh").args(["-c", &format!("exec $LOCKD exec k -- sh -c 'exit 7' {closed}")]).output().unwrap();
        assert_eq!(out.status.code(), Some(7), "{closed}: {out:?}");
    }
}

#[test]
fn lockd_holds_no_pipe_of_the_caller_open() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.lockd(&["exec", "k", "--", "sh", "-c", "exec >&-; echo >$D/ready; read line"]);
    let mut running = Running::of(command.stdin(Stdio::piped()));
    let mut out = running.child().stdout.take().unwrap();
    rustix::io::ioctl_fionbio(&out, true).unwrap();
    sandbox.wait_for("ready");
    // It ends only when nobody has the writing end any more; the command still runs then.
    until("the output ends", || out.read(&mut [0; 16]).ok().filter(|n| *n == 0));
    assert!(!running.is_over());
    drop(running.child().stdin.take());
    assert_eq!(running.end().0, 1);
}

#[test]
fn the_environment_names_the_lease_and_nothing_else_of_lockds() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("env"), "LOCKD_OWNER=somebody\nSECRET=1\n").unwrap();
    let seen = |args: &[&str]| {
        let mut command = sandbox.lockd(args);
        let out = command.env("LOCKD_LEASE_EXPIRES", "x").env("LOCKD_LEASES", "[]").output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let vars = text.lines().filter(|line| line.starts_with("LOCKD_") && !line.starts_with("LOCKD_TEST"));
        let mut vars: Vec<_> =
            vars.map(str::to_owned).chain(text.contains("SECRET").then(|| "SECRET".to_owned())).collect();
        vars.sort();
        vars
    };
    let store = format!("LOCKD_STORE={}", sandbox.store());
    let vars = seen(&["exec", "--env-file", "env", "a/b", "--", "env"]);
    let [env_file, token, key, id, namespace, owner, at] = &vars[..] else { panic!("{vars:?}") };
    assert_eq!((key.as_str(), namespace.as_str()), ("LOCKD_KEY=a/b", "LOCKD_NAMESPACE=default"));
    assert_eq!((token.as_str(), owner.as_str(), at), ("LOCKD_FENCING_TOKEN=1", "LOCKD_OWNER=somebody", &store));
    assert_eq!(env_file, &format!("LOCKD_ENV_FILE={}", sandbox.text("env")));
    assert!(id.starts_with("LOCKD_LEASE_ID=") && id.len() == 35, "{id}");
    let vars = seen(&["exec", "--namespace", "n", "--owner", "me", "a/b", "--", "env"]);
    assert!(vars.contains(&"LOCKD_OWNER=me".to_owned()) && vars.contains(&"LOCKD_NAMESPACE=n".to_owned()), "{vars:?}");
}

#[test]
fn taking_the_same_key_inside_is_a_usage_error() {
    let sandbox = Sandbox::new();
    let out = sandbox.run(
        &["k"],
        "$LOCKD exec k -- true; a=$?; $LOCKD exec other -- true; b=$?; \
        $LOCKD exec --namespace x k -- true; echo $a $b $?",
    );
    assert_eq!(String::from_utf8_lossy(&out.stdout), "64 0 0\n", "{out:?}");
}

#[test]
fn a_command_that_cannot_be_run_is_said_before_the_wait() {
    let sandbox = Sandbox::new();
    let holder = sandbox.exec(&["k"], "echo >$D/ready; exec sleep 600");
    sandbox.wait_for("ready");
    std::fs::write(sandbox.path("plain"), "").unwrap();
    std::fs::write(sandbox.path("broken"), "#!/no/such/interpreter\n").unwrap();
    std::os::unix::fs::symlink("/bin/true", sandbox.path("program")).unwrap();
    let code = |key: &str, command: &str| {
        let out = sandbox.lockd(&["exec", key, "--", command]).output().unwrap();
        (out.status.code().unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    for (command, expected) in [("no-such-program", 127), ("./none", 127), ("./plain", 126), ("./", 126), ("", 127)] {
        let (code, said) = code("k", command);
        assert_eq!(code, expected, "{command:?}: {said}");
        assert!(said.starts_with(&format!("lockd: cannot run {command}")), "{said}");
    }
    drop(holder);
    assert_eq!(code("free", "./program").0, 0);
    // What only shows at the start is said then, and the key is free again.
    let chmod = sandbox.any("chmod").args(["755", "broken"]).status().unwrap();
    assert!(chmod.success());
    assert_eq!(code("free", "./broken").0, 127);
    assert!(sandbox.is_free("free"));
}

#[test]
fn malformed_options_are_usage() {
    let sandbox = Sandbox::new();
    for args in [
        &["-E", "600", "k"][..],
        &["-E", "-1", "k"],
        &["-n", "-w", "1s", "k"],
        &["-w", "soon", "k"],
        &["--ttl", "1s", "k"],
        &["--ttl", "25h", "k"],
        &["--ttl", "3s", "--kill-grace", "1001ms", "k"],
        &["--if-busy", "explode", "k"],
        &["-n", "--if-busy", "wait", "k"],
        &["--max-runtime", "x", "k"],
        &["a b"],
        &[],
    ] {
        let out = sandbox.run(args, "touch $D/ran");
        assert_eq!(out.status.code(), Some(64), "{args:?}: {out:?}");
        assert!(out.stdout.is_empty() && !out.stderr.is_empty(), "{args:?}: {out:?}");
    }
    let out = sandbox.lockd(&["exec", "k"]).output().unwrap();
    assert_eq!(out.status.code(), Some(64), "{out:?}");
    assert!(!sandbox.path("ran").exists());
}

#[test]
fn what_is_left_in_the_group_ends_with_the_command_and_a_daemon_stays() {
    let sandbox = Sandbox::new();
    let script = r#"
        (trap "" TERM; sleep 600; sleep 600) &
        sleep 600 &
        setsid sh -c 'echo $$ >$D/daemon; exec sleep 600' &
        until test -s $D/daemon; do sleep 0.01; done
        exit 5"#;
    let running = sandbox.exec(&["--kill-grace", "200ms", "k"], script);
    let (code, said) = running.end();
    assert_eq!((code, said.as_str()), (5, ""));
    let daemon: i32 = sandbox.wait_for("daemon").trim().parse().unwrap();
    assert_eq!(sandbox.processes(), [(daemon, "sleep 600".to_owned())]);
    assert!(sandbox.is_free("k"));
    let parent = until("the daemon has a parent", || {
        let stat = std::fs::read_to_string(format!("/proc/{daemon}/stat")).ok()?;
        stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse::<i32>().ok()
    });
    assert_ne!(parent, i32::try_from(std::process::id()).unwrap());
}

#[test]
fn what_is_left_in_the_group_is_asked_first() {
    let sandbox = Sandbox::new();
    let left = "trap 'echo >$D/asked; exit' TERM; echo >$D/up; sleep 600 & while :; do wait; done";
    let script = "sh -c \"$LEFT\" & until test -s $D/up; do sleep 0.01; done; exit 6";
    let mut command = sandbox.lockd(&["exec", "--kill-grace", "10s", "k", "--", "sh", "-c", script]);
    let running = Running::of(command.env("LEFT", left));
    assert_eq!(running.end(), (6, String::new()));
    sandbox.wait_for("asked");
    assert_eq!(sandbox.processes(), []);
}

#[test]
fn an_env_file_that_could_not_be_handed_on_is_refused() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("a:b.env"), "LOCKD_OWNER=me\n").unwrap();
    let out = sandbox.lockd(&["--env-file", "a:b.env", "exec", "k", "--", "true"]).output().unwrap();
    assert_eq!(out.status.code(), Some(64), "{out:?}");
    assert!(String::from_utf8_lossy(&out.stderr).contains("a:b.env has a `:`"), "{out:?}");
}
