//! The contract, on every store that is here.

use lockd::entropy::KernelEntropy;
use lockd::store::conformance::{Outcome, checks, run_all};
use lockd::store::{Store, memory};

use super::{CLOCK, new_store};

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
