//! The file system of this machine. Every step is one or a few system calls, done at once: the futures are ready when first
//! polled, and a whole operation is driven on one blocking thread.

use std::future::Future;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use rustix::fs::{Advice, AtFlags, CWD, Dir, FallocateFlags, FileType, Mode, OFlags};
use tokio::runtime::Handle;

use super::fs::{Errno, Fs, Stat, Whole};
use crate::platform::inotify::Watch;

const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK);

/// The file system of this machine, below a root directory.
#[derive(Debug)]
pub struct RealFs {
    root: PathBuf,
    shared: bool,
    watched: bool,
}

impl RealFs {
    /// Below `root`. With `shared` the group may do what the owner may (the root directory is group-writable); with `watched`
    /// inotify sees every writer.
    #[must_use]
    pub const fn new(root: PathBuf, shared: bool, watched: bool) -> Self {
        Self { root, shared, watched }
    }

    fn open_at(&self, dir: &OwnedFd, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let mode = if self.shared { 0o660 } else { 0o600 };
        let file =
            rustix::io::retry_on_intr(|| rustix::fs::openat(dir, name, flags.union(FILE), Mode::from_raw_mode(mode)))?;
        if self.shared && flags.contains(OFlags::CREATE) {
            // The umask may have taken the group's bits; only the owner can (and need) put them back.
            match rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)) {
                Ok(()) | Err(Errno::PERM) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(file)
    }
}

/// What `fstat(2)` says, as far as lockd asks. Nothing but a regular file is lockd's: `NXIO`.
fn stat_of(file: &OwnedFd) -> Result<Stat, Errno> {
    let stat = rustix::fs::fstat(file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Errno::NXIO);
    }
    let time = |secs: i64, nanos: u64| {
        Duration::new(u64::try_from(secs).unwrap_or(0), u32::try_from(nanos).unwrap_or(0).min(999_999_999))
    };
    Ok(Stat {
        inode: (stat.st_dev, stat.st_ino),
        len: u64::try_from(stat.st_size).unwrap_or(0),
        links: stat.st_nlink as _,
        modified: time(stat.st_mtime, stat.st_mtime_nsec),
        changed: time(stat.st_ctime, stat.st_ctime_nsec),
    })
}

