//! What can be asked of a record, and what is answered.

use crate::clock::UnixMillis;
use crate::model::{
    EditsHash, FencingToken, Holder, How, Lease, LeaseId, Owner, Reason, Record, RequestId, Stamp, StateEtag, StateRef,
    Ttl, TxnId, Version,
};
use crate::service::{Guards, Proof, Released};

/// One request. All ids, clock readings and the epoch come in with it.
#[derive(Clone, Debug)]
pub enum Request {
    /// Take the lease: grant, takeover, or renewal when it is ours already.
    Acquire(Acquire),
    /// Extend it.
    Renew(Renew),
    /// Give it back.
    Release(Release),
    /// Write or remove the state.
    Update(Update),
    /// Record that nobody renewed it.
    Expire(Expire),
    /// End it by force.
    Break(Break),
    /// Raise the high-water mark of a resource: the receiver's half of fencing.
    Admit(Admit),
    /// Ask whoever passes the key on among its own waiters to think of a waiter elsewhere.
    Knock(Knock),
}

impl Request {
    /// The lease that it is about.
    #[must_use]
    pub const fn lease_id(&self) -> Option<&LeaseId> {
        match self {
            Self::Acquire(r) => Some(&r.lease_id),
            Self::Renew(r) => Some(&r.proof.lease_id),
            Self::Release(r) => Some(&r.lease_id),
            Self::Update(r) => Some(&r.proof.lease_id),
            Self::Expire(r) => Some(&r.lease_id),
            Self::Break(r) => Some(&r.lease_id),
            Self::Knock(r) => Some(&r.waiter),
            Self::Admit(_) => None,
        }
    }
}

/// See [`Request::Acquire`].
#[derive(Clone, Debug)]
pub struct Acquire {
    /// The lease id, made by the caller.
    pub lease_id: LeaseId,
    /// The transaction of the new lease.
    pub txn: TxnId,
    /// The TTL.
    pub ttl: Ttl,
    /// Who asks.
    pub owner: Owner,
    /// What for.
    pub reason: Option<Reason>,
    /// From where.
    pub holder: Holder,
    /// Refuse when the key was ever granted.
    pub if_not_exists: bool,
    /// Leave a free key alone that is reserved for another waiter. Its engine says no once it has known the reservation for
    /// [`crate::limits::RESERVED_FOR`]; no record and no clock of another decides that.
    pub yields: bool,
    /// The store's epoch.
    pub epoch: u32,
    /// The writer's boot clock, where it can be evidence.
    pub stamp: Option<Stamp>,
    /// The writer's wall clock.
    pub at: UnixMillis,
}

/// See [`Request::Renew`].
#[derive(Clone, Debug)]
pub struct Renew {
    /// The lease.
    pub proof: Proof,
    /// The TTL asked for; the lease's never falls.
    pub ttl: Ttl,
    /// The writer's boot clock, where it can be evidence.
    pub stamp: Option<Stamp>,
    /// The writer's wall clock.
    pub at: UnixMillis,
}

/// See [`Request::Release`].
#[derive(Clone, Debug)]
pub struct Release {
    /// The lease id.
    pub lease_id: LeaseId,
    /// Its token, where it is known: after an acquire without an answer it is not.
    pub token: Option<FencingToken>,
    /// Its transaction, where a staged change is to be committed.
    pub txn: Option<TxnId>,
    /// Drop what is staged.
    pub rollback: bool,
    /// When the run under this lease that succeeded began: remembered, unless it is rolled back.
    pub succeeded: Option<UnixMillis>,
    /// Keep the free key for the waiter elsewhere that has knocked, if one has.
    pub reserve: bool,
    /// The writer's wall clock.
    pub at: UnixMillis,
}

/// See [`Request::Update`].
#[derive(Clone, Debug)]
pub struct Update {
    /// The lease.
    pub proof: Proof,
    /// The request: applied once.
    pub id: RequestId,
    /// What to do.
    pub change: Change,
    /// The edits that make it of the state that was there: then the request is compared by them when its id comes again.
    pub edits: Option<EditsHash>,
    /// Compare-and-swap of the caller.
    pub guards: Guards,
    /// The version that the request met at its first step: a retry that meets another is never applied.
    pub bound: Option<Version>,
    /// The writer's wall clock.
    pub at: UnixMillis,
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This is the state now.
    Put(StateRef),
    /// There is no state now.
    Remove,
}

