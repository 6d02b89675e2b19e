//! HTTP: what a server and its clients say to each other.
//!
//! - [`wire`]: the requests, the answers, and how they stand for the types of [`crate::service`] and [`crate::error`].

pub mod wire;
