//! How large a world is, which faults strike in it, and which rule is left out.

use super::state::Left;
use crate::models::FirstOnly;

mutations! {
    /// A holder counts its lease from the reply instead of from the send.
    DeadlineAtResponse,
    /// A contender counts the age of what it saw from the send of its get.
    ObserveAtSend,
    /// A holder believes until its release is answered.
    BelieveDuringRelease,
    /// An unknown outcome is reported as a failure.
    UnknownIsFailed,
    /// A conflict is reported as a failure without reading back.
    NoReadback,
    /// A ring that does not reach back is read as "not applied", and the step on the record just read is the answer.
    RingOverrunIsFailed,
    /// The collector deletes whatever the record does not name.
    CollectorIgnoresToken,
    /// A body deleted by its own engine after an unknown outcome.
    UnknownDeletesBlob,
    /// The etag is a hash of the content, and the content bears no write id.
    EtagIsContent,
    /// A release deletes the record.
    DeleteOnRelease,
    /// An update is applied whoever holds the lease.
    WriteIgnoresToken,
    /// The record does not remember ended leases.
    EndedIdGrantedAgain,
    /// The record remembers ended leases, but fewer than have ended while a duplicate was under way.
    EndedIdsOverrun,
    /// A discarded version is used again.
    VersionReused,
    /// After an unclear outcome an update is stepped again, at any version, without asking `done`.
    UpdateSteppedAgain,
    /// A duplicate of an update, older than what `done` reaches back to, is bound to no version by its request.
    DoneOverrun,
    /// A takeover needs no age.
    TakeoverAtOnce,
    /// A refusal is said of every send of the request, whether or not `done` reaches back to its lease.
    RefusalSpeaksForEverySend,
    /// "Not applied", found by a kill, is said of every send of the request.
    KillSpeaksForEverySend,
}

/// One world to check.
pub struct World {
    pub clients: usize,
    /// In ticks.
    pub ttl: u8,
    /// What may still happen.
    pub left: Left,
    /// How many write ids, requests and ended leases a record remembers (32, 8 and 8 in production).
    pub ring: usize,
    pub done: usize,
    pub ended: usize,
    /// Updates are staged in the lease's transaction and committed by its release.
    pub transactions: bool,
    /// The client binds its updates to the version that it knows, so that every send of one is bound to the same.
    pub bound_by_client: bool,
    /// States are blobs.
    pub blobs: bool,
    pub mutation: Option<Mutation>,
    pub first_only: FirstOnly,
}

impl World {
    /// A world with as many clients, a TTL of one tick, as many acquires, and nothing else.
    pub fn of(clients: usize, acquires: u8) -> World {
        let left = Left {
            acquires,
            renewals: 0,
            updates: 0,
            breaks: 0,
            collections: 0,
            timeouts: 0,
            duplicates: 0,
            crashes: 0,
        };
        World {
            clients,
            ttl: 1,
            left,
            ring: 2,
            done: 2,
            ended: 3,
            transactions: false,
            bound_by_client: false,
            blobs: false,
            mutation: None,
            first_only: FirstOnly::default(),
        }
    }

    pub fn without(&self, rule: Mutation) -> bool {
        self.mutation == Some(rule)
    }
}
