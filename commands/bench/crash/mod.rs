//! Processes that work under leases and are killed at random, and whether anything is lost by that.

mod book;
mod process;
pub mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use lockd::clock::BootTime;
use lockd::error::{Error, ErrorKind, Result};
use lockd::limits::BENCH_CLEARED_AT_ONCE;
use lockd::model::Key;
use tokio::sync::Mutex;

use super::load::{Laps, Work};
use super::place::Place;
use book::Book;
use process::{Ended, Process};

pub use book::Losses;
pub use worker::Link;

/// Keys for each client: a key whose holder was killed is nobody's for its TTL and a second, and the others go on.
const KEYS_EACH: usize = 8;

/// Each client has a process that takes one key after the other, adds one to its state and gives it back, until it is killed in
/// the middle of that and another process takes its place.
pub struct Crash {
    place: Place,
    keys: Vec<Key>,
    processes: Vec<Mutex<Option<Process>>>,
    book: Arc<Book>,
    killed: AtomicU64,
}

impl Crash {
    /// # Errors
    /// When a key cannot be made.
    pub fn new(place: &Place, clients: usize) -> Result<Self> {
        let keys = (0..KEYS_EACH * clients).map(|n| place.key(&format!("crash/{n}"))).collect::<Result<_>>()?;
        let processes = (0..clients).map(|_| Mutex::default()).collect();
        Ok(Self { place: place.clone(), keys, processes, book: Arc::default(), killed: AtomicU64::new(0) })
    }

    fn any_key(&self) -> &Key {
        let n = self.place.entropy.below(self.keys.len() as u64);
        &self.keys[usize::try_from(n).unwrap_or(0)]
    }

    /// When a process that starts now is killed: soon enough that about half of the keys are nobody's at most.
    fn end_of_life(&self) -> BootTime {
        let most = 3 * self.place.ttl_min.duration() / 2;
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        self.place.clock.boot() + Duration::from_micros(self.place.entropy.below(micros))
    }

    async fn start(&self) -> Result<Process> {
        Process::start(&self.place.link(), Arc::clone(&self.book), self.end_of_life()).await
    }

    /// What is there in the end, as the next holder sees it.
    async fn last_look(&self, key: &Key) -> Result<()> {
        let lease = self.place.take(0, key).await?;
        self.book.granted(key, lease.token, self.place.clock.boot(), lease.deadline());
        self.book.read(key, lease.token, worker::count(&lease).await?);
        self.book.ended(key, lease.token, self.place.clock.boot());
        lease.release().await.map(drop)
    }
}

#[async_trait]
impl Work for Crash {
    async fn prepare(&self) -> Result<()> {
        let starts = self.processes.iter().map(|slot| async {
            *slot.lock().await = Some(self.start().await?);
            Ok::<(), Error>(())
        });
        try_join_all(starts).await.map(drop)
    }

    async fn once(&self, client: usize, laps: &mut Laps<'_>) -> Result<()> {
        let mut slot = self.processes[client].lock().await;
        loop {
            let mut process = match slot.take() {
                Some(process) => process,
                None => self.start().await?,
            };
            let (key, until) = (self.any_key(), process.end_of_life);
            let ended = self.place.clock.timeout_at(until, process.cycle(key)).await;
            match ended {
                None => {
                    process.kill(&*self.place.clock, Some(key)).await?;
                    self.killed.fetch_add(1, Ordering::Relaxed);
                }
                Some(Ok(Ended::Well)) => {
                    *slot = Some(process);
                    laps.lap();
                    return Ok(());
                }
                // Somebody else has it, or it was so slow that somebody else has it now.
                Some(Ok(Ended::WithoutIt)) => *slot = Some(process),
                Some(Err(error)) => return Err(error),
            }
        }
    }

    async fn conclude(&self) -> Result<Option<Losses>> {
        for slot in &self.processes {
            if let Some(process) = slot.lock().await.take() {
                process.kill(&*self.place.clock, None).await?;
            }
        }
        let used: Vec<Key> = self.keys.iter().filter(|key| self.book.knows(key)).cloned().collect();
        let looks = stream::iter(used).map(|key| async move { self.last_look(&key).await });
        looks.buffer_unordered(BENCH_CLEARED_AT_ONCE).try_collect::<()>().await?;
        Ok(Some(Losses { processes_killed: self.killed.load(Ordering::Relaxed), ..self.book.losses() }))
    }
}

/// Something between the processes: it says nothing of the store.
fn trouble(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Internal, what)
}
