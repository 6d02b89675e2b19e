//! The rules of leases and state: pure, total, deterministic.

mod events;
pub mod invariants;
mod machine;
mod request;

pub use events::{Look, events};
pub use machine::{Step, held, step};
pub use request::{Acquire, Admit, Break, Change, Expire, Knock, Outcome, Refusal, Release, Renew, Request, Update};
