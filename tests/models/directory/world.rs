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

mutations! {
    /// `t` is linked although it was never synced.
    ContentNotSynced,
    /// `link` first, then the look at `floor`.
    FloorReadAfterLink,
    /// The directory is not synced between `link` and the answer.
    NoSyncBeforeWin,
    /// A writer builds on a revision of link count 2 without syncing the directory.
    BaseNotSynced,
    /// The directory is not synced before looking what became of an unclear `link`.
    NoSyncAfterFailedLink,
    /// Link count 2 of `t` means applied, 1 means not applied.
    LinkCountIsVerdict,
    /// The writer looks while its `t` still stands.
    LookBeforeUnlink,
    /// `r` absent means not applied; `floor` is not asked.
    AbsentIsNotApplied,
    /// `floor` is asked before the look instead of after it.
    FloorReadBeforeLook,
    /// A reader serves a revision of link count 2 without syncing the directory.
    ReaderDoesNotSync,
    /// The last revision found is the head; no question follows.
    LastNotChecked,
    /// The last revision found is the head if it is still there.
    LastStillThere,
    /// The highest name of a listing is the head; it is not probed from.
    ListingIsHead,
    /// Lookups trust what the client has cached.
    DirectoryNotOpenedAnew,
    /// A pruner does not sync the directory before it raises `floor`.
    PruneWithoutSync,
    /// `floor` is replaced by a number, which may be a lower one.
    FloorReplaced,
    /// `floor` is raised by appending to it.
    FloorAppended,
    /// `floor` is not synced before the prune.
    FloorNotSynced,
    /// `floor` is not synced by a pruner that found it raised already.
    FloorSyncSkippedIfRaised,
    /// Temporary files are not pruned.
    TempsNotPruned,
    /// The listing that a prune goes by is not a fresh one.
    StaleTempListing,
    /// A temporary file that could not be unlinked does not end the prune.
    TempUnlinkFailureIgnored,
    /// The directory is listed before `floor` is raised.
    ListedBeforeFloor,
    /// `.nfs*` files do not end a prune.
    SillyRenameIgnored,
    /// Anyone may unlink a temporary file at any time.
    SweepAnyTemp,
    /// A sweeper does not sync the directory after it saw the revision.
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
