//! The client: deadline, renewal, loss, release.

use std::cell::Cell;
use std::time::Duration;

use lockd::client::Delay;
use lockd::clock::{Clock, UnixMillis};
use lockd::error::ErrorKind;
use lockd::limits::{HANDSHAKE_TRIES, holder_belief};
use lockd::service::{LeaseService, Released, Wait};

use crate::support::faulty::{Fault, Faulty};
use crate::support::world::{TTL, World, ask, key, options};

#[tokio::test(start_paused = true)]
async fn the_deadline_counts_from_before_the_first_send() {
    let w = World::memory();
    let client = w.client(&w.engine());
    let sent = w.clock.boot();
    let lease = client.acquire(options("k", None), |_| ()).await.unwrap();
    assert_eq!(lease.deadline(), sent + holder_belief(TTL, TTL));
    assert!(lease.deadline() < sent + TTL);
    lease.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_came_late_is_renewed_before_any_work() {
    let w = World::memory();
    let (a, b) = (w.engine(), w.engine());
    let held = a.acquire(ask("k", Wait::No)).await.unwrap();
    let mut told = 0;
    let waiting = w.client(&b);
    let lease = {
        let give_back = async {
            w.pass(TTL * 3 / 4).await;
            a.release(&key("k"), &held.lease_id, None, false).await.unwrap();
        };
        let ask = waiting.acquire(options("k", None), |delay| {
            told += 1;
            assert!(matches!(delay, Delay::Held(busy) if busy.lease_id == held.lease_id), "{delay:?}");
        });
        futures_util::future::join(ask, give_back).await.0.unwrap()
    };
    assert_eq!(told, 1);
    assert!(lease.deadline().since(w.clock.boot()) > TTL / 2, "renewed: {:?}", lease.deadline());
}

#[tokio::test(start_paused = true)]
async fn renewal_moves_the_deadline_until_release() {
    let w = World::memory();
    let engine = w.engine();
    let client = w.client(&engine);
    let mut lease = client.acquire(options("k", None), |_| ()).await.unwrap();
    lease.keep_alive();
    let other = w.engine();
    for _ in 0..20 {
        w.pass(TTL / 2).await;
        assert!(lease.deadline() > w.clock.boot() + TTL / 3);
        assert_eq!(other.acquire(ask("k", Wait::No)).await.unwrap_err().kind(), ErrorKind::Busy);
    }
    lease.release().await.unwrap();
    other.acquire(ask("k", Wait::No)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_store_loses_the_lease_at_its_deadline_and_not_later() {
    let mut w = World::memory();
    let faulty = Faulty::wrap(&mut w.store);
    let client = w.client(&w.engine());
    let mut lease = client.acquire(options("k", None), |_| ()).await.unwrap();
    lease.keep_alive();
    faulty.hang(true);
    let why = lease.lost().await;
    assert_eq!(why.kind(), ErrorKind::LeaseExpired);
    assert!(w.clock.boot() <= lease.deadline() + Duration::from_millis(200), "{:?}", w.clock.boot());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_taken_over_is_lost_at_the_next_renewal() {
    let w = World::memory();
    let engine = w.engine();
    let client = w.client(&engine);
    let mut lease = client.acquire(options("k", None), |_| ()).await.unwrap();
    lease.keep_alive();
    engine.release(&key("k"), &lease.id, None, false).await.unwrap();
    let began = w.clock.boot();
    let why = lease.lost().await;
    assert_eq!(why.kind().exit_code(), 80);
    assert!(w.clock.boot().since(began) <= TTL / 3 + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn dropping_gives_back_and_detaching_does_not() {
    let w = World::memory();
    let engine = w.engine();
    let client = w.client(&engine);
    drop(client.acquire(options("k", None), |_| ()).await.unwrap());
    w.pass(Duration::from_millis(10)).await;
    client.acquire(options("k", Some(Duration::ZERO)), |_| ()).await.unwrap().detach();
    w.pass(Duration::from_millis(10)).await;
    let e = client.acquire(options("k", Some(Duration::ZERO)), |_| ()).await.err().unwrap();
    assert_eq!(e.kind(), ErrorKind::Busy);
    let e = client.acquire(options("k", Some(Duration::from_secs(3))), |_| ()).await.err().unwrap();
    assert_eq!(e.kind(), ErrorKind::Busy);
}

#[tokio::test(start_paused = true)]
async fn a_success_is_told_by_the_release_and_to_the_next_holder() {
    let w = World::memory();
    let (a, b) = (w.engine(), w.engine());
    let client = w.client(&a);
    let first = client.acquire(options("k", None), |_| ()).await.unwrap();
    assert_eq!(first.last_success, None);
    let proof = first.proof();
    first.release_after_success(UnixMillis(7)).await.unwrap();
    assert_eq!(b.describe(&key("k")).await.unwrap().last_success, Some(UnixMillis(7)));
    // Repeated, as after a lost answer, it changes nothing, whatever it says now.
    b.release_after_success(&key("k"), &proof, UnixMillis(9)).await.unwrap();
    let second = w.client(&b).acquire(options("k", None), |_| ()).await.unwrap();
    assert_eq!(second.last_success, Some(UnixMillis(7)));
    // An end that says nothing of it leaves it; the last word counts, and a clock may have been set back.
    second.release().await.unwrap();
    let third = client.acquire(options("k", None), |_| ()).await.unwrap();
    assert_eq!(third.last_success, Some(UnixMillis(7)));
    third.release_after_success(UnixMillis(3)).await.unwrap();
    assert_eq!(a.describe(&key("k")).await.unwrap().last_success, Some(UnixMillis(3)));
    // Who has lost the lease has no say.
    let e = a.release_after_success(&key("k"), &proof, UnixMillis(11)).await.unwrap();
    assert!(matches!(e, Released::Released { .. }), "{e:?}");
    assert_eq!(a.describe(&key("k")).await.unwrap().last_success, Some(UnixMillis(3)));
}

/// Taking the lease and reading the state is tried again, the work is not.
#[tokio::test(start_paused = true)]
async fn a_change_tries_only_what_comes_before_the_work_again() {
    let mut w = World::memory();
    let faulty = Faulty::wrap(&mut w.store);
    let client = w.client(&w.engine());
    let (worked, refused) = (Cell::new(0), Fault::Failed(ErrorKind::Io));
    let change = async || {
        let work = |_token, n: Option<u64>| {
            worked.set(worked.get() + 1);
            async move { Ok(Some(n.unwrap_or(0) + 1)) }
        };
        client.change(options("k", None), work).await
    };
    let most = usize::try_from(HANDSHAKE_TRIES).unwrap();
    for (tries, works) in [(1, 1), (most - 1, 2)] {
        faulty.next(&vec![refused; tries]);
        change().await.unwrap();
        assert_eq!(worked.get(), works, "after {tries} refusals");
    }
    faulty.next(&vec![refused; most]);
    assert_eq!(change().await.unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(worked.get(), 2, "without a lease there is no work");
    // The commit is refused: the work is not done again.
    faulty.clear();
    faulty.next(&[Fault::None, refused]);
    assert_eq!(change().await.unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(worked.get(), 3);
}
