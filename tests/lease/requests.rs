//! Requests made from a small alphabet, so that ids, bodies and tokens meet again and again.

use std::time::Duration;

use bytes::Bytes;
use lockd::clock::{BootTime, UnixMillis};
use lockd::entropy::Entropy;
use lockd::lease::{Acquire, Admit, Break, Change, Expire, Knock, Release, Renew, Request, Update};
use lockd::limits::takeover_age;
use lockd::model::{
    BlobId, Body, EditsHash, FencingToken, Holder, Key, KeyHash, LeaseId, Namespace, Owner, Reason, Record, RequestId,
    Stamp, StateEtag, StateRef, Ttl, TxnId, Version, WriteId,
};
use lockd::service::{Guards, Proof};

/// The key of all records here.
pub fn key() -> Key {
    Key::new(Namespace::default(), "backup/db").unwrap()
}

pub fn lease_id(n: u8) -> LeaseId {
    LeaseId::new(&format!("lease-{n}")).unwrap()
}

pub fn txn_of(lease: &LeaseId) -> TxnId {
    TxnId::new(&format!("txn-of-{lease}")).unwrap()
}

pub fn request_id(n: u8) -> RequestId {
    RequestId::new(&format!("request-{n}")).unwrap()
}

pub fn ttl(secs: u64) -> Ttl {
    Ttl::new(Duration::from_secs(secs)).unwrap()
}

pub fn owner(text: &str) -> Owner {
    Owner::new(text).unwrap()
}

pub fn write_id(n: u64) -> WriteId {
    WriteId::from_bytes(u128::from(n).to_be_bytes())
}

pub fn inline(n: u8) -> StateRef {
    StateRef::inline(Bytes::from(format!("{{\"n\":{n}}}")))
}

#[derive(Debug)]
struct Same(u8);

impl Entropy for Same {
    fn fill(&self, buf: &mut [u8]) {
        buf.fill(self.0);
    }
}

/// A state in a blob of this token.
pub fn blob(key: KeyHash, token: FencingToken, n: u8) -> StateRef {
    let body = Body::Blob(BlobId::random(key, token, &Same(n)));
    StateRef { etag: StateEtag::of(&[n]), len: 1 << 20, body }
}

/// A token or transaction as a request shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Right,
    Wrong,
    Not,
}

/// Which lease a request is about.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    /// The present one, or the first id where there is none.
    Present,
    /// One that ended, so many back.
    Ended(u8),
    /// An id of the alphabet.
    Id(u8),
}

#[derive(Clone, Copy, Debug)]
pub enum What {
    Inline(u8),
    /// A blob of the present token.
    Blob(u8),
    /// A blob of the token before.
    OldBlob(u8),
    /// A blob of another key.
    ForeignBlob,
    /// What these edits make, which is another state at each version.
    Edit(u8),
    Remove,
}

#[derive(Clone, Copy, Debug)]
pub enum Guard {
    None,
    Version(bool),
    Etag(bool),
    Bound(bool),
}

/// A request in terms of what the record holds when it is made.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    Acquire {
        who: Who,
        secs: u64,
        epoch: u32,
        unused: bool,
    },
    /// The same as a server asks it, which leaves a key alone that is kept for another.
    AcquireYielding {
        who: Who,
    },
    Renew {
        who: Who,
        token: Shown,
        txn: Shown,
        secs: u64,
    },
    Release {
        who: Who,
        token: Shown,
        txn: Shown,
        rollback: bool,
    },
    /// The same as a server asks it, which keeps the key for who has knocked.
    ReleaseReserving {
        who: Who,
    },
    Update {
        who: Who,
        token: Shown,
        txn: Shown,
        id: u8,
        what: What,
        guard: Guard,
    },
    Expire {
        who: Who,
    },
    Break {
        who: Who,
        epoch: u32,
    },
    Admit {
        token: u64,
    },
    Knock {
        who: Who,
    },
    /// A request made so many before, once more.
    Again {
        back: u8,
    },
}

/// How old the present sign of life is said to be.
#[derive(Clone, Copy, Debug)]
pub enum Age {
    Zero,
    AlmostTakeover,
    Takeover,
    Long,
}

impl Age {
    pub fn of(self, record: &Record) -> Duration {
        let ttl = record.lease.as_ref().map_or(Ttl::default(), |lease| lease.ttl);
        match self {
            Self::Zero => Duration::ZERO,
            Self::AlmostTakeover => takeover_age(ttl.duration()) - Duration::from_nanos(1),
            Self::Takeover => takeover_age(ttl.duration()),
            Self::Long => Duration::MAX,
        }
    }
}

fn who(record: &Record, who: Who) -> LeaseId {
    match who {
        Who::Present => record.lease.as_ref().map_or_else(|| lease_id(0), |lease| lease.id.clone()),
        Who::Ended(back) => record.ended.iter().rev().nth(back.into()).map_or_else(|| lease_id(1), |e| e.id.clone()),
        Who::Id(n) => lease_id(n),
    }
}

/// The token that this lease has or had, as far as the record knows; one of the future when it does not.
fn token(record: &Record, id: &LeaseId, shown: Shown) -> Option<FencingToken> {
    let present = record.lease.as_ref().filter(|lease| lease.id == *id).map(|lease| lease.token);
    let right = present
        .or_else(|| record.ended(id).map(|ended| ended.token))
        .unwrap_or(FencingToken(record.token.0.saturating_add(1)));
    match shown {
        Shown::Right => Some(right),
        Shown::Wrong => Some(FencingToken(right.0.saturating_sub(1))),
        Shown::Not => None,
    }
}

