//! All integration tests: one binary, one link.

mod lease;
mod service;
mod support;
