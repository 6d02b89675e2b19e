//! The state of a key: get, update, remove.

use super::lab::{Lab, finished, ran};

#[test]
fn a_state_comes_back_as_it_was_sent() {
    let lab = Lab::new();
    let sent = " { \"b\" : 1.50e+01 , \"a\" : \"x \\u00e9 é\" , \"a\" : [ ] }\n";
    assert_eq!(lab.feed(&["update", "k"], sent).out, "");
    assert_eq!(lab.run(["get", "k"]).out, "{\"b\":1.50e+01,\"a\":\"x \\u00e9 é\",\"a\":[]}\n");
    let document: serde_json::Value = serde_json::from_str(&lab.run(["get", "k", "--json"]).out).unwrap();
    assert_eq!((&document["schema"], &document["key"], &document["version"]), (&1.into(), &"k".into(), &1.into()));
    assert_eq!(document["state"]["b"], 15.0);
    let yaml = lab.run(["get", "k", "-o", "yaml"]).out;
    let yaml: serde_json::Value =
        serde_yaml::from_str(&yaml.replace("\\u00e9", "e").replace("\"a\":[]", "\"c\":[]")).unwrap();
    assert_eq!((&yaml["version"], &yaml["state"]["b"]), (&1.into(), &15.0.into()));
}

#[test]
fn no_state_is_a_no_and_no_error() {
    let lab = Lab::new();
    for args in [&["get", "k"][..], &["get", "k", "--json"]] {
        let ran = lab.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    }
    let ran = lab.run(["get", "k", "out.json", "-q"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    assert!(!lab.path("work/out.json").exists());
}

#[test]
fn versions_and_etags_guard_a_change() {
    let lab = Lab::new();
    let first: serde_json::Value = serde_json::from_str(&lab.feed(&["update", "k", "--json"], "1").out).unwrap();
    assert_eq!((&first["schema"], &first["version"], &first["bytes"]), (&1.into(), &1.into(), &1.into()));
    let etag = first["etag"].as_str().unwrap();
    assert_eq!(lab.feed(&["update", "k", "--if-version", "1", "--if-etag", etag], "2").code, 0);
    let conflict = lab.feed(&["update", "k", "--if-version", "1", "--json"], "3");
    assert_eq!((conflict.code, conflict.out.as_str()), (82, ""));
    let error: serde_json::Value = serde_json::from_str(&conflict.err).unwrap();
    assert_eq!((&error["error"], &error["exit"]), (&"version_conflict".into(), &82.into()));
    assert_eq!(error["current_version"], 2);
    assert_eq!(lab.feed(&["update", "k", "--if-etag", etag], "3").code, 82);
    assert_eq!(lab.run(["remove", "k", "--if-version", "1"]).code, 82);
    assert_eq!(lab.run(["get", "k"]).out, "2\n");
    assert!(
        !lab.status("k")["held"].as_bool().unwrap(),
        "a lease for the moment is gone after it, whatever came of it"
    );
}

#[test]
fn remove_deletes_the_state_and_keeps_counting() {
    let lab = Lab::new();
    assert_eq!(lab.feed(&["update", "k"], "1").code, 0);
    assert_eq!(lab.run(["remove", "k"]).out, "");
    assert_eq!(lab.run(["get", "k"]).code, 1);
    let again: serde_json::Value = serde_json::from_str(&lab.run(["remove", "k", "--json"]).out).unwrap();
    assert_eq!(again["changed"], false);
    assert_eq!(lab.feed(&["update", "k"], "2").code, 0);
    assert!(lab.status("k")["version"].as_u64().unwrap() >= 3);
}

#[test]
fn large_states_go_through_pipes_and_files() {
    let lab = Lab::new();
    let sent = format!("[ {:?} ]", "x".repeat(5 * 1024 * 1024));
    let kept = format!("[{:?}]\n", "x".repeat(5 * 1024 * 1024));
    assert_eq!(lab.feed(&["update", "pipe"], sent.clone()).code, 0);
    assert!(lab.run(["get", "pipe"]).out == kept);
    let file = lab.file("work/in.json", &sent);
    assert_eq!(lab.run(["update", "file", "in.json"]).code, 0);
    let ran = lab.run(["get", "file", "out.json"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    assert!(std::fs::read_to_string(lab.path("work/out.json")).unwrap() == kept);
    // A pipe that turns out wrong after its first megabyte, when the lease is there already.
    let ran = lab.feed(&["update", "pipe"], format!("{sent} 1"));
    assert_eq!(ran.code, 65, "{}", ran.err);
    std::fs::write(&file, format!("{sent} 1")).unwrap();
    assert_eq!(lab.run(["update", "file", "in.json"]).code, 65);
    assert!(lab.run(["get", "pipe"]).out == kept, "the old state is untouched");
    assert!(!lab.status("pipe")["held"].as_bool().unwrap());
    let left: Vec<_> = std::fs::read_dir(lab.path("work")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "no temporary file is left: {left:?}");
}

#[test]
fn a_file_is_replaced_whole_and_keeps_its_mode() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    let lab = Lab::new();
    lab.feed(&["update", "k"], "1");
    let file = lab.file("work/real.json", "old, and longer");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    symlink("real.json", lab.path("work/link.json")).unwrap();
    assert_eq!(lab.run(["get", "k", "link.json"]).code, 0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "1\n");
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert!(lab.path("work/link.json").is_symlink());
    let ran = lab.run(["get", "k", "no/such/dir.json"]);
    assert_eq!(ran.code, 73, "{}", ran.err);
    assert_eq!(lab.run(["get", "k", "/dev/full"]).code, 74);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let lab = Lab::new();
    lab.feed(&["update", "k"], format!("{:?}", "x".repeat(2 * 1024 * 1024)));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = finished(&lab.plain().args(["get", "k"]).stdout(writer).output().unwrap());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = finished(&lab.plain().args(["get", "k"]).stdout(full).output().unwrap());
    assert_eq!(ran.code, 74, "{}", ran.err);
}

#[test]
fn ten_writers_at_once_lose_nothing() {
    let lab = Lab::new();
    lab.feed(&["update", "n"], "0");
    // Each adds one under its own lease.
    let script = "l=$(lockd acquire -q n) && eval \"$l\" || exit
        echo $(( $(lockd get n) + 1 )) | lockd update && lockd release";
    let children: Vec<_> = (0..10)
        .map(|_| {
            let mut command = std::process::Command::new("/bin/sh");
            lab.dressed(&mut command)
                .args(["-c", script])
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in children {
        let ran = finished(&child.wait_with_output().unwrap());
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    assert_eq!(lab.run(["get", "n"]).out, "10\n");
    assert_eq!(ran(lab.lockd().args(["status", "--check", "n"])).code, 1);
}
