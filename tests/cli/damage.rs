//! Records that are damaged, foreign or too new, and a store that goes away under a running process: said, and never guessed over.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use lockd::model::{Key, Namespace, Record};

use super::lab::{Lab, finished};

fn key() -> Key {
    Key::new(Namespace::default(), "k").unwrap()
}

/// The newest record of the key.
fn head(lab: &Lab) -> PathBuf {
    let hash = key().hash().hex();
    let dir = lab.path("state/lockd/records").join(&hash[..2]).join(&hash);
    let revision = |path: &Path| path.file_name()?.to_str()?.strip_prefix("r.")?.parse::<u64>().ok();
    let all = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| revision(path).is_some()).max_by_key(|path| revision(path)).unwrap()
}

/// What every command answers while the record is as it is.
fn refused(lab: &Lab, says: &str) {
    let before = std::fs::read(head(lab)).unwrap();
    for args in [
        &["get", "k"] as &[_],
        &["status", "k"],
        &["acquire", "-n", "k"],
        &["update", "k"],
        &["remove", "k"],
        &["exec", "k", "--", "touch", "ran"],
    ] {
        let ran = lab.feed(args, "2");
        assert_eq!(ran.code, 78, "{args:?}: {}", ran.err);
        assert!(ran.err.contains("the record of k") && ran.err.contains(says), "{args:?}: {}", ran.err);
    }
    assert!(!lab.path("work/ran").exists(), "nothing runs without its lease");
    assert_eq!(std::fs::read(head(lab)).unwrap(), before, "nothing was written over it");
}

#[test]
fn a_record_that_cannot_be_read_is_78_and_stays_as_it_is() {
    let lab = Lab::new();
    assert_eq!(lab.feed(&["update", "k"], "1").code, 0);
    let (path, good) = (head(&lab), std::fs::read(head(&lab)).unwrap());
    std::fs::write(&path, &good[..good.len() / 2]).unwrap();
    refused(&lab, &key().hash().hex());
    std::fs::write(&path, "hello\n").unwrap();
    refused(&lab, "not written by lockd");

    let mut newer = Record::decode(&key(), &Bytes::from(good.clone())).unwrap();
    newer.min_read = 99;
    let newer = newer.encode().unwrap();
    std::fs::write(&path, newer).unwrap();
    refused(&lab, "upgrade lockd");

    std::fs::write(&path, good).unwrap();
    assert_eq!(lab.run(["get", "k"]).out, "1\n", "all is well once it is put back");
}

/// The store is deleted under a running exec, and another made in its place: its command is ended, and the new store is not taken
/// for the old one.
#[test]
fn a_store_that_is_replaced_under_exec_ends_its_command() {
    let lab = Lab::new();
    let script =
        "rm -rf \"$XDG_STATE_HOME/lockd\"; (unset LOCKD_LEASE_ID; echo 1 | lockd update other); exec sleep 600";
    let mut command = lab.plain();
    command.args(["exec", "--ttl", "2s", "k", "--", "sh", "-c", script]);
    let ran = finished(&command.output().unwrap());
    assert_eq!(ran.code, 80, "{}", ran.err);
    assert!(ran.err.contains("another store is in its place"), "{}", ran.err);
    assert!(ran.err.contains("the command was ended"), "{}", ran.err);
    assert_eq!(lab.run(["get", "other"]).out, "1\n", "the new store is a store");
    assert_eq!(lab.status("k")["fencing_token"], 0, "and nothing of the old one was written to it");
}