fn txn(id: &LeaseId, shown: Shown) -> Option<TxnId> {
    match shown {
        Shown::Right => Some(txn_of(id)),
        Shown::Wrong => Some(TxnId::new("txn-of-nobody").unwrap()),
        Shown::Not => None,
    }
}

fn proof(record: &Record, lease: Who, shown: Shown, named: Shown) -> Proof {
    let lease_id = who(record, lease);
    let txn = txn(&lease_id, named);
    // A proof has a token; who has none shows a wrong one.
    let shown = if shown == Shown::Right { shown } else { Shown::Wrong };
    let token = token(record, &lease_id, shown).unwrap_or_default();
    Proof { lease_id, token, txn }
}

fn change(record: &Record, what: What) -> Change {
    let hash = record.key.hash();
    match what {
        What::Inline(n) => Change::Put(inline(n)),
        What::Blob(n) => Change::Put(blob(hash, record.token, n)),
        What::OldBlob(n) => Change::Put(blob(hash, FencingToken(record.token.0.saturating_sub(1)), n)),
        What::ForeignBlob => {
            let other = Key::new(Namespace::default(), "other").unwrap();
            Change::Put(blob(other.hash(), record.token, 0))
        }
        What::Edit(n) => Change::Put(inline(n.wrapping_add(record.visible().version.0 as u8))),
        What::Remove => Change::Remove,
    }
}

pub fn edits(what: What) -> Option<EditsHash> {
    let What::Edit(n) = what else { return None };
    Some(EditsHash::of(&[format!("/n+={n}")]))
}

fn guarded(record: &Record, guard: Guard) -> (Guards, Option<Version>) {
    let seen = record.visible();
    let version = |right: bool| Some(if right { seen.version } else { Version(seen.version.0.saturating_add(1)) });
    match guard {
        Guard::None => (Guards::default(), None),
        Guard::Version(right) => (Guards { version: version(right), etag: None }, None),
        Guard::Etag(true) => (Guards { version: None, etag: seen.etag().cloned() }, None),
        Guard::Etag(false) => (Guards { version: None, etag: Some(StateEtag::of(b"never")) }, None),
        Guard::Bound(right) => (Guards::default(), version(right)),
    }
}

/// The stamp of the moment `at`: every third writer leaves none.
fn stamp(at: u64) -> Option<Stamp> {
    (!at.is_multiple_of(3)).then(|| Stamp { boot_id: "boot".into(), boot: BootTime(at) })
}

/// The request that `op` stands for now; `at` is the writer's wall clock. `None` when there is nothing to do again.
pub fn request(op: Op, record: &Record, past: &[Request], at: u64) -> Option<Request> {
    let now = UnixMillis(at);
    Some(match op {
        Op::Acquire { who: lease, secs, epoch, unused } => {
            let id = who(record, lease);
            Request::Acquire(Acquire {
                txn: txn_of(&id),
                owner: owner(id.as_str()),
                lease_id: id,
                ttl: ttl(secs),
                reason: None,
                holder: Holder::default(),
                if_not_exists: unused,
                yields: false,
                epoch,
                stamp: stamp(at),
                at: now,
            })
        }
        Op::AcquireYielding { who } => {
            let asked = request(Op::Acquire { who, secs: 30, epoch: 0, unused: false }, record, past, at)?;
            let Request::Acquire(asked) = asked else { return None };
            Request::Acquire(Acquire { yields: true, ..asked })
        }
        Op::Renew { who, token, txn, secs } => {
            Request::Renew(Renew { proof: proof(record, who, token, txn), ttl: ttl(secs), stamp: stamp(at), at: now })
        }
        Op::Release { who: lease, token: shown, txn: named, rollback } => {
            let lease_id = who(record, lease);
            let (token, txn) = (token(record, &lease_id, shown), txn(&lease_id, named));
            // Who knows its token may tell of a success, as every other holder does; a rollback then must not record it.
            let succeeded = token.is_some().then_some(now).filter(|_| !at.is_multiple_of(2));
            Request::Release(Release { lease_id, token, txn, rollback, succeeded, reserve: false, at: now })
        }
        Op::ReleaseReserving { who } => {
            let plain = Op::Release { who, token: Shown::Right, txn: Shown::Right, rollback: false };
            let Request::Release(plain) = request(plain, record, past, at)? else { return None };
            Request::Release(Release { reserve: true, ..plain })
        }
        Op::Update { who, token, txn, id, what, guard } => {
            let (guards, bound) = guarded(record, guard);
            let (proof, change) = (proof(record, who, token, txn), change(record, what));
            Request::Update(Update { proof, id: request_id(id), change, edits: edits(what), guards, bound, at: now })
        }
        Op::Expire { who: lease } => Request::Expire(Expire { lease_id: who(record, lease), at: now }),
        Op::Break { who: lease, epoch } => {
            let (by, reason) = (owner("operator"), Reason::new("stuck").unwrap());
            Request::Break(Break { lease_id: who(record, lease), by, reason, epoch, at: now })
        }
        Op::Admit { token } => Request::Admit(Admit { token: FencingToken(token) }),
        Op::Knock { who: waiter } => Request::Knock(Knock { waiter: who(record, waiter) }),
        Op::Again { back } => past.iter().rev().nth(back.into())?.clone(),
    })
}
