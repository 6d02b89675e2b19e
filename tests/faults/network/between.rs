//! The client of servers over a network that fails on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use lockd::client::{AcquireOptions, Client};
use lockd::clock::{Clock, SystemClock};
use lockd::connect::Carrier;
use lockd::entropy::KernelEntropy;
use lockd::error::{ErrorKind, Result};
use lockd::model::{Ttl, Version};
use lockd::service::{Guards, LeaseService, OnDisconnect, Wait};

use super::proxy::{OPEN, Proxy, Way, Ways};
use super::{Place, pass, servers};
use crate::support::world::{ask, body, change, key, options, proof};

const CARRIERS: [Carrier; 2] = [Carrier::Threads, Carrier::Runtime];
const MIB: usize = 1024 * 1024;

fn client(service: Arc<dyn LeaseService>) -> Client {
    Client::new(service, Arc::new(SystemClock), Arc::new(KernelEntropy))
}

/// A state that comes in pieces, with the number of those that were read.
fn pieces(count: usize) -> (impl Stream<Item = Result<Bytes>> + Send + 'static, Arc<AtomicUsize>) {
    let read = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read);
    let pieces = (0..count).map(move |n| match n {
        0 => Bytes::from("\""),
        _ if n == count - 1 => Bytes::from("\""),
        _ => Bytes::from(vec![b'x'; 64 * 1024]),
    });
    let pieces = stream::iter(pieces).map(move |piece| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(piece)
    });
    (pieces, read)
}

#[tokio::test]
async fn an_upload_over_a_connection_that_was_closed_meanwhile_is_sent_again() {
    let place = Place::new().await;
    let proxy = Proxy::before(place.at()).await;
    for carrier in CARRIERS {
        for by_reset in [true, false] {
            let service = servers(&[&proxy.at], carrier);
            let held = service.acquire(ask("k", Wait::No)).await.unwrap();
            // The connection stands until something comes over it.
            proxy.was(Ways { up: Way::Ends { after: 0, by_reset }, down: Way::Pass });
            let (state, _) = pieces(50);
            let changed = service.update(change("k", proof(&held)), Default::default(), state.boxed()).await;
            assert_eq!(changed.unwrap().bytes, 48 * 64 * 1024 + 2, "{carrier:?}");
            service.release(&key("k"), &held.lease_id, Some(&proof(&held)), false).await.unwrap();
        }
    }
}

