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
