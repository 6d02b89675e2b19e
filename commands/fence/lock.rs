//! A lock on a resource, for the effects of one user on one host: `flock(2)` on a file in a private directory.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::time::Duration;

use lockd::error::{Error, ErrorKind, Result};
use lockd::limits::POLL_FIRST;
use lockd::model::Key;
use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, FdFlags, fcntl_setfd, retry_on_intr};

use super::super::context::Context;
use super::super::target;
use super::unlockable;

/// A lock that is held while its file is open, here or in the command.
pub struct Lock(File);

impl Lock {
    /// The command that this process becomes goes on holding the lock, and so does what it starts.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn leave_to_command(self) -> Result<()> {
        fcntl_setfd(&self.0, FdFlags::empty()).map_err(|e| unlockable("leave it to the command", &e.into()))?;
        // Closing it here would give the lock up.
        let _kept = std::os::fd::IntoRawFd::into_raw_fd(self.0);
        Ok(())
    }
}

/// Takes the lock. `wait` is `None` for ever, zero not at all.
///
/// # Errors
/// `Busy` when the wait ran out; when the file cannot be made.
pub async fn take(context: &Context, resource: &Key, wait: Option<Duration>) -> Result<Lock> {
    let file = open(context, resource)?;
    let clock = &*context.clock;
    let until = wait.map(|wait| clock.boot() + wait);
    let mut said = false;
    loop {
        match retry_on_intr(|| flock(&file, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => return Ok(Lock(file)),
            Err(Errno::WOULDBLOCK) => {}
            Err(e) => return Err(unlockable("flock", &e.into())),
        }
        if until.is_some_and(|until| clock.boot() >= until) {
            return Err(Error::new(ErrorKind::Busy, format!("another effect on {resource} is under way on this host"))
                .with_hint("wait for it with -w"));
        }
        if !said {
            context.voice.note(&format!("waiting for another effect on {resource} on this host"));
            said = true;
        }
        if until.is_none() {
            // The kernel keeps the order of those who wait.
            retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))
                .map_err(|e| unlockable("flock", &e.into()))?;
            return Ok(Lock(file));
        }
        clock.sleep(POLL_FIRST).await;
    }
}

/// The resource is one of this host, whichever way its mark is reached: through a store or a server.
fn open(context: &Context, resource: &Key) -> Result<File> {
    let root = rustix::process::geteuid().is_root();
    let dir = target::notes_directory(&context.environment, root)
        .ok_or_else(|| unlockable("there is no directory for it", &io::ErrorKind::NotFound.into()))?;
    let dir = dir.join("fence");
    DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(|e| unlockable(&dir.to_string_lossy(), &e))?;
    // Never removed: who has it open and who makes it anew would each hold a lock.
    let path = dir.join(resource.hash().hex());
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&path)
        .map_err(|e| unlockable(&path.to_string_lossy(), &e))
}