fn read_some(file: &OwnedFd, offset: u64, len: usize) -> Result<Bytes, Errno> {
    let mut bytes = vec![0; len];
    let mut done = 0;
    while done < len {
        match rustix::io::pread(file, &mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(done);
    Ok(bytes.into())
}

impl Fs for RealFs {
    type Dir = OwnedFd;
    type File = OwnedFd;

    async fn open_root(&self) -> Result<OwnedFd, Errno> {
        rustix::io::retry_on_intr(|| rustix::fs::openat(CWD, &self.root, DIR, Mode::empty()))
    }

    async fn open_dir(&self, at: &OwnedFd, path: &str) -> Result<OwnedFd, Errno> {
        rustix::io::retry_on_intr(|| rustix::fs::openat(at, path, DIR.union(OFlags::NOFOLLOW), Mode::empty()))
    }

    async fn make_dir(&self, at: &OwnedFd, name: &str) -> Result<(), Errno> {
        rustix::fs::mkdirat(at, name, Mode::from_raw_mode(if self.shared { 0o770 } else { 0o700 }))?;
        if self.shared {
            // The umask may have taken the group's bits; a set-group-id bit was inherited and stays.
            let stat = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let mode = Mode::from_raw_mode((stat.st_mode & 0o7777) | 0o770);
            rustix::fs::chmodat(at, name, mode, AtFlags::empty())?;
        }
        Ok(())
    }

    async fn list(&self, dir: &OwnedFd) -> Result<Vec<String>, Errno> {
        let mut names = Vec::new();
        for entry in Dir::read_from(dir)? {
            let entry = entry?;
            // lockd's own names are ASCII; a foreign one is kept visible without being mistaken for one of them.
            let name = entry.file_name().to_string_lossy();
            if name != "." && name != ".." {
                names.push(name.into_owned());
            }
        }
        Ok(names)
    }

    async fn sync_dir(&self, dir: &OwnedFd) -> Result<(), Errno> {
        rustix::fs::fsync(dir)
    }

    async fn create(&self, dir: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
        self.open_at(dir, name, OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL))
    }

    async fn open_or_create(&self, dir: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
        self.open_at(dir, name, OFlags::WRONLY.union(OFlags::CREATE))
    }

    async fn open(&self, dir: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
        self.open_at(dir, name, OFlags::RDONLY)
    }

    async fn write_at(&self, file: &OwnedFd, bytes: &[u8], offset: u64) -> Result<(), Errno> {
        let mut done = 0;
        while done < bytes.len() {
            match rustix::io::pwrite(file, &bytes[done..], offset + done as u64) {
                Ok(0) => return Err(Errno::IO),
                Ok(n) => done += n,
                Err(Errno::INTR) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    async fn read_at(&self, file: &OwnedFd, offset: u64, len: usize) -> Result<Bytes, Errno> {
        read_some(file, offset, len)
    }

    /// For pages that are not written yet `POSIX_FADV_DONTNEED` begins to write them, and they stay (`mm/fadvise.c` in Linux).
    fn write_back(&self, file: &OwnedFd, offset: u64, len: u64) {
        let _advice = rustix::fs::fadvise(file, offset, NonZeroU64::new(len), Advice::DontNeed);
    }

    async fn sync_data(&self, file: &OwnedFd) -> Result<(), Errno> {
        rustix::fs::fdatasync(file)
    }

    async fn sync_file(&self, file: &OwnedFd) -> Result<(), Errno> {
        rustix::fs::fsync(file)
    }

    async fn file_stat(&self, file: &OwnedFd) -> Result<Stat, Errno> {
        stat_of(file)
    }

    async fn read(&self, dir: &OwnedFd, name: &str, limit: usize) -> Result<Whole, Errno> {
        let file = self.open_at(dir, name, OFlags::RDONLY)?;
        let stat = stat_of(&file)?;
        let len = usize::try_from(stat.len).ok().filter(|len| *len <= limit).ok_or(Errno::FBIG)?;
        Ok(Whole { bytes: read_some(&file, 0, len)?, stat })
    }

    async fn stat(&self, dir: &OwnedFd, name: &str) -> Result<Stat, Errno> {
        let file = self.open_at(dir, name, OFlags::RDONLY)?;
        stat_of(&file)
    }

    async fn link(&self, dir: &OwnedFd, from: &str, to: &str) -> Result<(), Errno> {
        rustix::fs::linkat(dir, from, dir, to, AtFlags::empty())
    }

    async fn unlink(&self, dir: &OwnedFd, name: &str) -> Result<(), Errno> {
        rustix::fs::unlinkat(dir, name, AtFlags::empty())
    }

    async fn hold_room(&self, dir: &OwnedFd, name: &str, len: u64) -> Result<(), Errno> {
        let file = self.open_at(dir, name, OFlags::WRONLY.union(OFlags::CREATE))?;
        rustix::io::retry_on_intr(|| rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, len))
    }

    async fn give_room(&self, dir: &OwnedFd, name: &str, by: u64) -> Result<(), Errno> {
        let file = self.open_at(dir, name, OFlags::WRONLY)?;
        let len = stat_of(&file)?.len;
        rustix::io::retry_on_intr(|| rustix::fs::ftruncate(&file, len.saturating_sub(by)))
    }

    async fn free(&self, dir: &OwnedFd) -> Result<u64, Errno> {
        let stat = rustix::fs::fstatvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    async fn run<T: Send + 'static>(&self, op: impl Future<Output = T> + Send + 'static) -> Option<T> {
        tokio::task::spawn_blocking(move || op.now_or_never()).await.ok().flatten()
    }

    fn detach(&self, op: impl Future<Output = ()> + Send + 'static) {
        match Handle::try_current() {
            Ok(handle) => drop(handle.spawn_blocking(move || op.now_or_never())),
            // Dropped outside a runtime: a few system calls, made here.
            Err(_) => drop(op.now_or_never()),
        }
    }

    fn watch(&self, path: &str) -> Option<Watch> {
        if self.watched { Watch::new(&self.root.join(path)).ok() } else { None }
    }
}
