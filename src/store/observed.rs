//! A store whose requests are timed, for metrics.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::{BlobStore, ByteStream, Cursor, Etag, Precondition, PutError, RecordStore, Store, Tagged};
use crate::clock::Clock;
use crate::error::Result;
use crate::model::{BlobId, Key, KeyHash, Namespace};

/// What requests are called.
pub const OPERATIONS: [&str; 6] = ["get", "put", "blob_write", "blob_read", "blob_delete", "blob_list"];

/// Is told of each request to a store when it was answered.
pub trait Observer: Send + Sync {
    /// `operation` took so long; `well` is false when the store failed. A conflict is no failure.
    fn answered(&self, operation: &'static str, well: bool, took: Duration);
}

/// The same store under the eyes of an observer.
#[must_use]
pub fn store(store: Store, clock: Arc<dyn Clock>, observer: Arc<dyn Observer>) -> Store {
    let eyes = Eyes { clock, observer };
    Store {
        records: Arc::new(Observed { inner: store.records, eyes: eyes.clone() }),
        blobs: Arc::new(Observed { inner: store.blobs, eyes }),
        facts: store.facts,
    }
}

#[derive(Clone)]
struct Eyes {
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
}

struct Observed<T: ?Sized> {
    inner: Arc<T>,
    eyes: Eyes,
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Observed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observed").field(&self.inner).finish()
    }
}

impl Eyes {
    async fn on<T>(&self, operation: &'static str, request: impl Future<Output = T>, well: impl Fn(&T) -> bool) -> T {
        let began = self.clock.boot();
        let answer = request.await;
        self.observer.answered(operation, well(&answer), self.clock.boot().since(began));
        answer
    }
}

#[async_trait]
impl RecordStore for Observed<dyn RecordStore> {
    async fn get(&self, key: &Key) -> Result<Option<Tagged>> {
        self.eyes.on("get", self.inner.get(key), Result::is_ok).await
    }

    async fn put(&self, key: &Key, value: Bytes, when: Precondition) -> Result<Etag, PutError> {
        let well = |answer: &Result<Etag, PutError>| matches!(answer, Ok(_) | Err(PutError::Conflict));
        self.eyes.on("put", self.inner.put(key, value, when), well).await
    }

    fn conflicts_are_certain(&self) -> bool {
        self.inner.conflicts_are_certain()
    }

    fn list<'a>(&'a self, namespace: &'a Namespace, after: Option<&Cursor>) -> BoxStream<'a, Result<(Key, Cursor)>> {
        self.inner.list(namespace, after)
    }

    async fn changed(&self, key: &Key, seen: Option<&Etag>) -> Result<()> {
        self.inner.changed(key, seen).await
    }
}

#[async_trait]
impl BlobStore for Observed<dyn BlobStore> {
    async fn write(&self, id: &BlobId, body: ByteStream) -> Result<()> {
        self.eyes.on("blob_write", self.inner.write(id, body), Result::is_ok).await
    }

    async fn read(&self, id: &BlobId, range: Range<u64>) -> Result<Option<ByteStream>> {
        self.eyes.on("blob_read", self.inner.read(id, range), Result::is_ok).await
    }

    async fn delete(&self, id: &BlobId) -> Result<()> {
        self.eyes.on("blob_delete", self.inner.delete(id), Result::is_ok).await
    }

    async fn list(&self, key: KeyHash) -> Result<Vec<BlobId>> {
        self.eyes.on("blob_list", self.inner.list(key), Result::is_ok).await
    }

    fn lists_are_dear(&self) -> bool {
        self.inner.lists_are_dear()
    }
}
