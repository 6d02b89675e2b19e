//! The rules of leases and state: pure, total, deterministic.

pub mod invariants;
mod machine;
mod request;

pub use machine::{Step, held, step};
pub use request::{Acquire, Break, Change, Expire, Outcome, Refusal, Release, Renew, Request, Update};
