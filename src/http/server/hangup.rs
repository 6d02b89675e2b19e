//! That a peer has hung up, also behind bytes of it that nobody has read yet: hyper looks for the end of an HTTP/1 connection only
//! while it has nothing else to read from it.

use std::future::pending;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use tokio::io::{Interest, Ready};
use tokio::net::{TcpStream, UnixStream};

use super::line::Socket;

/// A second handle on a socket, only to look out for its end.
#[derive(Debug)]
pub enum HangUp {
    Tcp(OwnedFd),
    Unix(OwnedFd),
}

impl HangUp {
    /// Of this socket, which stays open as long as this is kept.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn of(socket: &Socket) -> io::Result<Self> {
        match socket {
            Socket::Tcp(stream) => stream.as_fd().try_clone_to_owned().map(Self::Tcp),
            Socket::Unix(stream) => stream.as_fd().try_clone_to_owned().map(Self::Unix),
        }
    }

    /// Returns once the peer will send nothing more, or the connection is broken. What it has sent before stays where it is.
    pub async fn heard(&self) {
        if self.ended().await.is_err() {
            // Without a handle more, only what is read and written tells.
            pending().await
        }
    }

    /// A handle of its own for each look-out: the kernel reports the present state to it first, then each change.
    async fn ended(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => {
                let stream = TcpStream::from_std(socket.try_clone()?.into())?;
                while !is_over(stream.ready(Interest::READABLE).await?) {
                    let _only_the_next_change_is_news = stream.try_io(Interest::READABLE, not_now);
                }
            }
            Self::Unix(socket) => {
                let stream = UnixStream::from_std(socket.try_clone()?.into())?;
                while !is_over(stream.ready(Interest::READABLE).await?) {
                    let _only_the_next_change_is_news = stream.try_io(Interest::READABLE, not_now);
                }
            }
        }
        Ok(())
    }
}

fn is_over(ready: Ready) -> bool {
    ready.is_read_closed()
}

/// Takes no byte, and lets tokio wait for more of them.
fn not_now() -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}
