//! An embedded key-value store (an LSM tree, the crate `fjall`) on a local disk, opened by one process at a time: the fastest
//! durable store that one host has, for `lockd serve`.
//!
//! - [`committer`]: one at a time takes all puts that have arrived, checks them in order, and commits them with one sync.
//! - [`tree`]: the tree and what is stored in it. [`journal`]: the torn end of its journal after a loss of power.
//! - [`owner`]: one process at a time. [`changes`]: waiting for a change. [`root`]: its directory. [`room`]: a disk that fills up.
//!
//! Blobs ([`blobs`]) and the store's identity are those of the directory store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::{Cursor, Etag, Precondition, PutError, RecordStore, Tagged};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::LSM_LIST;
use crate::model::{Key, Namespace};

pub mod blobs;
pub mod changes;
pub mod committer;
pub mod journal;
pub mod owner;
pub mod room;
pub mod root;
pub mod tree;

use changes::Changes;
use committer::Committer;
use tree::FjallTree;

/// Records in a tree.
#[derive(Debug)]
pub struct LsmRecords {
    tree: Arc<FjallTree>,
    committer: Committer<FjallTree>,
    changes: Arc<Changes>,
}

impl LsmRecords {
    /// Records in an open tree. `opening` is a random number that no other opening of the store has.
    #[must_use]
    pub fn new(tree: Arc<FjallTree>, opening: u64) -> Self {
        let changes = Arc::<Changes>::default();
        Self { committer: Committer::new(Arc::clone(&tree), Arc::clone(&changes), opening), tree, changes }
    }

    /// Reads the tree on a thread that may wait for the disk.
    async fn read<T: Send + 'static>(&self, work: impl FnOnce(&FjallTree) -> Result<T> + Send + 'static) -> Result<T> {
        let tree = Arc::clone(&self.tree);
        tokio::task::spawn_blocking(move || work(&tree)).await.unwrap_or_else(|_| Err(lost()))
    }
}

/// The store is closed when this returns: another process may open it. What waits for a commit then fails.
impl Drop for LsmRecords {
    fn drop(&mut self) {
        self.tree.close();
    }
}

/// The operation's thread ended before it did, or the store was closed.
pub(crate) fn lost() -> Error {
    Error::new(ErrorKind::Internal, "an operation on the store was cut off while lockd was ending")
}

fn about(what: impl fmt::Display) -> impl FnOnce(Error) -> Error {
    move |error| error.context(what)
}

#[async_trait]
impl RecordStore for LsmRecords {
    async fn get(&self, key: &Key) -> Result<Option<Tagged>> {
        let wanted = key.clone();
        let found = self.read(move |tree| tree.get(&wanted)).await.map_err(about(key))?;
        Ok(found.map(|(stamp, value)| Tagged { value, etag: stamp.etag(), store_age: None }))
    }

    async fn put(&self, key: &Key, value: Bytes, when: Precondition) -> Result<Etag, PutError> {
        match self.committer.put(key.clone(), value, when).await {
            Err(PutError::Unknown(e)) => Err(PutError::Unknown(about(key)(e))),
            Err(PutError::Failed(e)) => Err(PutError::Failed(about(key)(e))),
            other => other,
        }
    }

    /// Each put is queued once.
    fn conflicts_are_certain(&self) -> bool {
        true
    }

    fn list<'a>(&'a self, namespace: &'a Namespace, after: Option<&Cursor>) -> BoxStream<'a, Result<(Key, Cursor)>> {
        let after = after.map_or_else(String::new, |cursor| cursor.0.clone());
        stream::try_unfold(Some(after), move |after| async move {
            let Some(after) = after else { return Ok::<_, Error>(None) };
            let namespace = namespace.clone();
            let keys = self.read(move |tree| tree.keys(&namespace, &after, LSM_LIST)).await?;
            let next = keys.last().filter(|_| keys.len() == LSM_LIST).map(|key| key.name().to_owned());
            Ok(Some((keys, next)))
        })
        .map_ok(|keys| {
            stream::iter(keys.into_iter().map(|key| {
                let cursor = Cursor(key.name().to_owned());
                Ok((key, cursor))
            }))
        })
        .try_flatten()
        .boxed()
    }

    async fn changed(&self, key: &Key, seen: Option<&Etag>) -> Result<()> {
        // Before the look, so that nothing falls between the two.
        let change = self.changes.subscribe(key);
        loop {
            let told = change.next();
            let wanted = key.clone();
            let present = self.read(move |tree| tree.stamp_checked(&wanted)).await.map_err(about(key))?;
            if present.map(|stamp| stamp.etag()).as_ref() != seen {
                return Ok(());
            }
            told.await;
        }
    }
}
