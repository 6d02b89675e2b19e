//! Several worker processes on one directory, and the check of what they did.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clock::JumpClock;
use super::cycle::Worker;
use super::journal::{Figures, Final, Journal, check, history_of};
use super::rng::Rng;
use super::worker::{Kind, Orders, Running, Task, block_on, engine_of};
use crate::history;
use lockd::service::LeaseService;
use tempfile::TempDir;

/// Worker processes that cycle over the same keys, each in its place; a journal for all of them outside of the store.
pub struct Crew {
    orders: Orders,
    /// Keeps the journal until the crew goes.
    _journal_dir: TempDir,
    keys: usize,
    rng: Rng,
    started: u64,
}

impl Crew {
    pub fn new(store: &Path, keys: usize, ttl_ms: u64, seed: u64) -> Self {
        Self::of(Kind::Disk, 1, store, keys, ttl_ms, seed)
    }

    /// The same on any kind of store, with several workers in each process.
    pub fn of(kind: Kind, at_once: u64, store: &Path, keys: usize, ttl_ms: u64, seed: u64) -> Self {
        let journal_dir = tempfile::tempdir().unwrap();
        let task = Task::Cycles { keys, cycles: None, abandon: true, at_once };
        let journal = journal_dir.path().join("journal");
        let (store, servers) = (store.to_owned(), Vec::new());
        let orders = Orders { task, kind, store, servers, journal, name: String::new(), seed, ttl_ms };
        Self { orders, _journal_dir: journal_dir, keys, rng: Rng::new(seed), started: 0 }
    }

    pub fn start(&mut self) -> Running {
        self.start_over(&[])
    }

    /// A worker that asks these servers of the store, and not the store itself.
    pub fn start_over(&mut self, servers: &[String]) -> Running {
        self.started += 1;
        let (name, seed, servers) = (format!("w{}", self.started), self.rng.next(), servers.to_vec());
        Orders { name, seed, servers, ..self.orders.clone() }.spawn(&[])
    }

    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Whether the store, seen by a new process, stands by every answer so far.
    pub fn check(&self) -> Result<Figures, String> {
        block_on(async {
            let clock = JumpClock::default();
            let engine =
                engine_of(self.orders.kind, &self.orders.store, Arc::new(clock)).await.map_err(|e| e.to_string())?;
            let figures = check(&Journal::read(&self.orders.journal), &self.finals(&engine).await?)?;
            Ok(Figures { history: self.check_history()?, ..figures })
        })
    }

    /// Whether the calls of all workers have an order that explains their answers. With `LOCKD_HISTORY` they are kept there.
    fn check_history(&self) -> Result<history::Figures, String> {
        let path = history_of(&self.orders.journal);
        if let Some(kept) = std::env::var_os("LOCKD_HISTORY") {
            std::fs::copy(&path, kept).map_err(|e| e.to_string())?;
        }
        history::check(&history::read(&path))
    }

    async fn finals(&self, engine: &lockd::engine::Engine) -> Result<BTreeMap<String, Final>, String> {
        let nowhere = Journal::in_memory();
        let reader = Worker { engine, journal: &nowhere, name: "reader", ttl: lockd::limits::TTL_MIN };
        let names: Vec<String> = (0..self.keys).map(|n| format!("k{n}")).collect();
        reader.finals(names.iter().map(String::as_str)).await.map_err(|e| format!("a record cannot be read: {e}"))
    }

    /// Every key can be taken over and written again, until each directory has been pruned: then nothing temporary is left.
    pub fn recover(&mut self) -> Result<(), String> {
        let journal = Journal::append_to(&self.orders.journal).map_err(|e| e.to_string())?;
        let mut rng = self.rng.clone();
        block_on(async {
            let clock = JumpClock::default();
            let engine = engine_of(self.orders.kind, &self.orders.store, Arc::new(clock.clone()))
                .await
                .map_err(|e| e.to_string())?;
            let worker = Worker { engine: &engine, journal: &journal, name: "next", ttl: lockd::limits::TTL_MIN };
            for round in 0..4 {
                for n in 0..self.keys {
                    let taken = worker.take_over(&format!("k{n}"), &clock, &mut rng).await;
                    taken.map_err(|e| format!("k{n} in round {round}: {e}"))?;
                }
            }
            engine.close().await;
            Ok::<(), String>(())
        })?;
        let left = self.temporary();
        if left.is_empty() { Ok(()) } else { Err(format!("temporary files are left: {left:?}")) }
    }

    /// Temporary files of records and blobs.
    pub fn temporary(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut todo = vec![self.orders.store.clone()];
        while let Some(dir) = todo.pop() {
            let Ok(entries) = std::fs::read_dir(&dir) else { continue };
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    todo.push(entry.path());
                } else if entry.file_name().to_string_lossy().starts_with("t.") {
                    found.push(entry.path());
                }
            }
        }
        found
    }
}
