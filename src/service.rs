//! The service: what every command, client and server asks for, whoever answers: an engine in this process or a server.
//!
//! Deadlines are on the caller's boot clock.

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::UnixMillis;
use crate::error::Result;
use crate::model::{
    Ended, FencingToken, Holder, How, Key, LeaseId, Owner, Reason, RequestId, StateEtag, Ttl, TxnId, Version,
};
use crate::store::ByteStream;

/// How long an acquire may wait while another holds the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// At most so long in this call.
    For(Duration),
}

/// Asks for a lease.
#[derive(Clone, Debug)]
pub struct AcquireRequest {
    /// The key.
    pub key: Key,
    /// The lease id, made by the caller: repeating the request finds its own lease.
    pub lease_id: LeaseId,
    /// The transaction id of the lease.
    pub txn: TxnId,
    /// How long it lives without renewal.
    pub ttl: Ttl,
    /// Who asks, for people.
    pub owner: Owner,
    /// What for, for people.
    pub reason: Option<Reason>,
    /// From where, for people.
    pub holder: Holder,
    /// Refuse when the key has ever been granted.
    pub if_not_exists: bool,
    /// How long to wait.
    pub wait: Wait,
}

/// A lease was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The lease.
    pub lease_id: LeaseId,
    /// Its fencing token.
    pub token: FencingToken,
    /// Its transaction.
    pub txn: TxnId,
    /// Its TTL.
    pub ttl: Ttl,
    /// What is left of it when this was answered: the TTL itself for an engine in this process.
    pub left: Duration,
    /// The version of the state.
    pub version: Version,
    /// The ETag of the state, when there is one.
    pub etag: Option<StateEtag>,
    /// Whether it was taken over from a holder that had not been heard of for too long.
    pub taken_over: bool,
    /// When the last run that succeeded began, where a release told of one; by the wall clock of its host.
    pub last_success: Option<UnixMillis>,
}

/// The proof of a lease: shown with every call that is bound to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The lease.
    pub lease_id: LeaseId,
    /// Its fencing token.
    pub token: FencingToken,
    /// Its transaction: changes are staged until release when this is given.
    pub txn: Option<TxnId>,
}

/// A lease was renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// Its TTL: never less than before.
    pub ttl: Ttl,
    /// What is left of it when this was answered.
    pub left: Duration,
}

/// What a release found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The lease was ours, and is over; a repeated release gets the same answer.
    Released {
        /// The committed version.
        version: Version,
    },
    /// It was over before, and nobody holds the key now.
    AlreadyGone {
        /// How it ended, where that is remembered.
        how: Option<How>,
    },
    /// It was over before, and somebody else holds the key.
    Fenced,
}

/// Guards of a change: compare-and-swap on the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guards {
    /// The version that the state must have.
    pub version: Option<Version>,
    /// The ETag that it must have.
    pub etag: Option<StateEtag>,
}

/// What must be true of the body of an update as it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Its length.
    pub bytes: Option<u64>,
    /// Its SHA-256, lower-case hexadecimal.
    pub sha256: Option<String>,
}

/// Asks for a change of state under a lease.
#[derive(Clone, Debug)]
pub struct ChangeRequest {
    /// The key.
    pub key: Key,
    /// The lease.
    pub proof: Proof,
    /// Repeating the request with the same id gets the same answer.
    pub request_id: RequestId,
    /// Compare-and-swap.
    pub guards: Guards,
}

/// A state was written or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The new version; the old one when a remove found nothing.
    pub version: Version,
    /// The new ETag; `None` when the state was removed.
    pub etag: Option<StateEtag>,
    /// The new length in bytes.
    pub bytes: u64,
    /// Whether anything was changed: false only for a remove that found nothing.
    pub changed: bool,
}

