//! HTTP/2 by prior knowledge.

use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Response, StatusCode};
use lockd::limits::STREAMS;
use lockd::service::LeaseService;
use serde_json::{Value, json};

use super::lab::Lab;
use crate::support::world::key;

async fn connect(lab: &Lab) -> SendRequest<Bytes> {
    let (send, connection) = h2::client::handshake(lab.socket().await).await.unwrap();
    tokio::spawn(async move {
        let _ended = connection.await;
    });
    send
}

async fn ask(
    send: &SendRequest<Bytes>,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
    let mut request = Request::post(format!("http://test{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut send = send.clone().ready().await.unwrap();
    let (reply, mut stream) = send.send_request(request.body(()).unwrap(), false).unwrap();
    stream.send_data(body.into(), true).unwrap();
    (reply, stream)
}

async fn read(reply: h2::client::ResponseFuture) -> (StatusCode, Value) {
    let (head, mut body) = Response::into_parts(reply.await.unwrap());
    let mut all = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.unwrap();
        let _room = body.flow_control().release_capacity(chunk.len());
        all.extend_from_slice(&chunk);
    }
    (head.status, serde_json::from_slice(&all).unwrap_or(Value::Null))
}

#[tokio::test(start_paused = true)]
async fn many_calls_on_one_connection() {
    let lab = Lab::new().await;
    let h2 = connect(&lab).await;
    let acquire = json!({ "key": "k", "owner": "x" }).to_string();
    let (status, granted) = read(ask(&h2, "/v1/acquire", &[], acquire.clone()).await.0).await;
    assert_eq!(status, 200, "{granted}");
    let (id, token) = (granted["lease_id"].as_str().unwrap(), granted["fencing_token"].to_string());
    let proof = [("x-lease-id", id), ("x-fencing-token", token.as_str())];
    // Two wait on the same connection, in order of arrival; one is reset.
    let (first, mut first_stream) = ask(&h2, "/v1/acquire", &[], acquire.clone()).await;
    let (second, _second_stream) = ask(&h2, "/v1/acquire", &[], acquire).await;
    while lab.engine.describe(&key("k")).await.unwrap().waiters != Some(2) {
        tokio::task::yield_now().await;
    }
    first_stream.send_reset(h2::Reason::CANCEL);
    while lab.engine.describe(&key("k")).await.unwrap().waiters != Some(1) {
        tokio::task::yield_now().await;
    }
    drop(first);
    let (status, _) = read(ask(&h2, "/v1/update?key=k", &proof, "[1,2]").await.0).await;
    assert_eq!(status, 200);
    let release = json!({ "key": "k", "lease_id": id }).to_string();
    let (status, released) = read(ask(&h2, "/v1/release", &proof, release).await.0).await;
    assert_eq!((status, &released["outcome"]), (StatusCode::OK, &json!("released")));
    let (status, granted) = read(second).await;
    assert_eq!((status, &granted["fencing_token"]), (StatusCode::OK, &json!(2)), "nobody had it in between");
}

#[tokio::test(start_paused = true)]
async fn idle_connections_end_and_streams_are_bounded() {
    let lab = Lab::new().await;
    let (send, connection) = h2::client::handshake(lab.socket().await).await.unwrap();
    let began = tokio::time::Instant::now();
    let ended = tokio::spawn(async move {
        let mut connection = connection;
        let ended = std::future::poll_fn(|cx| std::pin::Pin::new(&mut connection).poll(cx)).await;
        (ended.is_ok(), connection.max_concurrent_send_streams())
    });
    let (_, most) = ended.await.unwrap();
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(55) && took < Duration::from_secs(75), "{took:?}");
    assert_eq!(most, STREAMS as usize);
    drop(send);
}
