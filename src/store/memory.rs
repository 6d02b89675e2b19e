//! Memory: for trials, tests and `lockd serve mem://`. Lives in one process and is gone with it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::watch;

use super::{BlobStore, ByteStream, Cursor, Etag, Facts, Precondition, PutError, RecordStore, Store, Tagged};
use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{CHUNK_BYTES, TTL_MIN};
use crate::model::{BlobId, Key, KeyHash, Namespace};

/// A new, empty store in memory.
#[must_use]
pub fn store(entropy: &dyn Entropy) -> Store {
    let facts = Facts {
        url: "mem://".to_owned(),
        id: hex::encode(entropy.bytes::<16>()),
        epoch: 0,
        stamps: false,
        ttl_min: TTL_MIN,
        about: "memory, this process only".to_owned(),
        credential: super::Credential::default(),
    };
    Store { records: Arc::new(MemoryRecords::default()), blobs: Arc::new(MemoryBlobs::default()), facts }
}

/// Records in memory.
#[derive(Debug)]
pub struct MemoryRecords {
    values: Mutex<Values>,
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Values {
    by_key: BTreeMap<Key, (u64, Bytes)>,
    last: u64,
}

impl Default for MemoryRecords {
    fn default() -> Self {
        Self { values: Mutex::default(), changes: watch::Sender::new(()) }
    }
}

fn etag(n: u64) -> Etag {
    Etag(n.to_string().into())
}

// A thread that panicked inside these short sections left the map whole: each changes it in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl RecordStore for MemoryRecords {
    async fn get(&self, key: &Key) -> Result<Option<Tagged>> {
        let values = lock(&self.values);
        Ok(values.by_key.get(key).map(|(n, value)| Tagged { value: value.clone(), etag: etag(*n), store_age: None }))
    }

    async fn put(&self, key: &Key, value: Bytes, when: Precondition) -> Result<Etag, PutError> {
        let new = {
            let mut values = lock(&self.values);
            let present = values.by_key.get(key).map(|(n, _)| etag(*n));
            match (&when, &present) {
                (Precondition::Absent, None) => {}
                (Precondition::Matches(wanted), Some(present)) if wanted == present => {}
                _ => return Err(PutError::Conflict),
            }
            values.last += 1;
            let new = values.last;
            values.by_key.insert(key.clone(), (new, value));
            new
        };
        self.changes.send_replace(());
        Ok(etag(new))
    }

    fn conflicts_are_certain(&self) -> bool {
        true
    }

    fn list<'a>(&'a self, namespace: &'a Namespace, after: Option<&Cursor>) -> BoxStream<'a, Result<(Key, Cursor)>> {
        let after = after.map_or("", |cursor| cursor.0.as_str());
        let values = lock(&self.values);
        let keys = values.by_key.keys().filter(|key| key.namespace() == namespace && key.name() > after);
        let found: Vec<_> = keys.map(|key| Ok((key.clone(), Cursor(key.name().to_owned())))).collect();
        stream::iter(found).boxed()
    }

    async fn changed(&self, key: &Key, seen: Option<&Etag>) -> Result<()> {
        let mut changes = self.changes.subscribe();
        loop {
            let present = lock(&self.values).by_key.get(key).map(|(n, _)| etag(*n));
            if present.as_ref() != seen {
                return Ok(());
            }
            // The sender lives as long as `self`.
            let _closed = changes.changed().await;
        }
    }
}

/// Blobs in memory.
#[derive(Debug, Default)]
pub struct MemoryBlobs {
    blobs: Mutex<BTreeMap<BlobId, Bytes>>,
}

#[async_trait]
impl BlobStore for MemoryBlobs {
    async fn write(&self, id: &BlobId, mut body: ByteStream) -> Result<()> {
        let mut all = Vec::new();
        while let Some(chunk) = body.next().await {
            all.extend_from_slice(&chunk?);
        }
        match lock(&self.blobs).entry(id.clone()) {
            Entry::Vacant(free) => {
                free.insert(all.into());
                Ok(())
            }
            Entry::Occupied(_) => Err(Error::new(ErrorKind::Internal, format!("blob {id} was written twice"))),
        }
    }

    async fn read(&self, id: &BlobId, range: std::ops::Range<u64>) -> Result<Option<ByteStream>> {
        let Some(all) = lock(&self.blobs).get(id).cloned() else { return Ok(None) };
        let clamp = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(all.len());
        let (start, end) = (clamp(range.start), clamp(range.end));
        let wanted = all.slice(start..end.max(start));
        let chunks = (0..wanted.len().div_ceil(CHUNK_BYTES)).map(move |i| {
            let start = i * CHUNK_BYTES;
            Ok(wanted.slice(start..wanted.len().min(start + CHUNK_BYTES)))
        });
        Ok(Some(stream::iter(chunks).boxed()))
    }

    async fn delete(&self, id: &BlobId) -> Result<()> {
        lock(&self.blobs).remove(id);
        Ok(())
    }

    async fn list(&self, key: KeyHash) -> Result<Vec<BlobId>> {
        Ok(lock(&self.blobs).keys().filter(|id| id.key() == key).cloned().collect())
    }
}
