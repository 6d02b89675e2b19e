//! All integration tests: one binary, one link.

mod cli;
mod lease;
mod models;
mod service;
mod sim;
mod store;
mod support;
mod tidy;
