//! Watching a directory for new names (`inotify(7)`), without a thread and without unsafe code.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use tokio::net::unix::pipe;

/// A watch on one directory.
#[derive(Debug)]
pub struct Watch {
    events: pipe::Receiver,
}

impl Watch {
    /// Watches a directory: for new names in it, and for its own end.
    ///
    /// # Errors
    /// `NotFound` when it is not there; `Other` and the like when the user's limit of inotify instances or watches is reached.
    pub fn new(dir: &Path) -> io::Result<Self> {
        let fd = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let what = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        add_watch(&fd, dir, what | WatchFlags::ONLYDIR)?;
        // An inotify descriptor is read like a pipe; this door to tokio's readiness needs no unsafe code.
        let events = pipe::Receiver::from_owned_fd_unchecked(fd)?;
        Ok(Self { events })
    }

    /// Waits until a name that `wanted` accepts has appeared, or the directory itself is gone, or the kernel lost count.
    /// Cancel-safe: an event that was not reported stays in the queue.
    ///
    /// # Errors
    /// When the descriptor cannot be read.
    pub async fn appeared(&self, wanted: impl Fn(&[u8]) -> bool + Send) -> io::Result<()> {
        loop {
            self.events.readable().await?;
            match self.events.try_io(|| self.drain(&wanted)) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Reads what is queued, up to one full buffer; whether any of it counts.
    fn drain(&self, wanted: &impl Fn(&[u8]) -> bool) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(self.events.as_fd(), &mut buffer);
        let mut counts = false;
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(rustix::io::Errno::INTR) => continue,
                // The queue is empty: only now may readiness be waited for again.
                Err(rustix::io::Errno::AGAIN) if counts => return Ok(true),
                Err(e) => return Err(e.into()),
            };
            let new = event.events().intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
            counts |= !new || event.file_name().is_some_and(|name| wanted(name.to_bytes()));
        }
    }
}
