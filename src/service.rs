//! The service: what every command, client and server asks for, whoever answers: an engine in this process or a server.
//!
//! Deadlines are on the caller's boot clock.

mod fence;
mod for_update;

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::UnixMillis;
use crate::error::Result;
use crate::model::{
    EditsHash, Ended, FencingToken, Holder, How, Key, LeaseId, Namespace, Owner, Reason, RequestId, StateEtag, Ttl,
    TxnId, Version,
};
pub use crate::store::{ByteStream, Cursor};
pub use fence::{Fence, FenceRequest};
pub use for_update::{Following, ForUpdate, LeaseEnd, OnDisconnect};
use futures_util::stream::BoxStream;

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
    /// The client will confirm a grant that waited by a keepalive within [`Grant::confirm_within`]; else the next one gets it.
    pub confirm: bool,
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
    /// The grant stands only once a keepalive has come within this time: for those that said [`AcquireRequest::confirm`] and
    /// waited.
    pub confirm_within: Option<Duration>,
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
    /// The edits that the new state was made by, where the request is to be known by these when its id comes again, and not by the
    /// state that they made. Over the wire edits are sent as such, to whoever stands beside the store.
    pub edits: Option<EditsHash>,
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

/// Asks to end a lease by force.
#[derive(Clone, Debug)]
pub struct BreakRequest {
    /// The key.
    pub key: Key,
    /// Only this lease; without it, whoever holds the key.
    pub lease_id: Option<LeaseId>,
    /// Who breaks it, for people.
    pub by: Owner,
    /// Why, for people.
    pub reason: Reason,
}

/// What a break found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broke {
    /// The lease was ended by force, now or by the same request before.
    Broken {
        /// The lease.
        lease_id: LeaseId,
        /// Its token. Those that come are higher than the one after it.
        token: FencingToken,
        /// Who held it.
        owner: Owner,
        /// After so long, counted from this answer, its holder has stopped by its own rules: as long as a takeover would have
        /// had to wait.
        over_in: Duration,
    },
    /// Nobody holds the key: there was nothing to break.
    Free,
}

/// Asks for a listing.
#[derive(Clone, Debug, Default)]
pub struct ListRequest {
    /// The namespace.
    pub namespace: Namespace,
    /// Only keys that begin so.
    pub prefix: String,
    /// Only keys that are held.
    pub held: bool,
    /// Where to go on.
    pub after: Option<Cursor>,
}

/// One key of a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// What is known of it.
    pub known: Description,
    /// Where to go on after it.
    pub cursor: Cursor,
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    /// Somebody took it, or goes on with a lease that had been told as expired.
    Acquired,
    /// Its holder gave it back.
    Released,
    /// Nobody renewed it: it was taken over, or may be.
    Expired,
    /// An operator broke it.
    Broken,
    /// Its state was replaced.
    Updated,
    /// Its state was removed.
    Removed,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Acquired, Self::Released, Self::Expired, Self::Broken, Self::Updated, Self::Removed];

    /// Its name, on the wire and for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Acquired => "acquired",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Broken => "broken",
            Self::Updated => "updated",
            Self::Removed => "removed",
        }
    }
}

/// One event of a key; [`crate::lease::events`] derives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The fencing token of the lease that it happened to, or under which the state was changed.
    pub token: FencingToken,
    /// The committed version after it.
    pub version: Version,
    /// When, by the wall clock of whoever did it, where that is known.
    pub at: Option<UnixMillis>,
    /// Who holds or held the lease.
    pub owner: Option<Owner>,
    /// Who broke it.
    pub by: Option<Owner>,
    /// Why it was broken, or what the lease is for.
    pub reason: Option<Reason>,
}

/// What somebody who watches a key sees.
#[derive(Clone, Debug, PartialEq)]
pub enum Watched {
    /// How it was at first.
    Present(Box<Description>),
    /// What happened then.
    Event(Event),
}

/// What a service counts that no answer tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Acquires that have a place in the queue of a key.
    pub waiters: u64,
    /// Leases that were recorded as expired, where nobody took the key over.
    pub expired: u64,
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

    /// Takes a lease and hands over the state under it, as a stream. The lease is followed to its end; what comes with it must
    /// be kept as long as the lease is used. Dropping the future is like losing the connection.
    ///
    /// # Errors
    /// As acquire; as get: then the lease was given back.
    async fn acquire_for_update(&self, request: AcquireRequest, on_disconnect: OnDisconnect) -> Result<ForUpdate>;

    /// The connection over which a grant that is still to be confirmed was answered is gone: the next one gets it. Nothing
    /// happens to a lease that was confirmed. Only who serves connections calls this.
    async fn withdraw(&self, key: &Key, lease_id: &LeaseId) {
        let _nothing_is_provisional_here = (key, lease_id);
    }

    /// From now on nothing is granted but what was sent to the store before: who waits is turned away, and who asks anew is refused,
    /// both with `Draining`. Only who serves connections calls this, when it is about to end.
    async fn grant_no_more(&self) {}

    /// What it counts, for metrics: nothing, unless it stands beside the store.
    fn tally(&self) -> Tally {
        Tally::default()
    }

    /// Whether a change would be refused as things stand, before its body is sent. The change itself decides.
    ///
    /// # Errors
    /// As update, for lease, token, transaction and guards.
    async fn would_change(&self, request: &ChangeRequest) -> Result<()> {
        let _only_who_serves_connections_asks = request;
        Ok(())
    }

    /// What a change by edits was answered when it came before, as far as that is remembered: whoever makes edits asks this first,
    /// since what is there by now may have them already.
    ///
    /// # Errors
    /// `RequestIdReused` when the id stood for something else.
    async fn edited_before(&self, request: &ChangeRequest) -> Result<Option<Changed>> {
        let _only_who_stands_beside_the_store_knows = request;
        Ok(None)
    }

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

    /// Ends a lease by force: the token moves on, and its holder can write nothing any more. Its command may go on for a
    /// while; see [`Broke::Broken`].
    ///
    /// # Errors
    /// `LeaseMismatch` when another lease stands than the one named; `OutcomeUnknown` when it may have been broken: repeat it.
    async fn break_lease(&self, request: BreakRequest) -> Result<Broke>;

    /// The keys of a namespace, in the store's own order, at constant memory. A record that cannot be read is an error
    /// among them, and the listing goes on.
    fn list<'a>(&'a self, request: &'a ListRequest) -> BoxStream<'a, Result<Listed>>;

    /// The present state of a key, then its events. Changes that follow quickly on each other may be merged; the stream ends
    /// only in an error.
    fn watch<'a>(&'a self, key: &'a Key) -> BoxStream<'a, Result<Watched>>;

    /// Admits an effect: the mark of the resource rises to its token, in one compare-and-swap. Repeating it is safe.
    ///
    /// # Errors
    /// `StaleToken` when a higher one was admitted before, or the key named has one; `Usage` when that key never gave it out.
    async fn fence_admit(&self, request: FenceRequest) -> Result<Fence>;

    /// What an effect would be compared with; moves nothing.
    ///
    /// # Errors
    /// When the store cannot be read; `Usage` as for an admit.
    async fn fence_check(&self, request: FenceRequest) -> Result<Fence>;

    /// Finishes what goes on after answers were given (collection of garbage), for a bounded time. Calls after it are served.
    async fn close(&self);
}
