//! For every mutation a world that is large enough to show why the rule is there.

use super::state::Left;
use super::with;
use super::world::{Mutation, World};

const BELIEVE: &str = "no two holders believe at once";
const FAILED: &str = "what was reported failed is never applied";
const TWICE: &str = "no update is applied twice";
const ENDED: &str = "an ended lease id is never granted again";
const BLOB: &str = "a blob that the record names exists";
const VERSION: &str = "a version never names two states";

/// The world, and the properties of which one must be seen to break in it.
pub fn world_that_shows(mutation: Mutation) -> (World, &'static [&'static str]) {
    let (world, expected) = match mutation {
        Mutation::DeadlineAtResponse
        | Mutation::ObserveAtSend
        | Mutation::BelieveDuringRelease
        | Mutation::TakeoverAtOnce => time(mutation),
        Mutation::CollectorIgnoresToken | Mutation::UnknownDeletesBlob => blobs(mutation),
        Mutation::DeleteOnRelease | Mutation::EndedIdGrantedAgain | Mutation::EndedIdsOverrun => {
            memory_of_leases(mutation)
        }
        Mutation::UpdateSteppedAgain
        | Mutation::DoneOverrun
        | Mutation::WriteIgnoresToken
        | Mutation::VersionReused => updates(mutation),
        _ => outcomes(mutation),
    };
    (World { mutation: Some(mutation), ..world }, expected)
}

/// Two clients that acquire once each.
fn two(change: impl FnOnce(&mut Left)) -> World {
    with(World::of(2, 2), change)
}

fn time(mutation: Mutation) -> (World, &'static [&'static str]) {
    match mutation {
        Mutation::ObserveAtSend => (two(|left| left.renewals = 1), &[BELIEVE]),
        _ => (two(|_| {}), &[BELIEVE]),
    }
}

fn outcomes(mutation: Mutation) -> (World, &'static [&'static str]) {
    match mutation {
        Mutation::RingOverrunIsFailed => {
            (World { ring: 1, done: 1, ..two(|left| (left.updates, left.timeouts) = (2, 1)) }, &[FAILED])
        }
        Mutation::RefusalSpeaksForEverySend => {
            let two = two(|left| (left.updates, left.duplicates) = (2, 1));
            (World { ring: 3, done: 1, bound_by_client: true, ..two }, &[FAILED])
        }
        Mutation::KillSpeaksForEverySend => {
            (two(|left| (left.updates, left.timeouts, left.duplicates) = (1, 1, 1)), &[FAILED])
        }
        _ => (two(|left| (left.updates, left.timeouts) = (1, 1)), &[FAILED]),
    }
}

fn blobs(mutation: Mutation) -> (World, &'static [&'static str]) {
    let blobs = |change: fn(&mut Left)| World { blobs: true, ..two(change) };
    match mutation {
        Mutation::CollectorIgnoresToken => (blobs(|left| (left.updates, left.collections) = (1, 1)), &[BLOB]),
        _ => (blobs(|left| (left.updates, left.timeouts) = (1, 2)), &[BLOB]),
    }
}

fn memory_of_leases(mutation: Mutation) -> (World, &'static [&'static str]) {
    match mutation {
        Mutation::DeleteOnRelease => (two(|_| {}), &["each token goes to one holder", "tokens rise"]),
        Mutation::EndedIdsOverrun => (World { ended: 1, ..two(|left| left.duplicates = 1) }, &[ENDED]),
        _ => (two(|left| left.duplicates = 1), &[ENDED]),
    }
}

fn updates(mutation: Mutation) -> (World, &'static [&'static str]) {
    match mutation {
        Mutation::WriteIgnoresToken => {
            (two(|left| (left.updates, left.timeouts) = (1, 1)), &["only the present holder writes"])
        }
        Mutation::VersionReused => (World { transactions: true, ..two(|left| left.updates = 2) }, &[VERSION]),
        Mutation::DoneOverrun => (World { done: 1, ..two(|left| (left.updates, left.duplicates) = (2, 1)) }, &[TWICE]),
        _ => (World { ring: 1, ttl: 3, ..two(|left| (left.updates, left.timeouts) = (1, 1)) }, &[TWICE]),
    }
}
