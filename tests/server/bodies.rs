//! Bodies: asked for before they are sent, bounded, streamed.

use lockd::limits::{BODY_GRACE, CALL_BYTES, CHUNK_WAIT, UPDATE_BYTES};

use super::lab::Lab;

#[tokio::test(start_paused = true)]
async fn a_body_is_asked_for_only_when_it_can_be_used() {
    let lab = Lab::new().await;
    let held = lab.acquire("k").await;
    let [id, token] = held.proof();
    let head = |headers: &[(&str, &str)], len: u64| {
        let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!(
            "POST /v1/update?key=k HTTP/1.1\r\nHost: t\r\nContent-Length: {len}\r\nExpect: 100-continue\r\n{more}\r\n"
        )
    };
    let mut client = lab.connect().await;
    client.write(head(&[id, token], 3)).await;
    assert_eq!(client.head().await.unwrap().status, 100);
    client.write("[1]").await;
    assert_eq!(client.reply().await.status, 200);
    for (headers, len, refusal) in [
        (vec![], 3, (403, "lease_required")),
        (vec![id, ("X-Fencing-Token", "7")], 3, (403, "fencing_mismatch")),
        (vec![id, token, ("X-If-Version", "7")], 3, (409, "version_conflict")),
        (vec![id, token, ("X-If-State-ETag", "ab")], 3, (409, "etag_mismatch")),
        (vec![id, token], UPDATE_BYTES + 1, (413, "document_too_large")),
        (vec![id, ("X-Fencing-Token", "x")], 3, (400, "invalid_body")),
    ] {
        let mut client = lab.connect().await;
        client.write(head(&headers, len)).await;
        let reply = client.reply().await;
        assert_eq!(reply.refusal(), (refusal.0, refusal.1.to_owned()), "{headers:?}");
    }
    // The end decides: what was fine before the body may not be after it.
    let mut client = lab.connect().await;
    client.write(head(&[id, token, ("X-If-Version", "1")], 3)).await;
    assert_eq!(client.head().await.unwrap().status, 100);
    assert_eq!(lab.call("POST", "/v1/update?key=k", &held.proof(), "5").await.status, 200);
    client.write("[2]").await;
    assert_eq!(client.reply().await.refusal(), (409, "version_conflict".into()));
}

#[tokio::test(start_paused = true)]
async fn bodies_come_in_pieces_and_are_bounded() {
    let lab = Lab::new().await;
    let held = lab.acquire("k").await;
    let [id, token] = held.proof();
    let head = format!(
        "POST /v1/update?key=k HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n{}: {}\r\n{}: {}\r\n\r\n",
        id.0, id.1, token.0, token.1
    );
    let mut client = lab.connect().await;
    client.write(&head).await;
    for chunk in ["3\r\n[1,\r\n", "2\r\n 2\r\n", "1\r\n]\r\n", "0\r\n\r\n"] {
        client.write(chunk).await;
    }
    assert_eq!(client.reply().await.json()["bytes"], 5);
    // A document is read whole, so it is small.
    let long = format!("{{\"key\":\"k\",\"owner\":\"{}\"}}", "x".repeat(CALL_BYTES));
    assert_eq!(lab.call("POST", "/v1/acquire", &[], &long).await.refusal(), (413, "document_too_large".into()));
    // A connection that breaks off in a body changes nothing.
    let mut client = lab.connect().await;
    client.write(format!("{head}5\r\n[9,9]\r\n")).await;
    drop(client);
    lab.w.pass(CHUNK_WAIT).await;
    assert_eq!(lab.call("GET", "/v1/get?key=k", &[], "").await.text(), "[1,2]");
}

#[tokio::test(start_paused = true)]
async fn slow_bodies_are_given_up() {
    let lab = Lab::new().await;
    let held = lab.acquire("k").await;
    let [id, token] = held.proof();
    let head = format!(
        "POST /v1/update?key=k HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n{}: {}\r\n{}: {}\r\n\r\n[",
        id.0, id.1, token.0, token.1
    );
    // Not another byte; a byte a second.
    let mut client = lab.connect().await;
    let began = tokio::time::Instant::now();
    client.write(&head).await;
    assert_eq!(client.reply().await.refusal().0, 503);
    assert!(began.elapsed() <= CHUNK_WAIT + CHUNK_WAIT, "{:?}", began.elapsed());
    let mut client = lab.connect().await;
    let began = tokio::time::Instant::now();
    client.write(&head).await;
    let reply = loop {
        match tokio::time::timeout(std::time::Duration::from_secs(1), client.head()).await {
            Ok(reply) => break reply.unwrap(),
            Err(_) => client.write(" ").await,
        }
    };
    assert_eq!(reply.status, 503);
    assert!(began.elapsed() < BODY_GRACE * 2, "{:?}", began.elapsed());
}
