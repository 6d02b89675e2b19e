//! All integration tests: one binary, one link.

#[cfg(target_os = "linux")]
mod faults;
mod lease;
mod models;
mod service;
mod support;
