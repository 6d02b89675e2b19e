//! A process that works, seen from the one that kills it.

use std::ffi::OsString;
use std::process::Stdio;
use std::sync::Arc;

use lockd::clock::{BootTime, Clock};
use lockd::error::{Error, ErrorKind, Result};
use lockd::model::{FencingToken, Key};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::book::Book;
use super::trouble;
use super::worker::{Link, Step};

/// A process of this program. Killed when dropped.
pub struct Process {
    child: Child,
    orders: ChildStdin,
    steps: Lines<BufReader<ChildStdout>>,
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
        // A group of its own: Ctrl-C is for the one that gives the orders. This very program, even if its file was replaced.
        let mut child = Command::new("/proc/self/exe")
            .args(arguments(std::env::args_os().skip(1)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| Error::io("start a process", &e))?;
        let (Some(orders), Some(steps)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(trouble("a process has no pipes"));
        };
        let steps = BufReader::new(steps).lines();
        let mut process = Self { child, orders, steps, book, has: None, end_of_life };
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
        self.child.kill().await.map_err(|e| Error::io("kill a process", &e))?;
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
        match self.orders.write_all(format!("{line}\n").as_bytes()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.obituary().await),
        }
    }

    /// The next thing that it tells; `None` when it is dead.
    async fn step(&mut self) -> Result<Option<Step>> {
        let line = self.steps.next_line().await.map_err(|e| Error::io("hear a process", &e))?;
        line.map(|line| serde_json::from_str(&line).map_err(|_| trouble("a process said something strange")))
            .transpose()
    }

    async fn obituary(&mut self) -> Error {
        match self.child.wait().await {
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
    fn a_process_has_the_arguments_of_its_master() {
        let made = |text: &str| {
            let all = arguments(text.split(' ').map(OsString::from));
            all.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(made("bench crash --json"), "bench crash --json --worker");
        assert_eq!(made("bench -- crash"), "bench --worker -- crash");
    }

    #[test]
    fn errors_of_a_process_keep_their_code() {
        let error = told(ErrorKind::OutcomeUnknown.wire_code(), "no answer".to_owned());
        assert_eq!((error.kind(), error.message()), (ErrorKind::OutcomeUnknown, "no answer"));
        assert_eq!(told("no code", String::new()).kind(), ErrorKind::Internal);
    }
}
