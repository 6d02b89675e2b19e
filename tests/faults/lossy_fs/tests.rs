//! The file system itself: it loses what POSIX lets be lost, and nothing else. A test on it that cannot fail proves nothing.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;

use rustix::io::Errno;

use super::faults::{Fault, How, Op};
use super::{Caching, Disk, LossyFs, unavailable};
use crate::faults::rng::Rng;
use crate::support::left_out;

fn disk() -> Option<(Disk, LossyFs)> {
    if let Some(why) = unavailable() {
        left_out("the lossy file system", why);
        return None;
    }
    let disk = Disk::new();
    let mount = disk.mount(Caching::default()).unwrap();
    Some((disk, mount))
}

fn cut(disk: &Disk, seed: u64) {
    disk.cut_power();
    disk.power_up(&mut Rng::new(seed));
}

/// How a file reads after each of many losses of power, by what `write` does before.
fn outcomes(write: impl Fn(&LossyFs)) -> Vec<Option<Vec<u8>>> {
    let mut seen = Vec::new();
    for seed in 0..60 {
        let Some((disk, mount)) = disk() else { return seen };
        write(&mount);
        cut(&disk, seed);
        seen.push(fs::read(mount.path().join("f")).ok());
    }
    seen
}

#[test]
fn what_was_synced_survives_and_the_rest_may_not() {
    let content = vec![b'x'; 3_000];
    let unsynced = outcomes(|mount| fs::write(mount.path().join("f"), &content).unwrap());
    if unsynced.is_empty() {
        return;
    }
    assert!(unsynced.iter().any(Option::is_none), "no name was lost");
    assert!(unsynced.iter().flatten().any(|read| read != &content), "no content was torn");
    assert!(unsynced.iter().flatten().any(|read| read == &content), "nothing ever survived");

    let file_only = outcomes(|mount| {
        let mut file = File::create(mount.path().join("f")).unwrap();
        file.write_all(&content).unwrap();
        file.sync_all().unwrap();
    });
    assert!(file_only.iter().any(Option::is_none), "syncing a file kept its name");
    assert!(file_only.iter().flatten().all(|read| read == &content), "synced content was lost");

    let both = outcomes(|mount| {
        let mut file = File::create(mount.path().join("f")).unwrap();
        file.write_all(&content).unwrap();
        file.sync_all().unwrap();
        File::open(mount.path()).unwrap().sync_all().unwrap();
    });
    assert!(both.iter().all(|read| read.as_ref() == Some(&content)));
}

#[test]
fn a_failed_sync_is_not_made_good_by_the_next_one() {
    let seen = outcomes(|mount| {
        let mut file = File::create(mount.path().join("f")).unwrap();
        File::open(mount.path()).unwrap().sync_all().unwrap();
        file.write_all(b"first").unwrap();
        mount.disk.fail(Fault { op: Op::SyncFile, nth: 1, times: 1, how: How::Refused(Errno::IO) });
        assert!(file.sync_all().is_err());
        file.sync_all().unwrap();
    });
    assert!(seen.iter().all(|read| read.as_ref().is_some_and(|read| read != b"first")));
}

#[test]
fn faults_strike_the_operation_that_they_name() {
    let Some((disk, mount)) = disk() else { return };
    let at = |name: &str| mount.path().join(name);
    fs::write(at("a"), b"x").unwrap();
    disk.fail(Fault { op: Op::Link, nth: 2, times: 1, how: How::ReplyLost(Errno::IO) });
    fs::hard_link(at("a"), at("b")).unwrap();
    assert_eq!(fs::hard_link(at("a"), at("c")).unwrap_err().raw_os_error(), Some(Errno::IO.raw_os_error()));
    assert!(at("c").exists(), "done, only the reply was lost");
    assert_eq!(disk.heal(), 1);
    disk.fail(Fault { op: Op::Write, nth: 1, times: 1, how: How::Short });
    assert_eq!(File::create(at("d")).unwrap().write_at(b"12345678", 0).unwrap(), 4);
    disk.heal();
    disk.leave_room(0);
    assert_eq!(fs::write(at("e"), b"x").unwrap_err().kind(), std::io::ErrorKind::StorageFull);
}

#[test]
fn two_mounts_see_one_disk_each_through_its_own_cache() {
    let Some((disk, one)) = disk() else { return };
    let old = std::time::Duration::from_secs(3_600);
    let two = disk.mount(Caching { entries: old, attributes: old, absences: old }).unwrap();
    assert!(!two.path().join("f").exists());
    fs::write(one.path().join("f"), b"x").unwrap();
    assert!(one.path().join("f").exists());
    assert!(!two.path().join("f").exists(), "the absence is remembered");
    assert!(fs::hard_link(two.path().join("nothing"), two.path().join("f")).is_err());
}
