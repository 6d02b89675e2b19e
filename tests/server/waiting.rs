//! Waiting over a connection: places, polls, grants that must be confirmed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lockd::entropy::{Entropy, KernelEntropy};
use lockd::http::server::Config;
use lockd::limits::{PLACE_KEPT, WAIT_POLL, confirm_within, takeover_age};
use lockd::service::LeaseService;
use serde_json::json;

use super::lab::{Client, Held, Lab};
use crate::support::world::{TTL, World, key};

fn wait(more: &serde_json::Value) -> String {
    let mut body = json!({ "key": "k", "owner": "waiter", "ttl_seconds": 30 });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

impl Lab {
    pub async fn waiters(&self) -> u64 {
        self.engine.describe(&key("k")).await.unwrap().waiters.unwrap()
    }

    /// A client whose acquire waits.
    async fn waiting(&self, body: &str) -> Client {
        let before = self.waiters().await;
        let mut client = self.connect().await;
        client.send("POST", "/v1/acquire", &[], body).await;
        while self.waiters().await == before {
            tokio::task::yield_now().await;
        }
        client
    }

    async fn release(&self, held: &Held) {
        assert_eq!(self.call("POST", "/v1/release", &held.proof(), &held.body()).await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn grants_come_in_order_of_arrival_and_none_to_who_hung_up() {
    let lab = Lab::new().await;
    let mut held = lab.acquire("k").await;
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(lab.waiting(&wait(&json!({}))).await);
    }
    drop(waiting.remove(1));
    while lab.waiters().await > 4 {
        tokio::task::yield_now().await;
    }
    let known = lab.call("GET", "/v1/describe?key=k", &[], "").await.json();
    assert_eq!((&known["waiters"], &known["lease_id"]), (&json!(4), &json!(held.id)));
    for (n, mut next) in waiting.into_iter().enumerate() {
        lab.release(&held).await;
        held = Held::of(&next.reply().await);
        assert_eq!(held.token, (n + 2).to_string(), "nobody had it in between");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_the_time_when_to_ask_again() {
    let lab = Lab::new().await;
    let _held = lab.acquire("k").await;
    let reply = lab.call("POST", "/v1/acquire", &[], &wait(&json!({ "block_seconds": 5 }))).await;
    assert_eq!(reply.refusal(), (409, "waiting".into()));
    let frees_in = reply.json()["retry_after_seconds"].as_u64().unwrap();
    assert!((26..=27).contains(&frees_in), "{frees_in}");
    // Who has a lease id of its own asks again at once: its place is kept, also from one connection to another.
    let polls = wait(&json!({ "lease_id": "poller", "block_seconds": 1 }));
    let mut first = lab.waiting(&polls).await;
    let mut second = lab.waiting(&wait(&json!({}))).await;
    let reply = first.reply().await;
    assert_eq!((reply.refusal(), reply.json().get("retry_after_seconds")), ((409, "waiting".into()), None));
    assert_eq!(reply.json()["holder"]["place"], json!(1));
    lab.w.pass(PLACE_KEPT / 2).await;
    let mut first = lab.waiting(&polls).await;
    let mut granted = lab.engine.describe(&key("k")).await.unwrap();
    let holder = granted.held.take().unwrap();
    lab.engine.release(&key("k"), &holder.lease_id, None, true).await.unwrap();
    let held = Held::of(&first.reply().await);
    assert_eq!(held.id, "poller");
    lab.release(&held).await;
    assert_eq!(second.reply().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_poll_lasts_a_minute_and_a_wait_without_an_id_as_long_as_asked() {
    let lab = Lab::new().await;
    let held = lab.acquire("k").await;
    let began = tokio::time::Instant::now();
    let mut polls = lab.waiting(&wait(&json!({ "lease_id": "poller", "block_seconds": 600 }))).await;
    let mut waits = lab.waiting(&wait(&json!({ "block_seconds": 600 }))).await;
    let mut holder = lab.connect().await;
    let reply = {
        let renewing = async {
            loop {
                assert_eq!(holder.call("POST", "/v1/keepalive", &held.proof(), &held.keepalive()).await.status, 200);
                lab.w.pass(TTL / 4).await;
            }
        };
        let (renewing, polled) = (std::pin::pin!(renewing), std::pin::pin!(polls.reply()));
        match futures_util::future::select(polled, renewing).await {
            futures_util::future::Either::Left((reply, _)) => reply,
            futures_util::future::Either::Right(_) => unreachable!(),
        }
    };
    assert_eq!(reply.refusal(), (409, "waiting".into()));
    let took = began.elapsed();
    assert!(took >= WAIT_POLL && took < WAIT_POLL + Duration::from_secs(1), "{took:?}");
    lab.release(&held).await;
    assert_eq!(waits.reply().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_unconfirmed_grant_passes_on_with_its_connection_or_in_time() {
    for hangs_up in [true, false] {
        let lab = Lab::new().await;
        let held = lab.acquire("k").await;
        let mut silent = lab.waiting(&wait(&json!({ "confirm": true }))).await;
        let mut next = lab.waiting(&wait(&json!({ "confirm": true }))).await;
        lab.release(&held).await;
        let granted = silent.reply().await;
        assert_eq!(granted.json()["confirm_within_ms"], json!(confirm_within(TTL).as_millis() as u64));
        let began = tokio::time::Instant::now();
        let kept = (!hangs_up).then_some(silent);
        let passed_on = Held::of(&next.reply().await);
        let took = began.elapsed();
        assert_eq!(took < Duration::from_millis(50), hangs_up, "{took:?}");
        let keepalive = next.call("POST", "/v1/keepalive", &passed_on.proof(), &passed_on.keepalive()).await;
        assert_eq!(keepalive.status, 200);
        // Confirmed: it outlives its connection.
        drop(next);
        lab.w.pass(TTL / 2).await;
        assert_eq!(lab.engine.describe(&key("k")).await.unwrap().held.unwrap().lease_id.as_str(), passed_on.id);
        drop(kept);
    }
}

/// Random bytes that end once, as the kernel's may: lockd panics then.
#[derive(Debug, Default)]
struct Ends(AtomicBool);

impl Entropy for Ends {
    fn fill(&self, buf: &mut [u8]) {
        assert!(!self.0.swap(false, Ordering::SeqCst), "the kernel gives no random bytes");
        KernelEntropy.fill(buf);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_the_end_of_its_connection_and_of_what_it_had_not_confirmed() {
    let entropy = Arc::new(Ends::default());
    let random: Arc<dyn Entropy> = entropy.clone();
    let lab = Lab::random(World::memory(), Config::default(), random).await;
    let held = lab.acquire("k").await;
    let mut breaks = lab.waiting(&wait(&json!({ "confirm": true }))).await;
    let mut next = lab.waiting(&wait(&json!({}))).await;
    lab.release(&held).await;
    assert_eq!(breaks.reply().await.status, 200);
    let began = tokio::time::Instant::now();
    entropy.0.store(true, Ordering::SeqCst);
    // Without a lease id of its own: the server draws one.
    breaks.send("POST", "/v1/acquire", &[], r#"{"key":"other","owner":"o"}"#).await;
    assert_eq!(next.reply().await.status, 200);
    assert!(began.elapsed() < Duration::from_millis(50), "{:?}", began.elapsed());
    assert!(!breaks.more().await, "its connection has ended");
}

#[tokio::test(start_paused = true)]
async fn a_dead_holder_is_taken_over_by_the_first_in_line() {
    let lab = Lab::new().await;
    let held = lab.acquire("k").await;
    let mut first = lab.waiting(&wait(&json!({}))).await;
    let _second = lab.waiting(&wait(&json!({}))).await;
    let granted = Held::of(&first.reply().await);
    assert_ne!(granted.id, held.id);
    // Another has the key by now.
    let late = lab.call("POST", "/v1/keepalive", &held.proof(), &held.keepalive()).await;
    assert_eq!(late.refusal(), (403, "lease_required".into()));
}

/// What stands behind a request is not read while it waits; that the client has gone is seen all the same.
#[tokio::test(start_paused = true)]
async fn who_hung_up_behind_more_bytes_leaves_the_queue_and_is_never_granted() {
    let lab = Lab::new().await;
    let mut held = lab.acquire("k").await;
    let request =
        |body: &str| format!("POST /v1/acquire HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for behind in ["\r\n", "GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n", &request(&wait(&json!({})))] {
        for on_tcp in [false, true] {
            let mut gone = if on_tcp { lab.connect_tcp().await } else { lab.connect().await };
            gone.write(request(&wait(&json!({})))).await;
            while lab.waiters().await == 0 {
                tokio::task::yield_now().await;
            }
            gone.write(behind).await;
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert_eq!(lab.waiters().await, 1, "more bytes are no end");
            drop(gone);
            while lab.waiters().await > 0 {
                tokio::task::yield_now().await;
            }
        }
    }
    let mut next = lab.waiting(&wait(&json!({}))).await;
    lab.release(&held).await;
    held = Held::of(&next.reply().await);
    assert_eq!(held.token, "2", "nobody who had gone was granted anything");
}

#[tokio::test(start_paused = true)]
async fn a_listing_of_those_that_are_waited_for_leaves_the_others_out() {
    let lab = Lab::new().await;
    let (_waited_for, _other) = (lab.acquire("k").await, lab.acquire("l").await);
    let waits = lab.waiting(&wait(&json!({}))).await;
    let names = async |query: &str| {
        let listed = lab.call("GET", &format!("/v1/list?{query}"), &[], "").await.json();
        let keys = listed["keys"].as_array().unwrap();
        keys.iter().map(|entry| entry["known"]["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("waiters=1").await, ["k"]);
    assert_eq!(names("waiters=0").await.len(), 2);
    drop(waits);
    while lab.waiters().await > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(names("waiters=true").await, [""; 0]);
}

/// The answer of a break that drains comes when its holder has stopped by its own rules; that of another at once.
#[tokio::test(start_paused = true)]
async fn a_break_that_drains_is_answered_when_the_holder_has_stopped() {
    let lab = Lab::new().await;
    for drain in [false, true] {
        let _holder = lab.acquire("k").await;
        let began = tokio::time::Instant::now();
        let body = json!({ "key": "k", "reason": "test", "drain": drain }).to_string();
        let broke = lab.call("POST", "/v1/break", &[], &body).await;
        assert_eq!((broke.status, &broke.json()["broken"]), (200, &json!(true)), "{broke:?}");
        let (took, over) = (began.elapsed(), takeover_age(TTL));
        assert_eq!(took >= over, drain, "{took:?}");
        assert!(took <= over + Duration::from_secs(1), "{took:?}");
    }
}
