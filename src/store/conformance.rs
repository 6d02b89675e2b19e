//! The contract of the two traits as checks: tests run them against every store, and `lockd verify store` runs the same list for
//! an operator who has just mounted or paid for something.
//!
//! Values are real records of keys in a reserved namespace, since a store may read the key's name out of them.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{Etag, Precondition, PutError, Store, Tagged};
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::model::{Key, Namespace, Record, WriteId};

mod blobs;
pub mod large;
pub mod peer;
pub mod race;
mod records;
pub mod round;
pub mod speed;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The clause holds, as far as it was tried.
    Ok,
    /// It holds, with a reservation.
    Warn,
    /// It does not hold, or could not be tried.
    Fail,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        })
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The check's name.
    pub id: &'static str,
    /// The clause of the contract; empty for what is asked of the place and not of the store.
    pub clause: &'static str,
    /// How it went.
    pub outcome: Outcome,
    /// What was seen.
    pub saw: String,
    /// What to do, when there is something to do.
    pub advice: Option<Cow<'static, str>>,
}

impl Report {
    /// All is well.
    #[must_use]
    pub fn ok(id: &'static str, saw: impl Into<String>) -> Self {
        Self { id, clause: "", outcome: Outcome::Ok, saw: saw.into(), advice: None }
    }

    /// It can be used, with this reservation.
    #[must_use]
    pub fn warn(id: &'static str, saw: impl Into<String>, advice: impl Into<Cow<'static, str>>) -> Self {
        Self { outcome: Outcome::Warn, advice: Some(advice.into()), ..Self::ok(id, saw) }
    }

    /// It cannot be used.
    #[must_use]
    pub fn fail(id: &'static str, saw: impl Into<String>, advice: impl Into<Cow<'static, str>>) -> Self {
        Self { outcome: Outcome::Fail, advice: Some(advice.into()), ..Self::ok(id, saw) }
    }

    /// The same for a clause of the contract.
    #[must_use]
    pub fn of(self, clause: &'static str) -> Self {
        Self { clause, ..self }
    }

    /// What a check that says `Ok` or `Err` in words found.
    #[must_use]
    pub fn from_seen(id: &'static str, seen: Result<String, Flaw>, advice: &'static str) -> Self {
        match seen {
            Ok(saw) => Self::ok(id, saw),
            Err(Flaw::Broken(saw)) => Self::fail(id, saw, advice),
            Err(Flaw::Error(saw, Some(hint))) => Self::fail(id, saw, hint),
            Err(Flaw::Error(saw, None)) => Self::fail(id, saw, "it could not be tried: look at the place itself"),
        }
    }
}

/// Why a check did not end well.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Flaw {
    /// The store did what it may not do.
    Broken(String),
    /// It could not be tried: an error, and what to do about it.
    Error(String, Option<String>),
}

impl Flaw {
    /// Puts `context` and a colon before it.
    #[must_use]
    pub fn within(self, context: impl fmt::Display) -> Self {
        match self {
            Self::Broken(what) => Self::Broken(format!("{context}: {what}")),
            Self::Error(what, hint) => Self::Error(format!("{context}: {what}"), hint),
        }
    }
}

impl From<String> for Flaw {
    fn from(what: String) -> Self {
        Self::Broken(what)
    }
}

impl From<&str> for Flaw {
    fn from(what: &str) -> Self {
        Self::Broken(what.to_owned())
    }
}

impl From<Error> for Flaw {
    fn from(error: Error) -> Self {
        Self::Error(error.message().to_owned(), error.hint().map(str::to_owned))
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(what) | Self::Error(what, _) => f.write_str(what),
        }
    }
}

/// What a check has in hand: the store, time, randomness and a namespace of its own.
#[derive(Clone, Debug)]
pub struct Scratch<'a> {
    /// The store.
    pub store: &'a Store,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Randomness.
    pub entropy: &'a dyn Entropy,
    /// A namespace that nothing else uses.
    pub namespace: Namespace,
    /// Whether there are seconds only: fewer repetitions.
    pub quick: bool,
}

/// What a check saw: `Ok` and `Err` both say it in words.
type Seen = Result<String, Flaw>;
type Run = for<'a> fn(&'a Scratch<'a>) -> BoxFuture<'a, Seen>;

/// One check.
#[derive(Clone, Copy)]
pub struct Check {
    /// Its name.
    pub id: &'static str,
    /// The clause of the contract that it tries.
    pub clause: &'static str,
    advice: &'static str,
    run: Run,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.clause)
    }
}

impl Check {
    /// Runs it. Never panics; an error of the store is a failed check.
    pub async fn run(&self, scratch: &Scratch<'_>) -> Report {
        Report::from_seen(self.id, (self.run)(scratch).await, self.advice).of(self.clause)
    }
}

