//! What lockd costs where requests are paid for: counted.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::Method;
use lockd::clock::SystemClock;
use lockd::engine::{Engine, Options};
use lockd::entropy::KernelEntropy;
use lockd::limits::{COLLECT_EVERY, INLINE_BYTES};
use lockd::model::{BlobId, FencingToken};
use lockd::service::{Expected, Grant, Guards, LeaseService, Wait};
use lockd::store::Store;

use super::fake::{self, Fake, Fault};
use super::proxy;
use super::servers::{self, Place};
use super::serving::Serving;
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
    assert_eq!(methods(), ["PUT"], "{name}: release of a key that never had a large state");
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

/// Acquires, does something, releases; whether blobs were listed at the end, and the lease.
async fn cycle(serving: &Serving<Fake>, engine: &Engine, work: impl AsyncFnOnce(&Grant)) -> (Grant, bool) {
    let held = engine.acquire(ask("k", Wait::No)).await.unwrap();
    work(&held).await;
    serving.service.requests();
    engine.release(&key("k"), &held.lease_id, Some(&proof(&held)), false).await.unwrap();
    engine.close().await;
    let listed = serving.service.requests().iter().any(|request| request.contains("list-type=2"));
    (held, listed)
}

async fn nothing(_: &Grant) {}

/// What another process wrote and did not live to publish: no record names it, and no engine knows of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_knows_of_is_looked_for_now_and_then() {
    let serving = fake::honest().await;
    let store = Place::fake(&serving).open().await.unwrap().store;
    let engine = engine(store.clone());
    let unknown = BlobId::random(key("k").hash(), FencingToken(1), &KernelEntropy);
    let write = async |_: &Grant| {
        store.blobs.write(&unknown, stream::iter([Ok(Bytes::from_static(b"x"))]).boxed()).await.unwrap();
    };
    let (first, listed) = cycle(&serving, &engine, write).await;
    assert_eq!((first.token.0, listed), (1, false));
    let mut lists = Vec::new();
    for _ in 0..2 * COLLECT_EVERY {
        if let (held, true) = cycle(&serving, &engine, nothing).await {
            lists.push(held.token.0);
        }
    }
    assert_eq!(lists, [COLLECT_EVERY, 2 * COLLECT_EVERY]);
    assert!(store.blobs.list(key("k").hash()).await.unwrap().is_empty(), "it was found");
}

/// Where the record names a blob, or this engine wrote one, each release looks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_looks_where_there_may_be_something() {
    let serving = fake::honest().await;
    let store = Place::fake(&serving).open().await.unwrap().store;
    let engine = engine(store.clone());
    let large = || body(format!("\"{}\"", "x".repeat(2 * INLINE_BYTES)));
    let update = async |held: &Grant, state| {
        engine.update(change("k", proof(held)), Expected::default(), state).await.unwrap();
    };
    assert!(cycle(&serving, &engine, async |held| update(held, large()).await).await.1, "it has a large state");
    assert!(cycle(&serving, &engine, nothing).await.1, "it has it still");
    let left = cycle(&serving, &engine, async |held| {
        let replayed = change("k", proof(held));
        for _ in 0..2 {
            // The second one's own blob is not published, and cannot be deleted at once.
            serving.service.fail(Method::DELETE, Fault::Refused(403, "AccessDenied"));
            engine.update(replayed.clone(), Expected::default(), large()).await.unwrap();
            engine.close().await;
        }
        update(held, body("1")).await;
        update(held, body("2")).await;
        engine.close().await;
        assert!(!store.blobs.list(key("k").hash()).await.unwrap().is_empty());
    });
    assert!(left.await.1, "the record names none, but this engine wrote some");
    assert!(store.blobs.list(key("k").hash()).await.unwrap().is_empty(), "and found them");
    assert!(!cycle(&serving, &engine, nothing).await.1, "now there is nothing to look for");
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
