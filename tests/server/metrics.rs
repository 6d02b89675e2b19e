//! Health and metrics.

use std::time::Duration;

use lockd::limits::takeover_age;
use lockd::service::LeaseService;

use lockd::http::server::Config;

use super::lab::Lab;
use crate::support::faulty::Faulty;
use crate::support::world::{TTL, World, key};

#[tokio::test(start_paused = true)]
async fn health_and_metrics() {
    let lab = Lab::new().await;
    assert_eq!(lab.call("GET", "/healthz", &[], "").await.text(), "ok\n");
    assert_eq!(lab.call("GET", "/readyz", &[], "").await.text(), "ok\n");
    let held = lab.acquire("k").await;
    let metrics = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let before = lab.call("GET", "/metrics", &[], "").await;
    assert_eq!((metrics(before.text(), "lockd_grants_total"), metrics(before.text(), "lockd_held")), (1.0, 1.0));
    assert_eq!(metrics(before.text(), "lockd_calls_total{call=\"acquire\",status=\"2xx\"}"), 1.0);
    lab.call("POST", "/v1/release", &held.proof(), &held.body()).await;
    let after = lab.call("GET", "/metrics", &[], "").await;
    assert_eq!((metrics(after.text(), "lockd_hold_seconds_count"), metrics(after.text(), "lockd_held")), (1.0, 0.0));
    for name in ["lockd_wait_seconds", "lockd_call_seconds", "lockd_breaks", "lockd_expiries", "lockd_waiters"] {
        assert!(after.text().contains(name), "{name}");
    }
}

/// The queue is told apart from what is under way; a watch is counted to its end, and is one of the calls that may wait.
#[tokio::test(start_paused = true)]
async fn metrics_tell_queue_and_watches() {
    let lab = Lab::new().await;
    let held = lab.acquire("k").await;
    let number = async |name: &str| {
        let text = lab.call("GET", "/metrics", &[], "").await.text().to_owned();
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{text}"));
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let counted = async |waiters: u64, waiting: u64| {
        while number("lockd_waiters").await != waiters || number("lockd_waiting_calls").await != waiting {
            tokio::task::yield_now().await;
        }
    };
    let mut watches = Vec::new();
    for n in 1..=3 {
        let mut watch = lab.connect().await;
        watch.send("GET", "/v1/watch?key=k", &[], "").await;
        watch.head().await.unwrap();
        watches.push(watch);
        counted(0, n).await;
    }
    let mut waits = lab.connect().await;
    waits.send("POST", "/v1/acquire", &[], r#"{"key":"k","owner":"x"}"#).await;
    counted(1, 4).await;
    drop(watches);
    counted(1, 1).await;
    assert_eq!(lab.call("POST", "/v1/release", &held.proof(), &held.body()).await.status, 200);
    assert_eq!(waits.reply().await.status, 200);
    counted(0, 0).await;
}

/// Whose holder was not heard of: taken over by a grant, or recorded as expired where nobody waited.
#[tokio::test(start_paused = true)]
async fn every_lease_that_ran_out_is_counted_once() {
    let lab = Lab::new().await;
    let expiries = async || {
        let text = lab.call("GET", "/metrics", &[], "").await.text().to_owned();
        let line = text.lines().find(|line| line.starts_with("lockd_expiries_total ")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    lab.acquire("k").await;
    lab.w.pass(takeover_age(TTL)).await;
    lab.acquire("k").await;
    assert_eq!(expiries().await, 1, "taken over");
    let mut streams = lab.connect().await;
    streams.send("POST", "/v1/acquire-for-update", &[], r#"{"key":"s","owner":"x","ttl_seconds":30}"#).await;
    assert_eq!(streams.head().await.unwrap().status, 200);
    drop(streams);
    lab.w.pass(takeover_age(TTL) + Duration::from_secs(1)).await;
    assert_eq!(lab.engine.describe(&key("s")).await.unwrap().held, None, "recorded as expired");
    assert_eq!(expiries().await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_its_store_is_alive_and_not_ready() {
    let mut w = World::memory();
    let faulty = Faulty::wrap(&mut w.store);
    let lab = Lab::on(w, Config::default()).await;
    for silent in [true, false] {
        faulty.silence(silent);
        let ready = lab.call("GET", "/readyz", &[], "").await;
        assert_eq!(ready.status, if silent { 503 } else { 200 }, "{ready:?}");
        assert_eq!(lab.call("GET", "/healthz", &[], "").await.status, 200);
    }
}
