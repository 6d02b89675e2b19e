//! The lists of behaviours of the service, on every object store that is here.

use std::sync::Arc;

use super::bridge::{Network, bridged};
use super::fake;
use super::servers::{self, Place};
use crate::service::{behaviours, for_update, interventions};
use crate::support::clock::TestClock;
use crate::support::world::World;

/// A new store at each call: each in a prefix of its own.
async fn world(network: &Arc<Network>, place: &Place) -> World {
    let opening = place.elsewhere();
    let store = network.run(async move { opening.open().await.unwrap().store }).await;
    let clock = TestClock::new();
    World::over(bridged(store, Arc::clone(network), clock.clone()), clock)
}

async fn all_lists(network: &Arc<Network>, place: &Place) {
    behaviours::all(|| world(network, place)).await;
    interventions::all(|| world(network, place)).await;
    for_update::all(|| world(network, place)).await;
}

#[tokio::test(start_paused = true)]
async fn in_memory() {
    let network = Network::new();
    let serving = network.run(fake::honest()).await;
    all_lists(&network, &Place::fake(&serving)).await;
}

#[tokio::test(start_paused = true)]
async fn on_minio() {
    let network = Network::new();
    if let Some(place) = network.run(servers::minio()).await {
        all_lists(&network, &place).await;
    }
}

#[tokio::test(start_paused = true)]
async fn on_azurite() {
    let network = Network::new();
    if let Some(place) = network.run(servers::azurite_with(servers::shared_key())).await {
        all_lists(&network, &place).await;
    }
}

#[tokio::test(start_paused = true)]
async fn on_real_accounts() {
    let network = Network::new();
    for (_, place) in servers::accounts() {
        all_lists(&network, &place).await;
    }
}
