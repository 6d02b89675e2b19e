//! Group commit: what is checked against what, and what may be told when.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use lockd::limits::LSM_ROOM;
use lockd::model::Key;
use lockd::store::lsm::committer::Committer;
use lockd::store::lsm::tree::Stamp;
use lockd::store::{Etag, Precondition, PutError};

use super::super::{key, value};
use super::gate::{Gate, Sync};

type Answer = Result<Etag, PutError>;

fn said(answer: &Answer) -> &'static str {
    match answer {
        Ok(_) => "win",
        Err(PutError::Conflict) => "conflict",
        Err(PutError::Unknown(_)) => "unknown",
        Err(PutError::Failed(_)) => "failed",
    }
}

/// Puts that have been sent, in order.
fn send<'a>(committer: &'a Committer<Gate>, puts: &[(&Key, Precondition)]) -> Vec<BoxFuture<'a, Answer>> {
    let sent = puts.iter().map(|(key, when)| {
        let mut put = committer.put((*key).clone(), value(key), when.clone()).boxed();
        assert!((&mut put).now_or_never().is_none(), "answered before anything was committed");
        put
    });
    sent.collect()
}

fn told(puts: &mut [BoxFuture<'_, Answer>]) -> usize {
    puts.iter_mut().filter_map(|put| put.now_or_never()).count()
}

/// What is seen of one batch with a win, a conflict that is due to it and a swap of what it holds.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// Answers that came while the sync was under way.
    early: usize,
    answers: Vec<&'static str>,
    /// Whether what the last swap wrote is what is durable.
    durable: bool,
}

async fn one_batch(last: Sync) -> (Seen, Arc<Gate>, Committer<Gate>) {
    let (gate, committer) = Gate::new();
    let (k, busy) = (key("a"), key("busy"));
    let first = send(&committer, &[(&busy, Precondition::Absent)]);
    gate.begun(1).await;
    // All these arrive during the sync of the first batch. The third swaps what the first of them will have written.
    let ahead = Stamp { opening: 7, number: 2 }.etag();
    let swap = Precondition::Matches(ahead);
    let mut puts = send(
        &committer,
        &[
            (&k, Precondition::Absent),
            (&k, Precondition::Absent),
            (&k, swap.clone()),
            (&k, swap),
            (&busy, Precondition::Absent),
        ],
    );
    gate.let_go(Sync::Succeeds);
    assert_eq!(said(&join_all(first).await[0]), "win");
    gate.begun(2).await;
    let early = told(&mut puts);
    gate.let_go(last);
    let mut answers = Vec::new();
    if early == 0 {
        answers = join_all(puts).await;
    } else {
        drop(puts);
    }
    let etag = answers.get(2).and_then(|answer| answer.as_ref().ok());
    let durable = gate.durable(&k).map(Stamp::etag);
    let seen = Seen {
        early,
        durable: durable.is_some() && durable.as_ref() == etag,
        answers: answers.iter().map(said).collect(),
    };
    (seen, gate, committer)
}

/// The rules that one batch shows.
async fn holds() -> bool {
    let answers = vec!["win", "conflict", "win", "conflict", "conflict"];
    one_batch(Sync::Succeeds).await.0 == Seen { early: 0, answers, durable: true }
}

/// The rule of a commit that failed.
async fn refuses_after_a_failure() -> bool {
    let (seen, gate, committer) = one_batch(Sync::Fails).await;
    let all = seen.answers.iter().all(|answer| *answer == "unknown");
    // So that a store that goes on does not wait here.
    gate.let_go(Sync::Succeeds);
    let next = committer.put(key("b"), value(&key("b")), Precondition::Absent).await;
    all && seen.early == 0 && said(&next) == "failed"
}