impl Change {
    /// What the request is compared by when its id comes again, unless it is an edit.
    #[must_use]
    pub const fn etag(&self) -> Option<&StateEtag> {
        match self {
            Self::Put(state) => Some(&state.etag),
            Self::Remove => None,
        }
    }
}

/// See [`Request::Expire`].
#[derive(Clone, Debug)]
pub struct Expire {
    /// The lease that is over.
    pub lease_id: LeaseId,
    /// The writer's wall clock.
    pub at: UnixMillis,
}

/// See [`Request::Break`].
#[derive(Clone, Debug)]
pub struct Break {
    /// Only this lease; another that stands by now is left alone.
    pub lease_id: LeaseId,
    /// Who breaks it.
    pub by: Owner,
    /// Why.
    pub reason: Reason,
    /// The store's epoch.
    pub epoch: u32,
    /// The writer's wall clock.
    pub at: UnixMillis,
}

/// See [`Request::Admit`].
#[derive(Clone, Copy, Debug)]
pub struct Admit {
    /// The token that came with the effect.
    pub token: FencingToken,
}

/// See [`Request::Knock`].
#[derive(Clone, Debug)]
pub struct Knock {
    /// The lease id that the waiter asks for.
    pub waiter: LeaseId,
}

/// What was done, or found to be done before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The lease is ours, now or by the same acquire before, which was a sign of life then.
    Granted {
        /// The lease as recorded.
        lease: Box<Lease>,
        /// The version that its holder sees.
        version: Version,
        /// The ETag that its holder sees.
        etag: Option<StateEtag>,
        /// Whether it was taken over.
        taken_over: bool,
    },
    /// The lease goes on.
    Renewed {
        /// Its TTL.
        ttl: Ttl,
    },
    /// See [`Released`].
    Released(Released),
    /// The state was changed, now or by the same request before; `changed` is false when a remove found nothing.
    Updated {
        /// The version.
        version: Version,
        /// The ETag; `None` after a remove.
        etag: Option<StateEtag>,
        /// The length.
        bytes: u64,
        /// Whether there was anything to change.
        changed: bool,
    },
    /// The lease was recorded as expired, or had ended already.
    Expired,
    /// The lease was broken, now or before; `false` when it had ended otherwise.
    Broken(bool),
    /// The token is the highest seen, now or before.
    Admitted,
    /// The knock is in the record; `false` when another's is, or there is nobody to be asked.
    Knocked(bool),
}

impl Outcome {
    /// Whether `record`, as it stands, bears this outcome of `request` out when nothing was written for it. "It was over before" and
    /// "there was nothing" are said as well when the record has forgotten that this very request ended or removed it.
    #[must_use]
    pub fn is_borne_out(&self, record: &Record, request: &Request) -> bool {
        match self {
            Self::Released(_) | Self::Broken(_) => request.lease_id().is_some_and(|id| record.ended(id).is_some()),
            Self::Updated { changed, .. } => *changed,
            Self::Granted { .. } | Self::Renewed { .. } | Self::Expired | Self::Admitted | Self::Knocked(_) => true,
        }
    }
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another holds it.
    Busy(Box<Lease>),
    /// It is free, and kept for this waiter for a moment.
    Reserved(LeaseId),
    /// The key was granted before.
    AlreadyExists,
    /// The lease id has ended and is never granted again.
    LeaseEnded(How),
    /// It is not the present lease, and is not remembered.
    LeaseRequired,
    /// It was recorded as expired, or taken over, and nobody holds the key.
    LeaseExpired,
    /// The same, and the key is held by another lease.
    LeasePassedOn,
    /// It was given back by its holder.
    LeaseReleased,
    /// An operator broke it.
    LeaseBroken,
    /// The token is not the lease's.
    FencingMismatch(FencingToken),
    /// A staged change is there and the transaction was not named.
    MissingTxn,
    /// The transaction is not the lease's.
    TxnMismatch,
    /// The state has another version than expected.
    VersionConflict(Version, Option<StateEtag>),
    /// The state has another ETag than expected.
    EtagMismatch(Version, Option<StateEtag>),
    /// The request id was used with another body.
    RequestIdReused,
    /// The staged change was dropped before this release came.
    StagedDiscarded(How),
    /// The blob was written under another token (its lease is not the present one), for another key, or is named already.
    ForeignBlob,
    /// A higher token has been admitted: this one.
    Stale(FencingToken),
    /// Not old enough: somebody renewed it.
    NotExpired,
    /// A token, version or beat has reached [`crate::limits::NUMBER_MAX`]: the key cannot change in this way again.
    Exhausted,
}
