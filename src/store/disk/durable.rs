//! What is durable: every sync of a directory goes through here. After one failed, nothing that this process believes of the
//! store can be trusted (the kernel forgets the error and a second sync succeeds, `fsync(2)`), so it refuses the store.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::fs::{Errno, Fs};
use super::io_error;
use super::layout::{FLOOR, Place};
use crate::error::{Error, ErrorKind, Result};
use crate::mutants::{Mutant, on};

/// See the module.
#[derive(Debug, Default)]
pub struct Durable {
    failed: OnceLock<String>,
    settled: Mutex<HashSet<String>>,
}

impl Durable {
    /// Whether the store may still be used.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] after a failed sync.
    pub fn check(&self) -> Result<()> {
        match self.failed.get().filter(|_| !on(Mutant::DistrustForgotten)) {
            None => Ok(()),
            Some(what) => {
                let message = format!("a sync failed earlier ({what}), so this process no longer uses the store");
                Err(Error::new(ErrorKind::Io, message)
                    .with_hint("look at the kernel's log and the disk, then start lockd again"))
            }
        }
    }

    /// Notes that a sync failed; the store is refused from now on.
    pub fn failed(&self, what: &str, error: Errno) -> Error {
        self.distrust(io_error(what, error))
    }

    /// Notes an error after which nothing is known to be durable; the store is refused from now on.
    pub fn distrust(&self, error: Error) -> Error {
        self.failed.get_or_init(|| error.message().to_owned());
        error.with_hint("this process no longer uses the store; look at the kernel's log, then start lockd again")
    }

    /// Makes a directory's entries durable.
    ///
    /// # Errors
    /// When that failed; see [`Durable::failed`].
    pub async fn sync_dir<F: Fs>(&self, fs: &F, dir: &F::Dir, path: &str) -> Result<()> {
        fs.sync_dir(dir).await.map_err(|e| self.failed(&format!("sync directory {path:?}"), e))
    }

    /// Makes a key's directory with all above it, and each of their names durable, whoever made them. Returns it open.
    ///
    /// # Errors
    /// When one cannot be made, opened or synced.
    pub async fn directories<F: Fs>(&self, fs: &F, root: F::Dir, place: &Place) -> Result<F::Dir> {
        let mut above = root;
        let mut path = String::new();
        for segment in &place.segments {
            let below = join(&path, segment);
            let parent = std::mem::replace(&mut path, below);
            match fs.make_dir(&above, segment).await {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(io_error(format!("make directory {path:?}"), e)),
            }
            if !self.settled().contains(&path) && !on(Mutant::ParentsNotSynced) {
                self.sync_dir(fs, &above, &parent).await?;
                self.note_settled(&path, place);
            }
            above = fs.open_dir(&above, segment).await.map_err(|e| io_error(format!("open {path:?}"), e))?;
        }
        Ok(above)
    }

    /// Makes a key's floor when it is missing, and it and its name durable, whoever made it.
    ///
    /// # Errors
    /// When it cannot be made or synced.
    pub async fn floor<F: Fs>(&self, fs: &F, dir: &F::Dir, path: &str) -> Result<()> {
        let what = format!("make {path}/{FLOOR}");
        let floor = fs.open_or_create(dir, FLOOR).await.map_err(|e| io_error(&what, e))?;
        fs.sync_file(&floor).await.map_err(|e| self.failed(&what, e))?;
        self.sync_dir(fs, dir, path).await
    }

    /// The upper two levels are few and never removed: their names are synced once by each process, not once per key.
    fn note_settled(&self, path: &str, place: &Place) {
        if !path.ends_with(&place.segments[2]) {
            self.settled().insert(path.to_owned());
        }
    }

    fn settled(&self) -> MutexGuard<'_, HashSet<String>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn join(path: &str, segment: &str) -> String {
    if path.is_empty() { segment.to_owned() } else { format!("{path}/{segment}") }
}
