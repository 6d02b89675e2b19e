//! What is measured: each suite is one or more works.

mod handoff;
mod lease;
mod raw;
mod update;

use std::sync::Arc;

use lockd::error::Result;
use lockd::limits::INLINE_BYTES;
use lockd::model::Key;

use super::load::Work;
use super::place::Place;

/// Bytes of a small state: it rides inside the record.
const SMALL: usize = 1024;
/// Bytes of a large state: a blob of its own.
const LARGE: usize = 5 * 1024 * 1024;
const _: () = assert!(SMALL <= INLINE_BYTES && INLINE_BYTES < LARGE);

/// A suite, by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Suite {
    /// Acquire and release, each client a key of its own
    Lease,
    /// Acquire, update and release, with a state of 1 KiB and of 5 MiB
    Update,
    /// All clients want one key: acquire and release
    Handoff,
    /// The store alone: replace a record, read it
    Raw,
}

impl Suite {
    /// Every suite, in the order in which they run.
    pub const ALL: [Self; 4] = [Self::Lease, Self::Update, Self::Handoff, Self::Raw];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::Update => "update",
            Self::Handoff => "handoff",
            Self::Raw => "raw",
        }
    }

    /// The names of its works.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Lease => &["lease"],
            Self::Update => &["update 1 KiB", "update 5 MiB"],
            Self::Handoff => &["handoff"],
            Self::Raw => &["raw put", "raw get"],
        }
    }

    /// Its works, with their names.
    ///
    /// # Errors
    /// When the name of a key cannot be made: a fault of lockd.
    pub fn works(self, place: &Place, clients: usize) -> Result<Vec<(&'static str, Arc<dyn Work>)>> {
        let works: Vec<Arc<dyn Work>> = match self {
            Self::Lease => vec![Arc::new(lease::Cycle::new(place, clients)?)],
            Self::Update => vec![
                Arc::new(update::Update::new(place, clients, SMALL)?),
                Arc::new(update::Update::new(place, clients, LARGE)?),
            ],
            Self::Handoff => vec![Arc::new(handoff::Handoff::new(place)?)],
            Self::Raw => vec![Arc::new(raw::Put::new(place, clients)?), Arc::new(raw::Get::new(place, clients)?)],
        };
        Ok(self.names().iter().copied().zip(works).collect())
    }
}

/// A key for each client.
fn keys(place: &Place, work: &str, clients: usize) -> Result<Vec<Key>> {
    (0..clients).map(|client| place.key(&format!("{work}/{client}"))).collect()
}
