//! All integration tests: one binary, one link.

mod lease;
mod models;
mod cli;
mod service;
mod sim;
mod store;
mod support;
