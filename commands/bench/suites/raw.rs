//! The store alone: what is left for leases to cost beside it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use lockd::error::{Error, ErrorKind, Result};
use lockd::model::{BlobId, FencingToken, Key, Record, WriteId};
use lockd::store::{Etag, Precondition, PutError, Store};

use super::super::load::{Laps, Work};
use super::super::place::Place;
use super::{keys, stream, update};

/// Each client replaces its own record by compare-and-swap.
pub struct Put {
    place: Place,
    /// What each client wrote last. A client does one thing after the other.
    last: Vec<Mutex<(Record, Option<Etag>)>>,
}

impl Put {
    /// # Errors
    /// When a key cannot be made.
    pub fn new(place: &Place, clients: usize) -> Result<Self> {
        let last = keys(place, &format!("put-{clients}"), clients)?
            .into_iter()
            .map(|key| Mutex::new((Record::new(key), None)))
            .collect();
        Ok(Self { place: place.clone(), last })
    }
}

#[async_trait]
impl Work for Put {
    async fn once(&self, client: usize, laps: &mut Laps<'_>) -> Result<()> {
        let store = self.place.store(client)?;
        let (record, etag) = self.last(client).clone();
        let record = record.sealed(WriteId::random(&*self.place.entropy));
        match put(store, &record, etag).await {
            Ok(etag) => {
                laps.lap();
                *self.last(client) = (record, Some(etag));
                Ok(())
            }
            Err(e) => {
                // It may have been applied: begin anew from what is there.
                if let Ok(Some(tagged)) = store.records.get(&record.key).await {
                    self.last(client).1 = Some(tagged.etag);
                }
                Err(e)
            }
        }
    }
}

impl Put {
    fn last(&self, client: usize) -> MutexGuard<'_, (Record, Option<Etag>)> {
        self.last[client].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each client reads its own record.
pub struct Get {
    place: Place,
    keys: Vec<Key>,
}

impl Get {
    /// # Errors
    /// When a key cannot be made.
    pub fn new(place: &Place, clients: usize) -> Result<Self> {
        Ok(Self { place: place.clone(), keys: keys(place, "get", clients)? })
    }
}

#[async_trait]
impl Work for Get {
    async fn once(&self, client: usize, laps: &mut Laps<'_>) -> Result<()> {
        let store = self.place.store(client)?;
        let key = &self.keys[client];
        if store.records.get(key).await?.is_none() {
            // The first time only.
            let record = Record::new(key.clone()).sealed(WriteId::random(&*self.place.entropy));
            put(store, &record, None).await?;
        }
        laps.lap();
        Ok(())
    }
}

/// Each client writes a blob, reads it, and deletes it.
pub struct Blob {
    place: Place,
    keys: Vec<Key>,
    states: update::States,
    bytes: usize,
}

impl Blob {
    /// # Errors
    /// When a key cannot be made.
    pub fn new(place: &Place, clients: usize, bytes: usize) -> Result<Self> {
        let (keys, states) = (keys(place, "blob", clients)?, update::States::new(bytes));
        Ok(Self { place: place.clone(), keys, states, bytes })
    }

    async fn up_and_down(&self, store: &Store, id: &BlobId, laps: &mut Laps<'_>) -> Result<()> {
        store.blobs.write(id, self.states.next()).await?;
        laps.lap();
        let body = store.blobs.read(id, 0..self.bytes as u64).await?;
        let what = || format!("the blob {}", id.name());
        stream::drained(body, self.bytes, what).await?;
        laps.lap();
        Ok(())
    }
}

#[async_trait]
impl Work for Blob {
    fn steps(&self) -> &'static [&'static str] {
        &["up", "down", "delete"]
    }

    async fn once(&self, client: usize, laps: &mut Laps<'_>) -> Result<()> {
        let store = self.place.store(client)?;
        let id = BlobId::random(self.keys[client].hash(), FencingToken(1), &*self.place.entropy);
        let done = self.up_and_down(store, &id, laps).await;
        // Nobody else knows of it.
        let deleted = store.blobs.delete(&id).await;
        done?;
        deleted?;
        laps.lap();
        Ok(())
    }
}

/// Puts a record in the place of the last one.
///
/// # Errors
/// Why it was not, or may not have been, applied.
pub async fn put(store: &Store, record: &Record, last: Option<Etag>) -> Result<Etag> {
    let when = last.map_or(Precondition::Absent, Precondition::Matches);
    store.records.put(&record.key, record.encode()?, when).await.map_err(|e| match e {
        PutError::Conflict => {
            Error::new(ErrorKind::VersionConflict, format!("{}: somebody else writes to the measurement", record.key))
        }
        PutError::Unknown(e) => e.with_kind(ErrorKind::OutcomeUnknown),
        PutError::Failed(e) => e,
    })
}
