//! The directory protocol of the disk store, system call by system call (ARCHITECTURE.md, "Disk and NFS").
//!
//! Writers, readers, pruners and sweepers of one key are interleaved at every system call. Faults: a process ends or
//! stalls anywhere; power is lost and the disk keeps, for every name apart, any value that the name had since the last
//! directory sync, any length of `floor` between what was synced and what was written, and torn content where it was not
//! synced; the reply to a `link` is lost; on NFS a lookup is answered "absent" from a cache, LINK goes by file handle and
//! may arrive after its reply timed out, and a name in use is renamed to `.nfs*` where it should be unlinked.

mod head;
mod model;
mod prune;
mod state;
mod world;
mod write;

use super::{assert_caught, assert_clean};
use crate::support::full;
use world::{Listing, Mutation, Network, Role, World};
use Role::{Pruner, Reader, Sweeper, Writer};

#[test]
fn tmp() {
    assert_clean("WWS", World { crashes: 1, power_losses: 1, lost_replies: 1, ..World::of(&[Writer, Writer, Sweeper]) }, 1);
    assert_clean("WRS", World { crashes: 1, power_losses: 1, lost_replies: 1, ..World::of(&[Writer, Reader, Sweeper]) }, 1);
    if full("WPR") {
        assert_clean("WPR", World { born: 2, files: 4, crashes: 1, power_losses: 1, lost_replies: 1, ..World::of(&[Writer, Pruner, Reader]) }, 2);
    }
}
