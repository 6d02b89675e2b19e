//! Crowds: many slow clients, floods of calls, and a server that is killed among them. Nobody else's lease suffers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lockd::client::Client;
use lockd::clock::SystemClock;
use lockd::connect::Carrier;
use lockd::entropy::KernelEntropy;
use lockd::limits::{BODY_GRACE, CHUNK_WAIT, FIRST_BYTE, HEAD_TIME, WRITE_STALL};
use lockd::model::Ttl;
use lockd::service::{OnDisconnect, Wait};
use tokio::io::AsyncWriteExt;

use super::raw::Raw;
use super::{Place, lasting, pass, servers, started, tell};
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
    (Slow::Body, if CHUNK_WAIT.as_secs() > BODY_GRACE.as_secs() { CHUNK_WAIT } else { BODY_GRACE }),
    (Slow::Reader, WRITE_STALL),
];

/// Is slow until the server has had enough, where that can be seen from here.
async fn slow(at: &str, kind: Slow) {
    let mut raw = Raw::connect(at, false).await;
    let begin: &[u8] = match kind {
        Slow::Silent => b"",
        Slow::PartOfPreface => b"PRI * HTTP/2.0\r\n",
        Slow::Head => b"GET /healthz HTTP/1.1\r\nX-Slow: ",
        Slow::Body => b"POST /v1/update?key=x HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\nX-Lease-ID: a\r\nX-Fencing-Token: 1\r\n\r\n\"",
        Slow::Reader => b"GET /v1/get?key=large HTTP/1.1\r\nHost: t\r\n\r\n",
    };
    raw.stream.write_all(begin).await.unwrap();
    loop {
        match kind {
            // It does not read, and so it sees nothing.
            Slow::Reader => return pass(2 * WRITE_STALL).await,
            Slow::Silent | Slow::PartOfPreface => {
                while raw.more().await {}
                return;
            }
            Slow::Head | Slow::Body => {
                pass(Duration::from_secs(1)).await;
                if raw.stream.write_all(b"x").await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_dropped_and_hurt_nobody() {
    let crowd = match std::env::var("LOCKD_TEST_CROWD") {
        Ok(number) => number.parse().unwrap(),
        Err(_) if full("2,000 slow clients at once (LOCKD_TEST_CROWD=10000 for more)") => 2_000,
        Err(_) => 250,
    };
    // Who does not read is waited for longest.
    let kinds = if crowd < 2_000 { &KINDS[..4] } else { &KINDS[..] };
    let place = Place::new().await;
    place.put("large", &format!("\"{}\"", "x".repeat(16 * 1024 * 1024))).await;
    let held = place.service.acquire(ask("k", Wait::No)).await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let (done, service) = (Arc::clone(&over), Arc::clone(&place.service));
    let renewing = tokio::spawn(async move {
        let mut times = Vec::new();
        while !done.load(Ordering::SeqCst) {
            let began = Instant::now();
            service.keepalive(&key("k"), &proof(&held), held.ttl).await.unwrap();
            times.push(began.elapsed());
            pass(Duration::from_millis(20)).await;
        }
        times
    });
    let began = Instant::now();
    let mut slows = Vec::new();
    for n in 0..crowd {
        let (kind, limit) = kinds[n % kinds.len()];
        let at = place.at().to_owned();
        slows.push(tokio::spawn(async move {
            let began = Instant::now();
            slow(&at, kind).await;
            let took = began.elapsed();
            // A second more, for those that look only once a second.
            assert!(took <= 2 * limit + Duration::from_secs(1), "{kind:?}: {took:?}");
            (format!("{kind:?}"), took)
        }));
    }
    let mut times = std::collections::BTreeMap::<String, Vec<Duration>>::new();
    let mut failed = None;
    for slow in slows {
        match slow.await {
            Ok((kind, took)) => times.entry(kind).or_default().push(took),
            Err(e) => failed = Some(e),
        }
    }
    over.store(true, Ordering::SeqCst);
    let renewals = renewing.await.unwrap();
    assert!(failed.is_none(), "{failed:?}");
    times.remove("Reader");
    for (kind, times) in times {
        tell(&format!("dropped, {kind}"), times);
    }
    tell(&format!("renewals beside {crowd} slow clients"), renewals);
    println!("gone after {:?}; the server was in at most {} MiB", began.elapsed(), place.server.peak() >> 20);
    // Those that did not read, too: their time is twice the limit now.
    place.quiet().await;
    assert!(place.server.peak() < 512 << 20);
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

#[tokio::test]
async fn a_killed_server_takes_no_lease_along() {
    let place = Place::new().await;
    let second = started(&place.lab);
    let both = |carrier| servers(&[place.at(), &second.at[0]], carrier);
    let client = |service| Client::new(service, Arc::new(SystemClock), Arc::new(KernelEntropy));
    place.put("k", "1").await;
    for (n, carrier) in [Carrier::Runtime, Carrier::Threads].into_iter().enumerate() {
        let (holder, waiter) = (client(both(carrier)), client(both(carrier)));
        let mut lease = holder.acquire_for_update(options("k", None), OnDisconnect::Expire, |_| ()).await.unwrap();
        lease.keep_alive();
        let waiting =
            tokio::spawn(
                async move { waiter.acquire_for_update(options("k", None), OnDisconnect::Expire, |_| ()).await },
            );
        if n == 0 {
            super::until(async || place.waiters("k").await == 1).await;
            place.server.signal(rustix::process::Signal::KILL);
        }
        assert_eq!(lease.take_bytes().await.unwrap_or_default().unwrap_or_else(|| "1".into()), (n + 1).to_string());
        lease.save(&(n + 2)).await.unwrap();
        let token = lease.token;
        lease.release().await.unwrap();
        // Who waited there waits at the other one, with the same ids, or was told that nobody knows.
        let mut next = match waiting.await.unwrap() {
            Ok(next) => next,
            Err(e) => {
                println!("who waited was told: {e}");
                holder.acquire_for_update(options("k", None), OnDisconnect::Expire, |_| ()).await.unwrap()
            }
        };
        assert!(next.token > token);
        assert_eq!(next.take::<usize>().await.unwrap(), Some(n + 2));
        next.release().await.unwrap();
    }
}
