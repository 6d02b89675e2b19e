//! Leases for update: one list of behaviours, run on every store and through servers over both kinds of calls.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use lockd::client::{Client, UpdateLease};
use lockd::clock::Clock;
use lockd::connect::Carrier;
use lockd::entropy::KernelEntropy;
use lockd::error::ErrorKind;
use lockd::limits::takeover_age;
use lockd::model::{How, Owner, Reason, StateEtag, Version};
use lockd::service::{BreakRequest, Expected, ForUpdate, Guards, LeaseEnd, OnDisconnect, Released, Wait};

use crate::support::full;
use crate::support::world::{
    Over, Peer, TTL, World, all as whole, ask, body, change, committed, key, options, proof, staged,
};

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

#[tokio::test]
async fn over_http2() {
    all(|| std::future::ready(World::served(Over::Http2))).await;
}

#[cfg(feature = "lsm")]
#[tokio::test(start_paused = true)]
async fn on_an_embedded_store() {
    all(World::lsm).await;
}

/// The list.
pub async fn all<F: Future<Output = World>>(make: impl Fn() -> F) {
    it_comes_with_its_state_once(make().await).await;
    a_large_state_comes_whole(make().await).await;
    what_is_written_is_there_for_the_next_one(make().await).await;
    conflicts_and_rollbacks_change_nothing(make().await).await;
    its_end_is_told(make().await).await;
    a_fenced_holder_who_goes_leaves_at_once(make().await).await;
    another_who_goes_leaves_when_that_is_safe(make().await).await;
    a_sign_of_life_after_the_connection_went_counts(make().await).await;
    a_silent_holder_is_taken_over(make().await).await;
    a_wait_that_is_given_up_takes_no_place(make().await).await;
    staged_blobs_are_collected(make().await).await;
    no_update_is_lost(make().await).await;
}

const WAIT: Wait = Wait::For(Duration::from_secs(60));

fn client(w: &World, peer: &Peer) -> Client {
    Client::new(peer.service(), Arc::new(w.clock.clone()), Arc::new(KernelEntropy))
}

async fn lease(w: &World, peer: &Peer) -> UpdateLease {
    client(w, peer).acquire_for_update(options("k", None), OnDisconnect::Expire, |_| ()).await.unwrap()
}

async fn open(peer: &Peer, how: OnDisconnect) -> ForUpdate {
    peer.acquire_for_update(ask("k", WAIT), how).await.unwrap()
}

async fn put(peer: &Peer, text: impl Into<Bytes>) {
    let held = peer.acquire(ask("k", WAIT)).await.unwrap();
    peer.update(change("k", proof(&held)), Expected::default(), body(text)).await.unwrap();
    peer.release(&key("k"), &held.lease_id, Some(&proof(&held)), false).await.unwrap();
}

async fn it_comes_with_its_state_once(w: World) {
    let (a, b) = (w.peer().await, w.peer().await);
    let mut held = lease(&w, &a).await;
    assert!(held.take_state().is_none() && held.version == Version(0) && held.etag.is_none());
    assert_eq!(b.acquire(ask("k", Wait::No)).await.unwrap_err().kind(), ErrorKind::Busy);
    let first = held.token;
    assert_eq!(held.release().await.unwrap(), Released::Released { version: Version(0) });
    put(&b, "{\"n\":1}").await;
    let mut held = lease(&w, &a).await;
    assert!(held.token > first);
    let state = held.take_state().unwrap();
    assert_eq!((state.version, Some(&state.etag), state.len), (held.version, held.etag.as_ref(), 7));
    assert_eq!(whole(state).await.unwrap(), "{\"n\":1}");
    assert!(held.take_state().is_none());
    held.close().await;
    // Not taken at all, it is in nobody's way.
    lease(&w, &b).await.close().await;
    let mut held = lease(&w, &a).await;
    assert_eq!(held.take::<serde_json::Value>().await.unwrap(), Some(serde_json::json!({ "n": 1 })));
    held.close().await;
}

async fn a_large_state_comes_whole(w: World) {
    let bytes = if full("100 MiB of state with a lease for update") { 100 * 1024 * 1024 - 2 } else { 3 * 1024 * 1024 };
    let (a, b) = (w.peer().await, w.peer().await);
    put(&a, format!("\"{}\"", "x".repeat(bytes))).await;
    let mut held = lease(&w, &b).await;
    let came = held.take_bytes().await.unwrap().unwrap();
    assert!(came.len() == bytes + 2 && came[1..=bytes].iter().all(|byte| *byte == b'x'));
    held.update_bytes(came).await.unwrap();
    held.release().await.unwrap();
}

