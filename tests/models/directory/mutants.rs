//! For every mutation a world that is large enough to show why the rule is there.

use super::world::Role::{Pruner, Reader, Sweeper, Writer};
use super::world::{Listing, Mutation, Network, World};

const LOST: &str = "what was answered is never lost";
const DENIED: &str = "what is not applied never becomes visible";
const PRUNED: &str = "a pruned revision is never made again";
const BACK: &str = "the head never goes back for a reader";
const FLOOR: &str = "floor <= head - keep";
const DURABLE: &str = "floor is durable before a prune";

/// The world, and the properties of which one must be seen to break in it.
pub fn world_that_shows(mutation: Mutation) -> (World, &'static [&'static str]) {
    let (world, expected) = match mutation {
        Mutation::ContentNotSynced | Mutation::NoSyncBeforeWin | Mutation::NoSyncAfterFailedLink => {
            durability(mutation)
        }
        Mutation::ReaderDoesNotSync | Mutation::BaseNotSynced => unsynced_seen(mutation),
        Mutation::SweepAnyTemp | Mutation::SweepWithoutSync => sweeping(mutation),
        Mutation::LookBeforeUnlink | Mutation::DirectoryNotOpenedAnew | Mutation::SillyRenameIgnored => {
            network(mutation)
        }
        Mutation::LastNotChecked | Mutation::LastStillThere | Mutation::ListingIsHead => head(mutation),
        Mutation::LinkCountIsVerdict
        | Mutation::AbsentIsNotApplied
        | Mutation::FloorReadBeforeLook
        | Mutation::FloorReadAfterLink => verdict(mutation),
        _ => prune(mutation),
    };
    (World { mutation: Some(mutation), ..world }, expected)
}

fn durability(mutation: Mutation) -> (World, &'static [&'static str]) {
    let world = World { power_losses: 1, lost_replies: 1, ..World::of(&[Writer, Reader]) };
    match mutation {
        Mutation::ContentNotSynced => (world, &["never stuck", "torn content is never served"]),
        _ => (world, &[LOST]),
    }
}

fn unsynced_seen(mutation: Mutation) -> (World, &'static [&'static str]) {
    match mutation {
        Mutation::ReaderDoesNotSync => (World { power_losses: 1, ..World::of(&[Writer, Reader]) }, &[LOST]),
        _ => {
            (World { power_losses: 1, files: 4, known_survives: true, ..World::of(&[Writer, Writer]) }, &[PRUNED, LOST])
        }
    }
}

fn sweeping(mutation: Mutation) -> (World, &'static [&'static str]) {
    match mutation {
        Mutation::SweepAnyTemp => (World { power_losses: 1, ..World::of(&[Writer, Reader]) }, &[LOST]),
        _ => (World { power_losses: 1, ..World::of(&[Writer, Reader, Sweeper]) }, &[LOST]),
    }
}

fn network(mutation: Mutation) -> (World, &'static [&'static str]) {
    let cached_absence = Network { cached_absence: true, ..Network::default() };
    match mutation {
        Mutation::LookBeforeUnlink => {
            let delayed = Network { delayed_link: true, ..Network::default() };
            (World { lost_replies: 1, network: delayed, ..World::of(&[Writer]) }, &[DENIED])
        }
        Mutation::DirectoryNotOpenedAnew => {
            (World { lost_replies: 1, network: cached_absence, ..World::of(&[Writer, Reader]) }, &[BACK, DENIED])
        }
        _ => {
            let silly = Network { link_by_handle: true, silly_rename: true, ..Network::default() };
            (World { born: 2, files: 5, network: silly, ..World::of(&[Writer, Writer, Pruner]) }, &[PRUNED])
        }
    }
}

fn head(mutation: Mutation) -> (World, &'static [&'static str]) {
    match mutation {
        Mutation::ListingIsHead => {
            (World { born: 2, files: 4, listing: Listing::Descending, ..World::of(&[Writer, Pruner, Reader]) }, &[BACK])
        }
        _ => (World { born: 4, files: 4, known_at_start: 2, ..World::of(&[Pruner, Reader]) }, &[BACK]),
    }
}

fn verdict(mutation: Mutation) -> (World, &'static [&'static str]) {
    match mutation {
        Mutation::LinkCountIsVerdict => {
            (World { born: 1, files: 3, lost_replies: 1, ..World::of(&[Writer, Writer, Sweeper]) }, &[DENIED])
        }
        Mutation::FloorReadAfterLink => {
            (World { born: 2, files: 4, ..World::of(&[Writer, Writer, Pruner]) }, &[DENIED])
        }
        _ => (World { born: 2, files: 4, lost_replies: 1, ..World::of(&[Writer, Writer, Pruner]) }, &[DENIED]),
    }
}

fn prune(mutation: Mutation) -> (World, &'static [&'static str]) {
    let stalled = World { born: 2, files: 5, ..World::of(&[Writer, Writer, Pruner]) };
    let pruners = World { born: 3, files: 5, ..World::of(&[Writer, Pruner, Pruner]) };
    match mutation {
        Mutation::PruneWithoutSync => {
            (World { power_losses: 1, ..World::of(&[Writer, Pruner]) }, &[FLOOR, "never stuck"])
        }
        Mutation::FloorReplaced => (pruners, &["floor never goes down"]),
        Mutation::FloorAppended => (World { files: 3, born: 3, ..World::of(&[Pruner, Pruner]) }, &[FLOOR]),
        Mutation::FloorNotSynced | Mutation::FloorSyncSkippedIfRaised => {
            (World { files: 3, born: 3, ..World::of(&[Pruner, Pruner]) }, &[DURABLE])
        }
        _ => (stalled, &[PRUNED]),
    }
}
