//! Each call of the API.

use std::time::Duration;

use lockd::http::server::Config;
use lockd::limits::MUTATE_BYTES;
use lockd::service::{Expected, LeaseService};
use serde_json::json;

use super::lab::{Held, Lab};
use crate::support::faulty::Faulty;
use crate::support::world::{World, body, change};

#[tokio::test(start_paused = true)]
async fn a_lease_from_acquire_to_release() {
    let lab = Lab::new().await;
    let body = json!({ "namespace": " jobs ", "key": "/jobs/a/b", "owner": "me", "ttl_seconds": 0, "block_seconds": -1,
        "lease_id": "9m4e2mr0ui3e8a215n4g", "txn_id": "9m4e2mr0ui3e8a215n50", "reason": "r", "holder": { "host": "h" } });
    let reply = lab.call("POST", "/v1/acquire", &[("X-Correlation-Id", "of mine")], &body.to_string()).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
    let answer = reply.json();
    assert_eq!((&answer["namespace"], &answer["key"], &answer["owner"]), (&json!("jobs"), &json!("a/b"), &json!("me")));
    assert_eq!((&answer["lease_id"], &answer["txn_id"]), (&body["lease_id"], &body["txn_id"]));
    assert_eq!((&answer["fencing_token"], &answer["version"]), (&json!(1), &json!(0)));
    assert_eq!((&answer["expires_in_ms"], &answer["correlation_id"]), (&json!(30_000), &json!("of mine")));
    assert_eq!((reply.header("x-fencing-token"), reply.header("x-key-version")), (Some("1"), Some("0")));
    assert_eq!(reply.header("x-correlation-id"), Some("of mine"));
    let held = Held::of(&reply);
    let keepalive = json!({ "namespace": "jobs", "key": "a/b", "lease_id": held.id, "ttl_seconds": 7_200 });
    let reply = lab.call("POST", "/v1/keepalive", &held.proof(), &keepalive.to_string()).await;
    assert_eq!(reply.json()["expires_in_ms"], json!(1_800_000), "longer ones are cut");
    assert!(reply.json()["expires_at_unix"].is_u64() && reply.header("x-fencing-token") == Some("1"));
    let release = json!({ "namespace": "jobs", "key": "a/b", "lease_id": held.id }).to_string();
    for _ in 0..2 {
        let reply = lab.call("POST", "/v1/release", &held.proof(), &release).await;
        assert_eq!((&reply.json()["released"], &reply.json()["outcome"]), (&json!(true), &json!("released")));
    }
    let again = lab.call("POST", "/v1/acquire", &[], &body.to_string()).await;
    assert_eq!(again.refusal(), (409, "lease_ended".into()));
}

