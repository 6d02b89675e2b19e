//! What lockd costs where requests are paid for: counted.

use std::sync::Arc;

use lockd::clock::SystemClock;
use lockd::engine::{Engine, Options};
use lockd::entropy::KernelEntropy;
use lockd::service::{Expected, Guards, LeaseService, Wait};
use lockd::store::Store;

use super::fake;
use super::proxy;
use super::servers::{self, Place};
use crate::support::world::{ask, body, change, key, proof};

/// An engine on a store, with the machine's clock.
pub fn engine(store: Store) -> Engine {
    Engine::new(store, Arc::new(SystemClock), Arc::new(KernelEntropy), Options::default())
}

/// The method of each request since the last call.
type Methods<'a> = &'a dyn Fn() -> Vec<String>;

async fn counted(name: &str, place: &Place, methods: Methods<'_>) {
    let opened = place.open().await.unwrap();
    let engine = engine(opened.store);
    methods();
    let held = engine.acquire(ask("k", Wait::No)).await.unwrap();
    assert_eq!(
        methods(),
        ["GET", "PUT"],
        "{name}: acquire of a key that this process has not seen: a read and a write"
    );
    engine.keepalive(&key("k"), &proof(&held), held.ttl).await.unwrap();
    assert_eq!(methods(), ["PUT"], "{name}: renewal");
    engine.update(change("k", proof(&held)), Expected::default(), body("{\"n\":1}")).await.unwrap();
    assert_eq!(methods(), ["PUT"], "{name}: small update");
    engine.release(&key("k"), &held.lease_id, Some(&proof(&held)), false).await.unwrap();
    engine.close().await;
    assert_eq!(methods(), ["PUT", "GET"], "{name}: release, and when it is answered a list of what was left behind");
    let again = engine.acquire(ask("k", Wait::No)).await.unwrap();
    assert_eq!(methods(), ["PUT"], "{name}: acquire of a known key");
    engine.acquire(ask("k", Wait::No)).await.unwrap_err();
    assert_eq!(methods(), ["GET"], "{name}: a refusal is made from a look");
    engine.get(&key("k"), None).await.unwrap();
    assert_eq!(methods(), ["GET"], "{name}: a read");
    let mut guarded = change("k", proof(&again));
    guarded.guards = Guards { version: Some(lockd::model::Version(9)), etag: None };
    engine.update(guarded, Expected::default(), body("2")).await.unwrap_err();
    assert_eq!(methods(), ["GET"], "{name}: an update that is refused");
    engine.close().await;
}

fn first_words(requests: Vec<String>) -> Vec<String> {
    requests.iter().map(|request| request.split(' ').next().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_write_for_each_step_in_memory() {
    let serving = fake::honest().await;
    counted("fake", &Place::fake(&serving), &|| first_words(serving.service.requests())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_write_for_each_step_on_real_servers() {
    for place in [servers::minio().await, servers::azurite_with(servers::shared_key()).await].into_iter().flatten() {
        let proxy = proxy::before(&place.server()).await;
        let through = place.clone().through(&proxy.address);
        counted(&place.url, &through, &|| first_words(proxy.service.requests())).await;
    }
}

/// What a command costs: opening the store is one read more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opening_is_one_read() {
    let serving = fake::honest().await;
    let place = Place::fake(&serving);
    place.open().await.unwrap();
    serving.service.requests();
    place.open().await.unwrap();
    assert_eq!(first_words(serving.service.requests()), ["GET"]);
}
