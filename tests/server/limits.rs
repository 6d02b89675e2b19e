//! Limits on connections and calls: who is slow, silent or too many harms nobody but itself.

use std::time::Duration;

use lockd::http::server::{Caps, Config};
use lockd::limits::{FIRST_BYTE, HEAD_TIME, HEADERS, LANE_BULK, LANE_GENERAL, LANE_WAIT, WRITE_STALL};
use tokio::time::Instant;

use super::lab::{Client, Lab};
use crate::support::faulty::Faulty;
use crate::support::world::World;

async fn hangs_up_after(client: &mut Client, least: Duration, most: Duration) {
    let began = Instant::now();
    while !client.is_hung_up().await {}
    let took = began.elapsed();
    assert!(took + Duration::from_millis(20) >= least && took <= most, "{took:?} is not in {least:?} to {most:?}");
}

#[tokio::test(start_paused = true)]
async fn silent_and_slow_beginnings_are_cut_off() {
    let lab = Lab::new().await;
    let second = Duration::from_secs(1);
    for (said, limit) in [
        ("", FIRST_BYTE),
        // Part of what an HTTP/2 client says first.
        ("PRI * HTTP/2.0\r\n", FIRST_BYTE),
        ("GET /healthz HT", HEAD_TIME),
        ("GET /healthz HTTP/1.1\r\nHost: t\r\n", HEAD_TIME),
    ] {
        let mut client = lab.connect().await;
        client.write(said).await;
        hangs_up_after(&mut client, limit, limit + second).await;
    }
    // A connection that has nothing more to ask.
    let mut client = lab.connect().await;
    assert_eq!(client.call("GET", "/healthz", &[], "").await.status, 200);
    hangs_up_after(&mut client, HEAD_TIME, HEAD_TIME + second).await;
}

