//! The engine: leases and state over a store, in this process.
//!
//! - `task`, `queue`, `turn`: each key has a task of its own that applies requests one after the other, lets acquires wait, and
//!   passes the key on in order of arrival. A request waits for an answer and never owns a put.
//! - `handover`: a release and the next grant in one write, and grants that are still to be confirmed.
//! - `commit`: read, step, compare-and-swap; a sent put is always resolved.
//! - `waiters`: the way to a key's task.
//! - `age`: how long a lease has shown no sign of life, from every source that is evidence.
//! - `ahead`: large states are hashed while what came before is written or sent.
//! - `state`: states inside the record or in blobs, streamed and hashed on the way.
//! - `sweep`: the garbage collection of blobs.
//! - `parting`: leases for update, followed to their end, and given up with their connection.
//! - `breaking`, `fence`, `looking`: breaking a lease, the marks of resources, listing and watching.

mod age;
mod ahead;
mod breaking;
mod commit;
mod fence;
mod handover;
mod looking;
mod notes;
mod parting;
mod queue;
mod refusal;
mod state;
mod sweep;
mod task;
mod turn;
mod waiters;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tokio::task::JoinSet;

use crate::clock::{BootTime, Clock, UnixMillis};
use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind, Result};
use crate::lease::{self, Change, Outcome, Release, Renew, Request, Update};
use crate::limits::RELEASE_TRY;
use crate::model::{Key, KeyHash, LeaseId, Record, Stamp, Ttl};
use crate::mutants::{Mutant, on};
use crate::service::{
    AcquireRequest, BreakRequest, Broke, ChangeRequest, Changed, Description, Expected, Fence, FenceRequest, ForUpdate,
    Grant, LeaseService, ListRequest, Listed, OnDisconnect, Proof, Released, Renewed, State, Tally, Watched,
};
use crate::store::{ByteStream, Etag, Store};

use age::Ages;
use ahead::Ahead;
use commit::{Answer, Denied};
use waiters::Door;

/// Leases and state over a store, in this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// What an engine may use beside its store.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A private directory where short commands leave what they saw, so that the next one does not begin to watch anew.
    pub notes: Option<PathBuf>,
    /// Whether this engine serves others: then it tells who waits, grants that waited are provisional for clients that confirm
    /// them, and what is left of a TTL counts from before the write.
    pub serves: bool,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    ages: Ages,
    serves: bool,
    /// Nothing is granted any more.
    drains: AtomicBool,
    keys: Mutex<HashMap<Key, Door>>,
    /// Leases that were recorded as expired here.
    expired: AtomicU64,
    /// Orders the arrival of requests and the beginning of reads.
    tickets: AtomicU64,
    /// Collection that goes on after answers.
    background: Mutex<JoinSet<()>>,
    /// Keys that may have blobs without a name, where lists are dear.
    littered: Mutex<HashSet<KeyHash>>,
    /// Large states on their way.
    ahead: Ahead,
}

impl Shared {
    fn ticket(&self) -> u64 {
        self.tickets.fetch_add(1, Ordering::SeqCst)
    }

    /// What is left of a TTL, for clients that may not know when the write was sent.
    fn left(&self, ttl: Ttl, written: Option<BootTime>) -> Duration {
        let since = written.filter(|_| self.serves).map_or(Duration::ZERO, |at| self.clock.boot().since(at));
        ttl.duration().saturating_sub(since)
    }

    /// The boot clock as evidence for others, where it can be that.
    fn stamp(&self) -> Option<Stamp> {
        let boot_id = self.store.facts.stamps.then(|| self.clock.boot_id()).flatten()?;
        Some(Stamp { boot_id: boot_id.into(), boot: self.clock.boot() })
    }

    /// The present record, never written when there is none, and its etag. Always from the store.
    async fn read(&self, key: &Key) -> Result<(Record, Option<Etag>)> {
        let sent = self.clock.boot();
        match self.store.records.get(key).await? {
            Some(tagged) => {
                let record = Record::decode(key, &tagged.value)?;
                let at = if on(Mutant::ObserveAtSend) { sent } else { self.clock.boot() };
                self.ages.saw(&record, tagged.store_age, at);
                Ok((record, Some(tagged.etag)))
            }
            None => Ok((Record::new(key.clone()), None)),
        }
    }
}

impl Engine {
    /// An engine over this store.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, options: Options) -> Self {
        let ages = Ages::new(&store.facts, Arc::clone(&clock), Arc::clone(&entropy), options.notes);
        let shared = Shared {
            store,
            clock,
            entropy,
            ages,
            serves: options.serves,
            drains: AtomicBool::new(false),
            keys: Mutex::default(),
            expired: AtomicU64::new(0),
            tickets: AtomicU64::new(0),
            background: Mutex::default(),
            littered: Mutex::default(),
            ahead: Ahead::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    async fn ask(&self, key: &Key, request: Request) -> Result<Answer> {
        self.submit(key, request, None).await.map_err(|denied| denied.into_error(key, &*self.shared.clock))
    }
}

#[async_trait]
impl LeaseService for Engine {
    async fn acquire(&self, request: AcquireRequest) -> Result<Grant> {
        self.acquire_waiting(request).await
    }

    async fn acquire_for_update(&self, request: AcquireRequest, on_disconnect: OnDisconnect) -> Result<ForUpdate> {
        self.take_for_update(request, on_disconnect).await
    }

