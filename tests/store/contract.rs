//! The contract, on every store that is here.

use lockd::clock::{BootTime, Clock, UnixMillis};
use lockd::entropy::KernelEntropy;
use lockd::store::conformance::{Outcome, checks, run_all};
use lockd::store::open::{OpenOptions, StoreUrl, open};
use lockd::store::{Precondition, Store, memory};

use super::{CLOCK, key, new_store, options, value};

async fn holds(store: &Store) {
    let reports = run_all(store, &CLOCK, &KernelEntropy).await;
    assert_eq!(reports.len(), checks().len());
    let failed: Vec<_> = reports.iter().filter(|report| report.outcome != Outcome::Ok).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    holds(&memory::store(&KernelEntropy)).await;
}

#[tokio::test]
async fn a_directory_keeps_the_contract() {
    let (_dir, store) = new_store().await;
    holds(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_directory_keeps_the_contract_with_many_threads() {
    let (_dir, store) = new_store().await;
    holds(&store).await;
}

#[cfg(feature = "lsm")]
#[tokio::test]
async fn an_embedded_store_keeps_the_contract() {
    let (_dir, store) = super::lsm::new_lsm().await;
    holds(&store).await;
}

#[cfg(feature = "lsm")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_embedded_store_keeps_the_contract_with_many_threads() {
    let (_dir, store) = super::lsm::new_lsm().await;
    holds(&store).await;
}

#[test]
fn every_clause_has_a_check() {
    for clause in ["R1", "R2", "R3", "R4", "R5", "R6", "B1", "B2", "B3", "B4"] {
        assert!(checks().iter().any(|check| check.clause == clause), "{clause}");
    }
    let mut ids: Vec<_> = checks().iter().map(|check| check.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), checks().len());
}

/// A clock on which no pause ever ends: nothing is noticed by polling.
#[derive(Debug)]
struct NeverAwake;

#[async_trait::async_trait]
impl Clock for NeverAwake {
    fn boot(&self) -> BootTime {
        CLOCK.boot()
    }
    fn wall(&self) -> UnixMillis {
        CLOCK.wall()
    }
    fn boot_id(&self) -> Option<&str> {
        None
    }

    async fn sleep_until(&self, _until: BootTime) {
        std::future::pending().await
    }
}

/// Every writer is in this process.
#[cfg(feature = "lsm")]
#[tokio::test]
async fn an_embedded_store_tells_of_changes_without_polling() {
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions { clock: std::sync::Arc::new(NeverAwake), ..options() };
    let store = open(&StoreUrl::Lsm(dir.path().join("s")).to_text(), options).await.unwrap().store;
    notices(&store, &store).await;
}

/// Every level that is missing is watched in turn: the first put makes them all.
#[tokio::test]
async fn a_directory_tells_of_changes_without_polling() {
    let (dir, writer) = new_store().await;
    let options = OpenOptions { clock: std::sync::Arc::new(NeverAwake), ..options() };
    let waiter = open(&StoreUrl::Disk(dir.path().join("s")).to_text(), options).await.unwrap().store;
    notices(&waiter, &writer).await;
}

async fn notices(waiter: &Store, writer: &Store) {
    let (k, mut seen, mut when) = (key("a"), None, Precondition::Absent);
    for _ in 0..3 {
        let (records, key, before) = (waiter.records.clone(), k.clone(), seen.clone());
        let waiting = tokio::spawn(async move { records.changed(&key, before.as_ref()).await });
        // Whether the watch or the put comes first, it must be noticed.
        tokio::task::yield_now().await;
        let etag = writer.records.put(&k, value(&k), when).await.unwrap();
        let clock: &dyn Clock = &CLOCK;
        let until = clock.boot() + std::time::Duration::from_secs(30);
        clock.timeout_at(until, waiting).await.expect("a change was not noticed").unwrap().unwrap();
        (seen, when) = (Some(etag.clone()), Precondition::Matches(etag));
    }
}
