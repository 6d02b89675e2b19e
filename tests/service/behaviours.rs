//! One list of behaviours, run on every store and through servers over both kinds of calls: [`all`] is called with each.

use std::time::Duration;

use lockd::connect::Carrier;
use lockd::error::ErrorKind;
use lockd::limits::RECENT_WRITES;
use lockd::model::{FencingToken, How, RequestId, StateEtag, Ttl, Version};
use lockd::service::{Expected, Guards, LeaseService, Released, Wait};

use crate::support::world::{self, TTL, World, ask, body, change, committed, key, proof, staged};

#[tokio::test(start_paused = true)]
async fn on_memory() {
    all(|| std::future::ready(World::memory())).await;
}

#[tokio::test(start_paused = true)]
async fn on_a_directory() {
    all(World::disk).await;
}

#[tokio::test]
async fn over_blocking_calls() {
    all(|| std::future::ready(World::served(Carrier::Threads))).await;
}

#[tokio::test]
async fn over_asynchronous_calls() {
    all(|| std::future::ready(World::served(Carrier::Runtime))).await;
}

#[cfg(feature = "lsm")]
#[tokio::test(start_paused = true)]
async fn on_an_embedded_store() {
    all(World::lsm).await;
}

/// The list.
pub async fn all<F: Future<Output = World>>(make: impl Fn() -> F) {
    one_holder(make().await).await;
    a_replayed_acquire_finds_its_own_lease(make().await).await;
    tokens_rise(make().await).await;
    ended_leases_stay_ended(make().await).await;
    state_is_compare_and_swap(make().await).await;
    a_repeated_change_gets_its_first_answer(make().await).await;
    staged_changes_are_the_holders_own(make().await).await;
    a_lost_commit_does_not_look_like_success(make().await).await;
    large_states_are_blobs(make().await).await;
    bad_states_change_nothing(make().await).await;
    a_waiter_gets_the_key_on_release(make().await).await;
    a_dead_holder_is_taken_over_and_not_before(make().await).await;
    a_late_holder_may_go_on_until_somebody_takes_over(make().await).await;
    state_written_elsewhere_is_seen(make().await).await;
    a_key_that_others_wrote_often_is_busy_and_no_doubt(make().await).await;
}

async fn one_holder(w: World) {
    let (a, b) = (w.peer().await, w.peer().await);
    let held = a.acquire(ask("k", Wait::No)).await.unwrap();
    for engine in [&a, &b] {
        let e = engine.acquire(ask("k", Wait::No)).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Busy);
        assert_eq!(e.details().busy.as_ref().unwrap().lease_id, held.lease_id);
    }
    let described = b.describe(&key("k")).await.unwrap();
    assert_eq!(described.held.unwrap().token, held.token);
}

async fn a_replayed_acquire_finds_its_own_lease(w: World) {
    let (a, b) = (w.peer().await, w.peer().await);
    let request = ask("k", Wait::No);
    let first = a.acquire(request.clone()).await.unwrap();
    let again = b.acquire(request).await.unwrap();
    assert_eq!((first.token, first.lease_id), (again.token, again.lease_id));
}

async fn tokens_rise(w: World) {
    let engine = w.peer().await;
    let mut last = FencingToken(0);
    for _ in 0..20 {
        let held = engine.acquire(ask("k", Wait::No)).await.unwrap();
        assert!(held.token > last);
        last = held.token;
        engine.release(&key("k"), &held.lease_id, Some(&proof(&held)), false).await.unwrap();
    }
}

async fn ended_leases_stay_ended(w: World) {
    let engine = w.peer().await;
    let request = ask("k", Wait::No);
    let held = engine.acquire(request.clone()).await.unwrap();
    let shown = proof(&held);
    for _ in 0..2 {
        let released = engine.release(&key("k"), &held.lease_id, Some(&shown), false).await.unwrap();
        assert_eq!(released, Released::Released { version: Version(0) });
    }
    assert_eq!(engine.acquire(request).await.unwrap_err().kind(), ErrorKind::LeaseEnded);
    let e = engine.keepalive(&key("k"), &shown, held.ttl).await.unwrap_err();
    assert_eq!(e.kind().exit_code(), 80);
    let e = engine.update(change("k", shown), Expected::default(), body("1")).await.unwrap_err();
    assert_eq!(e.kind().exit_code(), 80);
    let other = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let gone = engine.release(&key("k"), &world::lease_id(), None, false).await.unwrap();
    assert_eq!(gone, Released::Fenced);
    engine.release(&key("k"), &other.lease_id, None, false).await.unwrap();
    let gone = engine.release(&key("k"), &world::lease_id(), None, false).await.unwrap();
    assert_eq!(gone, Released::AlreadyGone { how: None });
}

