//! What is measured: each suite is one or more works.

mod handoff;
mod lease;
mod raw;
mod scale;
mod stream;
mod update;

use std::sync::Arc;

use lockd::error::Result;
use lockd::limits::INLINE_BYTES;
use lockd::model::Key;

use super::crash::Crash;
use super::load::Work;
use super::place::Place;
use super::plan::Plan;
use update::Update;

/// Bytes of a state that is streamed: a blob of its own.
const HUGE: usize = 16 * 1024 * 1024;
const _: () = assert!(INLINE_BYTES < HUGE);

/// A suite, by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Suite {
    /// Acquire and release, each client a key of its own
    Lease,
    /// Acquire, update and release, with a small state and a large one
    Update,
    /// The same with a state of 16 MiB, sent and read back
    Stream,
    /// All clients want one key: acquire and release
    Handoff,
    /// Acquire and release among many keys
    Scale,
    /// The store alone: replace a record, read it; a large state up and down
    Raw,
    /// Processes that are killed at random, and what is lost by that
    Crash,
}

/// What is measured, and how its rows are called.
pub struct Named {
    /// The name.
    pub name: String,
    /// The work.
    pub work: Arc<dyn Work>,
}

impl Suite {
    /// Every suite, in the order in which they run.
    pub const ALL: [Self; 7] =
        [Self::Lease, Self::Update, Self::Stream, Self::Handoff, Self::Scale, Self::Raw, Self::Crash];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::Update => "update",
            Self::Stream => "stream",
            Self::Handoff => "handoff",
            Self::Scale => "scale",
            Self::Raw => "raw",
            Self::Crash => "crash",
        }
    }

    /// Whether other processes do the work.
    pub const fn is_in_processes(self) -> bool {
        matches!(self, Self::Crash)
    }

    /// How many works it has.
    pub fn count(self, plan: &Plan) -> usize {
        match self {
            Self::Lease | Self::Stream | Self::Handoff | Self::Crash => 1,
            Self::Update => plan.states.len(),
            Self::Raw => 2 + blobs(plan).count(),
            Self::Scale => plan.keys.len(),
        }
    }

    /// Its works.
    ///
    /// # Errors
    /// When the name of a key cannot be made: a fault of lockd.
    pub fn works(self, place: &Place, plan: &Plan, clients: usize) -> Result<Vec<Named>> {
        Ok(match self {
            Self::Lease => vec![named("lease", lease::Cycle::new(place, clients)?)],
            Self::Update => {
                let work = |bytes: &usize| {
                    Ok(named(format!("update {}", exact(*bytes)), Update::new(place, clients, *bytes)?))
                };
                plan.states.iter().map(work).collect::<Result<_>>()?
            }
            Self::Stream => vec![named("stream 16 MiB", stream::Stream::new(place, clients, HUGE)?)],
            Self::Handoff => vec![named("handoff", handoff::Handoff::new(place)?)],
            Self::Scale => {
                let work = |keys: &usize| named(format!("scale {keys}"), scale::Scale::new(place, clients, *keys));
                plan.keys.iter().map(work).collect()
            }
            Self::Crash => vec![named("crash", Crash::new(place, clients)?)],
            Self::Raw => {
                let put = named("raw put", raw::Put::new(place, clients)?);
                let mut all = vec![put, named("raw get", raw::Get::new(place, clients)?)];
                for bytes in blobs(plan) {
                    all.push(named(format!("raw {}", exact(bytes)), raw::Blob::new(place, clients, bytes)?));
                }
                all
            }
        })
    }
}

/// The states that are too large to be in a record.
fn blobs(plan: &Plan) -> impl Iterator<Item = usize> {
    plan.states.iter().copied().filter(|bytes| *bytes > INLINE_BYTES)
}

fn named(name: impl Into<String>, work: impl Work + 'static) -> Named {
    Named { name: name.into(), work: Arc::new(work) }
}

/// A size that was typed, as it was typed: `1 KiB`, `5 MiB`, `1000 B`.
fn exact(bytes: usize) -> String {
    match bytes {
        n if n % (1 << 20) == 0 => format!("{} MiB", n >> 20),
        n if n % (1 << 10) == 0 => format!("{} KiB", n >> 10),
        n => format!("{n} B"),
    }
}

/// A key for each client.
fn keys(place: &Place, work: &str, clients: usize) -> Result<Vec<Key>> {
    (0..clients).map(|client| place.key(&format!("{work}/{client}"))).collect()
}
