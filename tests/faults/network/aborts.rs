//! Connections that are broken off in the middle of a wait, a stream, an upload and a release.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lockd::limits::{TTL_MIN, takeover_age};
use lockd::service::Grant;
use serde_json::json;

use super::raw::{Abort, Raw};
use super::{Place, lasting, pass, tell, until};
use crate::support::full;
use crate::support::world::{all, key, proof};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Middle {
    Wait,
    Stream,
    Upload,
    Release,
}

const MIDDLES: [Middle; 4] = [Middle::Wait, Middle::Stream, Middle::Upload, Middle::Release];
/// "At once", on a machine that does other things too.
const AT_ONCE: Duration = Duration::from_secs(5);

fn shown(grant: &Grant) -> [(String, String); 2] {
    [("X-Lease-ID".to_owned(), grant.lease_id.to_string()), ("X-Fencing-Token".to_owned(), grant.token.to_string())]
}

struct Aborts {
    place: Place,
    /// Whose key others wait for, upload to and try to release.
    held: Grant,
}

impl Aborts {
    async fn connect(&self, how: Abort) -> Raw {
        Raw::connect(self.place.at(), how.is_http2()).await
    }

    /// Breaks one off; how long it took until nothing was left of it.
    async fn one(&self, middle: Middle, how: Abort, moment: Duration) -> Duration {
        let mut raw = self.connect(how).await;
        let shown = shown(&self.held);
        let shown = [(&*shown[0].0, &*shown[0].1), (&*shown[1].0, &*shown[1].1)];
        match middle {
            Middle::Wait => {
                let body = json!({ "key": "held", "owner": "x" }).to_string();
                raw.send("/v1/acquire-for-update", &[], body.as_bytes(), true).await;
                until(async || self.place.waiters("held").await == 1).await;
            }
            Middle::Stream => {
                let body = json!({ "key": "large", "owner": "x" }).to_string();
                let now = [("X-Release-On-Disconnect", "now")];
                raw.send("/v1/acquire-for-update", &now, body.as_bytes(), true).await;
                assert!(raw.accepted().await, "{how:?}");
            }
            Middle::Upload => {
                let half = format!("\"{}", "y".repeat(40_000));
                raw.send("/v1/update?key=held", &shown, half.as_bytes(), false).await;
                until(async || self.place.under_way() == 1).await;
            }
            Middle::Release => {
                raw.send("/v1/release", &shown, b"{\"key\":\"held\",", false).await;
                until(async || self.place.under_way() == 1).await;
            }
        }
        // A while into it.
        pass(moment).await;
        let kept = raw.abort(how).await;
        let took = match middle {
            Middle::Wait => until(async || self.place.waiters("held").await == 0).await,
            Middle::Stream => until(async || !self.place.is_held("large").await).await,
            Middle::Upload | Middle::Release => until(async || self.place.under_way() == 0).await,
        };
        drop(kept);
        // State and lease are what they were.
        let state = self.place.service.get(&key("held"), Some(&proof(&self.held))).await.unwrap().unwrap();
        assert_eq!(all(state).await.unwrap(), "1", "{middle:?} {how:?}");
        took
    }
}

#[tokio::test]
async fn whatever_is_broken_off_leaves_nothing_behind() {
    let rounds = if full("1,000 aborts of connections") { 1_000 } else { 96 };
    let place = Place::new().await;
    place.put("held", "1").await;
    place.put("large", &format!("\"{}\"", "x".repeat(4 * 1024 * 1024))).await;
    let held = place.service.acquire(lasting("held")).await.unwrap();
    let aborts = Aborts { place, held };
    aborts.place.quiet().await;
    let (files, tasks) = (aborts.place.server.files(), aborts.place.metric("lockd_tasks"));
    let mut times = BTreeMap::<String, Vec<Duration>>::new();
    for round in 0..rounds {
        let (middle, how) = (MIDDLES[round / 4 % 4], Abort::ALL[round % 4]);
        let took = aborts.one(middle, how, Duration::from_micros(round as u64 * 77 % 3_000)).await;
        assert!(took < AT_ONCE, "{middle:?} {how:?}: {took:?}");
        times.entry(format!("{middle:?}, {how:?}")).or_default().push(took);
    }
    for (what, times) in times {
        tell(&what, times);
    }
    let place = &aborts.place;
    place.quiet().await;
    let took = until(async || place.metric("lockd_tasks") <= tasks).await;
    let after = place.server.files();
    println!(
        "{rounds} aborts: quiet after {took:?}; {} open files and {tasks} tasks before, {} and {} after; {} MiB at most",
        files.len(),
        after.len(),
        place.metric("lockd_tasks"),
        place.server.peak() >> 20
    );
    assert!(after.len() <= files.len() + 4, "{files:#?}\n{after:#?}");
    let held = &aborts.held;
    place.service.release(&key("held"), &held.lease_id, Some(&proof(held)), false).await.unwrap();
}

/// Who did not say that all effects are fenced may be at work still.
#[tokio::test]
async fn without_a_word_before_a_lease_outlasts_its_connection() {
    let place = Place::new().await;
    let bound = takeover_age(TTL_MIN);
    let parting = Abort::ALL.map(async |how| {
        let name = format!("own/{how:?}");
        let mut raw = Raw::connect(place.at(), how.is_http2()).await;
        let body = json!({ "key": name, "owner": "x", "ttl_seconds": TTL_MIN.as_secs() }).to_string();
        let asked = Instant::now();
        raw.send("/v1/acquire-for-update", &[], body.as_bytes(), true).await;
        assert!(raw.accepted().await, "{how:?}");
        let _kept = raw.abort(how).await;
        until(async || !place.is_held(&name).await).await;
        let took = asked.elapsed();
        assert!(took >= bound && took < bound + AT_ONCE, "{how:?}: {took:?}");
        took - bound
    });
    let late = futures_util::future::join_all(parting).await;
    tell(&format!("free without a word, counted from {bound:?} after it was asked for"), late);
}
