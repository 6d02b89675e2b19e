//! What carries requests to servers: connections that are used again, servers that are gone or silent, requests that are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lockd::clock::SystemClock;
use lockd::connect::{self, Carrier};
use lockd::error::ErrorKind;
use lockd::model::Version;
use lockd::service::{AcquireRequest, ChangeRequest, Expected, Guards, LeaseService, Wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::world::{World, ask, body, change, committed, key, proof};

const CARRIERS: [Carrier; 2] = [Carrier::Threads, Carrier::Runtime];

/// What a server that plays a part does with each request.
#[derive(Clone, Copy)]
enum Part {
    /// Answers that a key was never used.
    Answers,
    /// Closes the connection.
    Closes,
    /// Says nothing.
    IsSilent,
}

/// A server that plays a part, with the number of connections that it has got and of those that were closed.
struct Played {
    url: String,
    opened: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

async fn play(part: Part) -> Played {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (opened, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let played = Played { url, opened: Arc::clone(&opened), closed: Arc::clone(&closed) };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            opened.fetch_add(1, Ordering::SeqCst);
            let closed = Arc::clone(&closed);
            tokio::spawn(async move {
                talk(stream, part).await;
                closed.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    played
}

async fn talk(mut stream: TcpStream, part: Part) {
    let mut buf = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = stream.read(&mut buf).await {
        // Requests here are small: they come in one piece, or in two, the head first.
        if matches!(part, Part::Answers) && !buf[..n].starts_with(b"GET") {
            continue;
        }
        match part {
            Part::Closes => return,
            Part::IsSilent => {}
            Part::Answers => {
                let text =
                    r#"{"namespace":"default","key":"k","version":0,"fencing_token":0,"state_bytes":0,"metadata":{}}"#;
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    }
}

fn client(urls: &[&str], carrier: Carrier) -> Arc<dyn LeaseService> {
    connect::servers(urls, carrier, Arc::new(SystemClock)).unwrap()
}

/// Until something is so; that it never is, is found by the limit of the test run.
async fn until(mut so: impl AsyncFnMut() -> bool) {
    while !so().await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_is_used_again() {
    for carrier in CARRIERS {
        let server = play(Part::Answers).await;
        let client = client(&[&server.url], carrier);
        for _ in 0..20 {
            assert_eq!(client.describe(&key("k")).await.unwrap().version.0, 0, "{carrier:?}");
        }
        let opened = server.opened.load(Ordering::SeqCst);
        // The next request may come before the thread of the last one has given its connection back.
        assert!(opened < 5, "{carrier:?}: {opened} connections for 20 requests");
    }
}

#[tokio::test]
async fn what_may_have_been_applied_is_told_apart_from_what_was_not() {
    for carrier in CARRIERS {
        let closing = play(Part::Closes).await;
        let nobody = "http://127.0.0.1:9";
        for (urls, changed, read) in [
            (&[closing.url.as_str()][..], ErrorKind::OutcomeUnknown, ErrorKind::Unavailable),
            (&[nobody], ErrorKind::Unavailable, ErrorKind::Unavailable),
            (&[nobody, &closing.url], ErrorKind::OutcomeUnknown, ErrorKind::Unavailable),
            (&[&closing.url, nobody], ErrorKind::OutcomeUnknown, ErrorKind::Unavailable),
        ] {
            let client = client(urls, carrier);
            let e = client.acquire(ask("k", Wait::No)).await.unwrap_err();
            assert_eq!(e.kind(), changed, "{carrier:?} {urls:?}: {e}");
            let e = client.describe(&key("k")).await.unwrap_err();
            assert_eq!(e.kind(), read, "{carrier:?} {urls:?}: {e}");
        }
    }
}

/// Found by the simulation of the whole stack: the send that had no answer was applied, before that or later.
#[tokio::test]
async fn a_refusal_does_not_speak_for_an_earlier_send() {
    for carrier in CARRIERS {
        let w = World::served(carrier);
        let (url, peer) = w.server(carrier).await;
        let over = peer.acquire(ask("k", Wait::No)).await.unwrap();
        peer.release(&key("k"), &over.lease_id, Some(&proof(&over)), false).await.unwrap();
        let _other = peer.acquire(ask("k", Wait::No)).await.unwrap();
        let closing = play(Part::Closes).await;
        let guards = Guards { version: Some(Version(0)), etag: None };
        for (urls, busy, changed) in [
            (&[&*url][..], ErrorKind::Busy, ErrorKind::LeaseRequired),
            (&[&closing.url, &*url], ErrorKind::OutcomeUnknown, ErrorKind::OutcomeUnknown),
        ] {
            // A new one each time: it begins with the first server.
            let client = || client(urls, carrier);
            let e = client().acquire(ask("k", Wait::No)).await.unwrap_err();
            assert_eq!(e.kind(), busy, "{carrier:?} {urls:?}: {e}");
            let request = ChangeRequest { guards: guards.clone(), ..change("k", proof(&over)) };
            let e = client().remove(request).await.unwrap_err();
            assert_eq!(e.kind(), changed, "{carrier:?} {urls:?}: {e}");
            // That a lease is over is all that there is to know of it.
            let e = client().keepalive(&key("k"), &proof(&over), over.ttl).await.unwrap_err();
            assert_eq!(e.kind(), ErrorKind::LeaseRequired, "{carrier:?} {urls:?}: {e}");
            let again = AcquireRequest { lease_id: over.lease_id.clone(), ..ask("k", Wait::No) };
            let e = client().acquire(again).await.unwrap_err();
            assert_eq!(e.kind(), ErrorKind::LeaseEnded, "{carrier:?} {urls:?}: {e}");
        }
    }
}

#[tokio::test]
async fn a_dropped_request_closes_its_connection() {
    for carrier in CARRIERS {
        let server = play(Part::IsSilent).await;
        let client = client(&[&server.url], carrier);
        let waiting = tokio::spawn(async move { client.acquire(ask("k", Wait::For(Duration::from_secs(60)))).await });
        until(async || server.opened.load(Ordering::SeqCst) == 1).await;
        assert_eq!(server.closed.load(Ordering::SeqCst), 0);
        waiting.abort();
        until(async || server.closed.load(Ordering::SeqCst) == 1).await;
    }
}

#[tokio::test]
async fn a_dropped_wait_leaves_the_queue() {
    for carrier in CARRIERS {
        let w = World::served(carrier);
        let peer = Arc::new(w.peer().await);
        let held = peer.acquire(ask("k", Wait::No)).await.unwrap();
        let waits = Arc::clone(&peer);
        let waiting = tokio::spawn(async move { waits.acquire(ask("k", Wait::For(Duration::from_secs(600)))).await });
        let waiters = async || peer.describe(&key("k")).await.unwrap().waiters;
        until(async || waiters().await == Some(1)).await;
        waiting.abort();
        until(async || waiters().await == Some(0)).await;
        peer.release(&key("k"), &held.lease_id, Some(&proof(&held)), false).await.unwrap();
    }
}

#[tokio::test]
async fn another_server_is_asked_when_one_is_killed() {
    for carrier in CARRIERS {
        let w = World::served(carrier);
        let ((first, a), (second, _b)) = (w.server(carrier).await, w.server(carrier).await);
        let client = connect::servers([&first, &second], carrier, Arc::new(w.clock.clone())).unwrap();
        let held = client.acquire(ask("k", Wait::No)).await.unwrap();
        let request = change("k", proof(&held));
        let changed = client.update(request.clone(), Expected::default(), body("1")).await.unwrap();
        a.kill();
        let again = client.update(request, Expected::default(), body("1")).await.unwrap();
        assert_eq!(again, changed, "{carrier:?}: the same request is applied once");
        client.update(change("k", proof(&held)), Expected::default(), body("2")).await.unwrap();
        client.keepalive(&key("k"), &proof(&held), held.ttl).await.unwrap();
        assert_eq!(committed(&*client, "k").await.unwrap(), "2");
        client.release(&key("k"), &held.lease_id, Some(&proof(&held)), false).await.unwrap();
        let next = client.acquire(ask("k", Wait::No)).await.unwrap();
        assert!(next.token > held.token);
    }
}

/// 20 MiB both ways: more than any buffer on the way, and more than is kept to be sent again.
#[tokio::test]
async fn large_states_pass_both_ways() {
    for carrier in CARRIERS {
        let w = World::served(carrier);
        let peer = w.peer().await;
        let held = peer.acquire(ask("k", Wait::No)).await.unwrap();
        let large = format!("\"{}\"", "x".repeat(20 * 1024 * 1024));
        let changed = peer.update(change("k", proof(&held)), Expected::default(), body(large.clone())).await.unwrap();
        assert_eq!(changed.bytes, large.len() as u64);
        assert!(committed(&*peer, "k").await.unwrap() == large.as_bytes(), "{carrier:?}");
        let e = peer.update(change("k", proof(&held)), Expected::default(), body(large + "x")).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidState, "{carrier:?}: {e}");
    }
}
