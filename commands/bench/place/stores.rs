//! A place inside a store that this process opens.

use std::sync::Arc;

use lockd::client::Client;
use lockd::connect;
use lockd::entropy::Entropy;
use lockd::error::{Error, ErrorKind, Result};
use lockd::limits::TTL_MIN;
use lockd::store::observed::{self, Observer};
use lockd::store::open::{self, StoreUrl};

use super::super::super::context::Context;
use super::super::super::target::Need;
use super::{Place, Requests, Subject};

/// What the name of such a place begins with; what a killed run leaves can be told by it, and removed.
const PREFIX: &str = "bench.";

/// A new place inside a store.
pub fn inside(store: &StoreUrl, entropy: &dyn Entropy) -> StoreUrl {
    store.inside(&format!("{PREFIX}{}", hex::encode(entropy.bytes::<8>())))
}

/// Opens the store that the settings name, makes the place in it, and so many engines over that.
///
/// # Errors
/// What is wrong with the store.
pub async fn open(context: &Context, inside: &StoreUrl, replicas: usize) -> Result<Place> {
    let session = context.open(Need::Trial).await?;
    let facts = session.facts.ok_or_else(|| Error::new(ErrorKind::Internal, "no store was opened"))?;
    let counter = Arc::default();
    let subject = Subject { url: facts.url, about: facts.about };
    let requests = Requests::Here(Arc::clone(&counter));
    let mut place = Place::new(context, subject, requests, "bench", facts.ttl_min.max(TTL_MIN))?;
    let (url, clock, entropy) = (inside.to_text(), &context.clock, &context.entropy);
    place.url.clone_from(&url);
    let first = open::open(&url, context.options(&url)?).await?.store;
    for replica in 0..replicas {
        let store = match (inside, replica) {
            // These are shared by those who have them in hand, and by nobody else.
            (StoreUrl::Memory | StoreUrl::Lsm(_), _) | (_, 0) => first.clone(),
            _ => open::open(&url, context.options(&url)?).await?.store,
        };
        let observer: Arc<dyn Observer> = Arc::clone(&counter) as Arc<dyn Observer>;
        let store = observed::store(store, Arc::clone(clock), observer);
        let service = connect::over(store.clone(), Arc::clone(clock), Arc::clone(entropy));
        place.clients.push(Client::new(service, Arc::clone(clock), Arc::clone(entropy)));
        place.stores.push(store);
    }
    Ok(place)
}

/// Removes a place with all that was measured in it.
///
/// # Errors
/// When something stays.
pub fn remove(context: &Context, inside: &StoreUrl) -> Result<()> {
    let options = context.options(&inside.to_text())?;
    context.block_on(async { open::remove(inside, &options).await })
}
