//! The contract of stores, on each of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lockd::clock::{BootTime, Clock, SystemClock, UnixMillis};
use lockd::entropy::KernelEntropy;
use lockd::error::ErrorKind;
use lockd::limits::{OBJECT_IDENTITY_EVERY, TTL_MIN_OBJECTS};
use lockd::service::{LeaseService, Wait};
use lockd::store::Store;
use lockd::store::conformance::{Outcome, checks, run_all};
use lockd::store::open::{OpenOptions, StoreUrl, open, raise_epoch_of_objects, remove_objects};

use super::fake;
use super::requests::engine;
use super::servers::{self, Place};
use crate::support::world::{ask, key};

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

/// After a restore: tokens go on above all that were given out, and who knew the store as it was refuses it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_epoch_is_raised_and_a_store_is_removed() {
    let serving = fake::honest().await;
    for (name, place) in servers::all().await.into_iter().chain([("fake", Arc::new(Place::fake(&serving)))]) {
        let (url, options) = (StoreUrl::parse(&place.url).unwrap(), place.options());
        let missing = raise_epoch_of_objects(&url, &options).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::StoreMissing, "{name}: {missing}");
        let before = place.open().await.unwrap().store;
        let first = engine(before.clone()).acquire(ask("k", Wait::No)).await.unwrap();
        assert_eq!(raise_epoch_of_objects(&url, &options).await.unwrap(), (0, 1), "{name}");
        assert_eq!(raise_epoch_of_objects(&url, &options).await.unwrap(), (1, 2), "{name}");
        let after = place.open().await.unwrap().store;
        assert_eq!((after.facts.epoch, &after.facts.id), (2, &before.facts.id), "{name}");
        let other = engine(after).acquire(ask("other", Wait::No)).await.unwrap();
        assert!(other.token.0 >= 2 << 32 && other.token > first.token, "{name}: {}", other.token);
        remove_objects(&url, &options).await.unwrap();
        let never = OpenOptions { create: false, ..options.clone() };
        assert_eq!(open(&place.url, never).await.unwrap_err().kind(), ErrorKind::StoreMissing, "{name}");
        assert!(place.open().await.unwrap().created, "{name}: nothing was left");
        remove_objects(&url, &options).await.unwrap();
    }
    assert_eq!(serving.service.names().0, [""; 0]);
    let whole = StoreUrl::parse("s3://fake").unwrap();
    let refused = remove_objects(&whole, &Place::fake(&serving).options()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Usage, "{refused}");
}

/// Somebody emptied the prefix and made another store there: who knew the first one writes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_replaced_is_refused() {
    let serving = fake::honest().await;
    let place = Place::fake(&serving);
    let clock = ShiftedClock::default();
    let options = OpenOptions { clock: Arc::new(clock.clone()), ..place.options() };
    let before = open(&place.url, options).await.unwrap().store;
    assert!(before.records.get(&key("k")).await.unwrap().is_none());
    remove_objects(&StoreUrl::parse(&place.url).unwrap(), &place.options()).await.unwrap();
    place.open().await.unwrap();
    clock.shift(OBJECT_IDENTITY_EVERY);
    let refused = before.records.get(&key("k")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::StoreReplaced, "{refused}");
}

/// The machine's clock, and a time on top of it.
#[derive(Clone, Debug, Default)]
struct ShiftedClock(Arc<AtomicU64>);

impl ShiftedClock {
    fn shift(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_nanos()).unwrap(), Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Clock for ShiftedClock {
    fn boot(&self) -> BootTime {
        BootTime(SystemClock.boot().0 + self.0.load(Ordering::SeqCst))
    }
    fn wall(&self) -> UnixMillis {
        SystemClock.wall()
    }
    fn boot_id(&self) -> Option<&str> {
        None
    }
    async fn sleep_until(&self, until: BootTime) {
        SystemClock.sleep_until(BootTime(until.0 - self.0.load(Ordering::SeqCst))).await;
    }
}
