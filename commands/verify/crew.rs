//! The processes that race, seen from the one that started them.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use futures_util::future::join_all;
use lockd::clock::Clock;
use lockd::store::conformance::Flaw;
use lockd::store::open::StoreUrl;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::worker::{Begin, Order, Reply};

/// How long a worker may take for an order, beside the time that the order itself asks for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a worker may take to go home.
const FAREWELL: Duration = Duration::from_secs(5);

/// Processes of this program. Killed when dropped.
pub struct Crew<'a> {
    workers: Vec<Worker>,
    clock: &'a dyn Clock,
}

struct Worker {
    child: Child,
    orders: ChildStdin,
    replies: Lines<BufReader<ChildStdout>>,
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
        let begin = Begin { url: store.to_text(), place: place.to_text() };
        let workers = (0..count).map(|_| Worker::start()).collect::<Result<Vec<_>, _>>()?;
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
        worker.tell(&line).await?;
        self.clock.timeout_at(until, worker.hear()).await.ok_or_else(|| trouble("a process did not answer"))?
    }

    async fn ask(&mut self, what: &impl Serialize, asked: Duration) -> Result<Vec<Reply>, Flaw> {
        let line = line(what)?;
        let until = self.clock.boot() + PATIENCE + asked;
        for worker in &mut self.workers {
            worker.tell(&line).await?;
        }
        let replies = join_all(self.workers.iter_mut().map(Worker::hear));
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
        let gone = join_all(self.workers.iter_mut().map(|worker| worker.child.wait()));
        let _late_ones_are_killed = self.clock.timeout_at(until, gone).await;
    }
}

impl Worker {
    fn start() -> Result<Self, Flaw> {
        let failed = |e: std::io::Error| trouble(format!("a process cannot be started: {e}"));
        // A group of its own: Ctrl-C is for the one that gives the orders. This very program, even if its file was replaced.
        let mut child = Command::new("/proc/self/exe")
            .args(arguments(std::env::args_os().skip(1)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (orders, replies) = (child.stdin.take(), child.stdout.take());
        let (Some(orders), Some(replies)) = (orders, replies) else { return Err(trouble("a process has no pipes")) };
        Ok(Self { child, orders, replies: BufReader::new(replies).lines() })
    }

    async fn tell(&mut self, line: &str) -> Result<(), Flaw> {
        match self.orders.write_all(line.as_bytes()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.obituary().await),
        }
    }

    async fn hear(&mut self) -> Result<Reply, Flaw> {
        let line = self.replies.next_line().await.map_err(|e| trouble(e.to_string()))?;
        let Some(line) = line else { return Err(self.obituary().await) };
        match serde_json::from_str(&line).map_err(|_| strange())? {
            Reply::Failed(why) => Err(why),
            reply => Ok(reply),
        }
    }

    async fn obituary(&mut self) -> Flaw {
        match self.child.wait().await {
            Ok(status) => trouble(format!("one of the processes ended before its time: {status}")),
            Err(e) => trouble(format!("one of the processes ended before its time: {e}")),
        }
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
    serde_json::to_string(what).map(|text| text + "\n").map_err(|e| trouble(e.to_string()))
}

/// The same settings as this process: its arguments, and the word that makes it a worker, before a `--` that ends options.
fn arguments(own: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut all: Vec<OsString> = own.collect();
    let end = all.iter().position(|arg| arg == "--").unwrap_or(all.len());
    all.insert(end, "--worker".into());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_has_the_arguments_of_its_master() {
        let made = |text: &str| {
            let all = arguments(text.split(' ').map(OsString::from));
            all.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(made("verify store /mnt --quick"), "verify store /mnt --quick --worker");
        assert_eq!(made("verify store -- -x"), "verify store --worker -- -x");
    }
}
