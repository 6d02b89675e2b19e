//! Services that lie are found out by the checks of the contract, and one that keeps its word is not. In memory, so that this
//! runs everywhere.

use lockd::clock::SystemClock;
use lockd::entropy::KernelEntropy;
use lockd::store::conformance::{Outcome, run_all};

use super::fake::{self, Fake, Lie};
use super::servers::Place;
use super::serving::Serving;

/// The checks that fail on a store.
async fn failing(serving: &Serving<Fake>) -> Vec<&'static str> {
    let opened = Place::fake(serving).open().await.unwrap();
    let reports = run_all(&opened.store, &SystemClock, &KernelEntropy).await;
    reports.iter().filter(|report| report.outcome == Outcome::Fail).map(|report| report.clause).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_keeps_its_word_is_accepted() {
    let serving = fake::honest().await;
    assert_eq!(failing(&serving).await, [""; 0]);
    let (_, uploads) = serving.service.names();
    assert_eq!(uploads, 0, "an upload that was dropped is aborted");
}

/// S3's own ETag is a hash of the body where nothing is encrypted with a key: since every body of lockd's is unique, that is no
/// lie to lockd, and to refuse it would be to refuse S3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etag_that_is_a_hash_of_the_body_is_accepted() {
    assert_eq!(failing(&fake::liar(Lie::SameEtagForSameBytes).await).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn liars_are_found_out() {
    for (lie, clause) in [
        (Lie::IgnoresConditions, "R2"),
        (Lie::Races, "R2"),
        (Lie::ForgetsAfterDelete, "B4"),
        (Lie::SameEtagForSameLength, "R4"),
        (Lie::MatchesMissing, "R5"),
    ] {
        let failing = failing(&fake::liar(lie).await).await;
        assert!(failing.contains(&clause), "{lie:?}: {failing:?}");
    }
}
