//! How large a world is, which faults strike in it, and which rule is left out.

use super::state::Revision;
use crate::models::FirstOnly;

/// What a process does for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Writer,
    Pruner,
    Reader,
    Sweeper,
}

/// How a directory is listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listing {
    /// All names in one step.
    Atomic,
    /// One name a step, highest revision first.
    Descending,
    /// One name a step, lowest revision first.
    Ascending,
}

/// What a network file system adds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Network {
    /// A client may answer "absent" from its cache until it opens the directory anew.
    pub cached_absence: bool,
    /// LINK names the file by a handle that was looked up a step earlier.
    pub link_by_handle: bool,
    /// A LINK whose reply timed out may still arrive.
    pub delayed_link: bool,
    /// All processes share one client, which renames a name in use to `.nfs*` where it should be unlinked.
    pub silly_rename: bool,
}

/// A rule that is left out, or done in the way that looks just as good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutation {
    // Write.
    ContentNotSynced,
    FloorReadAfterLink,
    NoSyncBeforeWin,
    BaseNotSynced,
    // Verdict.
    NoSyncAfterFailedLink,
    LinkCountIsVerdict,
    LookBeforeUnlink,
    AbsentIsNotApplied,
    FloorReadBeforeLook,
    // Head.
    ReaderDoesNotSync,
    LastNotChecked,
    LastStillThere,
    ListingIsHead,
    DirectoryNotOpenedAnew,
    // Floor and prune.
    PruneWithoutSync,
    FloorReplaced,
    FloorAppended,
    FloorNotSynced,
    FloorSyncSkippedIfRaised,
    TempsNotPruned,
    StaleTempListing,
    TempUnlinkFailureIgnored,
    ListedBeforeFloor,
    SillyRenameIgnored,
    // Sweep.
    SweepAnyTemp,
    SweepWithoutSync,
}

/// One world to check.
pub struct World {
    pub roles: &'static [Role],
    /// Floors are multiples of this (8 in production).
    pub floor_step: Revision,
    /// How many revisions a prune leaves (8 in production).
    pub keep: Revision,
    /// How many revisions stand at the start, answered and synced.
    pub born: Revision,
    /// How many files there may ever be, those of the born revisions included.
    pub files: u8,
    /// How many write ids a record remembers, its own included (33 in production).
    pub ring: usize,
    pub crashes: u8,
    pub power_losses: u8,
    pub lost_replies: u8,
    pub listing: Listing,
    /// What a process knows of the head outlives it, as when a cache file tells it.
    pub known_survives: bool,
    /// The revision that every process knows at the start; 0 for none.
    pub known_at_start: Revision,
    pub network: Network,
    pub mutation: Option<Mutation>,
    pub first_only: FirstOnly,
}

impl World {
    /// A world with the given processes, one revision and no faults.
    pub fn of(roles: &'static [Role]) -> World {
        World {
            roles,
            floor_step: 1,
            keep: 1,
            born: 1,
            files: 3,
            ring: 4,
            crashes: 0,
            power_losses: 0,
            lost_replies: 0,
            listing: Listing::Atomic,
            known_survives: false,
            known_at_start: 0,
            network: Network::default(),
            mutation: None,
            first_only: FirstOnly::default(),
        }
    }

    pub fn without(&self, rule: Mutation) -> bool {
        self.mutation == Some(rule)
    }
}
