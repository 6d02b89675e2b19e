//! Acquire for update on the wire: headers, state, lines; connections that go; caps; the drain.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::Request;
use lockd::http::server::{Caps, Config};
use lockd::limits::{WRITE_STALL, for_update_beat, takeover_age};
use lockd::service::LeaseService;
use serde_json::json;
use tokio::time::Instant;

use super::lab::{Client, Held, Lab, Reply};
use crate::support::world::{TTL, key};

const PATH: &str = "/v1/acquire-for-update";
const NOW: (&str, &str) = ("X-Release-On-Disconnect", "now");
const ALIVE: &str = "{\"event\":\"alive\"}\n";

fn wanted(more: &serde_json::Value) -> String {
    let mut body = json!({ "key": "k", "owner": "wörker 1", "ttl_seconds": 30 });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

/// A stream under way.
struct Taken {
    client: Client,
    head: Reply,
    held: Held,
}

impl Taken {
    /// The next chunk of the body; nothing at its clean end.
    async fn chunk(&mut self) -> Option<String> {
        let size = self.client.until("\r\n").await.expect("the body broke off");
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let chunk = self.client.until("\r\n").await.unwrap();
        assert_eq!(chunk.len(), size + 2);
        (size > 0).then(|| chunk.trim_end_matches("\r\n").to_owned())
    }

    /// What comes until the end, without signs of life.
    async fn rest(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.chunk().await {
            lines.extend((line != ALIVE).then_some(line));
        }
        lines
    }
}

impl Lab {
    async fn take(&self, headers: &[(&str, &str)]) -> Taken {
        let mut client = self.connect().await;
        client.send("POST", PATH, headers, &wanted(&json!({}))).await;
        let head = client.head().await.expect("the server hung up");
        assert_eq!(head.status, 200, "{head:?}");
        let header = |name| head.header(name).unwrap().to_owned();
        let held = Held {
            key: "k".into(),
            id: header("x-lease-id"),
            token: header("x-fencing-token"),
            txn: header("x-txn-id"),
        };
        Taken { client, head, held }
    }

    async fn holder(&self) -> Option<String> {
        self.engine.describe(&key("k")).await.unwrap().held.map(|held| held.lease_id.to_string())
    }

    /// Until the key is free; how long that took.
    async fn freed(&self) -> Duration {
        let began = Instant::now();
        while self.holder().await.is_some() {
            self.w.pass(Duration::from_millis(10)).await;
        }
        began.elapsed()
    }

    async fn metric(&self, name: &str) -> u64 {
        let text = self.call("GET", "/metrics", &[], "").await.text().to_owned();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
        line.parse().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn the_answer_is_the_lease_its_state_and_its_end() {
    let lab = Lab::new().await;
    let mut taken = lab.take(&[]).await;
    let head = &taken.head;
    assert_eq!(head.header("x-lease-owner"), Some("w%C3%B6rker%201"));
    assert_eq!(head.header("x-lease-ttl-ms"), Some("30000"));
    assert_eq!((head.header("x-state-length"), head.header("x-key-version")), (Some("0"), Some("0")));
    assert_eq!((head.header("etag"), head.header("content-length")), (None, None));
    assert_eq!(taken.chunk().await.as_deref(), Some(ALIVE));
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(taken.chunk().await.as_deref(), Some(ALIVE));
    }
    let (took, beat) = (began.elapsed(), for_update_beat(TTL));
    assert!(took >= beat * 3 - Duration::from_millis(50) && took < beat * 3 + Duration::from_secs(1), "{took:?}");
    let held = taken.held.clone();
    assert_eq!(lab.call("POST", "/v1/update?key=k", &held.proof(), " [1] ").await.status, 200);
    assert_eq!(lab.call("POST", "/v1/keepalive", &held.proof(), &held.keepalive()).await.status, 200);
    assert_eq!(lab.metric("lockd_for_update").await, 1);
    assert_eq!(lab.call("POST", "/v1/release", &held.proof(), &held.body()).await.status, 200);
    assert_eq!(taken.rest().await, ["{\"event\":\"released\"}\n"]);
    // The connection goes on.
    let health = taken.client.call("GET", "/healthz", &[], "").await;
    assert_eq!(health.status, 200);
    let mut next = lab.take(&[]).await;
    assert_eq!((next.head.header("x-state-length"), next.head.header("x-key-version")), (Some("3"), Some("1")));
    assert!(next.head.header("etag").is_some());
    assert_eq!(next.chunk().await.as_deref(), Some("[1]"));
    let broken = json!({ "key": "k", "reason": "x" }).to_string();
    assert_eq!(lab.call("POST", "/v1/break", &[], &broken).await.status, 200);
    assert_eq!(next.rest().await, ["{\"event\":\"broken\"}\n"]);
    let mut last = lab.take(&[]).await;
    let waits = lab.call("POST", "/v1/acquire", &[], &wanted(&json!({}))).await;
    assert_eq!(waits.status, 200);
    let mut lines = last.rest().await;
    assert_eq!((lines.remove(0).as_str(), lines), ("[1]", vec!["{\"event\":\"lost\"}\n".to_owned()]));
    while lab.metric("lockd_for_update").await > 0 {}
    assert_eq!(lab.metric("lockd_for_update_lost_total").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_goes_gives_up_lease_or_place() {
    let lab = Lab::new().await;
    let taken = lab.take(&[NOW]).await;
    let mut waiting = lab.connect().await;
    waiting.send("POST", PATH, &[], &wanted(&json!({}))).await;
    while lab.engine.describe(&key("k")).await.unwrap().waiters != Some(1) {
        tokio::task::yield_now().await;
    }
    drop(waiting);
    while lab.engine.describe(&key("k")).await.unwrap().waiters != Some(0) {
        tokio::task::yield_now().await;
    }
    drop(taken);
    assert!(lab.freed().await < Duration::from_millis(50), "its effects are fenced");
    let taken = lab.take(&[]).await;
    lab.w.pass(TTL / 2).await;
    assert_eq!(lab.call("POST", "/v1/keepalive", &taken.held.proof(), &taken.held.keepalive()).await.status, 200);
    drop(taken);
    let took = lab.freed().await;
    let bound = takeover_age(TTL);
    assert!(took >= bound && took < bound + Duration::from_millis(500), "{took:?}");
    assert_eq!(lab.metric("lockd_for_update_lost_total").await, 2);
    let bad = lab.call("POST", PATH, &[("X-Release-On-Disconnect", "soon")], &wanted(&json!({}))).await;
    assert_eq!(bad.refusal(), (400, "invalid_body".into()));
}

#[tokio::test(start_paused = true)]
async fn who_asks_again_for_the_same_lease_has_the_stream() {
    let lab = Lab::new().await;
    let body = wanted(&json!({ "lease_id": "mine" }));
    let (mut old, mut new) = (lab.connect().await, lab.connect().await);
    for client in [&mut old, &mut new] {
        client.send("POST", PATH, &[NOW], &body).await;
        assert_eq!(client.head().await.unwrap().header("x-lease-id"), Some("mine"));
    }
    // The old one ends, and takes nothing along.
    while old.until("0\r\n\r\n").await.is_none() {}
    drop(old);
    lab.w.pass(Duration::from_secs(1)).await;
    assert_eq!(lab.holder().await.as_deref(), Some("mine"));
    drop(new);
    lab.freed().await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_given_up() {
    let lab = Lab::new().await;
    let held = lab.acquire("k").await;
    let large = format!("\"{}\"", "x".repeat(8 * 1024 * 1024));
    assert_eq!(lab.call("POST", "/v1/update?key=k", &held.proof(), &large).await.status, 200);
    assert_eq!(lab.call("POST", "/v1/release", &held.proof(), &held.body()).await.status, 200);
    let stuck = lab.take(&[NOW]).await;
    let took = lab.freed().await;
    assert!(took >= WRITE_STALL && took < WRITE_STALL + Duration::from_secs(2), "{took:?}");
    drop(stuck);
}

#[tokio::test(start_paused = true)]
async fn streams_are_bounded_for_each_client_and_in_all() {
    let caps = Caps { for_update: 3, for_update_per_client: 2, ..Caps::default() };
    let lab = Lab::with(Config { caps, ..Config::default() }).await;
    let taken = lab.take(&[NOW]).await;
    let mut waiting = lab.connect().await;
    waiting.send("POST", PATH, &[], &wanted(&json!({}))).await;
    while lab.engine.describe(&key("k")).await.unwrap().waiters != Some(1) {
        tokio::task::yield_now().await;
    }
    let refused = lab.call("POST", PATH, &[], &wanted(&json!({ "key": "other" }))).await;
    assert_eq!(refused.refusal(), (429, "for_update_busy".into()));
    drop((taken, waiting));
    while lab.metric("lockd_for_update").await > 0 {}
    lab.freed().await;
    lab.take(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_turns_new_ones_away_and_lets_holders_finish() {
    let mut lab = Lab::new().await;
    let mut taken = lab.take(&[]).await;
    let mut waiting = lab.connect().await;
    waiting.send("POST", PATH, &[], &wanted(&json!({}))).await;
    let mut second = lab.connect().await;
    assert_eq!(second.call("GET", "/healthz", &[], "").await.status, 200);
    while lab.engine.describe(&key("k")).await.unwrap().waiters != Some(1) {
        tokio::task::yield_now().await;
    }
    lab.stop();
    assert_eq!(waiting.reply().await.refusal(), (503, "shutdown_draining".into()));
    assert_eq!(taken.chunk().await.as_deref(), Some(ALIVE));
    let held = taken.held.clone();
    assert_eq!(second.call("POST", "/v1/release", &held.proof(), &held.body()).await.status, 200);
    assert_eq!(taken.rest().await, ["{\"event\":\"released\"}\n"]);
    lab.ended().await;
}

#[tokio::test(start_paused = true)]
async fn on_http2_a_reset_stream_is_a_connection_that_goes() {
    let lab = Lab::new().await;
    let (send, connection) = h2::client::handshake(lab.socket().await).await.unwrap();
    let driven = tokio::spawn(connection);
    let ask = |headers: &[(&str, &str)]| {
        let mut request = Request::post(format!("http://test{PATH}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (request, send) = (request.body(()).unwrap(), send.clone());
        async move {
            let (reply, mut stream) = send.ready().await.unwrap().send_request(request, false).unwrap();
            stream.send_data(Bytes::from(wanted(&json!({}))), true).unwrap();
            (reply, stream)
        }
    };
    let (reply, mut stream) = ask(&[NOW]).await;
    let (head, mut body) = reply.await.unwrap().into_parts();
    assert_eq!((head.status.as_u16(), &head.headers["x-state-length"]), (200, &"0".parse().unwrap()));
    assert_eq!(body.data().await.unwrap().unwrap(), ALIVE);
    // A place in the queue goes with its stream, and the other stream goes on.
    let (waits, mut waiting) = ask(&[]).await;
    while lab.engine.describe(&key("k")).await.unwrap().waiters != Some(1) {
        tokio::task::yield_now().await;
    }
    waiting.send_reset(h2::Reason::CANCEL);
    while lab.engine.describe(&key("k")).await.unwrap().waiters != Some(0) {
        tokio::task::yield_now().await;
    }
    drop(waits);
    assert_eq!(body.data().await.unwrap().unwrap(), ALIVE);
    stream.send_reset(h2::Reason::CANCEL);
    assert!(lab.freed().await < Duration::from_millis(50));
    assert!(driven.now_or_never().is_none(), "the connection stands");
}