async fn state_is_compare_and_swap(w: World) {
    let engine = w.peer().await;
    let held = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let with = |version, etag| {
        let mut request = change("k", proof(&held));
        request.guards = Guards { version, etag };
        request
    };
    let first = engine.update(with(Some(Version(0)), None), Expected::default(), body(" {\"a\" : 1} ")).await.unwrap();
    assert_eq!(first.etag, Some(StateEtag::of(b"{\"a\":1}")));
    assert_eq!(committed(&*engine, "k").await.unwrap(), "{\"a\":1}");
    let e = engine.update(with(Some(Version(0)), None), Expected::default(), body("2")).await.unwrap_err();
    assert_eq!((e.kind(), e.details().current_version), (ErrorKind::VersionConflict, Some(first.version)));
    let e = engine.update(with(None, Some(StateEtag::of(b"x"))), Expected::default(), body("2")).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::EtagMismatch);
    let second = engine.update(with(None, first.etag), Expected::default(), body("2")).await.unwrap();
    assert!(second.version > first.version);
    let removed = engine.remove(with(Some(second.version), None)).await.unwrap();
    assert!(removed.changed && removed.version > second.version);
    assert!(committed(&*engine, "k").await.is_none());
    let nothing = engine.remove(with(None, None)).await.unwrap();
    assert!(!nothing.changed && nothing.version == removed.version);
}

async fn a_repeated_change_gets_its_first_answer(w: World) {
    let (a, b) = (w.peer().await, w.peer().await);
    let held = a.acquire(ask("k", Wait::No)).await.unwrap();
    let request = change("k", proof(&held));
    let first = a.update(request.clone(), Expected::default(), body("1")).await.unwrap();
    let later = a.update(change("k", proof(&held)), Expected::default(), body("2")).await.unwrap();
    for engine in [&a, &b] {
        assert_eq!(engine.update(request.clone(), Expected::default(), body("1")).await.unwrap(), first);
        let e = engine.update(request.clone(), Expected::default(), body("3")).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::RequestIdReused);
    }
    assert_eq!(committed(&*b, "k").await.unwrap(), "2");
    assert!(later.version > first.version);
    for _ in 0..40 {
        a.keepalive(&key("k"), &proof(&held), held.ttl).await.unwrap();
    }
    assert_eq!(b.update(request, Expected::default(), body("1")).await.unwrap(), first, "renewals do not flush it");
}

async fn staged_changes_are_the_holders_own(w: World) {
    let engine = w.peer().await;
    for (rollback, expected) in [(false, Some("2")), (true, Some("2"))] {
        let held = engine.acquire(ask("k", Wait::No)).await.unwrap();
        let value = if rollback { "3" } else { "2" };
        engine.update(change("k", staged(&held)), Expected::default(), body(value)).await.unwrap();
        let seen = engine.get(&key("k"), Some(&proof(&held))).await.unwrap().unwrap();
        assert_eq!(world::all(seen).await.unwrap(), value);
        let e = engine.update(change("k", proof(&held)), Expected::default(), body("9")).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::MissingTxn);
        let e = engine.release(&key("k"), &held.lease_id, Some(&proof(&held)), false).await;
        assert_eq!(e.unwrap_err().kind(), ErrorKind::MissingTxn);
        engine.release(&key("k"), &held.lease_id, Some(&staged(&held)), rollback).await.unwrap();
        assert_eq!(committed(&*engine, "k").await.as_deref(), expected.map(str::as_bytes));
    }
}

