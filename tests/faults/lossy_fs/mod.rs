//! A file system of our own (FUSE), mounted for a test, that loses what was not synced when the test cuts its power, and fails the
//! operations that the test names.
//!
//! [`LossyFs`] is one mount; several of them over one [`Disk`] play the clients of one file server. Unmounted when dropped, also on panic.

mod cut;
pub mod faults;
mod fuse;
mod model;
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fuser::{BackgroundSession, Config, MountOption, SessionACL};
use rustix::io::Errno;
use tempfile::TempDir;
use tokio::sync::Notify;

use super::rng::Rng;
use faults::{Fault, Faults, How, Op};
use model::Model;

/// What is behind the mounts: content, power and faults.
#[derive(Clone, Debug)]
pub struct Disk {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    died: Notify,
}

#[derive(Debug)]
struct State {
    model: Model,
    faults: Faults,
    /// Mutating operations since the power came back.
    ops: u64,
    /// The power is cut at this one, before (`false`) or after it took effect.
    cut_at: Option<(u64, bool)>,
    dead: bool,
    /// Syncs that succeed and do nothing.
    lies_about: Option<Op>,
}

/// How long the kernel may answer from what it saw before: zero is never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caching {
    pub entries: Duration,
    pub attributes: Duration,
    pub absences: Duration,
}

/// A mount.
#[derive(Debug)]
pub struct LossyFs {
    /// What it shows.
    pub disk: Disk,
    at: TempDir,
    session: Option<BackgroundSession>,
}

impl Disk {
    pub fn new() -> Self {
        let state = State {
            model: Model::new(),
            faults: Faults::default(),
            ops: 0,
            cut_at: None,
            dead: false,
            lies_about: None,
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), died: Notify::new() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Mounts it.
    pub fn mount(&self, caching: Caching) -> std::io::Result<LossyFs> {
        let at = tempfile::tempdir()?;
        let mut config = Config::default();
        config.mount_options =
            vec![MountOption::FSName("lossy".into()), MountOption::NoAtime, MountOption::DefaultPermissions];
        config.acl = SessionACL::Owner;
        config.n_threads = Some(4);
        let session = fuser::spawn_mount(fuse::Served::new(self.clone(), caching), at.path(), &config)?;
        Ok(LossyFs { disk: self.clone(), at, session: Some(session) })
    }

    /// Cuts the power at the `n`-th mutating operation from now (from 1), just before or just after it takes effect. From then on
    /// every operation fails, until [`Disk::power_up`].
    pub fn cut_power_at(&self, n: u64, after: bool) {
        let mut state = self.state();
        state.ops = 0;
        state.cut_at = Some((n, after));
    }

    /// Cuts the power now.
    pub fn cut_power(&self) {
        self.state().dead = true;
        self.shared.died.notify_one();
    }

    /// Returns once the power was cut.
    pub async fn died(&self) {
        self.shared.died.notified().await;
    }

    /// Whether it can answer.
    pub fn has_power(&self) -> bool {
        !self.state().dead
    }

    /// The next process finds all that the last one left, synced or not: it was killed, the machine runs on.
    pub fn next_process(&self) {
        let mut state = self.state();
        (state.ops, state.cut_at, state.dead) = (0, None, false);
    }

    /// What survived, as the seed has it, is served from now on. Nothing of before may be open any more.
    pub fn power_up(&self, rng: &mut Rng) {
        let mut state = self.state();
        state.model.power_cut(rng);
        (state.ops, state.cut_at, state.dead) = (0, None, false);
    }

    /// Only what was synced survived.
    pub fn power_up_with_nothing_unsynced(&self) {
        let mut state = self.state();
        state.model.settle(cut::Mood::Nothing, &mut Rng::new(0));
        (state.ops, state.cut_at, state.dead) = (0, None, false);
    }

    /// From now on these syncs say that they succeeded, and do nothing: as if lockd had left them out.
    pub fn lie_about(&self, sync: Op) {
        self.state().lies_about = Some(sync);
    }

    /// Makes operations fail.
    pub fn fail(&self, fault: Fault) {
        self.state().faults.set(fault);
    }

    /// Ends all faults; how many operations they struck.
    pub fn heal(&self) -> u64 {
        self.state().faults.clear()
    }

    /// Gives files no more room than they have now and so many bytes.
    pub fn leave_room(&self, bytes: u64) {
        let mut state = self.state();
        state.model.room = state.model.used().saturating_add(bytes);
    }

    /// All paths with their lengths.
    pub fn paths(&self) -> Vec<(String, u64)> {
        let mut out = Vec::new();
        self.state().model.walk(model::ROOT, "", &mut |path, inode| out.push((path.to_owned(), inode.len())));
        out
    }

    /// Runs one operation under the faults that are set; `work` changes the model.
    fn operate<T>(&self, op: Op, work: impl FnOnce(&mut Model) -> Result<T, Errno>) -> Result<T, Errno> {
        let mut state = self.state();
        if state.dead {
            return Err(Errno::IO);
        }
        state.ops += u64::from(op.mutates());
        let cut = state.cut_at.filter(|(n, _)| op.mutates() && *n == state.ops);
        if let Some((_, after)) = cut {
            state.dead = true;
            self.shared.died.notify_one();
            if after {
                let _nobody_learns = work(&mut state.model);
            }
            return Err(Errno::IO);
        }
        match state.faults.strike(op) {
            None => work(&mut state.model),
            Some(How::Refused(e)) => Err(e),
            Some(How::Short) => Err(Errno::AGAIN),
            Some(How::ReplyLost(e)) => {
                let _done = work(&mut state.model);
                Err(e)
            }
        }
    }
}

impl LossyFs {
    /// The mount point.
    pub fn path(&self) -> &Path {
        self.at.path()
    }

    /// A directory in it for a store.
    pub fn store_path(&self) -> PathBuf {
        self.path().join("store")
    }
}

impl Drop for LossyFs {
    fn drop(&mut self) {
        // Detached, so that it goes also while something is open; the session ends with its last user.
        let gone = rustix::mount::unmount(self.at.path(), rustix::mount::UnmountFlags::DETACH);
        if let (Ok(()), Some(session)) = (gone, self.session.take()) {
            let _ended = session.guard.join();
        }
    }
}

/// Why no such file system can be mounted here.
pub fn unavailable() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("mounting a FUSE file system needs root".into());
    }
    Disk::new().mount(Caching::default()).err().map(|e| format!("no FUSE file system can be mounted: {e}"))
}