/// What to do with a store that does not keep writers apart.
pub const NOT_A_STORE: &str = "do not use this store: two holders could own one lease";
const NO_BLOBS: &str = "do not use this store for large states: look at its permissions and its free space";

/// Every check, cheap ones first.
#[must_use]
pub fn checks() -> &'static [Check] {
    const fn record(id: &'static str, clause: &'static str, run: Run) -> Check {
        Check { id, clause, advice: NOT_A_STORE, run }
    }
    const fn blob(id: &'static str, clause: &'static str, run: Run) -> Check {
        Check { id, clause, advice: NO_BLOBS, run }
    }
    const ALL: &[Check] = &[
        record("create-and-swap", "R1", |s| Box::pin(records::create_and_swap(s))),
        record("read-after-write", "R3", |s| Box::pin(records::read_after_write(s))),
        record("stale-etag", "R2", |s| Box::pin(records::stale_etags(s))),
        record("etag-unique", "R4", |s| Box::pin(records::etags_differ(s))),
        record("refusal", "R5", |s| Box::pin(records::refusals(s))),
        record("list", "R3", |s| Box::pin(records::listed(s))),
        record("create-race", "R2", |s| Box::pin(race::creates(s))),
        record("swap-race", "R2", |s| Box::pin(race::swaps(s))),
        record("changed", "R6", |s| Box::pin(records::changed(s))),
        blob("blob-once", "B1", |s| Box::pin(blobs::round_trip(s))),
        blob("blob-hidden", "B1", |s| Box::pin(blobs::invisible(s))),
        blob("blob-dropped", "B2", |s| Box::pin(blobs::dropped(s))),
        blob("blob-failed", "B2", |s| Box::pin(blobs::failed(s))),
        blob("blob-delete", "B3", |s| Box::pin(blobs::deleted(s))),
        blob("blob-list", "B4", |s| Box::pin(blobs::listed(s))),
    ];
    ALL
}

/// Runs every check, each in a fresh reserved namespace.
pub async fn run_all(store: &Store, clock: &dyn Clock, entropy: &dyn Entropy) -> Vec<Report> {
    let mut reports = Vec::new();
    for check in checks() {
        reports.push(check.run(&Scratch::new(store, clock, entropy)).await);
    }
    reports
}

impl<'a> Scratch<'a> {
    /// A fresh reserved namespace in a store.
    #[must_use]
    pub fn new(store: &'a Store, clock: &'a dyn Clock, entropy: &'a dyn Entropy) -> Self {
        let namespace = Namespace::reserved(&format!("verify-{}", hex::encode(entropy.bytes::<8>())));
        Self { store, clock, entropy, namespace, quick: false }
    }

    /// The same namespace for several processes: a reserved one with this name.
    #[must_use]
    pub fn shared(store: &'a Store, clock: &'a dyn Clock, entropy: &'a dyn Entropy, name: &str) -> Self {
        Self { namespace: Namespace::reserved(name), ..Self::new(store, clock, entropy) }
    }

    /// With fewer repetitions.
    #[must_use]
    pub fn hurried(self, quick: bool) -> Self {
        Self { quick, ..self }
    }

    /// So many repetitions, or a quarter of them.
    const fn times(&self, all: usize) -> usize {
        if self.quick { all.div_ceil(4) } else { all }
    }

    /// A key of the namespace. The names used here are good ones.
    fn key(&self, name: &str) -> Result<Key, Flaw> {
        Key::new(self.namespace.clone(), name).map_err(said)
    }

    /// A record of a key that no other has.
    fn value(&self, key: &Key) -> Result<Bytes, Flaw> {
        Record::new(key.clone()).sealed(WriteId::random(self.entropy)).encode().map_err(said)
    }

    async fn get(&self, key: &Key) -> Result<Option<Tagged>, Flaw> {
        self.store.records.get(key).await.map_err(said)
    }

    async fn put(&self, key: &Key, value: &Bytes, when: Precondition) -> Result<Etag, PutError> {
        self.store.records.put(key, value.clone(), when).await
    }

    /// Puts, and has no reason to fail.
    async fn must_put(&self, key: &Key, value: &Bytes, when: Precondition) -> Result<Etag, Flaw> {
        self.put(key, value, when).await.map_err(|e| lost("a put that nothing stands against", e))
    }
}

fn said(error: Error) -> Flaw {
    error.into()
}

/// A put that should have succeeded, or conflicted, did not.
fn lost(what: &str, error: PutError) -> Flaw {
    match error {
        PutError::Conflict => format!("{what}: conflict").into(),
        PutError::Unknown(e) => Flaw::from(e).within("outcome unknown").within(what),
        PutError::Failed(e) => Flaw::from(e).within(what),
    }
}

/// An error in words unless a claim holds.
fn ensure(claim: bool, otherwise: impl FnOnce() -> String) -> Result<(), Flaw> {
    if claim { Ok(()) } else { Err(otherwise().into()) }
}