async fn a_lost_commit_does_not_look_like_success(w: World) {
    let (a, b) = (w.peer().await, w.peer().await);
    let held = a.acquire(ask("k", Wait::No)).await.unwrap();
    a.update(change("k", staged(&held)), Expected::default(), body("1")).await.unwrap();
    let next = b.acquire(ask("k", Wait::For(Duration::from_secs(60)))).await.unwrap();
    assert!(next.taken_over);
    let e = a.release(&key("k"), &held.lease_id, Some(&staged(&held)), false).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::StagedDiscarded);
    let gone = a.release(&key("k"), &held.lease_id, Some(&staged(&held)), true).await.unwrap();
    assert_eq!(gone, Released::Fenced);
    assert!(committed(&*b, "k").await.is_none());
}

fn large(seed: u8) -> String {
    format!("\"{}\"", char::from(b'a' + seed % 26).to_string().repeat(300_000))
}

async fn large_states_are_blobs(w: World) {
    let (a, b) = (w.peer().await, w.peer().await);
    let held = a.acquire(ask("k", Wait::No)).await.unwrap();
    for seed in 0..5 {
        a.update(change("k", proof(&held)), Expected::default(), body(large(seed))).await.unwrap();
        assert_eq!(committed(&*b, "k").await.unwrap(), large(seed));
    }
    a.close().await;
    let kept = w.store.blobs.list(key("k").hash()).await.unwrap();
    assert_eq!(kept.len(), 2, "the committed one and the one before it, for readers under way");
    let e = a.update(change("k", proof(&held)), Expected::default(), body(format!("{}x", large(1)))).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidState);
    a.close().await;
    assert_eq!(w.store.blobs.list(key("k").hash()).await.unwrap(), kept, "a failed upload leaves nothing");
    let replay = change("k", proof(&held));
    for _ in 0..2 {
        a.update(replay.clone(), Expected::default(), body(large(7))).await.unwrap();
    }
    a.close().await;
    assert_eq!(w.store.blobs.list(key("k").hash()).await.unwrap().len(), 2, "a replay's own blob is deleted");
    a.update(change("k", proof(&held)), Expected::default(), body("1")).await.unwrap();
    a.update(change("k", proof(&held)), Expected::default(), body("2")).await.unwrap();
    a.release(&key("k"), &held.lease_id, Some(&proof(&held)), false).await.unwrap();
    a.close().await;
    assert!(w.store.blobs.list(key("k").hash()).await.unwrap().is_empty());
}

async fn bad_states_change_nothing(w: World) {
    let engine = w.peer().await;
    let held = engine.acquire(ask("k", Wait::No)).await.unwrap();
    for (bad, kind) in [
        ("", ErrorKind::InvalidState),
        ("{} {}", ErrorKind::InvalidState),
        ("{", ErrorKind::InvalidState),
        ("nope", ErrorKind::InvalidState),
    ] {
        let e = engine.update(change("k", proof(&held)), Expected::default(), body(bad)).await.unwrap_err();
        assert_eq!(e.kind(), kind, "{bad:?}");
    }
    let short = Expected { bytes: Some(5), sha256: None };
    let e = engine.update(change("k", proof(&held)), short, body("1")).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::BytesMismatch);
    let other = Expected { bytes: None, sha256: Some("00".repeat(32)) };
    let e = engine.update(change("k", proof(&held)), other, body("1")).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Sha256Mismatch);
    let good = Expected { bytes: Some(2), sha256: Some(StateEtag::of(b" 1").to_string()) };
    engine.update(change("k", proof(&held)), good, body(" 1")).await.unwrap();
    let mut foreign = change("k", proof(&held));
    foreign.proof.token = FencingToken(held.token.0 + 1);
    foreign.request_id = RequestId::random(world::entropy());
    let e = engine.update(foreign, Expected::default(), body("2")).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::FencingMismatch);
    assert_eq!(committed(&*engine, "k").await.unwrap(), "1");
}

async fn a_waiter_gets_the_key_on_release(w: World) {
    let (a, b) = (w.peer().await, w.peer().await);
    let held = a.acquire(ask("k", Wait::No)).await.unwrap();
    let waiting = tokio::spawn(async move { b.acquire(ask("k", Wait::For(Duration::from_secs(20)))).await });
    w.pass(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished());
    a.release(&key("k"), &held.lease_id, Some(&proof(&held)), false).await.unwrap();
    let next = waiting.await.unwrap().unwrap();
    assert!(next.token > held.token && !next.taken_over);
    let e = a.acquire(ask("k", Wait::For(Duration::from_secs(5)))).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Busy, "the wait ran out");
}

