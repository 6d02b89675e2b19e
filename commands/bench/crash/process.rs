//! A process that works, seen from the one that kills it.

use std::sync::Arc;

use lockd::clock::{BootTime, Clock};
use lockd::error::{Error, ErrorKind, Result};
use lockd::model::{FencingToken, Key};

use super::book::Book;
use super::trouble;
use super::worker::{Link, Step};
use crate::process::worker::Worker;

/// A process of this program. Killed when dropped.
pub struct Process {
    worker: Worker,
    book: Arc<Book>,
    /// The lease that it has, as far as it told.
    has: Option<(Key, FencingToken)>,
    /// When it is to be killed.
    pub end_of_life: BootTime,
}

/// How a cycle ended.
pub enum Ended {
    /// As it should.
    Well,
    /// The key was somebody else's.
    WithoutIt,
}

impl Process {
    /// Starts one, which tells the book what it does.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn start(link: &Link, book: Arc<Book>, end_of_life: BootTime) -> Result<Self> {
        let worker = Worker::start().map_err(|e| Error::io("start a process", &e))?;
        let mut process = Self { worker, book, has: None, end_of_life };
        let link = serde_json::to_string(link).map_err(|e| trouble(e.to_string()))?;
        process.order(&link).await?;
        match process.step().await? {
            Some(Step::Ready) => Ok(process),
            _ => Err(process.obituary().await),
        }
    }

    /// Lets it take a key, work and give it back.
    ///
    /// # Errors
    /// Its own, and that it is dead without having been killed.
    pub async fn cycle(&mut self, key: &Key) -> Result<Ended> {
        self.order(key.name()).await?;
        loop {
            let Some(step) = self.step().await? else { return Err(self.obituary().await) };
            match step {
                Step::Done => return Ok(Ended::Well),
                Step::WithoutIt => return Ok(Ended::WithoutIt),
                Step::Failed { code, message } => return Err(told(&code, message)),
                step => self.note(key, &step),
            }
        }
    }

    /// Kills it, in whatever it does, and notes what it had told before. Its lease is believed in until it is dead.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(mut self, clock: &dyn Clock, key: Option<&Key>) -> Result<()> {
        self.worker.kill().await.map_err(|e| Error::io("kill a process", &e))?;
        let dead = clock.boot();
        while let Ok(Some(step)) = self.step().await {
            if let Some(key) = key {
                self.note(key, &step);
            }
        }
        if let Some((key, token)) = self.has.take() {
            self.book.ended(&key, token, dead);
        }
        Ok(())
    }

    fn note(&mut self, key: &Key, step: &Step) {
        if let Step::Got { token, at, deadline } = step {
            self.book.granted(key, FencingToken(*token), BootTime(*at), BootTime(*deadline));
            self.has = Some((key.clone(), FencingToken(*token)));
        }
        let Some((_, token)) = self.has else { return };
        match step {
            Step::Read { count } => self.book.read(key, token, *count),
            Step::Saved { count } => self.book.saved(key, token, *count),
            Step::Gone { at } => {
                self.book.ended(key, token, BootTime(*at));
                self.has = None;
            }
            _ => {}
        }
    }

    async fn order(&mut self, line: &str) -> Result<()> {
        match self.worker.tell(line).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.obituary().await),
        }
    }

    /// The next thing that it tells; `None` when it is dead.
    async fn step(&mut self) -> Result<Option<Step>> {
        let line = self.worker.hear().await.map_err(|e| Error::io("hear a process", &e))?;
        line.map(|line| serde_json::from_str(&line).map_err(|_| trouble("a process said something strange")))
            .transpose()
    }

    async fn obituary(&mut self) -> Error {
        match self.worker.ended().await {
            Ok(status) => trouble(format!("a process ended by itself: {status}")),
            Err(e) => Error::io("wait for a process", &e),
        }
    }
}

/// An error that a process told of.
fn told(code: &str, message: String) -> Error {
    let kind = ErrorKind::ALL.iter().copied().find(|kind| kind.wire_code() == code);
    Error::new(kind.unwrap_or(ErrorKind::Internal), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_a_process_keep_their_code() {
        let error = told(ErrorKind::OutcomeUnknown.wire_code(), "no answer".to_owned());
        assert_eq!((error.kind(), error.message()), (ErrorKind::OutcomeUnknown, "no answer"));
        assert_eq!(told("no code", String::new()).kind(), ErrorKind::Internal);
    }
}
