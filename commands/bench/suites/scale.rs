//! Acquire and release among many keys that were used before.

use async_trait::async_trait;
use futures_util::future::try_join_all;
use lockd::error::Result;
use lockd::model::{Key, Record, WriteId};

use super::super::load::{Laps, Work};
use super::super::place::Place;
use super::raw;

/// Keys that are made at the same time.
const AT_ONCE: usize = 64;

/// Clients take keys at random out of their share of so many, and give them back.
pub struct Scale {
    place: Place,
    name: String,
    keys: usize,
    clients: usize,
}

impl Scale {
    /// So many keys in all, and one for each client at the least.
    pub fn new(place: &Place, clients: usize, keys: usize) -> Self {
        Self { place: place.clone(), name: format!("scale-{keys}-{clients}"), keys: keys.max(clients), clients }
    }

    fn key(&self, n: usize) -> Result<Key> {
        self.place.key(&format!("{}/{n}", self.name))
    }

    /// One of the keys that no other client takes: those whose numbers leave the client's own as the rest.
    fn any_key_of(&self, client: usize) -> Result<Key> {
        let own = (self.keys - client).div_ceil(self.clients);
        let nth = usize::try_from(self.place.entropy.below(own as u64)).unwrap_or(0);
        self.key(client + nth * self.clients)
    }

    /// Makes each [`AT_ONCE`]th key from the first on.
    async fn make(&self, first: usize) -> Result<()> {
        for n in (first..self.keys).step_by(AT_ONCE) {
            let key = self.key(n)?;
            if self.place.has_store() {
                let record = Record::new(key).sealed(WriteId::random(&*self.place.entropy));
                raw::put(self.place.store(n)?, &record, None).await?;
            } else {
                self.place.take(first, &key).await?.release().await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Work for Scale {
    fn steps(&self) -> &'static [&'static str] {
        &["acquire", "release"]
    }

    async fn prepare(&self) -> Result<()> {
        try_join_all((0..AT_ONCE).map(|first| self.make(first))).await.map(drop)
    }

    async fn once(&self, client: usize, laps: &mut Laps<'_>) -> Result<()> {
        let key = self.any_key_of(client)?;
        let lease = self.place.take(client, &key).await?;
        laps.lap();
        lease.release().await?;
        laps.lap();
        Ok(())
    }
}