    async fn withdraw(&self, key: &Key, lease_id: &LeaseId) {
        self.withdraw_grant(key, lease_id).await;
    }

    async fn grant_no_more(&self) {
        self.turn_all_away().await;
    }

    fn tally(&self) -> Tally {
        Tally { waiters: self.shared.waiting_in_all(), expired: self.shared.expired.load(Ordering::SeqCst) }
    }

    async fn would_change(&self, request: &ChangeRequest) -> Result<()> {
        self.would_refuse(request).await
    }

    async fn edited_before(&self, request: &ChangeRequest) -> Result<Option<Changed>> {
        self.edit_remembered(request).await
    }

    async fn keepalive(&self, key: &Key, proof: &Proof, ttl: Ttl) -> Result<Renewed> {
        let request = Renew { proof: proof.clone(), ttl, stamp: None, at: self.shared.clock.wall() };
        let answer = self.ask(key, Request::Renew(request)).await?;
        match answer.outcome {
            Outcome::Renewed { ttl } => Ok(Renewed { ttl, left: self.shared.left(ttl, answer.written) }),
            other => Err(unexpected(&other)),
        }
    }

    async fn release(&self, key: &Key, lease_id: &LeaseId, proof: Option<&Proof>, rollback: bool) -> Result<Released> {
        let request = Release {
            lease_id: lease_id.clone(),
            token: proof.map(|proof| proof.token),
            txn: proof.and_then(|proof| proof.txn.clone()),
            rollback,
            succeeded: None,
            reserve: false,
            at: self.shared.clock.wall(),
        };
        self.end(key, request).await
    }

    async fn release_after_success(&self, key: &Key, proof: &Proof, began: UnixMillis) -> Result<Released> {
        let request = Release {
            lease_id: proof.lease_id.clone(),
            token: Some(proof.token),
            txn: proof.txn.clone(),
            rollback: false,
            succeeded: Some(began),
            reserve: false,
            at: self.shared.clock.wall(),
        };
        self.end(key, request).await
    }

    async fn get(&self, key: &Key, proof: Option<&Proof>) -> Result<Option<State>> {
        self.read_state(key, proof).await
    }

    async fn update(&self, request: ChangeRequest, expected: Expected, body: ByteStream) -> Result<Changed> {
        self.write_state(request, expected, body).await
    }

    async fn remove(&self, request: ChangeRequest) -> Result<Changed> {
        let (key, update) = self.update_of(request, Change::Remove);
        let answer = self.ask(&key, Request::Update(update)).await?;
        self.delete_soon(answer.replaced);
        changed(answer.outcome)
    }

    async fn describe(&self, key: &Key) -> Result<Description> {
        let (record, _) = self.shared.read(key).await?;
        Ok(self.shared.described(&record))
    }

    async fn break_lease(&self, request: BreakRequest) -> Result<Broke> {
        self.break_by_force(request).await
    }

    fn list<'a>(&'a self, request: &'a ListRequest) -> BoxStream<'a, Result<Listed>> {
        self.listing(request)
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxStream<'a, Result<Watched>> {
        self.watching(key)
    }

    async fn fence_admit(&self, request: FenceRequest) -> Result<Fence> {
        self.admit(request).await
    }

    async fn fence_check(&self, request: FenceRequest) -> Result<Fence> {
        self.compared(&request).await
    }

    async fn close(&self) {
        let until = self.shared.clock.boot() + RELEASE_TRY;
        let mut work = std::mem::take(&mut *lock(&self.shared.background));
        let done = async { while work.join_next().await.is_some() {} };
        let _left_for_next_time = self.shared.clock.timeout_at(until, done).await;
    }
}

/// Nothing inside these locks can leave half a change behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    async fn end(&self, key: &Key, release: Release) -> Result<Released> {
        let answer = self.ask(key, Request::Release(release)).await?;
        match answer.outcome {
            Outcome::Released(released) => {
                self.collect_after_release(&answer);
                Ok(released)
            }
            other => Err(unexpected(&other)),
        }
    }

    fn update_of(&self, request: ChangeRequest, change: Change) -> (Key, Update) {
        let update = Update {
            proof: request.proof,
            id: request.request_id,
            change,
            edits: request.edits,
            guards: request.guards,
            bound: None,
            at: self.shared.clock.wall(),
        };
        (request.key, update)
    }
}

fn changed(outcome: Outcome) -> Result<Changed> {
    match outcome {
        Outcome::Updated { version, etag, bytes, changed } => Ok(Changed { version, etag, bytes, changed }),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(outcome: &Outcome) -> Error {
    Error::new(ErrorKind::Internal, format!("the lease machine answered another question: {outcome:?}"))
}

impl Shared {
    /// Runs work that nobody waits for but [`Engine::close`].
    fn later(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut background = lock(&self.background);
        while background.try_join_next().is_some() {}
        background.spawn(work);
    }
}

/// The proof is good for this record as it stands.
fn check_proof(record: &Record, proof: &Proof, clock: &dyn Clock) -> Result<()> {
    lease::held(record, proof).map(|_| ()).map_err(|refusal| {
        let ended = record.ended(&proof.lease_id).cloned().map(Box::new);
        Denied::Refused { refusal: Box::new(refusal), age: std::time::Duration::ZERO, ended, place: None }
            .into_error(&record.key, clock)
    })
}
