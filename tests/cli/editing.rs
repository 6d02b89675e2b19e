//! `lockd edit`: operands, exit codes, leases; what edits do is shown in the library.

use super::lab::{Lab, finished, ran};

#[test]
fn a_state_is_edited_in_place() {
    let lab = Lab::new();
    let ran = lab.run(["edit", "k", "/n++", "/a~1b=x", "/list/-=1", "/big=123456789012345678901234567890"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.lines().count()), (0, "", 1), "but for the new store: {}", ran.err);
    assert_eq!(
        lab.run(["get", "k"]).out,
        "{\"n\":1,\"a/b\":\"x\",\"list\":[1],\"big\":123456789012345678901234567890}\n"
    );
    let json = lab.run(["edit", "k", "/big++", "rm:/list", "--json"]);
    let body: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&body["schema"], &body["version"], &body["changed"]), (&1.into(), &2.into(), &true.into()));
    let same: serde_json::Value = serde_json::from_str(&lab.run(["edit", "k", "rm:/list", "--json"]).out).unwrap();
    assert_eq!((&same["version"], &same["changed"]), (&2.into(), &false.into()));
    assert_eq!(lab.run(["get", "k"]).out, "{\"n\":1,\"a/b\":\"x\",\"big\":123456789012345678901234567891}\n");
    assert_eq!(lab.run(["edit", "t", "time:/at=NOW"]).code, 0);
    let at = lab.run(["get", "t"]).out;
    assert!(at.starts_with("{\"at\":\"20") && at.ends_with("Z\"}\n"), "{at}");
    assert!(!lab.status("k")["held"].as_bool().unwrap(), "the lease of the moment is gone");
}

#[test]
fn what_is_wrong_has_its_exit_code_and_changes_nothing() {
    let lab = Lab::new();
    lab.feed(&["update", "k"], "{\"s\":\"x\",\"n\":1}");
    for (args, code, says) in [
        (&["edit", "k", "/n++", "/s++"][..], 65, "/s is a string, not a number"),
        (&["edit", "k", "/n++", "n=2"], 64, "\"n=2\" is no edit"),
        (&["edit", "k"], 64, "no expression was given"),
        (&["edit", "/n++"], 64, "no KEY was given"),
        (&["edit", "../k", "/n++"], 64, "malformed"),
        (&["edit"], 64, "EXPR"),
        (&["edit", "k", "/n++", "--if-version", "7"], 82, "it is at version 1"),
        (&["edit", "k", "rm:/gone", "--if-version", "7"], 82, "it is at version 1"),
    ] {
        let ran = lab.run(args);
        assert_eq!(ran.code, code, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(says), "{args:?}: {}", ran.err);
    }
    assert_eq!(lab.run(["get", "k"]).out, "{\"s\":\"x\",\"n\":1}\n");
    lab.acquire("k", &[]);
    assert_eq!(lab.run(["edit", "-n", "k", "/n++"]).code, 75);
    assert_eq!(lab.run(["edit", "-w", "0", "-E", "3", "k", "/n++"]).code, 3);
}

#[test]
fn the_lease_in_the_environment_is_the_proof() {
    let lab = Lab::new();
    let lease = lab.acquire("k", &[]);
    let with = |args: &[&str]| ran(lab.lockd().args(args).envs(lease.iter().cloned()));
    assert_eq!(with(&["edit", "/n++"]).code, 0, "the key comes from LOCKD_KEY");
    assert_eq!(with(&["edit", "k", "/n++"]).code, 0);
    assert_eq!(lab.run(["get", "k"]).out, "{\"n\":2}\n");
    assert!(lab.status("k")["held"].as_bool().unwrap());
    assert_eq!(lab.run(["break", "k", "--reason", "test", "--yes"]).code, 0);
    assert_eq!(with(&["edit", "/n++"]).code, 84);
    assert_eq!(lab.run(["get", "k"]).out, "{\"n\":2}\n");
}

#[test]
fn twelve_editors_at_once_lose_nothing() {
    let lab = Lab::new();
    let lease = lab.acquire("shared", &[]);
    let children: Vec<_> = (0..12)
        .map(|i| {
            let mut command = lab.plain();
            // Half of them without a lease, waiting for each other; half under one lease, meeting each other's versions.
            match i % 2 {
                0 => command.args(["edit", "own", "/n++"]),
                _ => command.args(["edit", "shared", "/n+=0.1"]).envs(lease.iter().cloned()),
            };
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let ran = finished(&child.wait_with_output().unwrap());
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    assert_eq!(lab.run(["get", "own"]).out, "{\"n\":6}\n");
    assert_eq!(lab.run(["get", "shared"]).out, "{\"n\":0.6}\n");
}
