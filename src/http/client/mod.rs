//! The client of servers: [`crate::service::LeaseService`] over HTTP.
//!
//! - `transport`: what carries requests. `blocking` (ureq) and `nonblocking` (hyper) do it.
//! - `attempts`: several servers of one store are tried in turn, with the same ids; what may be said after that.
//! - `calls`: the calls. `upload`, `download`: states on their way. `following`: listings and watches.
//!   `for_update`: leases that come with their state.
//!
//! Nothing is read from the environment: no proxy is asked.

mod address;
mod attempts;
#[cfg(feature = "ureq")]
mod blocking;
mod calls;
mod download;
mod following;
mod for_update;
#[cfg(feature = "hyper")]
mod nonblocking;
mod transport;
mod upload;
mod versions;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::clock::Clock;
use versions::Versions;

pub use address::{Address, PORT};
#[cfg(feature = "ureq")]
pub use blocking::Blocking;
#[cfg(feature = "hyper")]
pub use nonblocking::Nonblocking;
pub use transport::{Body, Failure, Head, Reply, Wire};

/// Leases and state over servers of one store.
pub struct HttpClient {
    wire: Box<dyn Wire>,
    servers: Vec<Address>,
    /// The server that answered last.
    preferred: AtomicUsize,
    clock: Arc<dyn Clock>,
    versions: Versions,
}

impl HttpClient {
    /// A client of these servers. Nothing is sent yet.
    #[must_use]
    pub fn new(servers: Vec<Address>, wire: Box<dyn Wire>, clock: Arc<dyn Clock>) -> Self {
        Self { wire, servers, preferred: AtomicUsize::new(0), clock, versions: Versions::default() }
    }

    /// The servers.
    #[must_use]
    pub fn servers(&self) -> &[Address] {
        &self.servers
    }
}

/// How this client calls itself.
const USER_AGENT: &str = concat!("lockd/", env!("CARGO_PKG_VERSION"));
