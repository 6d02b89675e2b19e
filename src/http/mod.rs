//! HTTP: what a server and its clients say to each other.
//!
//! - [`wire`]: the requests, the answers, and how they stand for the types of [`crate::service`] and [`crate::error`].
//! - `server` (with the feature of that name): the server.

#[cfg(feature = "server")]
pub mod server;
pub mod wire;
