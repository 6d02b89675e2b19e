//! The file-system seam: one method is one step on the file system, so that the protocol above it can be run system call by
//! system call, with crashes and loss of power between any two, against a file system that a simulation makes up.
//!
//! The protocol is generic over [`Fs`] and never blocks or spawns by itself: [`Fs::run`] takes a whole store operation.
//! Names are relative to an open directory, and every directory is opened again by path for each operation.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
pub use rustix::io::Errno;

use crate::platform::inotify::Watch;

/// What `fstat(2)` says of a file, as far as lockd asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Device and inode number.
    pub inode: (u64, u64),
    /// Length in bytes.
    pub len: u64,
    /// Link count.
    pub links: u64,
    /// Time of the last change of content, since the Unix epoch, by the clock of whoever keeps the file system.
    pub modified: Duration,
    /// Time of the last change of the inode.
    pub changed: Duration,
}

/// A whole small file, as one open saw it.
#[derive(Clone, Debug)]
pub struct Whole {
    /// Its content.
    pub bytes: Bytes,
    /// Its attributes, taken after the open and before the read.
    pub stat: Stat,
}

/// A file system, below one root directory. Symbolic links are never followed below the root.
pub trait Fs: Send + Sync + fmt::Debug + 'static {
    /// An open directory.
    type Dir: Send + Sync + 'static;
    /// An open file.
    type File: Send + Sync + 'static;

    /// Opens the root by its path.
    fn open_root(&self) -> impl Future<Output = Result<Self::Dir, Errno>> + Send;
    /// Opens a directory below `at`; `path` may have several segments.
    fn open_dir(&self, at: &Self::Dir, path: &str) -> impl Future<Output = Result<Self::Dir, Errno>> + Send;
    /// Makes one directory. `EXIST` when the name is taken.
    fn make_dir(&self, at: &Self::Dir, name: &str) -> impl Future<Output = Result<(), Errno>> + Send;
    /// The names in a directory, without `.` and `..`; not atomic, as `readdir(3)` is not.
    fn list(&self, dir: &Self::Dir) -> impl Future<Output = Result<Vec<String>, Errno>> + Send;
    /// Makes the directory's entries durable (`fsync(2)`).
    fn sync_dir(&self, dir: &Self::Dir) -> impl Future<Output = Result<(), Errno>> + Send;

    /// Makes a new file for writing. `EXIST` when the name is taken.
    fn create(&self, dir: &Self::Dir, name: &str) -> impl Future<Output = Result<Self::File, Errno>> + Send;
    /// Opens a file for writing in place and makes it when it is missing; never cuts it.
    fn open_or_create(&self, dir: &Self::Dir, name: &str) -> impl Future<Output = Result<Self::File, Errno>> + Send;
    /// Opens a file for reading.
    fn open(&self, dir: &Self::Dir, name: &str) -> impl Future<Output = Result<Self::File, Errno>> + Send;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, file: &Self::File, bytes: &[u8], offset: u64) -> impl Future<Output = Result<(), Errno>> + Send;
    /// Reads up to `len` bytes at `offset`; fewer only at the end of the file.
    fn read_at(&self, file: &Self::File, offset: u64, len: usize) -> impl Future<Output = Result<Bytes, Errno>> + Send;
    /// Has the kernel begin to write a part of a file to the disk. Promises nothing, and changes nothing but when that is done.
    fn write_back(&self, file: &Self::File, offset: u64, len: u64) {
        let _ = (file, offset, len);
    }
    /// Makes content and length durable (`fdatasync(2)`). After a failure nothing may be tried again on this file.
    fn sync_data(&self, file: &Self::File) -> impl Future<Output = Result<(), Errno>> + Send;
    /// Makes the file durable with its attributes (`fsync(2)`).
    fn sync_file(&self, file: &Self::File) -> impl Future<Output = Result<(), Errno>> + Send;
    /// Attributes of an open file.
    fn file_stat(&self, file: &Self::File) -> impl Future<Output = Result<Stat, Errno>> + Send;

    /// Opens and reads a whole file; `FBIG` when it is longer than `limit` bytes.
    fn read(&self, dir: &Self::Dir, name: &str, limit: usize) -> impl Future<Output = Result<Whole, Errno>> + Send;
    /// Opens a file only for its attributes: on NFS an open asks the server, a bare `stat(2)` may not.
    fn stat(&self, dir: &Self::Dir, name: &str) -> impl Future<Output = Result<Stat, Errno>> + Send;
    /// Gives a file a second name in the same directory. `EXIST` when it is taken; on NFS an error may hide success.
    fn link(&self, dir: &Self::Dir, from: &str, to: &str) -> impl Future<Output = Result<(), Errno>> + Send;
    /// Removes a name.
    fn unlink(&self, dir: &Self::Dir, name: &str) -> impl Future<Output = Result<(), Errno>> + Send;

    /// Makes a file at least `len` bytes long, with room on the disk for all of it. `OPNOTSUPP` where that cannot be done.
    fn hold_room(&self, dir: &Self::Dir, name: &str, len: u64) -> impl Future<Output = Result<(), Errno>> + Send {
        let _ = (dir, name, len);
        std::future::ready(Err(Errno::OPNOTSUPP))
    }
    /// Cuts up to `by` bytes off the end of a file.
    fn give_room(&self, dir: &Self::Dir, name: &str, by: u64) -> impl Future<Output = Result<(), Errno>> + Send {
        let _ = (dir, name, by);
        std::future::ready(Err(Errno::OPNOTSUPP))
    }
    /// Bytes that may still be written.
    fn free(&self, dir: &Self::Dir) -> impl Future<Output = Result<u64, Errno>> + Send {
        let _ = dir;
        std::future::ready(Err(Errno::OPNOTSUPP))
    }

    /// Runs an operation of several steps to its end, even when the returned future is dropped. `None` when it was lost:
    /// then it may have run in part.
    fn run<T: Send + 'static>(
        &self,
        op: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = Option<T>> + Send;
    /// Starts an operation that nobody waits for.
    fn detach(&self, op: impl Future<Output = ()> + Send + 'static);

    /// Watches a directory below the root for new names; `None` where that cannot be done or would miss other hosts.
    fn watch(&self, path: &str) -> Option<Watch>;
}
