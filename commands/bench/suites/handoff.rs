//! Many clients on one key.

use async_trait::async_trait;
use lockd::error::Result;
use lockd::model::Key;

use super::super::load::{Laps, Work};
use super::super::place::Place;

/// Every client waits for the same key, and gives it back at once.
pub struct Handoff {
    place: Place,
    key: Key,
}

impl Handoff {
    /// # Errors
    /// When the key cannot be made.
    pub fn new(place: &Place) -> Result<Self> {
        Ok(Self { place: place.clone(), key: place.key("handoff")? })
    }
}

#[async_trait]
impl Work for Handoff {
    fn steps(&self) -> &'static [&'static str] {
        &["wait", "release"]
    }

    async fn once(&self, client: usize, laps: &mut Laps<'_>) -> Result<()> {
        let lease = self.place.take(client, &self.key).await?;
        laps.lap();
        lease.release().await?;
        laps.lap();
        Ok(())
    }
}
