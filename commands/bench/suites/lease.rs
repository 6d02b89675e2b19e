//! Acquire and release, without contention.

use async_trait::async_trait;
use lockd::error::Result;
use lockd::model::Key;

use super::super::load::{Laps, Work};
use super::super::place::Place;
use super::keys;

/// Each client takes its own key and gives it back.
pub struct Cycle {
    place: Place,
    keys: Vec<Key>,
}

impl Cycle {
    /// # Errors
    /// When a key cannot be made.
    pub fn new(place: &Place, clients: usize) -> Result<Self> {
        Ok(Self { place: place.clone(), keys: keys(place, "lease", clients)? })
    }
}

#[async_trait]
impl Work for Cycle {
    fn steps(&self) -> &'static [&'static str] {
        &["acquire", "release"]
    }

    async fn once(&self, client: usize, laps: &mut Laps<'_>) -> Result<()> {
        let lease = self.place.take(client, &self.keys[client]).await?;
        laps.lap();
        lease.release().await?;
        laps.lap();
        Ok(())
    }
}
