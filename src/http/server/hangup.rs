//! That a peer has hung up, also behind bytes of it that nobody has read yet: hyper looks for the end of an HTTP/1 connection only
//! while it has nothing else to read from it.

use std::future::pending;
use std::io;
use std::os::fd::AsFd;

use tokio::io::Interest;
use tokio::net::unix::pipe;

use super::line::Socket;

/// A second handle on a socket, only to look out for its end. tokio's pipe stands for any descriptor whose readiness is waited for,
/// without unsafe code.
#[derive(Debug)]
pub struct HangUp(pipe::Receiver);

impl HangUp {
    /// Of this socket, which stays open as long as this is kept.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn of(socket: &Socket) -> io::Result<Self> {
        let socket = match socket {
            Socket::Tcp(stream) => stream.as_fd(),
            Socket::Unix(stream) => stream.as_fd(),
        };
        pipe::Receiver::from_owned_fd_unchecked(socket.try_clone_to_owned()?).map(Self)
    }

    /// Returns once the peer will send nothing more, or the connection is broken. What it has sent before stays where it is.
    pub async fn heard(&self) {
        while let Ok(ready) = self.0.ready(Interest::READABLE).await {
            if ready.is_read_closed() {
                return;
            }
            // Takes no byte: those are for others, and only the next change is news. An end stays.
            let _not_now = self.0.try_io(|| Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        }
        // The runtime ends.
        pending().await
    }
}
