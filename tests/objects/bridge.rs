//! A store over the network as a test in advanced time sees it: time stands still while a request is under way, because each runs
//! on a runtime of its own and the test waits in a blocking task.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use lockd::clock::Clock;
use lockd::error::Result;
use lockd::model::{BlobId, Key, KeyHash, Namespace};
use lockd::store::{BlobStore, ByteStream, Cursor, Etag, Precondition, PutError, RecordStore, Store, Tagged};
use tokio::runtime::{Builder, Runtime};

use crate::support::clock::TestClock;

/// The runtime of the network.
#[derive(Debug)]
pub struct Network(Option<Runtime>);

impl Drop for Network {
    fn drop(&mut self) {
        // Where one runtime must not wait for another.
        self.0.take().unwrap().shutdown_background();
    }
}

impl Network {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Some(Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())))
    }

    /// Runs something on it to its end.
    pub async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let handle = self.0.as_ref().unwrap().handle().clone();
        tokio::task::spawn_blocking(move || handle.block_on(work)).await.unwrap()
    }
}

/// A store whose requests run on a network of its own.
#[derive(Clone, Debug)]
struct Bridge {
    store: Store,
    network: Arc<Network>,
    clock: TestClock,
}

/// The same store for tests in advanced time.
pub fn bridged(store: Store, network: Arc<Network>, clock: TestClock) -> Store {
    let facts = store.facts.clone();
    let bridge = Arc::new(Bridge { store, network, clock });
    Store { records: bridge.clone(), blobs: bridge, facts }
}

#[async_trait]
impl RecordStore for Bridge {
    async fn get(&self, key: &Key) -> Result<Option<Tagged>> {
        let (records, key) = (self.store.records.clone(), key.clone());
        self.network.run(async move { records.get(&key).await }).await
    }

    async fn put(&self, key: &Key, value: Bytes, when: Precondition) -> Result<Etag, PutError> {
        let (records, key) = (self.store.records.clone(), key.clone());
        self.network.run(async move { records.put(&key, value, when).await }).await
    }

    fn conflicts_are_certain(&self) -> bool {
        self.store.records.conflicts_are_certain()
    }

    fn list<'a>(&'a self, namespace: &'a Namespace, after: Option<&Cursor>) -> BoxStream<'a, Result<(Key, Cursor)>> {
        let (records, namespace, after) = (self.store.records.clone(), namespace.clone(), after.cloned());
        let all = async move { records.list(&namespace, after.as_ref()).collect::<Vec<_>>().await };
        stream::once(self.network.run(all)).flat_map(stream::iter).boxed()
    }

    /// The store's own looks at a clock that no test moves.
    async fn changed(&self, key: &Key, seen: Option<&Etag>) -> Result<()> {
        let clock: &dyn Clock = &self.clock;
        while self.get(key).await?.map(|got| got.etag).as_ref() == seen {
            clock.sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    }
}

#[async_trait]
impl BlobStore for Bridge {
    async fn write(&self, id: &BlobId, body: ByteStream) -> Result<()> {
        let (blobs, id) = (self.store.blobs.clone(), id.clone());
        self.network.run(async move { blobs.write(&id, body).await }).await
    }

    async fn read(&self, id: &BlobId, range: Range<u64>) -> Result<Option<ByteStream>> {
        let (blobs, id) = (self.store.blobs.clone(), id.clone());
        let read = async move {
            match blobs.read(&id, range).await? {
                Some(body) => Ok(Some(body.collect::<Vec<_>>().await)),
                None => Ok(None),
            }
        };
        let chunks: Result<Option<Vec<Result<Bytes>>>> = self.network.run(read).await;
        Ok(chunks?.map(|chunks| stream::iter(chunks).boxed()))
    }

    async fn delete(&self, id: &BlobId) -> Result<()> {
        let (blobs, id) = (self.store.blobs.clone(), id.clone());
        self.network.run(async move { blobs.delete(&id).await }).await
    }

    async fn list(&self, key: KeyHash) -> Result<Vec<BlobId>> {
        let blobs = self.store.blobs.clone();
        self.network.run(async move { blobs.list(key).await }).await
    }

    fn lists_are_dear(&self) -> bool {
        self.store.blobs.lists_are_dear()
    }
}
