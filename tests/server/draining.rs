//! The end of a server: no new grants, holders may finish, then it closes.

use std::time::Duration;

use lockd::http::server::Config;
use lockd::limits::CLOSE_TIME;
use tokio::time::Instant;

use super::lab::Lab;

#[tokio::test(start_paused = true)]
async fn holders_may_finish_and_nobody_begins() {
    let mut lab = Lab::new().await;
    let (held, other) = (lab.acquire("k").await, lab.acquire("l").await);
    let mut waits = lab.connect().await;
    waits.send("POST", "/v1/acquire", &[], r#"{"key":"k","owner":"x"}"#).await;
    let mut probe = lab.connect().await;
    assert_eq!(probe.call("GET", "/readyz", &[], "").await.status, 200);
    lab.stop();
    let sent_away = waits.reply().await;
    assert_eq!(sent_away.refusal(), (503, "shutdown_draining".into()));
    let ready = probe.call("GET", "/readyz", &[], "").await;
    assert_eq!((ready.status, ready.header("shutdown-imminent")), (503, Some("true")));
    assert_eq!(probe.call("GET", "/healthz", &[], "").await.status, 200, "it is alive");
    let refused = probe.call("POST", "/v1/acquire", &[], r#"{"key":"n","owner":"x"}"#).await;
    assert_eq!(refused.refusal(), (503, "shutdown_draining".into()));
    // New connections too, for a client that has none open.
    let renewed = lab.call("POST", "/v1/keepalive", &held.proof(), &held.keepalive()).await;
    assert_eq!((renewed.status, renewed.header("shutdown-imminent")), (200, Some("true")));
    assert_eq!(lab.call("POST", "/v1/update?key=k", &held.proof(), "1").await.status, 200);
    let began = Instant::now();
    for held in [&held, &other] {
        assert_eq!(lab.call("POST", "/v1/release", &held.proof(), &held.body()).await.status, 200);
    }
    drop((waits, probe));
    lab.ended().await;
    assert!(began.elapsed() < CLOSE_TIME * 2, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_bounded() {
    let drain = Duration::from_secs(10);
    let mut lab = Lab::with(Config { drain, ..Config::default() }).await;
    let _never_released = lab.acquire("k").await;
    let mut watches = lab.connect().await;
    watches.send("GET", "/v1/watch?key=k", &[], "").await;
    watches.head().await.unwrap();
    let began = Instant::now();
    lab.stop();
    lab.ended().await;
    let took = began.elapsed();
    assert!(took >= drain && took <= drain + CLOSE_TIME * 2, "{took:?}");
    while !watches.is_hung_up().await {}
}
