//! Leases, updates, blobs and their collection over a store and a network that lose, delay and duplicate
//! (ARCHITECTURE.md: "A write has three outcomes", "Life of a lease", "Lease time", "Blobs and garbage").
mod blobs;
mod client;
mod model;
mod mutants;
mod state;
mod step;
mod wire;
mod world;

use super::{assert_caught, assert_clean};
use crate::support::full;
use state::Left;
use world::{Mutation, World};

/// A world in which more may happen.
fn with(world: World, change: impl FnOnce(&mut Left)) -> World {
    let mut left = world.left;
    change(&mut left);
    World { left, ..world }
}

#[test]
fn small_worlds_are_clean() {
    let two = |change: fn(&mut Left)| with(World::of(2, 2), change);
    let worlds = [
        (
            "leases, renewal, crash, TTL of 2 ticks",
            World { ttl: 2, ..two(|left| (left.renewals, left.crashes) = (1, 1)) },
        ),
        ("three clients, two acquires", with(World::of(3, 2), |left| left.renewals = 1)),
        ("update, unclear outcome", two(|left| (left.updates, left.timeouts) = (1, 1))),
        (
            "update, unclear outcome, ring of 1",
            World { ring: 1, done: 1, ..two(|left| (left.updates, left.timeouts) = (1, 1)) },
        ),
        ("two updates in transactions", World { transactions: true, ..two(|left| left.updates = 2) }),
        ("update, duplicate request", two(|left| (left.updates, left.duplicates) = (1, 1))),
        (
            "two updates bound by the client, duplicate request, nothing else remembered",
            bound(two(|left| (left.updates, left.duplicates) = (2, 1))),
        ),
        ("update, break", two(|left| (left.updates, left.breaks) = (1, 1))),
        (
            "blobs, two updates, collection",
            World { blobs: true, ..two(|left| (left.updates, left.collections) = (2, 1)) },
        ),
    ];
    for (name, world) in worlds {
        assert_clean(name, world, 1);
    }
}

/// Every send of an update is bound to one version, and the record remembers one update only.
fn bound(world: World) -> World {
    World { done: 1, bound_by_client: true, ..world }
}

#[test]
fn large_worlds_are_clean() {
    if !full("leases, updates and blobs in their large worlds") {
        return;
    }
    let two = |change: fn(&mut Left)| with(World::of(2, 2), change);
    let worlds = [
        (
            "renewals, TTL of 2 ticks, unclear outcome",
            World { ttl: 2, ..two(|left| (left.renewals, left.timeouts) = (2, 1)) },
        ),
        ("three clients, two acquires, unclear outcome", with(World::of(3, 2), |left| left.timeouts = 1)),
        ("update, two unclear outcomes", two(|left| (left.updates, left.timeouts) = (1, 2))),
        (
            "two updates, unclear outcome, ring of 1",
            World { ring: 1, done: 1, ..two(|left| (left.updates, left.timeouts) = (2, 1)) },
        ),
        (
            "two updates in transactions, unclear outcome",
            World { transactions: true, ..two(|left| (left.updates, left.timeouts) = (2, 1)) },
        ),
        (
            "update, duplicate request, unclear outcome",
            two(|left| (left.updates, left.duplicates, left.timeouts) = (1, 1, 1)),
        ),
        ("update, break, unclear outcome", two(|left| (left.updates, left.breaks, left.timeouts) = (1, 1, 1))),
        (
            "blobs, update, collection, crash, unclear outcome",
            World {
                blobs: true,
                ..two(|left| (left.updates, left.collections, left.timeouts, left.crashes) = (1, 1, 1, 1))
            },
        ),
    ];
    let states: usize = worlds.into_iter().map(|(name, world)| assert_clean(name, world, 2)).sum();
    println!("leases, updates and blobs: {states} states");
}

#[test]
fn every_mutation_is_caught() {
    for mutation in Mutation::ALL {
        let (world, expected) = mutants::world_that_shows(*mutation);
        assert_caught(&format!("{mutation:?}"), world, expected);
    }
}
