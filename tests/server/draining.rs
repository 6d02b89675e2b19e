//! The end of a server: no new grants, holders may finish, then it closes.

use std::time::Duration;

use lockd::http::server::Config;
use lockd::limits::CLOSE_TIME;
use lockd::model::LeaseId;
use lockd::service::{AcquireRequest, LeaseService, Wait};
use tokio::time::Instant;

use super::lab::{Held, Lab};
use crate::support::faulty::Faulty;
use crate::support::world::{World, ask};

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

/// A refusal while draining says that nothing was granted, so that the client asks elsewhere with the same lease id. A grant that
/// is given back ends that id for ever: so what was sent to the store is answered.
#[tokio::test(start_paused = true)]
async fn a_grant_that_is_being_written_is_answered_and_who_only_waits_is_sent_away() {
    let mut w = World::memory();
    let faulty = Faulty::wrap(&mut w.store);
    let mut lab = Lab::on(w, Config::default()).await;
    let held = lab.acquire("k").await;
    let mut waits = Vec::new();
    for place in 1..=2 {
        let mut client = lab.connect().await;
        let body = format!(r#"{{"key":"k","owner":"x","lease_id":"l{place}","ttl_seconds":30}}"#);
        client.send("POST", "/v1/acquire", &[], &body).await;
        while lab.waiters().await < place {
            tokio::task::yield_now().await;
        }
        waits.push(client);
    }
    let (mut first, mut second) = (waits.remove(0), waits.remove(0));
    // The release and the next grant are one write, which takes its time.
    faulty.counted();
    faulty.hang(true);
    let mut releases = lab.connect().await;
    releases.send("POST", "/v1/release", &held.proof(), &held.body()).await;
    while faulty.counted().puts == 0 {
        tokio::task::yield_now().await;
    }
    lab.stop();
    while lab.call("GET", "/readyz", &[], "").await.status == 200 {}
    let late = lab.call("POST", "/v1/acquire", &[], r#"{"key":"k","owner":"x","lease_id":"l3"}"#).await;
    assert_eq!(late.refusal(), (503, "shutdown_draining".into()));
    faulty.hang(false);
    assert_eq!(releases.reply().await.status, 200);
    let granted = first.reply().await;
    assert_eq!(granted.status, 200, "{granted:?}");
    assert_eq!(second.reply().await.refusal(), (503, "shutdown_draining".into()));
    let next = Held::of(&granted);
    assert_eq!((next.id.as_str(), next.token.as_str()), ("l1", "2"));
    assert_eq!(lab.call("POST", "/v1/release", &next.proof(), &next.body()).await.status, 200);
    // The id that was sent away is as good as new, elsewhere.
    let elsewhere = lab.w.engine();
    let again = AcquireRequest { lease_id: LeaseId::new("l2").unwrap(), ..ask("k", Wait::No) };
    assert_eq!(elsewhere.acquire(again).await.unwrap().token.0, 3);
    drop((first, second, releases));
    lab.ended().await;
}
