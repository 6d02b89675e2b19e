//! lockd: exclusive leases with fencing tokens, and atomic JSON state, over storage that you already have.
//!
//! # Map, in the order of dependency
//! - [`error`], [`limits`]: one error table; every bound.
//! - [`clock`], [`entropy`]: the seams through which time and randomness come in.
//! - [`platform`]: what only Linux can say: mounts, watching directories.
//! - [`model`]: keys, ids, leases, the record. Plain data.
//! - [`json`]: the state as sent, checked and compacted while it streams by.
//! - [`lease`]: the rules. `step` decides; pure, total, no input or output.
//! - [`store`]: where records and blobs are: two traits, their contract, and the stores.
//! - [`mutants`]: switches that break one rule at a time; off, unless a test turns one on.
//! - [`service`]: what can be asked for, whoever answers.
//! - [`engine`]: leases and state over a store, in this process: each key's queue, commit loop and hand-overs.
//! - `http` (with the feature of that name): the words of the HTTP API; the server; leases and state over servers.
//! - [`client`], [`connect`]: leases as objects over any service; from a URL to a service.
//!
//! The library never prints, exits, parses flags or reads the environment.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod client;
pub mod clock;
pub mod connect;
pub mod engine;
pub mod entropy;
pub mod error;
#[cfg(feature = "http")]
pub mod http;
pub mod json;
pub mod lease;
pub mod limits;
pub mod model;
pub mod mutants;
pub mod platform;
pub mod service;
pub mod store;
