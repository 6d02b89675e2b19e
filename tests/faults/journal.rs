//! What was answered, kept outside of the store, and the check that the store still stands by it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use lockd::clock::{Clock, SystemClock};
use serde::{Deserialize, Serialize};

use crate::history::{self, Event, Log, What};

/// One answer, or one question whose answer never came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// A lease was granted.
    Granted { key: String, token: u64, by: String },
    /// An update to count `n` was sent.
    Tried { key: String, token: u64, n: u64 },
    /// It was acknowledged.
    Updated { key: String, token: u64, version: u64, n: u64 },
    /// A read was answered.
    Seen { key: String, version: u64, n: u64 },
    /// A release was acknowledged.
    Released { key: String, token: u64 },
}

/// Where facts go: memory, or a file that several processes append to, one `write(2)` a line.
#[derive(Clone, Debug)]
pub struct Journal {
    facts: Arc<Mutex<Vec<Fact>>>,
    file: Option<Arc<File>>,
}

impl Journal {
    pub fn in_memory() -> Self {
        Self { facts: Arc::default(), file: None }
    }

    pub fn append_to(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self { facts: Arc::default(), file: Some(Arc::new(file)) })
    }

    pub fn note(&self, fact: Fact) {
        match &self.file {
            Some(file) => append(file, &fact),
            None => self.facts.lock().unwrap().push(fact),
        }
    }

    /// The facts in memory.
    pub fn facts(&self) -> Vec<Fact> {
        self.facts.lock().unwrap().clone()
    }

    /// The facts in a file.
    pub fn read(path: &Path) -> Vec<Fact> {
        history::whole_lines(&std::fs::read_to_string(path).unwrap_or_default())
    }
}

/// Adds a value as a line of its own, whatever a process that was killed left before it.
fn append(mut file: &File, value: &impl Serialize) {
    let line = format!("\n{}\n", serde_json::to_string(value).unwrap());
    assert_eq!(file.write(line.as_bytes()).unwrap(), line.len(), "a line was cut");
}

/// Where the history of the calls behind a journal is.
pub fn history_of(journal: &Path) -> PathBuf {
    journal.with_extension("history")
}

/// A history that several processes append to, one `write(2)` a line: a call's line is there before it begins, its answer's
/// after it has come, so that the order of the lines is an order in time.
pub struct FileLog {
    file: File,
    name: String,
    calls: AtomicU64,
}

impl FileLog {
    pub fn append_to(path: &Path, name: &str) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self { file, name: name.to_owned(), calls: AtomicU64::new(0) })
    }
}

impl Log for FileLog {
    fn number(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }

    fn note(&self, call: u64, key: &str, what: What) {
        let (at, by) = (SystemClock.boot().0, self.name.clone());
        append(&self.file, &Event { run: None, at, by, call, key: key.to_owned(), what });
    }
}

/// What the store says of a key in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Final {
    pub token: u64,
    pub version: u64,
    pub n: u64,
}

/// Figures of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub history: history::Figures,
    pub grants: usize,
    pub updates: usize,
    pub reads: usize,
    pub unanswered: usize,
}

#[derive(Default)]
struct OfKey {
    tokens: BTreeMap<u64, String>,
    updates: BTreeMap<u64, u64>,
    tried: BTreeSet<u64>,
    seen: BTreeMap<u64, u64>,
}

/// Whether the store stands by every answer.
pub fn check(facts: &[Fact], finals: &BTreeMap<String, Final>) -> Result<Figures, String> {
    let mut figures = Figures::default();
    let mut keys: BTreeMap<&str, OfKey> = BTreeMap::new();
    for fact in facts {
        match fact {
            Fact::Granted { key, token, by } => {
                figures.grants += 1;
                let before = keys.entry(key).or_default().tokens.insert(*token, by.clone());
                if let Some(other) = before {
                    return Err(format!("token {token} of {key} was granted twice: to {other} and to {by}"));
                }
            }
            Fact::Tried { key, n, .. } => {
                figures.unanswered += 1;
                keys.entry(key).or_default().tried.insert(*n);
            }
            Fact::Updated { key, version, n, .. } => {
                figures.updates += 1;
                figures.unanswered -= 1;
                if let Some(other) = keys.entry(key).or_default().updates.insert(*version, *n) {
                    return Err(format!("version {version} of {key} was acknowledged twice, for {other} and for {n}"));
                }
            }
            Fact::Seen { key, version, n } => {
                figures.reads += 1;
                let other = keys.entry(key).or_default().seen.insert(*version, *n);
                if let Some(other) = other.filter(|other| other != n) {
                    return Err(format!("version {version} of {key} was read as {other} and as {n}"));
                }
            }
            Fact::Released { .. } => {}
        }
    }
    for (key, of) in keys {
        let last = finals.get(key).copied().unwrap_or_default();
        of.check(last).map_err(|why| format!("{key}: {why}; in the end {last:?}"))?;
    }
    Ok(figures)
}

impl OfKey {
    fn check(&self, last: Final) -> Result<(), String> {
        if let Some((token, by)) = self.tokens.last_key_value().filter(|(token, _)| **token > last.token) {
            return Err(format!("token {token} was granted to {by} and is forgotten"));
        }
        let mut before = 0;
        for (version, n) in &self.updates {
            if *n <= before {
                return Err(format!("an acknowledged update was lost: version {version} made {n} after {before}"));
            }
            before = *n;
        }
        for (what, answers) in [("acknowledged", &self.updates), ("read", &self.seen)] {
            for (version, n) in answers {
                if *version > last.version || *n > last.n || (*version == last.version && *n != last.n) {
                    return Err(format!("version {version} with {n} was {what} and is lost"));
                }
                if self.updates.get(version).is_some_and(|acknowledged| acknowledged != n) {
                    return Err(format!("version {version} was acknowledged with another content than {n}"));
                }
            }
        }
        match last.n == 0 || self.tried.contains(&last.n) {
            true => Ok(()),
            false => Err(format!("{} was never sent", last.n)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(token: u64) -> Fact {
        Fact::Granted { key: "k".into(), token, by: "w".into() }
    }

    fn tried(n: u64) -> Fact {
        Fact::Tried { key: "k".into(), token: 1, n }
    }

    fn updated(version: u64, n: u64) -> Fact {
        Fact::Updated { key: "k".into(), token: 1, version, n }
    }

    #[test]
    fn it_finds_what_it_is_there_to_find() {
        let end = |token, version, n| BTreeMap::from([("k".to_owned(), Final { token, version, n })]);
        let good = [granted(1), tried(1), updated(1, 1), granted(2), tried(2), updated(2, 2), tried(3)];
        for last in [end(2, 2, 2), end(3, 3, 3)] {
            assert!(check(&good, &last).is_ok());
        }
        for (why, last) in
            [("forgotten", end(1, 2, 2)), ("lost", end(2, 1, 1)), ("lost", end(2, 3, 1)), ("never", end(2, 9, 9))]
        {
            assert!(check(&good, &last).unwrap_err().contains(why), "{why}");
        }
        let twice = check(&[granted(1), granted(1)], &end(1, 0, 0));
        assert!(twice.unwrap_err().contains("twice"));
        let overwritten = [granted(1), tried(1), updated(1, 1), tried(1), updated(2, 1)];
        assert!(check(&overwritten, &end(1, 2, 1)).unwrap_err().contains("lost"));
        let aborted = [Fact::Seen { key: "k".into(), version: 2, n: 2 }, tried(1), tried(2)];
        assert!(check(&aborted, &end(1, 1, 1)).unwrap_err().contains("read"));
    }
}
