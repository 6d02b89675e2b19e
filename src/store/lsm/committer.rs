//! Group commit. Puts queue; one committer at a time takes all that have arrived, checks each against what its batch holds so
//! far, else against the tree, and commits the batch with one sync. Every answer, conflicts included, leaves after that sync:
//! whoever is told of a value may rely on it. What arrives during the sync is the next batch.
//!
//! After a failed commit nobody knows what is on the disk: all puts of the batch are unknown, and the store is refused until it
//! is opened anew. So that a full disk is not such a failure, a batch takes in only what there is [`Room`] for.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::changes::Changes;
use super::lost;
use super::room::Room;
use super::tree::Stamp;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{LSM_BATCH, LSM_BATCH_BYTES, LSM_QUEUE};
use crate::model::Key;
use crate::mutants::{Mutant, inherited, on};
use crate::store::{Etag, Precondition, PutError};

/// What the committer needs of a tree.
pub trait Tree: Send + Sync + fmt::Debug + 'static {
    /// Whether the store may be used, and what there is room for.
    ///
    /// # Errors
    /// When it may not, any more.
    fn check(&self) -> Result<Room>;

    /// The stamp of a key's value, durable when this returns, and the length of its record; `None` when there never was one.
    ///
    /// # Errors
    /// When it cannot be read.
    fn present(&self, key: &Key) -> Result<Option<(Stamp, usize)>>;

    /// Applies all of it, durably and at once.
    ///
    /// # Errors
    /// When that failed, in whatever part.
    fn commit(&self, batch: Vec<Write>) -> Result<()>;

    /// Nothing is known to be durable any more: from now on [`Tree::check`] fails.
    fn distrust(&self, error: Error) -> Error;
}

/// One record of a batch.
#[derive(Clone, Debug)]
pub struct Write {
    /// Where.
    pub key: Key,
    /// The value's name.
    pub stamp: Stamp,
    /// The encoded record.
    pub value: Bytes,
}

/// See the module.
#[derive(Debug)]
pub struct Committer<T: Tree> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    tree: Arc<T>,
    changes: Arc<Changes>,
    opening: u64,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    puts: VecDeque<Put>,
    /// Whether somebody commits. Only the one who set it takes from the queue.
    busy: bool,
    /// The number of the last value.
    last: u64,
}

#[derive(Debug)]
struct Put {
    key: Key,
    value: Bytes,
    when: Precondition,
    answer: Answer,
}

type Verdict = Result<Etag, PutError>;
type Answer = oneshot::Sender<Verdict>;

impl<T: Tree> Committer<T> {
    /// A committer for a tree. `opening` is a random number that no other opening of the store has.
    #[must_use]
    pub fn new(tree: Arc<T>, changes: Arc<Changes>, opening: u64) -> Self {
        Self { shared: Arc::new(Shared { tree, changes, opening, queue: Mutex::default() }) }
    }

    /// Puts, in the order of the calls. A put that was sent is committed even when the future is dropped.
    ///
    /// # Errors
    /// See [`crate::store::RecordStore::put`].
    pub async fn put(&self, key: Key, value: Bytes, when: Precondition) -> Verdict {
        let (answer, told) = oneshot::channel();
        if self.shared.enqueue(Put { key, value, when, answer })? {
            let shared = Arc::clone(&self.shared);
            // Nobody waits for it: the queue is how it is seen.
            drop(tokio::task::spawn_blocking(inherited(move || shared.run())));
        }
        told.await.unwrap_or_else(|_| Err(PutError::Unknown(lost())))
    }
}

/// Held while a batch is committed. When that panics, the puts that wait must not wait for ever, and nothing is known of the tree.
struct Turn<'a, T: Tree>(&'a Shared<T>);

impl<T: Tree> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let message = "the commit of a batch was cut off by a fault of lockd itself";
            let _refused = self.0.tree.distrust(Error::new(ErrorKind::Internal, message));
            let mut queue = self.0.queue();
            queue.busy = false;
            // Whoever waits learns that the outcome is unknown.
            queue.puts.clear();
        }
    }
}

impl<T: Tree> Shared<T> {
    // Each change under the lock is one step, so that a panic leaves the queue whole.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues; whether nobody commits yet and the caller has to see to it.
    fn enqueue(&self, put: Put) -> Result<bool, PutError> {
        let mut queue = self.queue();
        if queue.puts.len() >= LSM_QUEUE {
            let message = format!("{LSM_QUEUE} writes wait for the disk already");
            return Err(PutError::Failed(Error::new(ErrorKind::Throttled, message).with_hint("try again later")));
        }
        queue.puts.push_back(put);
        Ok(!std::mem::replace(&mut queue.busy, true))
    }

