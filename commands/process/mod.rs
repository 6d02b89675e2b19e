//! Processes: the guard between exec and its command, what they say to each other, and who descends from them.
//!
//! - [`guard`]: the guard process. [`work`]: the command it watches. [`schedule`]: when work must end.
//! - [`wire`]: the messages. [`link`]: exec's end of them. [`orphans`]: what exec does when the guard is dead.
//! - [`program`]: finding and becoming a program. [`family`]: descendants. [`terminal`]: the foreground.
//! - [`shell`]: whose life counts for a keeper. [`streams`]: letting go of the caller's.
//! - [`worker`]: this program once more, under orders.
//! - [`sys`]: all unsafe code of lockd.

mod family;
pub mod guard;
pub mod link;
pub mod orphans;
pub mod program;
mod schedule;
pub mod shell;
pub mod signals;
pub mod streams;
#[expect(unsafe_code, reason = "the one module for what the kernel offers and no safe library wraps")]
pub mod sys;
pub mod terminal;
pub mod wire;
mod work;
pub mod worker;

/// Names processes that cannot be ended.
pub fn stuck_message(left: &wire::Leftovers) -> String {
    let names: Vec<_> = left.named.iter().map(|p| format!("{} ({})", p.pid, p.name.escape_debug())).collect();
    let names = if names.is_empty() { "a process that /proc does not show".to_owned() } else { names.join(", ") };
    let more = if left.more == 0 { String::new() } else { format!(" and {} more", left.more) };
    format!("cannot end {names}{more}; the lease is not released and runs out by itself")
}
