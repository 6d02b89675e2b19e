//! A change of state under a lease.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use lockd::client::Lease;
use lockd::error::Result;
use lockd::limits::CHUNK_BYTES;
use lockd::model::{Key, RequestId};
use lockd::service::{ChangeRequest, Expected, Guards};
use lockd::store::ByteStream;

use super::super::load::{Laps, Work};
use super::super::place::Place;
use super::keys;

/// Each client takes its own key, replaces the state and gives the key back.
pub struct Update {
    place: Place,
    keys: Vec<Key>,
    states: States,
}

impl Update {
    /// # Errors
    /// When a key cannot be made.
    pub fn new(place: &Place, clients: usize, bytes: usize) -> Result<Self> {
        let keys = keys(place, &format!("update-{bytes}"), clients)?;
        Ok(Self { place: place.clone(), keys, states: States::new(bytes) })
    }
}

/// States of one length, each like no other before it.
pub struct States {
    /// What follows the beginning of every state, in chunks.
    rest: Vec<Bytes>,
    count: AtomicU64,
}

impl States {
    /// States of so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { rest: rest(bytes), count: AtomicU64::new(0) }
    }

    /// The next one.
    pub fn next(&self) -> ByteStream {
        let n = self.count.fetch_add(1, Ordering::Relaxed);
        let chunks: Vec<_> = std::iter::once(Bytes::from(head(n))).chain(self.rest.iter().cloned()).map(Ok).collect();
        stream::iter(chunks).boxed()
    }
}

/// Replaces the state of a key under a lease.
///
/// # Errors
/// Why it was not replaced.
pub async fn replace(place: &Place, client: usize, key: &Key, lease: &Lease, state: ByteStream) -> Result<()> {
    let request_id = RequestId::random(&*place.entropy);
    let request =
        ChangeRequest { key: key.clone(), proof: lease.proof(), request_id, guards: Guards::default(), edits: None };
    place.client(client).service().update(request, Expected::default(), state).await.map(drop)
}

/// Every head has the same length.
fn head(n: u64) -> String {
    format!("{{\"n\":\"{n:016x}\",\"text\":\"")
}

fn rest(bytes: usize) -> Vec<Bytes> {
    let text = bytes.saturating_sub(head(0).len() + 2);
    let letters: Bytes = (0..CHUNK_BYTES).map(|i| b'a' + (i % 26) as u8).collect();
    let full = std::iter::repeat_n(letters.clone(), text / CHUNK_BYTES);
    full.chain([letters.slice(..text % CHUNK_BYTES), Bytes::from_static(b"\"}")]).collect()
}

#[async_trait]
impl Work for Update {
    fn steps(&self) -> &'static [&'static str] {
        &["acquire", "update", "release"]
    }

    async fn once(&self, client: usize, laps: &mut Laps<'_>) -> Result<()> {
        let key = &self.keys[client];
        let lease = self.place.take(client, key).await?;
        laps.lap();
        replace(&self.place, client, key, &lease, self.states.next()).await?;
        laps.lap();
        lease.release().await?;
        laps.lap();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_json_of_the_length_that_was_asked_for() {
        for bytes in [64, 1_024, 5 << 20, super::super::HUGE] {
            let all = [head(7).into_bytes(), rest(bytes).concat()].concat();
            assert_eq!(all.len(), bytes);
            let state: serde_json::Value = serde_json::from_slice(&all).unwrap();
            assert_eq!(state["n"], "0000000000000007");
        }
        assert_ne!(head(0), head(1));
        assert_eq!([1_000, 1_024, 5 << 20].map(super::super::exact), ["1000 B", "1 KiB", "5 MiB"]);
    }
}
