//! Connections to one server, over TCP or a unix socket, for ureq.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustix::net::sockopt;
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, ShutdownHandle, Transport,
};

use super::Address;
use crate::limits::{CONNECT_PATIENCE, STREAM_BEAT};

/// Connects to one server, whatever the URI says.
#[derive(Clone, Debug)]
pub struct Dial {
    to: Address,
    refused: Arc<Mutex<Option<String>>>,
}

impl Dial {
    /// To this server.
    pub fn new(to: Address) -> Self {
        Self { to, refused: Arc::default() }
    }

    /// Forgets what happened before.
    pub fn forget(&self) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Why there was no connection; then nothing was sent.
    pub fn refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn open(&self) -> io::Result<Socket> {
        match &self.to {
            Address::Unix(path) => Ok(Socket::Unix(UnixStream::connect(path)?)),
            Address::Tcp { host, port } => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                for address in (host, *port).to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, CONNECT_PATIENCE) {
                        Ok(stream) => return Self::prepared(stream),
                        Err(e) => last = e,
                    }
                }
                Err(last)
            }
        }
    }

    /// Small messages leave at once, and the kernel finds out when the other host is gone.
    fn prepared(stream: TcpStream) -> io::Result<Socket> {
        stream.set_nodelay(true)?;
        sockopt::set_socket_keepalive(&stream, true)?;
        sockopt::set_tcp_keepidle(&stream, STREAM_BEAT)?;
        sockopt::set_tcp_keepintvl(&stream, CONNECT_PATIENCE)?;
        sockopt::set_tcp_keepcnt(&stream, 3)?;
        Ok(Socket::Tcp(stream))
    }
}

impl Connector for Dial {
    type Out = Line;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Line>, Error> {
        let opened = self.open().map_err(|e| {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("cannot connect: {e}"));
            e
        })?;
        let socket = Arc::new(opened);
        let handle: Weak<dyn ShutdownHandle> = Arc::downgrade(&(Arc::clone(&socket) as Arc<dyn ShutdownHandle>));
        (details.register_shutdown)(handle)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Line { socket, buffers }))
    }
}

/// ureq asks for addresses before it asks for a connection; [`Dial`] needs none.
#[derive(Debug)]
pub struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).read(buf),
            Self::Unix(stream) => (&*stream).read(buf),
        }
    }

    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => (&*stream).write_all(bytes),
            Self::Unix(stream) => (&*stream).write_all(bytes),
        }
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(timeout),
            Self::Unix(stream) => stream.set_read_timeout(timeout),
        }
    }

    /// Whether nothing has come and the other side has not closed it.
    fn is_silent(&self) -> io::Result<bool> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [match self {
            Self::Tcp(stream) => PollFd::new(stream, PollFlags::IN),
            Self::Unix(stream) => PollFd::new(stream, PollFlags::IN),
        }];
        Ok(poll(&mut fds, Some(&Timespec::default()))? == 0)
    }
}

impl ShutdownHandle for Socket {
    fn shutdown(&self) {
        let _closed_already = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

/// A connection.
pub struct Line {
    socket: Arc<Socket>,
    buffers: LazyBuffers,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}

impl Transport for Line {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    /// How long all may take is decided by who waits for the thread, and ended by shutting the socket down.
    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        Ok(self.socket.write_all(&self.buffers.output()[..amount])?)
    }

    /// Only the wait for `100 Continue` has a limit here.
    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.socket.set_read_timeout(timeout.not_zero().map(|limit| *limit))?;
        loop {
            return match self.socket.read(self.buffers.input_append_buf()) {
                Ok(n) => {
                    self.buffers.input_appended(n);
                    Ok(n > 0)
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    Err(Error::Timeout(timeout.reason))
                }
                Err(e) => Err(e.into()),
            };
        }
    }

    fn is_open(&mut self) -> bool {
        self.socket.is_silent().unwrap_or(false)
    }
}
