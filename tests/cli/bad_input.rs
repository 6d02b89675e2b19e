//! What a user may get wrong: each is refused with its own exit code and a word on what to do.

use super::lab::{Lab, ran};

/// Arguments, standard input, exit code, and what standard error says.
type Case<'a> = (&'a [&'a str], &'a [u8], i32, &'a str);

fn check(lab: &Lab, cases: &[Case<'_>]) {
    for (args, input, code, says) in cases {
        let ran = ran(lab.lockd().args(*args).write_stdin(*input));
        assert_eq!(ran.code, *code, "{args:?}: {}", ran.err);
        assert!(ran.err.starts_with("lockd: "), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(says), "{args:?}: {:?} is not in {}", says, ran.err);
        assert!(ran.out.is_empty() || args.contains(&"acquire"), "{args:?} printed {}", ran.out);
    }
}

#[test]
fn states_that_are_not_one_json_value() {
    let lab = Lab::new();
    let update: &[&str] = &["update", "k"];
    check(
        &lab,
        &[
            (update, b"", 65, "the state is empty"),
            (update, b" \n", 65, "the state is empty"),
            (update, b"hello", 65, "`h` at byte 0"),
            (update, b"{} {}", 65, "the end after one JSON value"),
            (update, b"[1,]", 65, "`]` at byte 3"),
            (update, b"{\"a\":", 65, "ends at byte 5"),
            (update, b"\xef\xbb\xbf{}", 65, "byte order mark"),
            (update, b"\"\xff\"", 65, "not UTF-8"),
            (update, b"NaN", 65, "JSON value"),
            (update, &[b'['; 1_001], 65, "nests deeper than 1000"),
            (&["update", "k", "missing.json"], b"", 74, "missing.json"),
            (&["update", "k", "."], b"", 74, "read ."),
        ],
    );
    assert!(!lab.path("state/lockd").exists(), "a state is looked at before any store is touched");
}

#[test]
fn states_over_the_limit() {
    let lab = Lab::new();
    // 100 MiB are allowed without the whitespace; these are two quotes more.
    let mut big = vec![b'x'; 100 * 1024 * 1024 + 2];
    let last = big.len() - 1;
    (big[0], big[last]) = (b'"', b'"');
    let path = lab.file("big.json", &big);
    let says = "more than 104857600 bytes";
    check(&lab, &[(&["update", "k", path.to_str().unwrap()], b"", 65, says), (&["update", "k"], &big, 65, says)]);
    assert_eq!(lab.run(["get", "k"]).code, 1, "nothing was written");
    assert!(!lab.status("k")["held"].as_bool().unwrap(), "and no lease is left");
}

#[test]
fn keys() {
    let lab = Lab::new();
    let long = "k".repeat(129);
    for command in ["acquire", "keepalive", "release", "get", "update", "remove", "status"] {
        for key in [&long, "../x", "", "a//b", "/a", "a b", "a\nb", "ä", "."] {
            let ran = lab.feed(&[command, key], "1");
            assert_eq!(ran.code, 64, "{command} {key:?}: {}", ran.err);
            assert!(ran.err.starts_with("lockd: the key ") || ran.err.starts_with("lockd: key "), "{}", ran.err);
        }
    }
    check(&lab, &[(&["get", "k", "--namespace", ".lockd"], b"", 64, "reserved")]);
    // A name is taken as written: what comes with a blank is malformed and not trimmed.
    let mut command = lab.lockd();
    let ran = ran(command.args(["release"]).env("LOCKD_KEY", " k").env("LOCKD_LEASE_ID", "x"));
    assert_eq!(ran.code, 64, "{}", ran.err);
    // No argument can hold a NUL, but a file can.
    let file = lab.file("nul.env", "LOCKD_KEY=a\0b\nLOCKD_LEASE_ID=x\nLOCKD_FENCING_TOKEN=1\n");
    let ran = lab.run(["release", "--env-file", file.to_str().unwrap()]);
    assert_eq!(ran.code, 64, "{}", ran.err);
    assert!(ran.err.contains("a\\0b") || ran.err.contains("a\\u{0}b"), "{:?}", ran.err);
}

#[test]
fn durations_and_numbers() {
    let lab = Lab::new();
    let acquire = |flag: &'static str, value: &'static str| ["acquire", "k", flag, value];
    for (flag, value, says) in [
        ("--ttl", "0", "a TTL of 0s is out of bounds; it may be from 2s to 24h"),
        ("--ttl", "1s", "2s to 24h"),
        ("--ttl", "8760h", "2s to 24h"),
        ("--ttl", "soon", "not a duration"),
        ("--wait", "soon", "not a duration"),
        ("--wait", "500d", "a year at most"),
        ("-E", "600", "0 to 255"),
        ("-E", "x", "0 to 255"),
        ("--if-busy", "panic", "wait, fail and skip"),
        ("--owner", "", "1 to 256 bytes"),
        ("--reason", "", "1 to 1024 bytes"),
        ("--output", "xml", "sh, fish, dotenv, json and yaml"),
        ("--color", "red", "auto, always and never"),
    ] {
        check(&lab, &[(&acquire(flag, value), b"", 64, says)]);
    }
    // A negative number looks like an option; with `=` it is a value.
    check(
        &lab,
        &[
            (&["acquire", "k", "--ttl", "-5s"], b"", 64, "unexpected argument"),
            (&["acquire", "k", "--ttl=-5s"], b"", 64, "not a duration"),
            (&["acquire", "k", "--wait=-1"], b"", 64, "not a duration"),
            (&["update", "k", "--if-version", "x"], b"1", 64, "not a version"),
            (&["update", "k", "--if-version=-1"], b"1", 64, "not a version"),
            (&["update", "k", "--if-etag", ""], b"1", 64, "empty"),
            (&["get", "k", "-o", "sh"], b"", 64, "text, json and yaml"),
            (&["acquire", "k", "--owner", &"o".repeat(257)], b"", 64, "257 bytes"),
            (&["acquire", "k", "--reason", &"o".repeat(1_025)], b"", 64, "1025 bytes"),
            (&["acquire", "k", "-n", "-w", "1s"], b"", 64, "cannot be used with"),
        ],
    );
}

#[test]
fn command_lines() {
    let lab = Lab::new();
    check(
        &lab,
        &[
            (&["frobnicate"], b"", 64, "unrecognized subcommand"),
            (&["stat", "k"], b"", 64, "unrecognized subcommand"),
            (&["get"], b"", 64, "<KEY>"),
            (&["get", "k", "f", "g"], b"", 64, "unexpected argument"),
            (&["get", "k", "--frob"], b"", 64, "unexpected argument"),
            (&["status", "k", "--json", "-o", "yaml"], b"", 64, "cannot be used with"),
            (&["keepalive"], b"", 64, "LOCKD_KEY is not set"),
            (&["release", "k"], b"", 64, "has no lease of k"),
            (&["completions", "tcsh"], b"", 64, "none of bash"),
            (&["help", "nothing"], b"", 64, "no command"),
        ],
    );
    for args in [&["--help"][..], &["--version"], &["get", "--help"], &["help"], &["help", "get"], &["help", "env"]] {
        let ran = lab.run(args);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
        assert!(!ran.out.is_empty());
    }
}

#[test]
fn bytes_that_are_no_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let lab = Lab::new();
    let bad = OsStr::from_bytes(b"a\xffb");
    assert_eq!(lab.run([OsStr::new("get"), bad]).code, 64);
    let ran = ran(lab.lockd().args(["get", "k"]).env("LOCKD_STORE", bad));
    assert_eq!(ran.code, 64, "{}", ran.err);
    assert!(ran.err.contains("LOCKD_STORE is not UTF-8"), "{}", ran.err);
}