async fn what_is_written_is_there_for_the_next_one(w: World) {
    let (a, b) = (w.peer().await, w.peer().await);
    let mut held = lease(&w, &a).await;
    held.keep_alive();
    let changed = held.save(&1).await.unwrap();
    assert_eq!((held.version, &held.etag), (changed.version, &changed.etag));
    w.pass(TTL * 2).await;
    assert!(held.deadline() > w.clock.boot(), "it renews itself");
    let waiting = client(&w, &b);
    let waiting = tokio::spawn(async move {
        waiting.acquire_for_update(options("k", None), OnDisconnect::Release, |_| ()).await.unwrap()
    });
    held.update_bytes("2").await.unwrap();
    held.release().await.unwrap();
    let mut next = waiting.await.unwrap();
    assert_eq!(next.take::<u64>().await.unwrap(), Some(2));
    assert!(next.remove().await.unwrap().changed);
    next.release().await.unwrap();
    assert!(committed(&*a, "k").await.is_none());
}

async fn conflicts_and_rollbacks_change_nothing(w: World) {
    let a = w.peer().await;
    put(&a, "1").await;
    let ForUpdate { grant, following, .. } = open(&a, OnDisconnect::Expire).await;
    let mut stale = change("k", proof(&grant));
    stale.guards = Guards { version: Some(Version(grant.version.0 + 1)), etag: None };
    let e = a.update(stale, Expected::default(), body("2")).await.unwrap_err();
    assert_eq!((e.kind(), e.details().current_version), (ErrorKind::VersionConflict, Some(grant.version)));
    let mut other = change("k", proof(&grant));
    other.guards = Guards { version: None, etag: Some(StateEtag::from_caller(&"0".repeat(64))) };
    let e = a.update(other, Expected::default(), body("2")).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::EtagMismatch);
    assert_eq!(e.details().current_etag.as_deref(), grant.etag.as_ref().map(|etag| etag.as_str()));
    let mut good = change("k", staged(&grant));
    good.guards = Guards { version: Some(grant.version), etag: grant.etag.clone() };
    a.update(good, Expected::default(), body("3")).await.unwrap();
    let released = a.release(&key("k"), &grant.lease_id, Some(&staged(&grant)), true).await.unwrap();
    assert_eq!(released, Released::Released { version: grant.version });
    drop(following);
    assert_eq!(committed(&*a, "k").await.unwrap(), "1");
}

async fn its_end_is_told(w: World) {
    let (a, b) = (w.peer().await, w.peer().await);
    let ForUpdate { grant, mut following, .. } = open(&a, OnDisconnect::Expire).await;
    assert!(following.end().now_or_never().is_none());
    a.release(&key("k"), &grant.lease_id, Some(&proof(&grant)), false).await.unwrap();
    assert_eq!(following.end().await, Some(LeaseEnd::Released));
    // Elsewhere, too.
    let held = lease(&w, &a).await;
    let (by, reason) = (Owner::new("op").unwrap(), Reason::new("x").unwrap());
    b.break_lease(BreakRequest { key: key("k"), lease_id: None, by, reason }).await.unwrap();
    assert_eq!(held.lost().await.kind(), ErrorKind::LeaseBroken);
    assert!(held.deadline() > w.clock.boot(), "it was not the deadline that told");
}

/// Until nobody holds the key.
async fn free(w: &World, peer: &Peer) {
    while peer.describe(&key("k")).await.unwrap().held.is_some() {
        w.pass(Duration::from_millis(100)).await;
    }
}

async fn a_fenced_holder_who_goes_leaves_at_once(w: World) {
    let (a, b) = (w.peer().await, w.peer().await);
    let began = w.clock.boot();
    drop(open(&a, OnDisconnect::Release).await);
    free(&w, &b).await;
    let held = open(&a, OnDisconnect::Release).await;
    let waiting = open(&b, OnDisconnect::Expire);
    let gone = async {
        w.pass(Duration::from_secs(3)).await;
        drop(held);
    };
    let next = futures_util::future::join(waiting, gone).await.0;
    assert!(!next.grant.taken_over);
    assert!(w.clock.boot().since(began) < TTL / 2 + w.slack(), "{:?}", w.clock.boot().since(began));
    let known = b.describe(&key("k")).await.unwrap();
    assert_eq!(known.ended[0].how, How::RolledBack);
}