#[tokio::test(start_paused = true)]
async fn what_a_server_makes_by_itself() {
    let lab = Lab::new().await;
    let reply = lab.call("POST", "/v1/acquire", &[], r#"{"owner":"me"}"#).await;
    let answer = reply.json();
    for name in ["lease_id", "txn_id"] {
        assert_eq!(answer[name].as_str().unwrap().len(), 20, "{answer}");
    }
    assert_eq!(answer["key"].as_str().unwrap().len(), 36);
    let made = reply.header("x-correlation-id").unwrap().to_owned();
    assert!(!made.is_empty());
    // One that is no printable ASCII is no correlation id.
    let reply = lab.call("GET", "/healthz", &[("X-Correlation-Id", &"a".repeat(129))], "").await;
    assert_ne!(reply.header("x-correlation-id").unwrap().len(), 129);
}

#[tokio::test(start_paused = true)]
async fn refusals_have_their_status_and_code() {
    let lab = Lab::new().await;
    let held = lab.acquire("k").await;
    let busy = lab.call("POST", "/v1/acquire", &[], r#"{"key":"k","owner":"x","block_seconds":-1}"#).await;
    assert_eq!(busy.refusal(), (409, "waiting".into()));
    // 1.01 x TTL + 1 s, and no more.
    assert_eq!(busy.json()["retry_after_seconds"], json!(32));
    assert_eq!(busy.json()["holder"]["lease_id"], json!(held.id));
    assert!(busy.json()["hint"].is_string());
    let once = lab.call("POST", "/v1/acquire", &[], r#"{"key":"k","owner":"x","if_not_exists":true}"#).await;
    assert_eq!(once.refusal(), (409, "already_exists".into()));
    for (body, code) in [
        (r#"{"key":"k","owner":"x","unknown":1}"#, "invalid_body"),
        (r#"{"key":"k","owner":"x"} {}"#, "invalid_body"),
        (r#"{"key":"k","owner":"#, "invalid_body"),
        (r#"{"key":"a/../b","owner":"x"}"#, "invalid_key"),
        (r#"{"key":"k","namespace":".x","owner":"x"}"#, "invalid_key"),
    ] {
        let reply = lab.call("POST", "/v1/acquire", &[], body).await;
        assert_eq!(reply.refusal(), (400, code.into()), "{body}");
    }
    for (method, target, status, allow) in [
        ("GET", "/v1/acquire", 405, Some("POST")),
        ("DELETE", "/v1/get?key=k", 405, Some("POST, GET")),
        ("POST", "/v1/nothing", 404, None),
        ("GET", "/", 404, None),
    ] {
        let reply = lab.call(method, target, &[], "").await;
        assert_eq!((reply.status, reply.header("allow")), (status, allow), "{method} {target}");
    }
    let other = [("X-Lease-ID", "other"), ("X-Fencing-Token", "1")];
    let stale = [("X-Lease-ID", held.id.as_str()), ("X-Fencing-Token", "9")];
    let txn = [held.proof()[0], held.proof()[1], ("X-Txn-ID", "other")];
    for (headers, refusal) in [
        (&[][..], (403, "lease_required")),
        (&other[..], (403, "lease_required")),
        (&stale[..], (403, "fencing_mismatch")),
        (&txn[..], (409, "txn_mismatch")),
    ] {
        for (target, body) in [("/v1/update?key=k", "1"), ("/v1/remove?key=k", "")] {
            let reply = lab.call("POST", target, headers, body).await;
            assert_eq!(reply.refusal(), (refusal.0, refusal.1.to_owned()), "{target} {headers:?}");
        }
    }
    let gone = lab.call("POST", "/v1/release", &other, r#"{"key":"k","lease_id":"other"}"#).await;
    assert_eq!(gone.json(), json!({ "released": true, "outcome": "fenced" }));
}

#[tokio::test(start_paused = true)]
async fn the_state_and_its_guards() {
    let lab = Lab::new().await;
    let nothing = lab.call("GET", "/v1/get?key=k", &[], "").await;
    assert_eq!((nothing.status, nothing.header("etag"), nothing.header("x-key-version")), (204, None, None));
    let held = lab.acquire("k").await;
    let put = lab.call("POST", "/v1/update?key=k", &held.proof(), "{ \"a\" : [1, 2] }").await;
    let stored = r#"{"a":[1,2]}"#;
    let etag = lockd::model::StateEtag::of(stored.as_bytes()).to_string();
    let answer = json!({ "new_version": 1, "new_state_etag": etag, "bytes": stored.len(), "metadata": {} });
    assert_eq!((put.status, put.json()), (200, answer), "{put:?}");
    assert_eq!((put.header("etag"), put.header("x-key-version")), (Some(etag.as_str()), Some("1")));
    for method in ["GET", "POST"] {
        let got = lab.call(method, "/v1/get?key=k", &[], "").await;
        assert_eq!((got.status, got.text(), got.header("etag")), (200, stored, Some(etag.as_str())));
    }
    let part = lab.call("GET", "/v1/get?key=k", &[("Range", "bytes=1-3")], "").await;
    assert_eq!((part.status, part.text(), part.header("content-range")), (206, r#""a""#, Some("bytes 1-3/11")));
    let none = lab.call("GET", "/v1/get?key=k", &[("Range", "bytes=11-")], "").await;
    assert_eq!((none.status, none.header("content-range")), (416, Some("bytes */11")));
    let [id, token] = held.proof();
    for (guard, refusal) in [
        (("X-If-Version", "7"), Some("version_conflict")),
        (("X-If-State-ETag", "ab"), Some("etag_mismatch")),
        (("X-Expected-Bytes", "2"), Some("expected_bytes_mismatch")),
        (("X-Expected-SHA256", "00"), Some("expected_sha256_mismatch")),
        (("X-If-State-ETag", &format!(" \"{etag}\" ")), None),
    ] {
        let reply = lab.call("POST", "/v1/update?key=k", &[id, token, guard], "2").await;
        match refusal {
            None => assert_eq!(reply.status, 200, "{guard:?}"),
            Some(code) => assert_eq!(reply.refusal(), (409, code.to_owned()), "{guard:?}"),
        }
        if refusal == Some("version_conflict") {
            assert_eq!((&reply.json()["current_version"], &reply.json()["current_etag"]), (&json!(1), &json!(etag)));
        }
    }
    let guarded = lab.call("POST", "/v1/remove?key=k", &[id, token, ("X-If-Version", "7")], "").await;
    assert_eq!(guarded.refusal(), (409, "version_conflict".into()));
    let removed = lab.call("POST", "/v1/remove?key=k", &held.proof(), "").await;
    assert_eq!((&removed.json()["removed"], &removed.json()["new_version"]), (&json!(true), &json!(3)));
    let nothing = lab.call("POST", "/v1/remove?key=k", &held.proof(), "").await;
    assert_eq!(nothing.json()["removed"], json!(false));
    let bad = lab.call("POST", "/v1/update?key=k", &held.proof(), "{} {}").await;
    assert_eq!(bad.refusal(), (400, "invalid_body".into()));
    let edits = json!({ "mutations": ["/n++", "/who=me"] }).to_string();
    let edited = lab.call("POST", "/v1/mutate?key=k", &held.proof(), &edits).await;
    assert_eq!((edited.status, &edited.json()["new_version"]), (200, &json!(4)), "{edited:?}");
    assert_eq!(lab.call("GET", "/v1/get?key=k", &[], "").await.json(), json!({ "n": 1, "who": "me" }));
}

/// Size, JSON, integrity, then the lease.
#[tokio::test(start_paused = true)]
async fn what_is_sent_is_looked_at_before_whose_it_is() {
    let lab = Lab::new().await;
    let held = lab.acquire("k").await;
    let [id, token] = held.proof();
    let strange = ("X-Lease-ID", "somebody-else");
    let short = ("X-Expected-Bytes", "7");
    let refused = (403, "lease_required".to_owned());
    for proof in [&[][..], &[strange, token]] {
        for (body, more, wanted) in [
            ("{", None, (400, "invalid_body".to_owned())),
            ("1", Some(short), (409, "expected_bytes_mismatch".to_owned())),
            ("1", None, refused.clone()),
        ] {
            let headers: Vec<_> = proof.iter().copied().chain(more).collect();
            assert_eq!(lab.call("POST", "/v1/update?key=k", &headers, body).await.refusal(), wanted, "{headers:?}");
        }
        let mut client = lab.connect().await;
        let lines: String = proof.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        client
            .write(format!("POST /v1/update?key=k HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000000\r\n{lines}\r\n"))
            .await;
        assert_eq!(client.reply().await.refusal(), (413, "document_too_large".into()));
        let mut client = lab.connect().await;
        client
            .write(format!(
                "POST /v1/update?key=k HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nExpect: 100-continue\r\n{lines}\r\n"
            ))
            .await;
        assert_eq!(client.reply().await.refusal(), refused, "who asks before it sends is told what is known");
        assert_eq!(lab.call("POST", "/v1/remove?key=k", proof, "").await.refusal(), refused);
    }
    for (body, wanted) in [("{", (400, "invalid_body".to_owned())), (r#"{"mutations":["/n++"]}"#, refused.clone())] {
        assert_eq!(lab.call("POST", "/v1/mutate?key=k", &[], body).await.refusal(), wanted);
    }
    // An answer that was given before is given to who shows the lease.
    let mine = ("X-Request-ID", "mine");
    assert_eq!(lab.call("POST", "/v1/update?key=k", &[id, token, mine], "1").await.status, 200);
    assert_eq!(lab.call("POST", "/v1/update?key=k", &[mine], "1").await.refusal(), refused);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_change_gets_the_same_answer() {
    let lab = Lab::new().await;
    let held = lab.acquire("k").await;
    let [id, token] = held.proof();
    let headers = [id, token, ("X-Request-ID", "mine")];
    let first = lab.call("POST", "/v1/update?key=k", &headers, "1").await.json();
    assert_eq!(lab.call("POST", "/v1/update?key=k", &headers, "1").await.json(), first);
    let other = lab.call("POST", "/v1/update?key=k", &headers, "2").await;
    assert_eq!(other.refusal(), (409, "request_id_reused".into()));
}

#[tokio::test(start_paused = true)]
async fn a_repeated_edit_gets_the_same_answer_and_is_made_once() {
    let lab = Lab::new().await;
    let held = lab.acquire("k").await;
    let [id, token] = held.proof();
    let headers = [id, token, ("X-Request-ID", "mine")];
    let edit = async |texts: &[&str]| {
        let body = json!({ "mutations": texts }).to_string();
        lab.call("POST", "/v1/mutate?key=k", &headers, &body).await
    };
    let first = edit(&["/n++", "time:/at=NOW"]).await;
    assert_eq!((first.status, first.header("x-key-version")), (200, Some("1")), "{first:?}");
    lab.w.pass(Duration::from_secs(5)).await;
    let again = edit(&["/n++", "time:/at=NOW"]).await;
    assert_eq!((again.json(), again.header("etag")), (first.json(), first.header("etag")));
    for other in [&["/n++"][..], &["/n+=1"], &["time:/at=NOW", "/n++"]] {
        assert_eq!(edit(other).await.refusal(), (409, "request_id_reused".into()), "{other:?}");
    }
    let replaced = lab.call("POST", "/v1/update?key=k", &headers, first.text()).await;
    assert_eq!(replaced.refusal(), (409, "request_id_reused".into()), "an edit is no update");
    assert_eq!(lab.call("GET", "/v1/get?key=k", &[], "").await.json()["n"], 1);
    assert_eq!(lab.call("POST", "/v1/release", &held.proof(), &held.body()).await.status, 200);
    assert_eq!(edit(&["/n++", "time:/at=NOW"]).await.json(), first.json(), "when its lease is over, too");
}

/// What met a conflict was certainly not applied: it is made anew, under the caller's id still.
#[tokio::test(start_paused = true)]
async fn an_edit_that_met_another_change_keeps_its_id() {
    let mut w = World::memory();
    let unhindered = w.store.clone();
    let faulty = Faulty::wrap(&mut w.store);
    let lab = Lab::on(w, Config::default()).await;
    let held = lab.acquire("k").await;
    let [id, token] = held.proof();
    let headers = [id, token, ("X-Request-ID", "mine")];
    let edit = r#"{"mutations":["/n++"]}"#;
    faulty.counted();
    faulty.hang(true);
    let mut editing = lab.connect().await;
    editing.send("POST", "/v1/mutate?key=k", &headers, edit).await;
    while faulty.counted().puts == 0 {
        tokio::task::yield_now().await;
    }
    let elsewhere = World::over(unhindered, lab.w.clock.clone()).engine();
    elsewhere.update(change("k", held.as_proof()), Expected::default(), body(r#"{"n":10}"#)).await.unwrap();
    faulty.hang(false);
    let first = editing.reply().await;
    assert_eq!((first.status, &first.json()["new_version"]), (200, &json!(2)), "{first:?}");
    let again = lab.call("POST", "/v1/mutate?key=k", &headers, edit).await;
    assert_eq!(again.json(), first.json());
    assert_eq!(lab.call("GET", "/v1/get?key=k", &[], "").await.json(), json!({ "n": 11 }));
}

/// An edit holds the state in memory, so that there is a limit of its own; an update streams, and has none but that of states.
#[tokio::test(start_paused = true)]
async fn a_state_that_is_too_large_to_edit_here_is_refused() {
    let lab = Lab::new().await;
    let held = lab.acquire("k").await;
    let edit = async || lab.call("POST", "/v1/mutate?key=k", &held.proof(), r#"{"mutations":["/0=1"]}"#).await;
    let most = usize::try_from(MUTATE_BYTES).unwrap();
    for len in [most, most + 1] {
        let large = format!("[\"{}\"]", "x".repeat(len - 4));
        assert_eq!(lab.call("POST", "/v1/update?key=k", &held.proof(), &large).await.status, 200);
        let edited = edit().await;
        if len == most {
            assert_eq!((edited.status, &edited.json()["bytes"]), (200, &json!(3)), "{edited:?}");
        } else {
            assert_eq!(edited.refusal(), (413, "document_too_large".into()));
            assert!(edited.text().contains(&MUTATE_BYTES.to_string()), "it says what the limit is: {edited:?}");
        }
    }
    assert_eq!(lab.call("GET", "/v1/get?key=k", &[], "").await.body.len(), most + 1, "it stands as it was");
}

#[tokio::test(start_paused = true)]
async fn a_transaction_commits_on_release() {
    let lab = Lab::new().await;
    let held = lab.acquire("k").await;
    for value in ["1", "2"] {
        let staged = lab.call("POST", "/v1/update?key=k", &held.staged(), value).await;
        assert_eq!(staged.status, 200);
    }
    let own = lab.call("GET", "/v1/get?key=k", &held.proof(), "").await;
    assert_eq!((own.text(), own.header("x-fencing-token")), ("2", Some(held.token.as_str())));
    assert_eq!(lab.call("GET", "/v1/get?key=k", &[], "").await.status, 204);
    let public = lab.call("GET", "/v1/get?key=k&public=1", &held.proof(), "").await;
    assert_eq!(public.status, 204, "whatever is shown");
    let forgot = lab.call("POST", "/v1/release", &held.proof(), &held.body()).await;
    assert_eq!(forgot.refusal(), (400, "missing_txn".into()));
    let done = lab.call("POST", "/v1/release", &held.staged(), &held.body()).await;
    assert_eq!(done.json(), json!({ "released": true, "outcome": "released", "committed_version": 2 }));
    assert_eq!(lab.call("GET", "/v1/get?key=k", &[], "").await.text(), "2");
    // Rolled back, and lost.
    let held = lab.acquire("k").await;
    lab.call("POST", "/v1/update?key=k", &held.staged(), "3").await;
    let body = json!({ "key": "k", "lease_id": held.id, "txn_id": held.txn, "rollback": true }).to_string();
    assert_eq!(lab.call("POST", "/v1/release", &held.proof(), &body).await.json()["committed_version"], json!(2));
    let lost = lab.call("POST", "/v1/release", &held.staged(), &held.body()).await;
    assert_eq!(lost.refusal(), (409, "staged_discarded".into()));
    assert_eq!(lab.call("GET", "/v1/get?key=k", &[], "").await.text(), "2");
}

#[tokio::test(start_paused = true)]
async fn keys_are_described_listed_and_watched() {
    let lab = Lab::new().await;
    let unknown = lab.call("GET", "/v1/describe?key=k", &[], "").await;
    assert_eq!((unknown.status, &unknown.json()["version"]), (200, &json!(0)));
    let mut watching = lab.connect().await;
    watching.send("GET", "/v1/watch?key=k", &[], "").await;
    let head = watching.head().await.unwrap();
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert!(watching.until("\n\n").await.unwrap().contains("present"));
    let held = lab.acquire("k").await;
    let event = watching.until("\n\n").await.unwrap();
    assert!(event.contains("acquired") && event.contains("\"token\":1"), "{event}");
    lab.call("POST", "/v1/update?key=k", &held.proof(), "[1]").await;
    assert!(watching.until("\n\n").await.unwrap().contains("updated"));
    let known = lab.call("GET", "/v1/describe?key=k", &[], "").await.json();
    assert_eq!(
        (&known["owner"], &known["lease_id"], &known["version"]),
        (&json!("tester"), &json!(held.id), &json!(1))
    );
    assert_eq!((&known["waiters"], &known["state_bytes"], &known["fencing_token"]), (&json!(0), &json!(3), &json!(1)));
    lab.acquire("l").await;
    lab.acquire("other/m").await;
    let page = lab.call("GET", "/v1/list?limit=2", &[], "").await.json();
    assert_eq!(page["keys"].as_array().unwrap().len(), 2, "{page}");
    let next = page["next"].as_str().unwrap();
    let rest = lab.call("GET", &format!("/v1/list?limit=2&after={next}"), &[], "").await.json();
    assert_eq!((rest["keys"].as_array().unwrap().len(), &rest["next"]), (1, &json!(null)), "{rest}");
    let some = lab.call("GET", "/v1/list?prefix=other/&held=true", &[], "").await.json();
    assert_eq!(some["keys"].as_array().unwrap().len(), 1, "{some}");
}

#[tokio::test(start_paused = true)]
async fn leases_are_broken_and_effects_admitted() {
    let lab = Lab::new().await;
    let held = lab.acquire("k").await;
    let broke = lab.call("POST", "/v1/break", &[], r#"{"key":"k","reason":"stuck"}"#).await;
    assert_eq!(broke.status, 200, "{broke:?}");
    let told = lab.call("POST", "/v1/keepalive", &held.proof(), &held.keepalive()).await;
    assert_eq!(told.refusal(), (403, "lease_broken".into()));
    assert!(told.json()["detail"].as_str().unwrap().contains("stuck"));
    for (token, status) in [(5, 200), (5, 200), (4, 409)] {
        let body = json!({ "resource": "disk", "token": token }).to_string();
        let reply = lab.call("POST", "/v1/fence/admit", &[], &body).await;
        assert_eq!(reply.status, status, "{reply:?}");
    }
    let check = lab.call("GET", "/v1/fence/check?resource=disk&token=9", &[], "").await;
    assert_eq!(check.status, 200, "{check:?}");
}
