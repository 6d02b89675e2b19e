//! HTTP: what a server and its clients say to each other.
//!
//! - [`wire`]: the requests, the answers, and how they stand for the types of [`crate::service`] and [`crate::error`].
//! - [`client`] (with the features `ureq` or `hyper`): leases and state over servers.

#[cfg(any(feature = "ureq", feature = "hyper"))]
pub mod client;
pub mod wire;
