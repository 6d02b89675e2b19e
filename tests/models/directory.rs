//! The directory protocol of the disk store, system call by system call (ARCHITECTURE.md, "Disk and NFS").
//!
//! Writers, readers, pruners and sweepers of one key are interleaved at every system call. Faults: a process ends or
//! stalls anywhere; power is lost and the disk keeps, for every name apart, any value that the name had since the last
//! directory sync, any length of `floor` between what was synced and what was written, and torn content where it was not
//! synced; the reply to a `link` is lost; on NFS a lookup is answered "absent" from a cache, LINK goes by file handle and
//! may arrive after its reply timed out, and a name in use is renamed to `.nfs*` where it should be unlinked.

mod head;
mod model;
mod mutants;
mod prune;
pub mod state;
mod world;
mod write;

use super::{assert_caught, assert_clean};
use crate::support::full;
use Role::{Pruner, Reader, Sweeper, Writer};
use world::{Listing, Mutation, Network, Role, World};

/// Crash, power loss and lost reply, one of each.
fn all_faults(world: World) -> World {
    World { crashes: 1, power_losses: 1, lost_replies: 1, ..world }
}

const DELAYED: Network =
    Network { cached_absence: true, link_by_handle: true, delayed_link: true, silly_rename: false };
const SILLY: Network = Network { silly_rename: true, delayed_link: false, ..DELAYED };
const NFS: Network = Network { delayed_link: true, ..SILLY };

#[test]
fn small_worlds_are_clean() {
    assert_clean("WWS", all_faults(World::of(&[Writer, Writer, Sweeper])), 1);
    assert_clean("WRS", all_faults(World::of(&[Writer, Reader, Sweeper])), 1);
    assert_clean(
        "WPR, power loss",
        World { born: 2, files: 4, power_losses: 1, ..World::of(&[Writer, Pruner, Reader]) },
        1,
    );
    assert_clean(
        "WWP, floor in steps of 2",
        World { born: 3, files: 5, floor_step: 2, keep: 2, power_losses: 1, ..World::of(&[Writer, Writer, Pruner]) },
        1,
    );
    assert_clean(
        "NFS WWS",
        World { crashes: 1, lost_replies: 2, network: NFS, ..World::of(&[Writer, Writer, Sweeper]) },
        1,
    );
}

#[test]
fn large_worlds_are_clean() {
    if !full("the directory protocol in its large worlds") {
        return;
    }
    let wpr = || World { born: 2, files: 4, ..World::of(&[Writer, Pruner, Reader]) };
    let wwp = || World { born: 2, files: 4, ..World::of(&[Writer, Writer, Pruner]) };
    let worlds = [
        ("WPR, all faults", all_faults(wpr())),
        ("WPR, known revision survives", World { power_losses: 1, lost_replies: 1, known_survives: true, ..wpr() }),
        ("WPR, names read in descending order", World { listing: Listing::Descending, ..wpr() }),
        ("WPR, names read in ascending order", World { listing: Listing::Ascending, ..wpr() }),
        ("WWP, stalled writer", World { files: 5, lost_replies: 1, ..wwp() }),
        ("WPP", World { born: 2, files: 4, crashes: 1, power_losses: 1, ..World::of(&[Writer, Pruner, Pruner]) }),
        ("WPS, all faults", all_faults(World { born: 2, files: 4, ..World::of(&[Writer, Pruner, Sweeper]) })),
        (
            "WWPS, lost reply",
            World { born: 2, files: 4, lost_replies: 1, ..World::of(&[Writer, Writer, Pruner, Sweeper]) },
        ),
        (
            "WPRS, power loss",
            World { born: 2, files: 4, power_losses: 1, ..World::of(&[Writer, Pruner, Reader, Sweeper]) },
        ),
        (
            "WW, known revision survives",
            World { files: 4, known_survives: true, ..all_faults(World::of(&[Writer, Writer])) },
        ),
        ("NFS WWP, delayed LINK", World { lost_replies: 1, network: DELAYED, ..wwp() }),
        ("NFS WWP, silly rename", World { files: 5, network: SILLY, ..wwp() }),
        ("NFS WPR", World { crashes: 1, lost_replies: 1, network: NFS, ..wpr() }),
    ];
    let states: usize = worlds.into_iter().map(|(name, world)| assert_clean(name, world, 2)).sum();
    println!("the directory protocol: {states} states");
}

#[test]
fn every_mutation_is_caught() {
    for mutation in Mutation::ALL {
        let (world, expected) = mutants::world_that_shows(*mutation);
        assert_caught(&format!("{mutation:?}"), world, expected);
    }
}