    /// Commits until nothing waits.
    fn run(&self) {
        while let Some((puts, last)) = self.next_batch() {
            let last = self.batch(puts, last);
            self.queue().last = last;
        }
    }

    /// All that has arrived, up to the bounds of a batch, and the number of the last value; ends the turn when that is nothing.
    fn next_batch(&self) -> Option<(Vec<Put>, u64)> {
        let mut queue = self.queue();
        let (mut count, mut bytes) = (0, 0);
        for put in &queue.puts {
            bytes += put.value.len();
            if count == LSM_BATCH || (count > 0 && bytes > LSM_BATCH_BYTES) {
                break;
            }
            count += 1;
        }
        queue.busy = count > 0;
        let last = queue.last;
        (count > 0).then(|| (queue.puts.drain(..count).collect(), last))
    }

    /// Commits a batch and answers; returns the number of the last value.
    fn batch(&self, puts: Vec<Put>, last: u64) -> u64 {
        let mut verdicts: Vec<(Answer, Verdict)> = Vec::with_capacity(puts.len());
        // Dropped before the answers are: whoever learns of a fault finds the store refused.
        let _turn = Turn(self);
        let room = match self.tree.check() {
            Ok(room) => room,
            Err(refused) => {
                puts.into_iter().for_each(|put| answer(put.answer, Err(PutError::Failed(refused.clone()))));
                return last;
            }
        };
        let mut batch = Batch { last, room, writes: Vec::new(), ahead: HashMap::new() };
        for put in puts {
            let verdict = batch.judge(self, &put);
            let early = (verdict.is_ok() && on(Mutant::AnsweredBeforeSync))
                || (matches!(verdict, Err(PutError::Conflict)) && on(Mutant::ConflictBeforeSync));
            match early {
                true => answer(put.answer, verdict),
                false => verdicts.push((put.answer, verdict)),
            }
        }
        let keys: Vec<Key> = batch.writes.iter().map(|write| write.key.clone()).collect();
        let committed = if batch.writes.is_empty() { Ok(()) } else { self.tree.commit(batch.writes) };
        match committed {
            Ok(()) => {
                self.changes.tell(keys.iter());
                answer_all(verdicts);
            }
            Err(error) => {
                let error = if on(Mutant::FailedCommitForgotten) { error } else { self.tree.distrust(error) };
                verdicts.into_iter().for_each(|(to, _)| answer(to, Err(PutError::Unknown(error.clone()))));
                // They may have been written, so whoever waits should look, and be refused.
                self.changes.tell(keys.iter());
            }
        }
        batch.last
    }
}

/// From a task of the runtime: each answer wakes somebody, and from there that costs neither a lock nor a call of the kernel.
fn answer_all(verdicts: Vec<(Answer, Verdict)>) {
    tokio::spawn(async move { verdicts.into_iter().for_each(|(to, verdict)| answer(to, verdict)) });
}

fn answer(to: Answer, verdict: Verdict) {
    // Who no longer waits does not want to know.
    let _gone = to.send(verdict);
}

/// A batch being put together.
struct Batch {
    writes: Vec<Write>,
    /// What the keys of the batch have once it is committed.
    ahead: HashMap<Key, (Stamp, usize)>,
    room: Room,
    last: u64,
}

impl Batch {
    /// Checks a put, and takes it in when its precondition holds.
    fn judge<T: Tree>(&mut self, shared: &Shared<T>, put: &Put) -> Verdict {
        let ahead = self.ahead.get(&put.key).copied().filter(|_| !on(Mutant::BatchUnchecked));
        let present = match ahead {
            Some(ahead) => Some(ahead),
            None => shared.tree.present(&put.key).map_err(PutError::Failed)?,
        };
        let holds = match &put.when {
            Precondition::Absent => present.is_none(),
            Precondition::Matches(wanted) => {
                present.is_some() && present.map(|(stamp, _)| stamp) == Stamp::parse(wanted)
            }
        };
        if !holds {
            return Err(PutError::Conflict);
        }
        self.room.take(put.value.len(), present.map_or(0, |(_, len)| len)).map_err(PutError::Failed)?;
        self.last += 1;
        let stamp = Stamp { opening: shared.opening, number: self.last };
        self.ahead.insert(put.key.clone(), (stamp, put.value.len()));
        self.writes.push(Write { key: put.key.clone(), stamp, value: put.value.clone() });
        Ok(stamp.etag())
    }
}
