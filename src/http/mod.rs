//! HTTP: what a server and its clients say to each other.
//!
//! - [`wire`]: the requests, the answers, and how they stand for the types of [`crate::service`] and [`crate::error`].
//! - `client` (with the features `ureq` or `hyper`): leases and state over servers.
//! - `server` (with the feature of that name): the server.
//! - `network` (with the features `server` or `hyper`): what may stand in for the kernel's sockets.

#[cfg(any(feature = "ureq", feature = "hyper"))]
pub mod client;
#[cfg(any(feature = "server", feature = "hyper"))]
pub mod network;
#[cfg(feature = "server")]
pub mod server;
pub mod wire;
