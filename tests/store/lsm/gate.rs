//! A tree in memory whose commits wait for the test, fail when it says so, and can be looked at as a crash would leave them.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};

use lockd::error::{Error, ErrorKind, Result};
use lockd::model::Key;
use lockd::store::lsm::changes::Changes;
use lockd::store::lsm::committer::{Committer, Tree, Write};
use lockd::store::lsm::room::Room;
use lockd::store::lsm::tree::Stamp;

/// What the next commit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    Succeeds,
    Fails,
    Panics,
}

#[derive(Debug, Default)]
struct State {
    durable: HashMap<Key, (Stamp, usize)>,
    /// Bytes free on its disk; as many as you like when `None`.
    free: Option<u64>,
    refused: Option<Error>,
    /// Sizes of the batches whose commit has begun.
    begun: Vec<usize>,
    /// What the commits to come do.
    let_go: Vec<Sync>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<State>,
    turned: Condvar,
}

impl Gate {
    pub fn new() -> (Arc<Self>, Committer<Self>) {
        let gate = Arc::<Self>::default();
        (Arc::clone(&gate), Committer::new(gate, Arc::<Changes>::default(), 7))
    }

    /// Lets one commit go on.
    pub fn let_go(&self, how: Sync) {
        self.state.lock().unwrap().let_go.push(how);
        self.turned.notify_all();
    }

    /// Waits until the `n`-th commit has begun, and returns the size of its batch.
    pub async fn begun(self: &Arc<Self>, n: usize) -> usize {
        let gate = Arc::clone(self);
        let wait = move || {
            let state = gate.state.lock().unwrap();
            gate.turned.wait_while(state, |state| state.begun.len() < n).unwrap().begun[n - 1]
        };
        tokio::task::spawn_blocking(wait).await.unwrap()
    }

    /// What a crash would leave.
    pub fn durable(&self, key: &Key) -> Option<Stamp> {
        self.state.lock().unwrap().durable.get(key).map(|(stamp, _)| *stamp)
    }

    /// Leaves so many bytes on its disk.
    pub fn leave(&self, free: u64) {
        self.state.lock().unwrap().free = Some(free);
    }
}

impl Tree for Gate {
    fn check(&self) -> Result<Room> {
        let state = self.state.lock().unwrap();
        state.refused.clone().map_or(Ok(Room::of(state.free.unwrap_or(u64::MAX))), Err)
    }

    fn present(&self, key: &Key) -> Result<Option<(Stamp, usize)>> {
        Ok(self.state.lock().unwrap().durable.get(key).copied())
    }

    fn commit(&self, batch: Vec<Write>) -> Result<()> {
        let mut state = self.state.lock().unwrap();
        state.begun.push(batch.len());
        self.turned.notify_all();
        let mut state = self.turned.wait_while(state, |state| state.let_go.is_empty()).unwrap();
        match state.let_go.remove(0) {
            Sync::Succeeds => {
                state.durable.extend(batch.into_iter().map(|write| (write.key, (write.stamp, write.value.len()))));
                Ok(())
            }
            Sync::Fails => Err(Error::new(ErrorKind::Io, "the sync failed")),
            Sync::Panics => {
                drop(state);
                panic!("a fault that the test asked for")
            }
        }
    }

    fn distrust(&self, error: Error) -> Error {
        self.state.lock().unwrap().refused = Some(error.clone());
        error
    }
}
