//! A write has three outcomes: what the engine makes of each, with faults that a store answers on demand.

use std::time::Duration;

use lockd::error::ErrorKind;
use lockd::limits::RECENT_WRITES;
use lockd::model::Version;
use lockd::service::{AcquireRequest, Expected, LeaseService, OnDisconnect, Released, Wait};
use lockd::store::Precondition;

use crate::support::faulty::{Counts, Fault, Faulty};
use crate::support::world::{World, ask, body, change, committed, key, proof};

fn world() -> (World, std::sync::Arc<Faulty>) {
    let mut world = World::memory();
    let faulty = Faulty::wrap(&mut world.store);
    (world, faulty)
}

/// What became due at this very moment is done: a try that was due comes before what the test does next, not after it.
async fn settled() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn uncontended_work_is_one_write_and_no_read() {
    let (w, faulty) = world();
    let engine = w.engine();
    let warm = engine.acquire(ask("k", Wait::No)).await.unwrap();
    assert_eq!(faulty.counted(), Counts { gets: 1, puts: 1 });
    engine.release(&key("k"), &warm.lease_id, Some(&proof(&warm)), false).await.unwrap();
    assert_eq!(faulty.counted(), Counts { gets: 0, puts: 1 });
    let held = engine.acquire(ask("k", Wait::No)).await.unwrap();
    assert_eq!(faulty.counted(), Counts { gets: 0, puts: 1 });
    engine.keepalive(&key("k"), &proof(&held), held.ttl).await.unwrap();
    assert_eq!(faulty.counted(), Counts { gets: 0, puts: 1 });
    engine.update(change("k", proof(&held)), Expected::default(), body("1")).await.unwrap();
    assert_eq!(faulty.counted(), Counts { gets: 0, puts: 1 });
    engine.acquire(ask("k", Wait::No)).await.unwrap_err();
    assert_eq!(faulty.counted(), Counts { gets: 1, puts: 0 }, "a refusal is made from a fresh read");
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_not_a_lost_lease() {
    let (w, faulty) = world();
    let (a, b) = (w.engine(), w.engine());
    faulty.next(&[Fault::LostReply]);
    let held = a.acquire(ask("k", Wait::No)).await.unwrap();
    assert_eq!(b.acquire(ask("k", Wait::No)).await.unwrap_err().kind(), ErrorKind::Busy);
    faulty.next(&[Fault::LostReply]);
    let first = a.update(change("k", proof(&held)), Expected::default(), body("1")).await.unwrap();
    assert_eq!(first.version, Version(1), "applied once");
    faulty.next(&[Fault::LostReply]);
    let released = a.release(&key("k"), &held.lease_id, Some(&proof(&held)), false).await.unwrap();
    assert_eq!(released, Released::Released { version: Version(1) });
}

/// Found by the simulation of the whole stack: a client took that for "not granted", and was told at its next try, with the same id,
/// that its lease was over.
#[tokio::test(start_paused = true)]
async fn a_lease_for_update_whose_state_cannot_be_read_is_not_called_refused() {
    let (w, faulty) = world();
    let engine = w.engine();
    let warm = engine.acquire(ask("k", Wait::No)).await.unwrap();
    engine.release(&key("k"), &warm.lease_id, Some(&proof(&warm)), false).await.unwrap();
    // The grant is one write and no read.
    faulty.silence(true);
    let request = ask("k", Wait::No);
    let id = request.lease_id.clone();
    let refused = engine.acquire_for_update(request, OnDisconnect::Expire).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::OutcomeUnknown, "{refused}");
    faulty.silence(false);
    let again = ask("k", Wait::No);
    assert_eq!(
        engine.acquire(AcquireRequest { lease_id: id, ..again }).await.unwrap_err().kind(),
        ErrorKind::LeaseEnded
    );
    engine.acquire(ask("k", Wait::No)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_is_sent_again() {
    let (w, faulty) = world();
    let engine = w.engine();
    faulty.next(&[Fault::LostRequest, Fault::LostRequest, Fault::Failed(ErrorKind::Unavailable)]);
    let held = engine.acquire(ask("k", Wait::No)).await.unwrap();
    faulty.next(&[Fault::LostRequest]);
    engine.update(change("k", proof(&held)), Expected::default(), body("1")).await.unwrap();
    assert_eq!(committed(&engine, "k").await.unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn a_delayed_put_lands_once_or_never() {
    let (w, faulty) = world();
    let engine = w.engine();
    let held = engine.acquire(ask("k", Wait::No)).await.unwrap();
    faulty.next(&[Fault::Delayed]);
    let done = engine.update(change("k", proof(&held)), Expected::default(), body("1")).await.unwrap();
    assert_eq!(faulty.land().await, 0, "the same bytes were sent again and won: the first copy must lose");
    assert_eq!(engine.describe(&key("k")).await.unwrap().version, done.version);
}

#[tokio::test(start_paused = true)]
async fn a_put_given_up_is_killed_first() {
    let (w, faulty) = world();
    let engine = w.engine();
    let held = engine.acquire(ask("k", Wait::No)).await.unwrap();
    // Every send is delayed until the time for it is over; the killing put is the first to go through.
    faulty.next(&[Fault::Delayed; 4]);
    let slow = {
        let (engine, request) = (engine.clone(), change("k", proof(&held)));
        let faulty = faulty.clone();
        faulty.next(&vec![Fault::LostRequest; 100_000]);
        tokio::spawn(async move { engine.update(request, Expected::default(), body("1")).await })
    };
    w.pass(Duration::from_secs(16)).await;
    faulty.clear();
    let e = slow.await.unwrap().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unavailable, "certainly not applied: {e}");
    assert_eq!(faulty.land().await, 0, "and never will be");
    assert!(committed(&engine, "k").await.is_none());
    engine.update(change("k", proof(&held)), Expected::default(), body("2")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_store_leaves_the_outcome_unknown() {
    let (w, faulty) = world();
    let engine = w.engine();
    let held = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let request = change("k", proof(&held));
    faulty.next(&[Fault::LostReply]);
    faulty.silence(true);
    let e = engine.update(request.clone(), Expected::default(), body("1")).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::OutcomeUnknown);
    faulty.silence(false);
    let again = engine.update(request, Expected::default(), body("1")).await.unwrap();
    assert_eq!(again.version, Version(1), "repeating it with the same id was safe");
}

#[tokio::test(start_paused = true)]
async fn a_definite_failure_is_told_as_such() {
    let (w, faulty) = world();
    let engine = w.engine();
    for kind in [ErrorKind::StoreFull, ErrorKind::NotPermitted, ErrorKind::Io] {
        faulty.next(&[Fault::Failed(kind)]);
        assert_eq!(engine.acquire(ask("k", Wait::No)).await.unwrap_err().kind(), kind);
        assert!(engine.describe(&key("k")).await.unwrap().held.is_none());
    }
    // After a send whose outcome is not known, a failure of the next send says nothing about the first.
    faulty.next(&[Fault::Delayed, Fault::Failed(ErrorKind::StoreFull)]);
    engine.acquire(ask("k", Wait::No)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_ring_overrun_is_never_called_a_failure() {
    let (w, faulty) = world();
    let (a, b) = (w.engine(), w.engine());
    let held = a.acquire(ask("k", Wait::No)).await.unwrap();
    let request = change("k", proof(&held));
    // The reply of a's update is lost; before a reads back, so much happens that neither ring nor memory of requests reach back.
    faulty.next(&[Fault::LostReply]);
    faulty.silence(true);
    let slow = {
        let (a, request) = (a.clone(), request.clone());
        tokio::spawn(async move { a.update(request, Expected::default(), body("1")).await })
    };
    w.pass(Duration::from_secs(1)).await;
    settled().await;
    faulty.silence(false);
    for n in 0..=RECENT_WRITES {
        b.update(change("k", proof(&held)), Expected::default(), body(n.to_string())).await.unwrap();
    }
    let outcome = slow.await.unwrap();
    match outcome {
        Ok(done) => assert_eq!(done.version, Version(1)),
        Err(e) => assert_eq!(e.kind(), ErrorKind::OutcomeUnknown, "{e}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_that_was_forgotten_is_never_called_gone() {
    let (w, faulty) = world();
    let (a, b) = (w.engine(), w.engine());
    let held = a.acquire(ask("k", Wait::No)).await.unwrap();
    // The reply of the release is lost; before it is read back, neither the ring nor the memory of leases reaches back to it.
    faulty.next(&[Fault::LostReply]);
    faulty.silence(true);
    let slow = {
        let (a, held) = (a.clone(), held.clone());
        tokio::spawn(async move { a.release(&key("k"), &held.lease_id, Some(&proof(&held)), false).await })
    };
    w.pass(Duration::from_secs(1)).await;
    settled().await;
    faulty.silence(false);
    for _ in 0..=RECENT_WRITES / 2 {
        let next = b.acquire(ask("k", Wait::No)).await.unwrap();
        b.release(&key("k"), &next.lease_id, Some(&proof(&next)), false).await.unwrap();
    }
    let e = slow.await.unwrap().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::OutcomeUnknown, "it was this release that ended the lease");
}

#[tokio::test(start_paused = true)]
async fn a_vanished_client_holds_nobody_up() {
    let (w, faulty) = world();
    let engine = w.engine();
    faulty.next(&[Fault::Delayed]);
    let gone = {
        let engine = engine.clone();
        tokio::spawn(async move { engine.acquire(ask("k", Wait::No)).await })
    };
    tokio::task::yield_now().await;
    gone.abort();
    w.pass(Duration::from_secs(1)).await;
    assert_eq!(faulty.land().await, 0, "the put was killed or resolved");
    engine.acquire(ask("k", Wait::No)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_record_that_goes_back_is_refused() {
    let (w, _) = world();
    let engine = w.engine();
    let held = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let old = w.store.records.get(&key("k")).await.unwrap().unwrap();
    for n in 0..3 {
        engine.update(change("k", proof(&held)), Expected::default(), body(n.to_string())).await.unwrap();
    }
    // Somebody restores a backup under the running process.
    let now = w.store.records.get(&key("k")).await.unwrap().unwrap();
    w.store.records.put(&key("k"), old.value, Precondition::Matches(now.etag)).await.unwrap();
    let e = engine.update(change("k", proof(&held)), Expected::default(), body("9")).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::StoreReplaced);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_for_a_client_that_went_during_the_read() {
    let (w, faulty) = world();
    let engine = w.engine();
    faulty.silence(true);
    let gone = {
        let engine = engine.clone();
        tokio::spawn(async move { engine.acquire(ask("k", Wait::No)).await })
    };
    w.pass(Duration::from_millis(50)).await;
    gone.abort();
    faulty.silence(false);
    w.pass(Duration::from_secs(1)).await;
    let counts = faulty.counted();
    assert!(counts.gets > 1, "it was reading when its client went");
    assert_eq!(counts.puts, 0);
}