#[tokio::test(start_paused = true)]
async fn heads_are_bounded() {
    let lab = Lab::new().await;
    let many: String = (0..=HEADERS).map(|n| format!("X-{n}: 1\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "a".repeat(64 * 1024));
    for headers in [many, long] {
        let mut client = lab.connect().await;
        client.write(format!("GET /healthz HTTP/1.1\r\nHost: t\r\n{headers}\r\n")).await;
        assert_eq!(client.head().await.unwrap().status, 431);
    }
    let mut client = lab.connect().await;
    client.write("nonsense\r\n\r\n").await;
    assert_eq!(client.head().await.unwrap().status, 400);
}

#[tokio::test(start_paused = true)]
async fn too_many_connections_are_turned_away() {
    let caps = Caps { unix: 2, ..Caps::default() };
    let lab = Lab::with(Config { caps, ..Config::default() }).await;
    let mut first = lab.connect().await;
    let mut second = lab.connect().await;
    for client in [&mut first, &mut second] {
        assert_eq!(client.call("GET", "/healthz", &[], "").await.status, 200);
    }
    assert!(lab.connect().await.is_hung_up().await);
    drop(first);
    while second.call("GET", "/metrics", &[], "").await.text().contains("lockd_connections 2") {
        tokio::task::yield_now().await;
    }
    assert_eq!(lab.call("GET", "/healthz", &[], "").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn no_flood_keeps_a_renewal_out() {
    let lab = Lab::new().await;
    let held = lab.acquire("k").await;
    let [id, token] = held.proof();
    // Uploads that go on for long: each sends a little, and never enough.
    let head = format!(
        "POST /v1/update?key=k HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n{}: {}\r\n{}: {}\r\n\r\n[",
        id.0, id.1, token.0, token.1
    );
    let mut uploads = Vec::new();
    for _ in 0..LANE_BULK {
        let mut client = lab.connect().await;
        client.write(&head).await;
        uploads.push(client);
    }
    lab.w.pass(Duration::from_millis(10)).await;
    let began = Instant::now();
    let one_more = lab.call("POST", "/v1/update?key=k", &held.proof(), "1").await;
    assert_eq!(one_more.refusal(), (429, "throttled".into()));
    assert!(began.elapsed() >= LANE_WAIT);
    let again: u64 = one_more.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=4).contains(&again), "{again}");
    // Acquires that wait, all at one key.
    for _ in 0..200 {
        let mut client = lab.connect().await;
        client.send("POST", "/v1/acquire", &[], r#"{"key":"k","owner":"x"}"#).await;
        uploads.push(client);
    }
    let began = Instant::now();
    let renewed = lab.call("POST", "/v1/keepalive", &held.proof(), &held.keepalive()).await;
    assert_eq!(renewed.status, 200);
    assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
    assert_eq!(lab.call("POST", "/v1/release", &held.proof(), &held.body()).await.status, 200);
    assert_eq!(uploads.len(), LANE_BULK + 200);
}

/// Short calls over a store that does not answer: one more is told to come again, and health is answered all the same.
#[tokio::test(start_paused = true)]
async fn more_short_calls_than_there_is_room_for_are_told_to_come_again() {
    let mut w = World::memory();
    let faulty = Faulty::wrap(&mut w.store);
    let lab = Lab::on(w, Config::default()).await;
    let held = lab.acquire("k").await;
    assert_eq!(lab.call("POST", "/v1/update?key=k", &held.proof(), "1").await.status, 200);
    faulty.hang(true);
    let mut removes = Vec::new();
    for _ in 0..LANE_GENERAL {
        let mut client = lab.connect().await;
        client.send("POST", "/v1/remove?key=k", &held.proof(), "").await;
        removes.push(client);
    }
    // All have begun once the count of calls under way says so, this one included.
    let wanted = format!("lockd_calls_under_way {}", LANE_GENERAL + 1);
    while !lab.call("GET", "/metrics", &[], "").await.text().contains(&wanted) {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    let one_more = lab.call("GET", "/v1/describe?key=k", &[], "").await;
    assert_eq!(one_more.refusal(), (503, "unavailable".into()));
    assert!(began.elapsed() >= LANE_WAIT && one_more.header("retry-after").is_some(), "{one_more:?}");
    assert_eq!(lab.call("GET", "/healthz", &[], "").await.status, 200);
    faulty.hang(false);
    for mut remove in removes {
        assert_eq!(remove.reply().await.status, 200);
    }
    assert_eq!(lab.call("GET", "/v1/describe?key=k", &[], "").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_an_answer_is_given_up() {
    let lab = Lab::new().await;
    let held = lab.acquire("k").await;
    let large = format!("\"{}\"", "x".repeat(8 * 1024 * 1024));
    assert_eq!(lab.call("POST", "/v1/update?key=k", &held.proof(), &large).await.status, 200);
    let mut stuck = lab.connect().await;
    stuck.send("GET", "/v1/get?key=k", &[], "").await;
    assert_eq!(stuck.head().await.unwrap().status, 200);
    let mut other = lab.connect().await;
    let began = Instant::now();
    // One is stuck, one asks.
    while other.call("GET", "/metrics", &[], "").await.text().contains("lockd_connections 2") {
        lab.w.pass(Duration::from_secs(1)).await;
    }
    let took = began.elapsed();
    assert!(took >= WRITE_STALL && took <= WRITE_STALL + Duration::from_secs(3), "{took:?}");
}

/// Over TCP, from this host: the reserve for health, which no other kind of socket has.
#[tokio::test(start_paused = true)]
async fn beyond_the_most_connections_only_health_is_answered() {
    let caps = Caps { tcp: 2, health: 1, ..Caps::default() };
    let lab = Lab::with(Config { caps, ..Config::default() }).await;
    let mut open = Vec::new();
    for n in 0..3 {
        let mut client = lab.connect_tcp().await;
        assert_eq!(client.call("GET", "/healthz", &[], "").await.status, 200, "{n}");
        let described = client.call("GET", "/v1/describe?key=k", &[], "").await;
        match n {
            0 | 1 => assert_eq!(described.status, 200),
            _ => assert_eq!(described.refusal(), (503, "unavailable".into())),
        }
        open.push(client);
    }
    assert!(lab.connect_tcp().await.is_hung_up().await);
    // The socket of this host has a count of its own.
    assert_eq!(lab.call("GET", "/v1/describe?key=k", &[], "").await.status, 200);
}
