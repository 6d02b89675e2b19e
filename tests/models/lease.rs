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
use state::Left;
use world::{Mutation, World};

/// A world in which more may happen.
fn with(world: World, change: impl FnOnce(&mut Left)) -> World {
    let mut left = world.left;
    change(&mut left);
    World { left, ..world }
}

#[test]
fn every_mutation_is_caught() {
    for m in Mutation::ALL { 
     let (w,e)=mutants::world_that_shows(*m);
     let t=std::time::Instant::now();
     let r=std::panic::catch_unwind(std::panic::AssertUnwindSafe(||
     assert_caught(&format!("{m:?}"), w, e)));
     println!("    {:?} {}",t.elapsed(), if r.is_err(){"FAILED"}else{""});
    }
}

#[test]
fn tmp2() {
    let two = |f: fn(&mut Left)| with(World::of(2, 2), f);
    for (name, w) in [
        ("timeouts 2 update", two(|l| {l.updates = 1; l.timeouts = 2; })),
        ("timeouts 2 updates 2 ring 1 done 1", World{ring:1,done:1,..two(|l| {l.updates = 2; l.timeouts = 1; })}),
        ("timeouts 2 updates 2 tx", World{transactions: true, ..two(|l| {l.updates = 2; l.timeouts = 1; })}),
        ("timeouts 2 only", two(|l| {l.timeouts = 2; })),
        ("blobs timeouts", World{blobs: true, ..two(|l| {l.updates = 1; l.collections = 1; l.timeouts = 2; })}),
        ("ttl 2", World{ttl: 2, ..two(|l| {l.renewals = 2; l.timeouts = 1})}),
        ("dup 2 updates done 1 bound", World {done: 1, bound_by_client: true, ..two(|l| {l.duplicates = 1; l.updates = 2; l.timeouts=1})}),
        ("3 clients", with(World::of(3,3), |l| {l.renewals = 0; })),
        ("3 clients timeouts", with(World::of(3,3), |l| {l.renewals = 0; l.timeouts=1})),
    ] {
     let t=std::time::Instant::now();
     let r=std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| assert_clean(name, w, 2)));
     println!("    {:?} {}",t.elapsed(), if r.is_err(){"FAILED"}else{""});
    }
}
