//! Where a server listens: TCP addresses and unix sockets.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::error::{Error, ErrorKind, Result};
use crate::http::network::Listen;
use crate::limits::LISTEN_BACKLOG;

/// An address to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket, of mode 0600.
    Unix(PathBuf),
}

impl Address {
    /// Reads `ADDR:PORT` or `unix:///path`. A name is looked up, and the first address that it has is taken.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = |why: &str| {
            Err(Error::new(ErrorKind::Usage, format!("cannot listen at {text:?}: {why}"))
                .with_hint("write 127.0.0.1:9341, [::1]:9341 or unix:///run/lockd/lockd.sock"))
        };
        if let Some(path) = text.strip_prefix("unix://") {
            return match path.starts_with('/') {
                true => Ok(Self::Unix(path.into())),
                false => refused("the path is not absolute"),
            };
        }
        if text.contains('/') {
            return refused("it is no address with a port");
        }
        match text.to_socket_addrs().map(|mut found| found.next()) {
            Ok(Some(address)) => Ok(Self::Tcp(address)),
            Ok(None) => refused("the name has no address"),
            Err(e) => refused(&e.to_string()),
        }
    }

    /// Whether only this host can reach it.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Listens there.
    ///
    /// # Errors
    /// What the kernel says; that another server listens there already.
    pub async fn bind(&self) -> Result<Listener> {
        match self {
            Self::Tcp(address) => {
                let what = format!("listen at {address}");
                let listener = tcp(*address).map_err(|e| Error::io(&what, &e))?;
                Ok(Listener::Tcp(listener))
            }
            Self::Unix(path) => unix(path).await,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// A socket that listens.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket; its name goes when this is dropped, if it still is its own.
    Unix(UnixListener, SocketName),
    /// Not a socket of the kernel.
    Other(Box<dyn Listen>),
}

impl Listener {
    /// Where it listens: the port that the kernel chose when 0 was asked for.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn address(&self) -> Result<Address> {
        match self {
            Self::Tcp(listener) => {
                Ok(Address::Tcp(listener.local_addr().map_err(|e| Error::io("ask for the own address", &e))?))
            }
            Self::Unix(_, name) => Ok(Address::Unix(name.path.clone())),
            Self::Other(listener) => Ok(Address::Tcp(listener.address())),
        }
    }
}

/// The name of a unix socket in the file system.
#[derive(Debug)]
pub struct SocketName {
    path: PathBuf,
    /// Device and inode.
    file: (u64, u64),
}

impl Drop for SocketName {
    fn drop(&mut self) {
        if file_of(&self.path).is_some_and(|file| file == self.file) {
            let _left_as_stale = std::fs::remove_file(&self.path);
        }
    }
}

fn file_of(path: &Path) -> Option<(u64, u64)> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

fn tcp(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A socket that nobody answers at any more is in the way after a crash: it is removed, but only when a connection is refused.
async fn unix(path: &Path) -> Result<Listener> {
    let what = format!("listen at unix://{}", path.display());
    match bound(path) {
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {}
        bound => return bound.map_err(|e| Error::io(&what, &e)),
    }
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    let refused = |e: &std::io::Error| e.kind() == std::io::ErrorKind::ConnectionRefused;
    match UnixStream::connect(path).await {
        Err(e) if is_socket && refused(&e) => {}
        _ => {
            return Err(Error::new(ErrorKind::CannotCreate, format!("{what}: something is there already"))
                .with_hint("another server listens there, or it is no socket; choose another path or stop it"));
        }
    }
    std::fs::remove_file(path).map_err(|e| Error::io(format_args!("remove the stale {}", path.display()), &e))?;
    bound(path).map_err(|e| Error::io(&what, &e))
}

/// The mode is set before the name is there: a socket's inode gets its mode from the descriptor that is bound.
fn bound(path: &Path) -> std::io::Result<Listener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    rustix::fs::fchmod(socket.as_fd(), Mode::RUSR | Mode::WUSR)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = file_of(path).ok_or(std::io::ErrorKind::NotFound)?;
    let name = SocketName { path: path.to_owned(), file };
    socket.listen(LISTEN_BACKLOG)?;
    Ok(Listener::Unix(UnixListener::from_std(socket.into())?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let local = |text: &str| Address::parse(text).unwrap().is_local();
        assert!(local("127.0.0.1:9341") && local("[::1]:0") && local("unix:///run/lockd.sock"));
        assert!(!local("0.0.0.0:9341") && !local("[::]:9341") && !local("192.0.2.1:1"));
        for bad in ["", "9341", "127.0.0.1", "unix://relative", "http://127.0.0.1:9341", "127.0.0.1:99999"] {
            assert_eq!(Address::parse(bad).unwrap_err().kind(), ErrorKind::Usage, "{bad:?}");
        }
    }
}
