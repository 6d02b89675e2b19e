//! One process at a time: a lock that the kernel gives back when its holder dies, in a file that says who has it. The file also
//! says whether the last one closed the store well; anything but that word, no file included, means that it did not.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::clock::{Clock, UnixMillis};
use crate::error::{Error, ErrorKind, Result};

/// The file's name in the store's directory.
pub const LOCK: &str = "lock";

const CLOSED: &[u8] = b"closed\n";

/// Who has the store, for people.
#[derive(Serialize, Deserialize)]
struct Holder {
    pid: u32,
    /// By the wall clock.
    since: u64,
}

/// The right to use a store.
#[derive(Debug)]
pub struct Owner {
    file: File,
    /// Whether the one before closed the store well.
    pub found_closed: bool,
}

impl Owner {
    /// Takes the store.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when another process has it, naming that; those of the file system.
    pub fn take(dir: &Path, clock: &dyn Clock) -> Result<Self> {
        let what = |e: std::io::Error| Error::io(format_args!("lock the store with the file {LOCK:?}"), &e);
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(dir.join(LOCK))
            .map_err(what)?;
        let now = clock.wall();
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken(&text(&mut file).map_err(what)?, now)),
            Err(TryLockError::Error(e)) => return Err(what(e)),
        }
        let found_closed = text(&mut file).map_err(what)? == CLOSED;
        let mut owner = Self { file, found_closed };
        let holder = Holder { pid: std::process::id(), since: now.0 };
        let holder = serde_json::to_vec(&holder).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
        // Durable before anything of the store is touched: from here on it is not closed well.
        owner.write(&holder).map_err(what)?;
        Ok(owner)
    }

    fn write(&mut self, text: &[u8]) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(text)?;
        self.file.set_len(text.len() as u64)?;
        self.file.sync_data()
    }

    /// Says that all is on the disk. Without that the next one looks closer, and finds the same.
    pub fn closed_well(&mut self) {
        let _looked_closer_at = self.write(CLOSED);
    }
}

/// The file is closed after this; but the lock would last as long as a copy of its descriptor, such as a child that was forked at
/// this moment has until it becomes another program.
impl Drop for Owner {
    fn drop(&mut self) {
        let _closed_anyway = self.file.unlock();
    }
}

fn text(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    // No more than what lockd writes there, whatever it is.
    file.take(4_096).read_to_end(&mut text)?;
    Ok(text)
}

fn taken(text: &[u8], now: UnixMillis) -> Error {
    let who = match serde_json::from_slice::<Holder>(text) {
        Ok(holder) => {
            let seconds = now.0.saturating_sub(holder.since) / 1_000;
            format!("process {} has it open, for {seconds} s now", holder.pid)
        }
        // It has only just begun, or is about to end.
        Err(_) => "another process has it open".to_owned(),
    };
    Error::new(ErrorKind::Unavailable, format!("one process at a time uses this store, and {who}"))
        .with_hint("run `lockd serve` on it, and name that with --server")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn who_gives_a_store_up_is_not_outlived_by_a_copy_of_the_descriptor() {
        let dir = tempfile::tempdir().unwrap();
        let take = || Owner::take(dir.path(), &SystemClock);
        let mut owner = take().unwrap();
        assert_eq!(take().unwrap_err().kind(), ErrorKind::Unavailable);
        let copy = owner.file.try_clone().unwrap();
        owner.closed_well();
        drop(owner);
        assert!(take().unwrap().found_closed);
        drop(copy);
        assert!(!take().unwrap().found_closed, "the last one did not close it well");
    }
}
