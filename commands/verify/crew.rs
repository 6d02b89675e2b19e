//! The processes that race, seen from the one that started them.

use std::time::Duration;

use futures_util::future::join_all;
use lockd::clock::Clock;
use lockd::store::conformance::Flaw;
use lockd::store::open::StoreUrl;
use serde::Serialize;

use super::worker::{Begin, Order, Reply};
use crate::process::worker::Worker;

/// How long a worker may take for an order, beside the time that the order itself asks for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a worker may take to go home.
const FAREWELL: Duration = Duration::from_secs(5);

/// Processes of this program. Killed when dropped.
pub struct Crew<'a> {
    workers: Vec<Worker>,
    clock: &'a dyn Clock,
}

impl<'a> Crew<'a> {
    /// Starts so many on a store in the checks' place.
    ///
    /// # Errors
    /// In words.
    pub async fn start(count: usize, store: &StoreUrl, place: &StoreUrl, clock: &'a dyn Clock) -> Result<Self, Flaw> {
        let (crew, replies) = Self::begin(count, store, place, clock).await?;
        match replies.iter().all(|reply| matches!(reply, Reply::Ready)) {
            true => Ok(crew),
            false => Err(strange()),
        }
    }

    /// Starts one on a store that this process has open and that is for one process at a time: it must not get it.
    ///
    /// # Errors
    /// In words: it got it, or that could not be tried.
    pub async fn kept_out(store: &StoreUrl, place: &StoreUrl, clock: &'a dyn Clock) -> Result<String, Flaw> {
        let (crew, replies) = Self::begin(1, store, place, clock).await?;
        crew.end().await;
        match replies[..] {
            [Reply::KeptOut] => Ok("a second process is kept out: one at a time uses an lsm:// store".to_owned()),
            [Reply::Ready] => Err("a second process opened it at the same time".into()),
            _ => Err(strange()),
        }
    }

    async fn begin(
        count: usize,
        store: &StoreUrl,
        place: &StoreUrl,
        clock: &'a dyn Clock,
    ) -> Result<(Self, Vec<Reply>), Flaw> {
        let begin = Begin { url: Some(store.to_text()), place: place.to_text() };
        let workers = (0..count).map(|_| start()).collect::<Result<Vec<_>, _>>()?;
        let mut crew = Self { workers, clock };
        let replies = crew.ask(&begin, Duration::ZERO).await?;
        Ok((crew, replies))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    /// Gives all of them the same order at the same time; their replies.
    ///
    /// # Errors
    /// In words, when one of them failed or is gone.
    pub async fn all(&mut self, order: &Order) -> Result<Vec<Reply>, Flaw> {
        let asked = if let Order::Soak { millis } = order { Duration::from_millis(*millis) } else { Duration::ZERO };
        self.ask(order, asked).await
    }

    /// Gives one of them an order.
    ///
    /// # Errors
    /// As [`Crew::all`].
    pub async fn one(&mut self, worker: usize, order: &Order) -> Result<Reply, Flaw> {
        let line = line(order)?;
        let until = self.clock.boot() + PATIENCE;
        let count = self.workers.len();
        let worker = &mut self.workers[worker % count];
        tell(worker, &line).await?;
        self.clock.timeout_at(until, hear(worker)).await.ok_or_else(|| trouble("a process did not answer"))?
    }

    async fn ask(&mut self, what: &impl Serialize, asked: Duration) -> Result<Vec<Reply>, Flaw> {
        let line = line(what)?;
        let until = self.clock.boot() + PATIENCE + asked;
        for worker in &mut self.workers {
            tell(worker, &line).await?;
        }
        let replies = join_all(self.workers.iter_mut().map(hear));
        let replies = self.clock.timeout_at(until, replies).await.ok_or_else(|| trouble("a process did not answer"))?;
        replies.into_iter().collect()
    }

    /// Sends them home.
    pub async fn end(mut self) {
        let Ok(line) = line(&Order::End) else { return };
        for worker in &mut self.workers {
            let _may_be_gone = worker.tell(&line).await;
        }
        let until = self.clock.boot() + FAREWELL;
        let gone = join_all(self.workers.iter_mut().map(Worker::ended));
        let _late_ones_are_killed = self.clock.timeout_at(until, gone).await;
    }
}

fn start() -> Result<Worker, Flaw> {
    Worker::start().map_err(|e| trouble(format!("a process cannot be started: {e}")))
}

async fn tell(worker: &mut Worker, line: &str) -> Result<(), Flaw> {
    match worker.tell(line).await {
        Ok(()) => Ok(()),
        Err(_) => Err(obituary(worker).await),
    }
}

async fn hear(worker: &mut Worker) -> Result<Reply, Flaw> {
    let line = worker.hear().await.map_err(|e| trouble(e.to_string()))?;
    let Some(line) = line else { return Err(obituary(worker).await) };
    match serde_json::from_str(&line).map_err(|_| strange())? {
        Reply::Failed(why) => Err(why),
        reply => Ok(reply),
    }
}

async fn obituary(worker: &mut Worker) -> Flaw {
    match worker.ended().await {
        Ok(status) => trouble(format!("one of the processes ended before its time: {status}")),
        Err(e) => trouble(format!("one of the processes ended before its time: {e}")),
    }
}

/// An answer to another question.
pub fn strange() -> Flaw {
    trouble("a process gave a strange answer")
}

/// Something between the processes: it says nothing of the store.
pub fn trouble(what: impl Into<String>) -> Flaw {
    Flaw::Error(what.into(), Some("run it again".to_owned()))
}

fn line(what: &impl Serialize) -> Result<String, Flaw> {
    serde_json::to_string(what).map_err(|e| trouble(e.to_string()))
}
