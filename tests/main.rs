//! All integration tests: one binary, one link.

mod service;
mod sim;
mod support;