/// A state with its bytes.
pub struct State {
    /// Its version.
    pub version: Version,
    /// Its ETag.
    pub etag: StateEtag,
    /// Its length in bytes.
    pub len: u64,
    /// Its bytes; length and hash are checked on the way, and the stream ends in an error when they do not fit.
    pub body: ByteStream,
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The key.
    pub key: Key,
    /// Its present lease.
    pub held: Option<Busy>,
    /// The highest fencing token given out.
    pub token: FencingToken,
    /// The version of the committed state.
    pub version: Version,
    /// Its ETag, when there is one.
    pub etag: Option<StateEtag>,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was written.
    pub updated: Option<UnixMillis>,
    /// How the last leases ended, newest first.
    pub ended: Vec<Ended>,
    /// When the last run that succeeded began, where a release told of one; by the wall clock of its host.
    pub last_success: Option<UnixMillis>,
    /// Who waits, where that is known: only a server knows.
    pub waiters: Option<u64>,
}

/// Who holds a key: for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The lease.
    pub lease_id: LeaseId,
    /// Its token.
    pub token: FencingToken,
    /// Who holds it.
    pub owner: Owner,
    /// What for.
    pub reason: Option<Reason>,
    /// From where.
    pub holder: Holder,
    /// Since when, by the holder's wall clock.
    pub since: UnixMillis,
    /// Its TTL.
    pub ttl: Ttl,
    /// Upper bound of the time until another may take it over if nobody renews; zero when that may be tried now.
    pub frees_in: Duration,
    /// Our place in the queue, where there is one.
    pub place: Option<u64>,
}

/// Leases and state. `Engine` (in this process) and the HTTP client implement it; commands know only this.
#[async_trait]
pub trait LeaseService: Send + Sync {
    /// Takes a lease, waiting as asked.
    ///
    /// # Errors
    /// `Busy` with the holder in its details; `LeaseEnded`, `AlreadyExists`; `OutcomeUnknown` when it may have been granted: then
    /// repeat it, or release the lease id. Dropping the future leaves the place; release the lease id to be sure.
    async fn acquire(&self, request: AcquireRequest) -> Result<Grant>;

    /// Extends a lease.
    ///
    /// # Errors
    /// `LeaseRequired`, `LeaseExpired`, `LeaseBroken`, `FencingMismatch` when it is not ours any more.
    async fn keepalive(&self, key: &Key, proof: &Proof, ttl: Ttl) -> Result<Renewed>;

    /// Gives a lease back, committing what it has staged, or dropping that with `rollback`. `token` may be unknown after an
    /// acquire without an answer: then the id alone is the proof.
    ///
    /// # Errors
    /// `StagedDiscarded` when a staged change had been dropped before and no rollback was asked for.
    async fn release(&self, key: &Key, lease_id: &LeaseId, proof: Option<&Proof>, rollback: bool) -> Result<Released>;

    /// As release, committing what is staged, with a word for those who come after: the run under this lease succeeded, and
    /// began at `began` by this host's wall clock. One write, as any release.
    ///
    /// # Errors
    /// As release.
    async fn release_after_success(&self, key: &Key, proof: &Proof, began: UnixMillis) -> Result<Released>;

    /// The state: what the holder sees with a proof, else what is committed. `None` when there is none.
    ///
    /// # Errors
    /// As keepalive, with a proof.
    async fn get(&self, key: &Key, proof: Option<&Proof>) -> Result<Option<State>>;

    /// Replaces the state. Whitespace outside strings is dropped, all else is kept as sent.
    ///
    /// # Errors
    /// In this order: `InvalidState`, `TooLarge`, `BytesMismatch`, `Sha256Mismatch`; as keepalive; `VersionConflict`, `EtagMismatch`;
    /// `RequestIdReused`; `OutcomeUnknown` when it may have been applied: repeat it with the same request id.
    async fn update(&self, request: ChangeRequest, expected: Expected, body: ByteStream) -> Result<Changed>;

    /// Removes the state; version and token live on.
    ///
    /// # Errors
    /// As update.
    async fn remove(&self, request: ChangeRequest) -> Result<Changed>;

    /// What is known of a key. A key never used has version 0.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn describe(&self, key: &Key) -> Result<Description>;

    /// Finishes what goes on after answers were given (collection of garbage), for a bounded time. Calls after it are served.
    async fn close(&self);
}
