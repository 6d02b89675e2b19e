//! Clients that break the protocols: their connections end, and nobody else's.

use std::time::{Duration, Instant};

use lockd::clock::{Clock, SystemClock};
use tokio::io::AsyncWriteExt;

use super::raw::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, Raw, block, frame};
use super::{Place, lasting};
use crate::support::world::{key, proof};

/// Longer than any limit that ends such a connection.
const PATIENCE: Duration = Duration::from_secs(40);

/// Writes until the server hangs up, or all is written; then reads to the end.
async fn ends(place: &Place, what: &str, http2: bool, pieces: impl Iterator<Item = Vec<u8>>) {
    let began = Instant::now();
    let mut raw = Raw::connect(place.at(), http2).await;
    let mut written = 0;
    for piece in pieces {
        if raw.stream.write_all(&piece).await.is_err() {
            break;
        }
        written += piece.len();
    }
    let clock: &dyn Clock = &SystemClock;
    let over = async { while raw.more().await {} };
    let over = clock.timeout_at(clock.boot() + PATIENCE, over).await;
    println!("{what}: over after {written} bytes and {:?}", began.elapsed());
    assert!(over.is_some(), "{what}: the connection stands");
}

#[tokio::test]
async fn only_the_connection_of_who_breaks_the_protocol_ends() {
    let place = Place::new().await;
    let held = place.service.acquire(lasting("k")).await.unwrap();
    let release = || block("/v1/release", &[]);
    let odd = |n: u32| 2 * n + 1;

    let reset = (0..20_000).map(|n| {
        let mut both = frame(HEADERS, END_HEADERS, odd(n), &release());
        both.extend(frame(RST_STREAM, 0, odd(n), &[0, 0, 0, 8]));
        both
    });
    ends(&place, "rapid reset", true, reset).await;

    let open = std::iter::once(frame(HEADERS, 0, 1, &release()));
    let more =
        (0..10_000).map(|n| frame(CONTINUATION, 0, 1, &[b"\x00\x01a".to_vec(), vec![(n % 100 + 1) as u8; 1]].concat()));
    ends(&place, "CONTINUATION flood", true, open.chain(more)).await;

    let open = std::iter::once(frame(HEADERS, END_HEADERS, 1, &block("/v1/update?key=k", &[])));
    let bytes = (0..400_000).map(|_| frame(DATA, 0, 1, b"1"));
    ends(&place, "one-byte DATA frames", true, open.chain(bytes)).await;

    let empty = (0..400_000).map(|_| frame(DATA, 0, 1, b""));
    let open = std::iter::once(frame(HEADERS, END_HEADERS, 1, &block("/v1/update?key=k", &[])));
    ends(&place, "empty DATA frames", true, open.chain(empty)).await;

    let lying = [
        frame(HEADERS, END_HEADERS, 1, &block("/v1/release", &[("content-length", "3")])),
        frame(DATA, END_STREAM, 1, b"12345"),
        // A stream that was never opened.
        frame(DATA, 0, 99, b"x"),
    ];
    ends(&place, "a lying Content-Length over HTTP/2", true, lying.into_iter()).await;

    let short = b"POST /v1/release HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}GARBAGE\0\r\n\r\n".to_vec();
    ends(&place, "a Content-Length that is too short", false, std::iter::once(short)).await;

    let two = b"POST /v1/release HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ".to_vec();
    ends(&place, "two lengths", false, std::iter::once(two)).await;

    let garbage = (0..1_000).map(|n: u32| n.wrapping_mul(2_654_435_761).to_be_bytes().repeat(64));
    let first = std::iter::once(b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n".to_vec());
    ends(&place, "pipelined garbage", false, first.chain(garbage)).await;

    place.quiet().await;
    place.service.keepalive(&key("k"), &proof(&held), held.ttl).await.unwrap();
    place.service.release(&key("k"), &held.lease_id, Some(&proof(&held)), false).await.unwrap();
    println!("the server was in at most {} MiB", place.server.peak() >> 20);
}