async fn another_who_goes_leaves_when_that_is_safe(w: World) {
    let (a, b) = (w.peer().await, w.peer().await);
    let bound = takeover_age(TTL);
    for waits in [true, false] {
        let began = w.clock.boot();
        drop(open(&a, OnDisconnect::Expire).await);
        match waits {
            true => {
                let next = b.acquire(ask("k", WAIT)).await.unwrap();
                b.release(&key("k"), &next.lease_id, Some(&proof(&next)), false).await.unwrap();
            }
            false => free(&w, &b).await,
        }
        let took = w.clock.boot().since(began);
        assert!(took >= bound && took <= bound + Duration::from_millis(1_500) + w.slack(), "{waits}: {took:?}");
    }
    assert_eq!(b.describe(&key("k")).await.unwrap().ended[0].how, How::Expired);
}

async fn a_sign_of_life_after_the_connection_went_counts(w: World) {
    let (a, b) = (w.peer().await, w.peer().await);
    let ForUpdate { grant, state, following } = open(&a, OnDisconnect::Expire).await;
    drop((state, following));
    for _ in 0..6 {
        w.pass(TTL / 2).await;
        b.keepalive(&key("k"), &proof(&grant), grant.ttl).await.unwrap();
    }
    b.update(change("k", proof(&grant)), Expected::default(), body("1")).await.unwrap();
    b.release(&key("k"), &grant.lease_id, Some(&proof(&grant)), false).await.unwrap();
}

async fn a_silent_holder_is_taken_over(w: World) {
    let (a, b) = (w.peer().await, w.peer().await);
    // While the connection stands there is no other end, whatever was said of its loss.
    for how in [OnDisconnect::Expire, OnDisconnect::Release] {
        let began = w.clock.boot();
        let mut held = open(&a, how).await;
        let next = b.acquire(ask("k", WAIT)).await.unwrap();
        assert!(next.taken_over && w.clock.boot().since(began) >= takeover_age(TTL), "{how:?}");
        assert_eq!(held.following.end().await, Some(LeaseEnd::Lost));
        let e = a.update(change("k", proof(&held.grant)), Expected::default(), body("1")).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::LeaseRequired);
        b.release(&key("k"), &next.lease_id, Some(&proof(&next)), false).await.unwrap();
    }
}

async fn a_wait_that_is_given_up_takes_no_place(w: World) {
    let (a, b) = (w.peer().await, Arc::new(w.peer().await));
    let held = open(&a, OnDisconnect::Expire).await;
    let waits = Arc::clone(&b);
    let waiting = tokio::spawn(async move { open(&waits, OnDisconnect::Expire).await });
    w.pass(Duration::from_secs(3)).await;
    waiting.abort();
    assert!(waiting.await.is_err());
    let grant = &held.grant;
    a.release(&key("k"), &grant.lease_id, Some(&proof(grant)), false).await.unwrap();
    w.pass(Duration::from_millis(100)).await;
    let next = b.acquire(ask("k", Wait::No)).await.unwrap();
    assert_eq!(next.token.0, grant.token.0 + 1, "nobody had it in between");
}

async fn staged_blobs_are_collected(w: World) {
    let (a, b) = (w.peer().await, w.peer().await);
    put(&a, "1").await;
    for how in [OnDisconnect::Release, OnDisconnect::Expire] {
        let held = open(&a, how).await;
        let large = format!("\"{}\"", "x".repeat(300_000));
        a.update(change("k", staged(&held.grant)), Expected::default(), body(large)).await.unwrap();
        assert_eq!(w.store.blobs.list(key("k").hash()).await.unwrap().len(), 1);
        drop(held);
        free(&w, &b).await;
        while !w.store.blobs.list(key("k").hash()).await.unwrap().is_empty() {
            a.close().await;
            w.pass(Duration::from_millis(100)).await;
        }
    }
    assert_eq!(committed(&*b, "k").await.unwrap(), "1");
}

/// Two processes, two workers at each: every one adds one to what came with its lease.
async fn no_update_is_lost(w: World) {
    let rounds = if full("1,000 rounds with a lease for update") { 1_000 } else { 60 };
    let peers = [w.peer().await, w.peer().await];
    let work = (0..4).map(|n| {
        let client = client(&w, &peers[n % 2]);
        async move {
            for _ in 0..rounds / 4 {
                let mut held =
                    client.acquire_for_update(options("k", None), OnDisconnect::Expire, |_| ()).await.unwrap();
                let seen = held.take::<u64>().await.unwrap().unwrap_or(0);
                held.save(&(seen + 1)).await.unwrap();
                held.release().await.unwrap();
            }
        }
    });
    futures_util::future::join_all(work).await;
    assert_eq!(committed(&*peers[0], "k").await.unwrap(), rounds.to_string());
}
