//! The network seam: what stands in for the kernel's sockets in a simulation. Without it a server listens, and a client connects,
//! through the kernel.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// A connection.
pub trait Stream: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin {
    /// Turns true, or closes, once the peer will send nothing more or the connection is broken, also behind bytes that nobody has
    /// read yet.
    fn hung_up(&self) -> watch::Receiver<bool>;
}

/// What takes connections in.
#[async_trait]
pub trait Listen: fmt::Debug + Send + Sync {
    /// Where it listens.
    fn address(&self) -> SocketAddr;

    /// The next connection, and who is at its other end.
    ///
    /// # Errors
    /// That there is none this time; it is asked again after a pause.
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, SocketAddr)>;
}

/// What makes connections.
#[async_trait]
pub trait Dial: fmt::Debug + Send + Sync {
    /// A connection to this host, a name or an address, at this port.
    ///
    /// # Errors
    /// Why there is none.
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>>;
}
