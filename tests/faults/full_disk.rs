//! A full and a read-only disk while 50 leases are held: none is lost, new state is refused clearly, and all goes on by itself.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lockd::clock::SystemClock;
use lockd::engine::Engine;
use lockd::error::{ErrorKind, Result};
use lockd::service::{Grant, LeaseService};

use super::cycle::Worker;
use super::ext4::Ext4;
use super::journal::Journal;
use super::worker::{block_on, engine};
use crate::support::left_out;
use crate::support::world::{key, proof};

const LEASES: usize = 50;
const TTL: Duration = Duration::from_secs(3_600);

/// Fills a file system to the last byte.
pub fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [1 << 20, 4_096, 1] {
        while file.write_all(&vec![b'x'; size]).is_ok() {}
    }
    let _full = file.sync_all();
}

/// Engines that hold leases, each with some state, and their journal.
struct Holders {
    engine: Engine,
    journal: Journal,
    grants: Vec<(String, Grant)>,
}

impl Holders {
    async fn new(store: &Path) -> Self {
        let engine = engine(store, Arc::new(SystemClock)).await.unwrap();
        let mut holders = Self { engine, journal: Journal::in_memory(), grants: Vec::new() };
        for n in 0..LEASES {
            let on = format!("k{n}");
            let grant = holders.worker().acquire(&on).await.unwrap();
            // Different numbers of revisions, so that not all can be pruned at the same time.
            for _ in 0..=n % 8 {
                holders.worker().count_up_padded(&on, &proof(&grant), 500).await.unwrap();
            }
            holders.grants.push((on, grant));
        }
        holders
    }

    fn worker(&self) -> Worker<'_> {
        Worker { engine: &self.engine, journal: &self.journal, name: "holder", ttl: TTL }
    }

    async fn renew(&self) -> Result<()> {
        for (on, grant) in &self.grants {
            self.engine.keepalive(&key(on), &proof(grant), grant.ttl).await?;
        }
        Ok(())
    }

    /// What an update of each is answered.
    async fn update(&self, pad: usize) -> Vec<Result<()>> {
        let mut answers = Vec::new();
        for (on, grant) in &self.grants {
            answers.push(self.worker().count_up_padded(on, &proof(grant), pad).await);
        }
        answers
    }
}

fn all_are(answers: &[Result<()>], kind: ErrorKind) {
    for answer in answers {
        assert_eq!(answer.as_ref().map_err(lockd::error::Error::kind), Err(kind), "{answer:?}");
    }
}

/// While `filler` can fill the file system that `store` is on.
fn fills_up_and_recovers(store: &Path, filler: &Path) {
    block_on(async {
        let holders = Holders::new(store).await;
        fill(filler);
        for pad in [40_000, 12_000] {
            all_are(&holders.update(pad).await, ErrorKind::StoreFull);
        }
        for round in 0..20 {
            holders.renew().await.unwrap_or_else(|e| panic!("round {round}: a lease was lost on a full disk: {e}"));
        }
        let (on, grant) = &holders.grants[0];
        holders.worker().release(on, &proof(grant)).await.unwrap();
        let again = holders.worker().acquire(on).await.unwrap();
        holders.worker().release(on, &proof(&again)).await.unwrap();
        std::fs::remove_file(filler).unwrap();
        let rest = Holders { grants: holders.grants[1..].to_vec(), ..holders };
        rest.update(40_000).await.into_iter().for_each(|answer| answer.unwrap());
        rest.renew().await.unwrap();
        rest.engine.close().await;
        drop(rest);
    });
    // The runtime is gone and with it all tidying: the room is held again.
    assert!(std::fs::metadata(store.join("reserve")).unwrap().len() > 1 << 20, "the reserve was not restored");
}

/// It is the reserve that makes the difference: without it the same renewals fail.
#[test]
fn without_its_reserve_a_full_disk_would_lose_leases() {
    let fs = match Ext4::new(96) {
        Ok(fs) => fs,
        Err(why) => return left_out("a full disk without a reserve", &why),
    };
    block_on(async {
        let holders = Holders::new(&fs.path().join("store")).await;
        holders.engine.close().await;
        std::fs::remove_file(fs.path().join("store/reserve")).unwrap();
        fill(&fs.path().join("filler"));
        let mut answers = Vec::new();
        for _ in 0..20 {
            answers.push(holders.renew().await);
        }
        let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
        assert!(refused.map(lockd::error::Error::kind).any(|kind| kind == ErrorKind::StoreFull), "{answers:?}");
    });
}

#[test]
fn a_full_ext4_loses_no_lease() {
    let fs = match Ext4::new(96) {
        Ok(fs) => fs,
        Err(why) => return left_out("a full disk", &why),
    };
    fills_up_and_recovers(&fs.path().join("store"), &fs.path().join("filler"));
}

#[test]
fn a_full_tmpfs_loses_no_lease() {
    if !rustix::process::geteuid().is_root() {
        return left_out("a full tmpfs", "mounting one needs root");
    }
    let dir = tempfile::tempdir().unwrap();
    let mounted = Mounted(dir.path());
    rustix::mount::mount("tmpfs", dir.path(), "tmpfs", rustix::mount::MountFlags::empty(), Some(c"size=64m")).unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    fills_up_and_recovers(&dir.path().join("store"), &dir.path().join("filler"));
    drop(mounted);
}

/// Unmounted when dropped.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _gone = rustix::mount::unmount(self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

#[test]
fn a_read_only_disk_is_said_at_once_and_loses_no_lease() {
    let fs = match Ext4::new(48) {
        Ok(fs) => fs,
        Err(why) => return left_out("a read-only disk", &why),
    };
    block_on(async {
        let holders = Holders::new(&fs.path().join("store")).await;
        // What goes on behind the answers must not keep files open for writing.
        holders.engine.close().await;
        let until = lockd::clock::Clock::boot(&SystemClock) + Duration::from_secs(30);
        while let Err(e) = fs.remount("ro") {
            assert!(lockd::clock::Clock::boot(&SystemClock) < until, "{e}");
            super::pause(Duration::from_millis(50));
        }
        let began = lockd::clock::Clock::boot(&SystemClock);
        all_are(&holders.update(100).await, ErrorKind::NotPermitted);
        assert_eq!(holders.renew().await.unwrap_err().kind(), ErrorKind::NotPermitted);
        // Fast enough for holders to stop in time: 51 refusals, and the machine is slow.
        assert!(lockd::clock::Clock::boot(&SystemClock).since(began) < Duration::from_secs(20));
        assert_eq!(holders.worker().read("k3", None).await.unwrap().unwrap().1, 4, "it can still be read");
        fs.remount("rw").unwrap();
        holders.renew().await.unwrap();
        holders.update(100).await.into_iter().for_each(|answer| answer.unwrap());
    });
}
