//! That a peer has hung up, also behind bytes of it that nobody has read yet: hyper looks for the end of an HTTP/1 connection only
//! while it has nothing else to read from it.

use std::future::pending;
use std::io;
use std::os::fd::AsFd;

use tokio::io::Interest;
use tokio::net::unix::pipe;
use tokio::sync::watch;

use super::line::Socket;

/// A second handle on a socket, only to look out for its end.
#[derive(Debug)]
pub enum HangUp {
    /// tokio's pipe stands for any descriptor whose readiness is waited for, without unsafe code.
    Kernel(pipe::Receiver),
    /// What is no socket of the kernel tells it by itself.
    Other(watch::Receiver<bool>),
}

impl HangUp {
    /// Of this socket, which stays open as long as this is kept.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn of(socket: &Socket) -> io::Result<Self> {
        let socket = match socket {
            Socket::Tcp(stream) => stream.as_fd(),
            Socket::Unix(stream) => stream.as_fd(),
            Socket::Other(stream) => return Ok(Self::Other(stream.hung_up())),
        };
        pipe::Receiver::from_owned_fd_unchecked(socket.try_clone_to_owned()?).map(Self::Kernel)
    }

    /// Returns once the peer will send nothing more, or the connection is broken. What it has sent before stays where it is.
    pub async fn heard(&self) {
        let handle = match self {
            Self::Kernel(handle) => handle,
            Self::Other(told) => {
                let mut told = told.clone();
                let _told_or_closed = told.wait_for(|hung_up| *hung_up).await;
                return;
            }
        };
        while let Ok(ready) = handle.ready(Interest::READABLE).await {
            if ready.is_read_closed() {
                return;
            }
            // Takes no byte: those are for others, and only the next change is news. An end stays.
            let _not_now = handle.try_io(|| Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        }
        // The runtime ends.
        pending().await
    }
}
