//! All integration tests: one binary, one link.

mod cli;
#[cfg(target_os = "linux")]
mod faults;
mod fuzzing;
mod history;
mod lease;
mod models;
#[cfg(all(feature = "s3", feature = "azure"))]
mod objects;
mod server;
mod service;
mod sim;
mod store;
mod support;
mod tidy;