async fn a_dead_holder_is_taken_over_and_not_before(w: World) {
    let (a, b) = (w.peer().await, w.peer().await);
    let held = a.acquire(ask("k", Wait::No)).await.unwrap();
    let began = lockd::clock::Clock::boot(&w.clock);
    let next = b.acquire(ask("k", Wait::For(Duration::from_secs(60)))).await.unwrap();
    let waited = lockd::clock::Clock::boot(&w.clock).since(began);
    assert!(next.taken_over && next.token > held.token);
    assert!(waited >= TTL.mul_f64(1.01) + Duration::from_secs(1), "{waited:?}");
    assert!(waited <= TTL.mul_f64(1.01) + Duration::from_millis(1_500) + w.slack(), "{waited:?}");
    assert_eq!(b.describe(&key("k")).await.unwrap().ended[0].how, How::TakenOver);
    // What is another's by now, and what is nobody's.
    let e = a.keepalive(&key("k"), &proof(&held), held.ttl).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::LeaseRequired);
    b.release(&key("k"), &next.lease_id, Some(&proof(&next)), false).await.unwrap();
    let e = a.keepalive(&key("k"), &proof(&held), held.ttl).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::LeaseExpired);
}

async fn a_late_holder_may_go_on_until_somebody_takes_over(w: World) {
    let engine = w.peer().await;
    let held = engine.acquire(ask("k", Wait::No)).await.unwrap();
    w.pass(TTL * 3).await;
    engine.update(change("k", proof(&held)), Expected::default(), body("1")).await.unwrap();
    let longer = Ttl::new(TTL * 2).unwrap();
    assert_eq!(engine.keepalive(&key("k"), &proof(&held), longer).await.unwrap().ttl, longer);
    let shorter = Ttl::new(TTL).unwrap();
    assert_eq!(engine.keepalive(&key("k"), &proof(&held), shorter).await.unwrap().ttl, longer, "it never falls");
}

async fn state_written_elsewhere_is_seen(w: World) {
    let (a, b) = (w.peer().await, w.peer().await);
    let held = a.acquire(ask("k", Wait::No)).await.unwrap();
    a.update(change("k", proof(&held)), Expected::default(), body("1")).await.unwrap();
    a.release(&key("k"), &held.lease_id, Some(&proof(&held)), false).await.unwrap();
    let held = b.acquire(ask("k", Wait::No)).await.unwrap();
    assert_eq!((held.version, held.etag.clone()), (Version(1), Some(StateEtag::of(b"1"))));
    b.update(change("k", proof(&held)), Expected::default(), body("2")).await.unwrap();
    assert_eq!(committed(&*a, "k").await.unwrap(), "2");
    let e = a.acquire(ask("k", Wait::No)).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Busy, "a's cached record says that the key is free");
    assert!(engine_knows_new_keys(&*a).await);
}

async fn engine_knows_new_keys(service: &dyn LeaseService) -> bool {
    let described = service.describe(&key("never/used")).await.unwrap();
    described.version == Version(0) && described.held.is_none() && described.token == FencingToken(0)
}

/// What an engine remembers of a key lies further back than the record's own memory of writes.
async fn a_key_that_others_wrote_often_is_busy_and_no_doubt(w: World) {
    let (a, b) = (w.peer().await, w.peer().await);
    let held = a.acquire(ask("k", Wait::No)).await.unwrap();
    a.release(&key("k"), &held.lease_id, Some(&proof(&held)), false).await.unwrap();
    let held = b.acquire(ask("k", Wait::No)).await.unwrap();
    for n in 0..=RECENT_WRITES {
        b.update(change("k", proof(&held)), Expected::default(), body(n.to_string())).await.unwrap();
    }
    // For all that a knows the key is free.
    let e = a.acquire(ask("k", Wait::No)).await.unwrap_err();
    // Where a conflict may come of a copy of the same send, doubt is the honest answer.
    if !w.store.records.conflicts_are_certain() {
        assert_eq!(e.kind(), ErrorKind::OutcomeUnknown, "{e}");
        return;
    }
    assert_eq!(e.kind(), ErrorKind::Busy, "{e}");
    assert_eq!(e.details().busy.as_ref().unwrap().lease_id, held.lease_id);
}
