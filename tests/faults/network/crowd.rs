//! Crowds: many slow clients, and floods of calls. Nobody else's lease suffers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lockd::client::Client;
use lockd::clock::SystemClock;
use lockd::connect::Carrier;
use lockd::entropy::KernelEntropy;
use lockd::limits::{BODY_GRACE, CHUNK_BYTES, CONNECTIONS, FIRST_BYTE, HEAD_TIME, WRITE_STALL};
use lockd::model::Ttl;
use lockd::service::{Grant, LeaseService, OnDisconnect, Wait};
use tokio::io::AsyncWriteExt;

use super::raw::Raw;
use super::{Place, lasting, pass, servers, tell};
use crate::support::full;
use crate::support::world::{ask, body, change, key, options, proof};

/// How somebody is slow.
#[derive(Clone, Copy, Debug)]
enum Slow {
    Silent,
    PartOfPreface,
    Head,
    Body,
    Reader,
}

const KINDS: [(Slow, Duration); 5] = [
    (Slow::Silent, FIRST_BYTE),
    (Slow::PartOfPreface, FIRST_BYTE),
    (Slow::Head, HEAD_TIME),
    (Slow::Body, BODY_GRACE),
    (Slow::Reader, WRITE_STALL),
];

/// Is slow until the server has had enough. Who does not read cannot see that: its connection is returned.
async fn slow(at: &str, kind: Slow) -> Option<Raw> {
    let mut raw = Raw::connect(at, false).await;
    let begin: &[u8] = match kind {
        Slow::Silent => b"",
        Slow::PartOfPreface => b"PRI * HTTP/2.0\r\n",
        Slow::Head => b"GET /healthz HTTP/1.1\r\nX-Slow: ",
        Slow::Body => b"POST /v1/update?key=x HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\nX-Lease-ID: a\r\nX-Fencing-Token: 1\r\n\r\n\"",
        Slow::Reader => b"GET /v1/get?key=large HTTP/1.1\r\nHost: t\r\n\r\n",
    };
    // Beyond the most connections it is turned away.
    raw.stream.write_all(begin).await.ok()?;
    match kind {
        Slow::Reader => return Some(raw),
        Slow::Silent | Slow::PartOfPreface => while raw.more().await {},
        Slow::Head | Slow::Body => {
            while raw.stream.write_all(b"x").await.is_ok() {
                pass(Duration::from_secs(1)).await;
            }
        }
    }
    None
}

/// Renews until it is told that all is over; how long each renewal took.
async fn renewing(service: Arc<dyn LeaseService>, held: Grant, over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut times = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let began = Instant::now();
        service.keepalive(&key("k"), &proof(&held), held.ttl).await.unwrap();
        times.push(began.elapsed());
        pass(Duration::from_millis(20)).await;
    }
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_dropped_and_hurt_nobody() {
    let crowd = match std::env::var("LOCKD_TEST_CROWD") {
        Ok(number) => number.parse().unwrap(),
        Err(_) if full("2,000 slow clients at once (LOCKD_TEST_CROWD=10000 for more)") => 2_000,
        Err(_) => 250,
    };
    let place = Place::new().await;
    place.put("large", &format!("\"{}\"", "x".repeat(16 * 1024 * 1024))).await;
    let held = place.service.acquire(ask("k", Wait::No)).await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let renewing = tokio::spawn(renewing(Arc::clone(&place.service), held, Arc::clone(&over)));
    let began = Instant::now();
    let mut slows = Vec::new();
    for n in 0..crowd {
        // As fast as they are accepted: who is not yet when the kernel's queue is full is dropped by nobody, and waits for ever.
        if n % 256 == 255 {
            pass(Duration::from_millis(20)).await;
        }
        let (kind, limit) = KINDS[n % KINDS.len()];
        let at = place.at().to_owned();
        slows.push(tokio::spawn(async move {
            let began = Instant::now();
            let unread = slow(&at, kind).await;
            (kind, limit, began.elapsed(), unread)
        }));
    }
    let (mut times, mut unread) = (BTreeMap::<String, Vec<Duration>>::new(), Vec::new());
    for slow in slows {
        let (kind, limit, took, raw) = slow.await.unwrap();
        match raw {
            Some(raw) => unread.push(raw),
            // A second more, for those that look only once a second.
            None => {
                assert!(took <= 2 * limit + Duration::from_secs(1), "{kind:?}: {took:?}");
                times.entry(format!("{kind:?}")).or_default().push(took);
            }
        }
    }
    // Those that do not read are gone for the server, though their sockets stand.
    place.quiet().await;
    let took = began.elapsed();
    assert!(took <= 2 * WRITE_STALL, "{took:?}");
    over.store(true, Ordering::SeqCst);
    for (kind, times) in times {
        tell(&format!("dropped, {kind}"), times);
    }
    println!("dropped, Reader: {} in at most {took:?}", unread.len());
    tell(&format!("renewals beside {crowd} slow clients"), renewing.await.unwrap());
    println!("the server was in at most {} MiB", place.server.peak() >> 20);
    // A connection that is read from has a piece of the state in hand, and what the allocator keeps of others.
    let pieces = (crowd / KINDS.len()).min(CONNECTIONS) * 2 * CHUNK_BYTES;
    assert!(place.server.peak() < (128 << 20) + pieces as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_expires_no_lease_that_renews() {
    let place = Place::new().await;
    let client = Client::new(Arc::clone(&place.service), Arc::new(SystemClock), Arc::new(KernelEntropy));
    let short = lockd::client::AcquireOptions { ttl: Ttl::new(Duration::from_secs(3)).unwrap(), ..options("k", None) };
    let mut lease = client.acquire_for_update(short, OnDisconnect::Expire, |_| ()).await.unwrap();
    lease.keep_alive();
    let mut flood = Vec::new();
    for n in 0..60 {
        let (service, name) = (servers(&[place.at()], Carrier::Runtime), format!("flood/{}", n % 4));
        flood.push(tokio::spawn(async move {
            loop {
                let _refused = match n % 3 {
                    0 => service.acquire(ask("k", Wait::For(Duration::from_millis(50)))).await.map(|_| ()),
                    1 => service.acquire(ask(&name, Wait::For(Duration::from_millis(200)))).await.map(|_| ()),
                    _ => {
                        let held = service.acquire(lasting(&format!("flood/own/{n}"))).await;
                        let Ok(held) = held else { continue };
                        let own = format!("flood/own/{n}");
                        let large = format!("\"{}\"", "z".repeat(200_000));
                        let _unknown =
                            service.update(change(&own, proof(&held)), Default::default(), body(large)).await;
                        service.release(&key(&own), &held.lease_id, None, false).await.map(|_| ())
                    }
                };
            }
        }));
    }
    let lost = tokio::time::timeout(Duration::from_secs(10), lease.lost()).await;
    flood.iter().for_each(tokio::task::JoinHandle::abort);
    assert!(lost.is_err(), "{lost:?}");
    lease.save(&1).await.unwrap();
    lease.release().await.unwrap();
}
