//! `lockd verify store` on file systems that break the rules on which locks stand: each is refused, and the sound one accepted.

use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use serde_json::Value;

use super::lossy_fs::faults::{Fault, How, Op};
use super::lossy_fs::{Caching, Disk, Flaw, LossyFs, unavailable};
use crate::cli::lab::ran;
use crate::support::left_out;

/// What a run said.
struct Verdict {
    code: Option<i32>,
    body: Value,
    err: String,
}

impl Verdict {
    /// The checks that failed.
    fn failed(&self) -> Vec<&str> {
        let checks = self.body["checks"].as_array().unwrap_or_else(|| panic!("{} {}", self.body, self.err));
        checks.iter().filter(|check| check["outcome"] == "fail").map(|check| check["id"].as_str().unwrap()).collect()
    }

    fn is_good(&self) -> bool {
        self.code == Some(0) && self.failed().is_empty()
    }
}

/// A sound file system with a directory for a store, and its mounts.
fn mounted(mounts: &[Caching]) -> Option<(Disk, Vec<LossyFs>)> {
    if let Some(why) = unavailable() {
        left_out("file systems that break rules", &why);
        return None;
    }
    let disk = Disk::new();
    let mounts: Vec<LossyFs> = mounts.iter().map(|caching| disk.mount(*caching).unwrap()).collect();
    std::fs::create_dir(mounts[0].store_path()).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(mounts[0].store_path(), mode).unwrap();
    Some((disk, mounts))
}

fn start(fs: &LossyFs, args: &[&str]) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_lockd"))
        .env_clear()
        .args(["verify", "store", "--json"])
        .args(args)
        .arg(fs.store_path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn end(child: std::process::Child) -> Verdict {
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!err.contains("panicked"), "{err}");
    let body = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {:?} {err}", output.stdout));
    Verdict { code: output.status.code(), body, err }
}

fn verified(fs: &LossyFs) -> Verdict {
    end(start(fs, &["--quick"]))
}

fn left_behind(disk: &Disk) -> Vec<String> {
    disk.paths().into_iter().map(|(path, _)| path).filter(|path| path.contains("verify.")).collect()
}

#[test]
fn a_sound_file_system_is_accepted_by_one_host_and_by_two() {
    let Some((disk, mounts)) = mounted(&[Caching::default(), Caching::default()]) else { return };
    let one = verified(&mounts[0]);
    assert!(one.is_good(), "{} {}", one.body, one.err);
    let both: Vec<_> = mounts.iter().map(|fs| start(fs, &["--peer"])).collect();
    for verdict in both.into_iter().map(end) {
        assert!(verdict.is_good(), "{} {}", verdict.body, verdict.err);
    }
    assert_eq!(left_behind(&disk), Vec::<String>::new());
}

/// What is wrong with a file system that one host can see, and the check that finds it.
enum Wrong {
    Fails(Op, Errno),
    Breaks(Flaw),
}

const WRONG: [(Wrong, &[&str]); 5] = [
    (Wrong::Fails(Op::SyncFile, Errno::IO), &["fsync"]),
    (Wrong::Fails(Op::SyncDir, Errno::INVAL), &["fsync"]),
    (Wrong::Fails(Op::Link, Errno::PERM), &["hard-links"]),
    (Wrong::Breaks(Flaw::StaleListings), &["blob-list"]),
    // All that one process can see is in order: another does not find the store, or makes the same names.
    (Wrong::Breaks(Flaw::NamesWithinProcess), &["processes", "names"]),
];

impl Wrong {
    fn befalls(&self, disk: &Disk) {
        match *self {
            Self::Fails(op, errno) => disk.fail(Fault { op, nth: 1, times: u64::MAX, how: How::Refused(errno) }),
            Self::Breaks(flaw) => disk.break_rule(flaw),
        }
    }
}

/// Once by `verify store`, and once by a server at its start.
#[test]
fn what_one_host_can_see_is_refused_by_both_commands() {
    for (wrong, checks) in WRONG {
        let Some((disk, mounts)) = mounted(&[Caching::default()]) else { return };
        wrong.befalls(&disk);
        let verdict = verified(&mounts[0]);
        assert_eq!(verdict.code, Some(1), "{} {}", verdict.body, verdict.err);
        assert!(checks.contains(&verdict.failed()[0]), "{checks:?}: {} {}", verdict.body, verdict.err);
        if let Wrong::Fails(..) = wrong {
            assert_eq!(left_behind(&disk), Vec::<String>::new());
        }
        let Some((disk, mounts)) = mounted(&[Caching::default()]) else { return };
        made(&mounts[0]);
        wrong.befalls(&disk);
        let (code, err) = served(&mounts[0]);
        assert_eq!(code, 78, "{checks:?}: {err}");
        let named = |check: &&str| err.contains(&format!("cannot hold locks: {check}: "));
        assert!(checks.iter().any(named), "{checks:?}: {err}");
    }
}

fn url(fs: &LossyFs) -> String {
    format!("disk://{}", fs.store_path().display())
}

/// Makes a store, which a server does not.
fn made(fs: &LossyFs) {
    let done = Command::new(env!("CARGO_BIN_EXE_lockd"))
        .env_clear()
        .args(["list", "--store", &url(fs)])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(done.success(), "{done}");
}

/// What a server that does not start says; one that starts is ended.
fn served(fs: &LossyFs) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockd"));
    command.env_clear().args(["serve", "--listen", "127.0.0.1:0", "--store", &url(fs)]);
    let ran = ran(&mut assert_cmd::Command::from_std(command));
    (ran.code, ran.err)
}

#[test]
fn an_exclusive_create_that_is_none_is_refused_once_two_hosts_race() {
    let Some((disk, mounts)) = mounted(&[Caching::default(), Caching::default()]) else { return };
    disk.break_rule(Flaw::TakenNamesAreMadeAgain);
    let both: Vec<_> = mounts.iter().map(|fs| start(fs, &["--peer"])).collect();
    let verdicts: Vec<Verdict> = both.into_iter().map(end).collect();
    for verdict in &verdicts {
        assert_eq!(verdict.code, Some(1), "{} {}", verdict.body, verdict.err);
    }
}

/// What one host alone cannot see: its own kernel keeps names apart and forgets none of its own.
#[test]
fn what_only_several_hosts_can_see_is_accepted_by_one() {
    let Some((disk, mounts)) = mounted(&[Caching::default()]) else { return };
    disk.break_rule(Flaw::TakenNamesAreMadeAgain);
    let verdict = verified(&mounts[0]);
    assert!(verdict.is_good(), "{} {}", verdict.body, verdict.err);
}

/// The host that remembers absences never sees the other one come and would wait for it: the sound one says what is wrong.
#[test]
fn names_that_a_host_remembers_for_too_long_are_refused() {
    let age = Duration::from_secs(3_600);
    let stale = Caching { entries: age, absences: age, ..Caching::default() };
    let Some((_disk, mounts)) = mounted(&[Caching::default(), stale]) else { return };
    let forgetful = start(&mounts[1], &["--peer"]);
    let sound = end(start(&mounts[0], &["--peer"]));
    // It may have ended by itself.
    let _gone =
        rustix::process::kill_process(rustix::process::Pid::from_child(&forgetful), rustix::process::Signal::INT);
    assert_ne!(forgetful.wait_with_output().unwrap().status.code(), Some(0));
    assert_eq!(sound.code, Some(1), "{} {}", sound.body, sound.err);
}
