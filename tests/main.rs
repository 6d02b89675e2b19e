//! The one integration-test target of lockd.

mod models;
mod support;