/// What was read of a state for a connection that broke is not there for the next one: the rest must never be taken for all.
#[tokio::test]
async fn an_upload_that_breaks_off_is_never_continued_on_another_connection() {
    let place = Place::new().await;
    let proxy = Proxy::before(place.at()).await;
    place.put("k", "1").await;
    for carrier in CARRIERS {
        let service = servers(&[&proxy.at, &proxy.at], carrier);
        for after in [1, MIB / 2, MIB + 100_000, 2 * MIB] {
            let held = service.acquire(ask("k", Wait::No)).await.unwrap();
            proxy.was(Ways { up: Way::Ends { after: after as u64, by_reset: true }, down: Way::Pass });
            // Digits, so that a part of them would be a state, too.
            let digits = stream::iter((0..48).map(|_| Ok(Bytes::from(vec![b'7'; 64 * 1024]))));
            let answer = service.update(change("k", proof(&held)), Default::default(), digits.boxed()).await;
            proxy.is(OPEN);
            let bytes = place.service.describe(&key("k")).await.unwrap().bytes;
            match answer {
                Ok(changed) => assert_eq!((changed.bytes, bytes), (3 * MIB as u64, 3 * MIB as u64)),
                Err(e) => assert!(bytes == 1 || bytes == 3 * MIB as u64, "{carrier:?} {after}: {bytes} bytes, {e}"),
            }
            service.release(&key("k"), &held.lease_id, Some(&proof(&held)), false).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_large_upload_is_refused_before_it_is_sent() {
    let place = Place::new().await;
    for carrier in CARRIERS {
        let service = servers(&[place.at()], carrier);
        let held = service.acquire(ask("k", Wait::No)).await.unwrap();
        let mut stale = change("k", proof(&held));
        stale.guards = Guards { version: Some(Version(77)), etag: None };
        let (state, read) = pieces(1_000);
        let e = service.update(stale, Default::default(), state.boxed()).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::VersionConflict, "{carrier:?}: {e}");
        let read = read.load(Ordering::SeqCst);
        println!("{carrier:?}: refused after {read} of 1000 pieces were read");
        assert!(read < 100, "{carrier:?}: {read}");
        service.release(&key("k"), &held.lease_id, Some(&proof(&held)), false).await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_that_breaks_is_told_and_the_lease_goes_on_or_not_as_was_asked() {
    let place = Place::new().await;
    let proxy = Proxy::before(place.at()).await;
    place.put("k", &format!("\"{}\"", "x".repeat(4 * MIB))).await;
    for carrier in CARRIERS {
        for by_reset in [true, false] {
            let client = client(servers(&[&proxy.at], carrier));
            let cut = Ways { up: Way::Pass, down: Way::Ends { after: 2 * MIB as u64, by_reset } };
            proxy.is(cut);
            let mut lease = client.acquire_for_update(options("k", None), OnDisconnect::Expire, |_| ()).await.unwrap();
            let e = lease.take_bytes().await.unwrap_err();
            proxy.is(OPEN);
            assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
            lease.renew().await.unwrap();
            lease.release().await.unwrap();
            proxy.is(cut);
            let mut lease = client.acquire_for_update(options("k", None), OnDisconnect::Release, |_| ()).await.unwrap();
            lease.take_bytes().await.unwrap_err();
            proxy.is(OPEN);
            let began = Instant::now();
            assert_eq!(lease.lost().await.kind(), ErrorKind::LeaseExpired);
            println!("{carrier:?}: the loss was told after {:?}", began.elapsed());
            super::until(async || !place.is_held("k").await).await;
        }
    }
}

#[tokio::test]
async fn a_slow_network_is_only_slow_and_a_silent_one_loses_the_lease_in_time() {
    let place = Place::new().await;
    let proxy = Proxy::before(place.at()).await;
    for carrier in CARRIERS {
        let client = client(servers(&[&proxy.at], carrier));
        for way in [Way::Late(Duration::from_millis(20)), Way::Trickle(700)] {
            proxy.is(Ways { up: way, down: way });
            let mut lease = client.acquire_for_update(options("k", None), OnDisconnect::Release, |_| ()).await.unwrap();
            let large = format!("\"{}\"", "y".repeat(100_000));
            lease.save(&large).await.unwrap();
            lease.release().await.unwrap();
            let mut lease = client.acquire_for_update(options("k", None), OnDisconnect::Release, |_| ()).await.unwrap();
            assert_eq!(lease.take::<String>().await.unwrap(), Some(large));
            lease.remove().await.unwrap();
            lease.release().await.unwrap();
        }
        proxy.is(OPEN);
        let ttl = Ttl::new(Duration::from_secs(3)).unwrap();
        let short = AcquireOptions { ttl, ..options("k", None) };
        let mut lease = client.acquire_for_update(short, OnDisconnect::Expire, |_| ()).await.unwrap();
        lease.keep_alive();
        proxy.is(Ways { up: Way::Lost, down: Way::Lost });
        let why = lease.lost().await;
        let late = SystemClock.boot().since(lease.deadline());
        println!("{carrier:?}: lost {late:?} after its deadline: {why}");
        assert_eq!(why.kind(), ErrorKind::LeaseExpired);
        assert!(late < Duration::from_secs(1), "{late:?}");
        proxy.is(OPEN);
        drop(lease);
        super::until(async || !place.is_held("k").await).await;
        pass(Duration::from_millis(10)).await;
    }
    let held = place.service.acquire(ask("k", Wait::No)).await.unwrap();
    place.service.update(change("k", proof(&held)), Default::default(), body("1")).await.unwrap();
}
