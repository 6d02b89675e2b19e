//! All integration tests: one binary, one link.

mod lease;
mod models;
mod service;
mod store;
mod support;
