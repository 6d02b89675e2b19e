//! A whole connection: bytes to a server over a store in memory, in time that advances by itself. Whatever came, the server goes on,
//! its answers can be read, and the record of the key that was held before is still one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use lockd::clock::Clock;
use lockd::engine::{Engine, Options};
use lockd::entropy::Entropy;
use lockd::http::server::address::{Address, Listener};
use lockd::http::server::metrics::Metrics;
use lockd::http::server::{Config, Server};
use lockd::model::{Record, RequestId};
use lockd::service::{ChangeRequest, Expected, Guards, LeaseService, Proof};
use lockd::store::{Store, memory};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::{acquire, key, pieces, split};
use crate::support::clock::TestClock;
use crate::support::panics;

/// When the client hangs up: the server has waited in vain for a request by then.
const LISTENS: Duration = Duration::from_secs(12);
/// A server that keeps a connection for longer than this without its client has lost it.
const PATIENCE: Duration = Duration::from_secs(600);

/// One size of pieces, then what a client sends.
pub fn run(data: &[u8]) {
    let Some((size, sent)) = data.split_first() else { return };
    panics::forget();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(exchange(&pieces(sent, &[*size]), sent));
    drop(runtime);
    // A task that panics takes only itself along, and a connection is ended.
    assert_eq!(panics::take(), None);
}

async fn exchange(pieces: &[&[u8]], sent: &[u8]) {
    let store = memory::store(&Counting::default());
    let clock = Arc::new(TestClock::new());
    let entropy = Arc::new(Counting::default());
    let options = Options { serves: true, ..Options::default() };
    let engine = Engine::new(store.clone(), clock.clone(), entropy.clone(), options);
    prepare(&engine).await;
    let server = Server::new(Arc::new(engine), clock.clone(), entropy, Arc::new(Metrics::default()), Config::default());
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let listener: Listener = Address::Unix(socket.clone()).bind().await.unwrap();
    let running =
        tokio::spawn(async move { server.run(vec![listener], std::future::pending(), std::future::pending()).await });
    let came = talk(UnixStream::connect(&socket).await.unwrap(), pieces, &*clock).await;
    readable(sent, &came);
    let asked: &[&[u8]] = &[b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"];
    let alive = talk(UnixStream::connect(&socket).await.unwrap(), asked, &*clock).await;
    assert!(alive.starts_with(b"HTTP/1.1 200"), "the server does not go on: {}", String::from_utf8_lossy(&alive));
    running.abort();
    intact(&store).await;
}

/// A key with a state, and a lease with ids that requests can name.
async fn prepare(engine: &Engine) {
    let grant = engine.acquire(acquire("l", "t")).await.unwrap();
    let proof = Proof { lease_id: grant.lease_id, token: grant.token, txn: None };
    let (request_id, guards) = (RequestId::new("first").unwrap(), Guards::default());
    let change = ChangeRequest { key: key(), proof, request_id, guards, edits: None };
    let body = stream::iter([Ok(Bytes::from_static(b"{\"n\":1}"))]).boxed();
    engine.update(change, Expected::default(), body).await.unwrap();
}

/// Sends, reads for a while, hangs up, and reads to the end.
async fn talk(stream: UnixStream, pieces: &[&[u8]], clock: &dyn Clock) -> Vec<u8> {
    let (mut reading, mut writing) = stream.into_split();
    let until = clock.boot() + LISTENS;
    let mut came = Vec::new();
    let sending = async {
        for piece in pieces {
            // A server that has hung up takes no more.
            if writing.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        clock.sleep_until(until).await;
        drop(writing.shutdown().await);
    };
    // What comes is read all the time: a server does not wait for ever for those who do not.
    let both = futures_util::future::join(sending, reading.read_to_end(&mut came));
    let ended = clock.timeout_at(until + PATIENCE, both).await;
    assert!(ended.is_some(), "the server does not end a connection whose client has gone");
    came
}

/// Over HTTP/1 each answer can be taken apart; a refusal says which. Over HTTP/2 there are whole frames.
fn readable(sent: &[u8], came: &[u8]) {
    if sent.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") {
        return frames(came);
    }
    // The answer to a HEAD has a length and no body.
    if sent.windows(4).any(|word| word.eq_ignore_ascii_case(b"HEAD")) {
        return;
    }
    let mut rest = came;
    while !rest.is_empty() {
        rest = answer(rest);
    }
}

fn frames(mut came: &[u8]) {
    while let Some((head, rest)) = came.split_first_chunk::<9>() {
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        assert!(len <= 16_384, "a frame of {len} bytes");
        // The last one may have been cut off with the connection.
        came = rest.get(len..).unwrap_or_default();
    }
}

fn answer(came: &[u8]) -> &[u8] {
    let (head, rest) = split(came, b"\r\n\r\n");
    let rest = rest.expect("a whole head");
    let head = std::str::from_utf8(head).expect("a head is text");
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap();
    let status: u16 = status.strip_prefix("HTTP/1.").expect(status)[2..5].parse().expect("a status");
    let find = |name: &str| {
        let mut pairs = head.split("\r\n").skip(1).filter_map(|line| line.split_once(": "));
        pairs.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    if status < 200 {
        return rest;
    }
    let (body, rest) = match (find("content-length"), find("transfer-encoding")) {
        // A body may be cut off with its connection.
        (Some(len), _) => rest.split_at(len.parse::<usize>().expect("a length").min(rest.len())),
        (None, Some(_)) => chunked(rest),
        (None, None) => (&b""[..], rest),
    };
    let lockds = find("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    if status >= 400 && lockds && find("transfer-encoding").is_none() {
        let refusal: serde_json::Value = serde_json::from_slice(body).expect("a refusal is JSON");
        assert!(refusal["error"].is_string(), "{refusal}");
    }
    rest
}

/// The chunks of a body, still encoded, and what is behind them.
fn chunked(came: &[u8]) -> (&[u8], &[u8]) {
    let mut rest = came;
    loop {
        let (size, after) = split(rest, b"\r\n");
        let Some(after) = after else { return (came, b"") };
        let size =
            std::str::from_utf8(size).ok().and_then(|size| usize::from_str_radix(size, 16).ok()).expect("a size");
        let Some(next) = after.get(size + 2..) else { return (came, b"") };
        rest = next;
        if size == 0 {
            return (came, rest);
        }
    }
}

/// The record can be read, and its token did not fall.
async fn intact(store: &Store) {
    let found = store.records.get(&key()).await.unwrap().expect("the record is there");
    let record = Record::decode(&key(), &found.value).unwrap();
    assert!(record.token.0 >= 1 && record.last_version.0 >= 1);
}

/// Ids that are the same in every run.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, buf: &mut [u8]) {
        for chunk in buf.chunks_mut(8) {
            let n = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&n.to_be_bytes()[..chunk.len()]);
        }
    }
}
