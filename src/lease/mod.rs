//! The rules of leases and state: pure, total, deterministic.

mod events;
pub mod invariants;
mod machine;
mod parting;
mod request;

pub use events::{Look, events};
pub use machine::{Step, edited_before, held, step};
pub use parting::{Parting, end_of, parting};
pub use request::{Acquire, Admit, Break, Change, Expire, Knock, Outcome, Refusal, Release, Renew, Request, Update};