#[tokio::test]
async fn a_batch_is_checked_in_order_and_answered_after_its_sync() {
    let (seen, gate, _committer) = one_batch(Sync::Succeeds).await;
    assert_eq!(seen.early, 0, "answers left before the sync");
    assert_eq!(seen.answers, ["win", "conflict", "win", "conflict", "conflict"]);
    assert!(seen.durable);
    assert_eq!(gate.begun(2).await, 2, "conflicts are not written");
}

#[tokio::test]
async fn a_failed_commit_is_unknown_for_all_and_ends_the_use_of_the_store() {
    assert!(refuses_after_a_failure().await);
}

#[tokio::test]
async fn a_fault_of_a_commit_leaves_nobody_waiting() {
    let (seen, _gate, committer) = one_batch(Sync::Panics).await;
    assert_eq!(seen.answers, ["unknown"; 5]);
    let next = committer.put(key("b"), value(&key("b")), Precondition::Absent).await;
    assert_eq!(said(&next), "failed");
}

#[tokio::test]
async fn a_put_that_was_sent_is_made_even_when_nobody_waits_for_it() {
    let (gate, committer) = Gate::new();
    let k = key("a");
    drop(send(&committer, &[(&k, Precondition::Absent)]));
    gate.begun(1).await;
    gate.let_go(Sync::Succeeds);
    let again = committer.put(k.clone(), value(&k), Precondition::Absent).await;
    assert_eq!(said(&again), "conflict");
}

/// A commit that finds no room ends the use of the store: it is not tried.
#[tokio::test]
async fn what_has_no_room_is_refused_and_the_rest_of_its_batch_is_made() {
    let (gate, committer) = Gate::new();
    gate.leave(LSM_ROOM - 1);
    let (small, large) = (key("small"), key("large"));
    let first = send(&committer, &[(&key("busy"), Precondition::Absent)]);
    gate.begun(1).await;
    let state = [value(&large).as_ref(), &[b' '; 10_000]].concat();
    let mut grows = committer.put(large.clone(), state.into(), Precondition::Absent).boxed();
    assert!((&mut grows).now_or_never().is_none());
    let second = send(&committer, &[(&small, Precondition::Absent)]);
    gate.let_go(Sync::Succeeds);
    gate.let_go(Sync::Succeeds);
    let answers = join_all(first.into_iter().chain([grows]).chain(second)).await;
    assert_eq!(answers.iter().map(said).collect::<Vec<_>>(), ["win", "failed", "win"]);
    assert!(gate.durable(&small).is_some() && gate.durable(&large).is_none());
}

#[tokio::test]
async fn what_arrives_during_a_sync_is_one_batch() {
    let (gate, committer) = Gate::new();
    let keys: Vec<Key> = (0..100).map(|n| key(&format!("k{n}"))).collect();
    let first = send(&committer, &[(&keys[0], Precondition::Absent)]);
    gate.begun(1).await;
    let puts: Vec<_> = keys[1..].iter().map(|key| (key, Precondition::Absent)).collect();
    let rest = send(&committer, &puts);
    gate.let_go(Sync::Succeeds);
    gate.let_go(Sync::Succeeds);
    assert_eq!(join_all(first.into_iter().chain(rest)).await.iter().filter(|answer| answer.is_ok()).count(), 100);
    assert_eq!((gate.begun(1).await, gate.begun(2).await), (1, 99));
}

/// Each rule, broken once, is missed by one of the two tests above.
#[cfg(feature = "mutants")]
#[tokio::test]
async fn every_mutant_is_caught() {
    use lockd::mutants::{Mutant, turn};
    for mutant in Mutant::LSM {
        turn(Some(*mutant));
        let kept = holds().await && refuses_after_a_failure().await;
        turn(None);
        assert!(!kept, "{mutant:?} is not caught");
    }
    assert!(holds().await && refuses_after_a_failure().await);
}

#[cfg(not(feature = "mutants"))]
#[tokio::test]
async fn the_rules_of_a_batch_hold() {
    assert!(holds().await);
}
