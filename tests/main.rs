//! All integration tests: one binary, one link.

mod store;
mod support;
