//! A large state up and down.

use async_trait::async_trait;
use futures_util::StreamExt;
use lockd::error::{Error, ErrorKind, Result};
use lockd::model::Key;
use lockd::store::ByteStream;

use super::super::load::{Laps, Work};
use super::super::place::Place;
use super::{keys, update};

/// Each client takes its own key, sends a large state, reads it back and gives the key back.
pub struct Stream {
    place: Place,
    keys: Vec<Key>,
    states: update::States,
    bytes: usize,
}

impl Stream {
    /// # Errors
    /// When a key cannot be made.
    pub fn new(place: &Place, clients: usize, bytes: usize) -> Result<Self> {
        let (keys, states) = (keys(place, "stream", clients)?, update::States::new(bytes));
        Ok(Self { place: place.clone(), keys, states, bytes })
    }
}

#[async_trait]
impl Work for Stream {
    fn steps(&self) -> &'static [&'static str] {
        &["acquire", "up", "down", "release"]
    }

    async fn once(&self, client: usize, laps: &mut Laps<'_>) -> Result<()> {
        let (key, service) = (&self.keys[client], self.place.client(client).service());
        let lease = self.place.take(client, key).await?;
        laps.lap();
        update::replace(&self.place, client, key, &lease, self.states.next()).await?;
        laps.lap();
        let body = service.get(key, Some(&lease.proof())).await?.map(|state| state.body);
        drained(body, self.bytes, || key.to_string()).await?;
        laps.lap();
        lease.release().await?;
        laps.lap();
        Ok(())
    }
}

/// Reads to its end what `bytes` were sent of; `what` names it.
///
/// # Errors
/// When it cannot be read, or another number of bytes came back.
pub async fn drained(body: Option<ByteStream>, bytes: usize, what: impl Fn() -> String) -> Result<()> {
    let (mut body, mut read) = (body.unwrap_or_else(|| futures_util::stream::empty().boxed()), 0);
    while let Some(chunk) = body.next().await {
        read += chunk?.len();
    }
    match read == bytes {
        true => Ok(()),
        false => {
            let what = format!("{}: {read} bytes came back of {bytes} that were sent", what());
            Err(Error::new(ErrorKind::BytesMismatch, what))
        }
    }
}
