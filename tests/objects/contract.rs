//! The contract of stores, on each of them.

use lockd::clock::SystemClock;
use lockd::entropy::KernelEntropy;
use lockd::error::ErrorKind;
use lockd::limits::TTL_MIN_OBJECTS;
use lockd::store::Store;
use lockd::store::conformance::{Outcome, checks, run_all};
use lockd::store::open::{OpenOptions, open};

use super::servers;

async fn holds(name: &str, store: &Store) {
    let reports = run_all(store, &SystemClock, &KernelEntropy).await;
    assert_eq!(reports.len(), checks().len());
    let failed: Vec<_> = reports.iter().filter(|report| report.outcome != Outcome::Ok).collect();
    assert!(failed.is_empty(), "{name}: {failed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn object_stores_keep_the_contract() {
    for (name, place) in servers::all().await {
        let opened = place.open().await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(opened.created, "{name}");
        holds(name, &opened.store).await;
    }
}

/// As commands run: one thread for everything.
#[tokio::test]
async fn object_stores_keep_the_contract_on_one_thread() {
    for (name, place) in servers::all().await.into_iter().take(2) {
        holds(name, &place.open().await.unwrap().store).await;
    }
}

#[tokio::test]
async fn a_store_is_made_once_and_found_again() {
    for (name, place) in servers::all().await {
        let never = OpenOptions { create: false, ..place.options() };
        let e = open(&place.url, never.clone()).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::StoreMissing, "{name}: {e}");
        let (one, two) = futures_util::future::join(place.open(), place.open()).await;
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one.store.facts.id, two.store.facts.id, "{name}");
        assert!(one.created != two.created, "{name}: one of them made it");
        let again = open(&format!("{}/", place.url), never).await.unwrap();
        assert!(!again.created && again.store.facts.id == one.store.facts.id, "{name}");
        assert_eq!((again.store.facts.url.as_str(), again.store.facts.ttl_min), (&*place.url, TTL_MIN_OBJECTS));
        assert!(!again.store.facts.stamps, "{name}: no clock is shared with other writers");
    }
}
