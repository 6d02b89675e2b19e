//! `lockd bench` in a bucket and in a container: in a prefix of its own, and nothing left behind.

use serde_json::Value;

use super::command::{env_file, played, with_file};
use super::servers::{self, Place};
use crate::cli::lab::Lab;

/// Every suite but the streams, which would show what the emulator's disk can do.
const SHORT: [&str; 12] =
    ["bench", "lease", "handoff", "scale", "raw", "--clients", "2", "--runs", "1", "--duration", "50ms", "--keys"];

async fn measured(name: &str, place: &Place) -> Vec<Value> {
    let lab = Lab::new();
    env_file(&lab, place);
    let ran = with_file(&lab, &[&SHORT[..], &["20", "--json"]].concat(), "").await;
    assert_eq!(ran.code, 0, "{name}: {}", ran.err);
    let all: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(all["store"].as_str(), Some(&*place.url), "{name}");
    assert_eq!(with_file(&lab, &["list"], "").await.out, "", "{name}: no keys among those of the user");
    all["results"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suites_run_on_object_stores_and_leave_nothing() {
    let (serving, place) = played().await;
    let results = measured("fake", &place).await;
    let works: Vec<&str> = results.iter().map(|result| result["work"].as_str().unwrap()).collect();
    assert_eq!(works, ["lease", "handoff", "scale 20", "raw put", "raw get", "raw 5 MiB"]);
    for result in &results {
        assert_eq!(result["errors"], serde_json::json!({}), "{result}");
    }
    assert_eq!(results[0]["store_requests_per_operation"]["put"], 2.0, "{}", results[0]);
    let (names, uploads) = serving.service.names();
    assert!(names.iter().all(|name| !name.contains("bench.")), "{names:?}");
    assert!(names.len() == 1 && names[0].ends_with("/store.json") && uploads == 0, "{names:?}");
    for (name, place) in servers::all().await {
        measured(name, &place).await;
    }
}

/// Large states, which are blobs, are gone, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_states_are_measured_and_removed() {
    let (serving, place) = played().await;
    let lab = Lab::new();
    env_file(&lab, &place);
    let args = ["bench", "update", "--states", "2MiB", "--clients", "1", "--runs", "1", "--duration", "10ms", "-q"];
    let ran = with_file(&lab, &args, "").await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(serving.service.names().0.len(), 1, "{:?}", serving.service.names());
}
