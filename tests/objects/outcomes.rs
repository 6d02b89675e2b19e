//! What becomes of a write and a read when the service is in trouble: the three outcomes, and what is tried again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::Method;
use lockd::clock::{Clock, SystemClock};
use lockd::entropy::KernelEntropy;
use lockd::error::ErrorKind;
use lockd::limits::{OBJECT_PART, OBJECT_TRIES};
use lockd::model::{BlobId, FencingToken, Key, Record, WriteId};
use lockd::store::{ByteStream, Precondition, PutError, Store};

use super::fake::{self, Fake, Fault};
use super::servers::Place;
use super::serving::Serving;
use crate::support::world::key;

async fn opened() -> (Serving<Fake>, Store) {
    let serving = fake::honest().await;
    let store = Place::fake(&serving).open().await.unwrap().store;
    serving.service.requests();
    (serving, store)
}

fn value(key: &Key) -> Bytes {
    Record::new(key.clone()).sealed(WriteId::random(&KernelEntropy)).encode().unwrap()
}

#[tokio::test]
async fn a_put_is_sent_once_and_has_three_outcomes() {
    let (serving, store) = opened().await;
    let key = key("k");
    for (fault, applied) in [
        (Fault::Refused(500, "InternalError"), false),
        (Fault::Refused(503, "SlowDown"), false),
        (Fault::Refused(429, ""), false),
        (Fault::Hidden(500), true),
        (Fault::Cut, true),
        (Fault::CutBefore, false),
    ] {
        let before = store.records.get(&key).await.unwrap();
        let when = before.as_ref().map_or(Precondition::Absent, |got| Precondition::Matches(got.etag.clone()));
        serving.service.requests();
        serving.service.fail(Method::PUT, fault);
        let value = value(&key);
        let put = store.records.put(&key, value.clone(), when).await;
        assert!(matches!(put, Err(PutError::Unknown(_))), "{fault:?}: {put:?}");
        assert_eq!(serving.service.requests().len(), 1, "{fault:?}: it is sent once");
        let after = store.records.get(&key).await.unwrap();
        assert_eq!(after.is_some_and(|got| got.value == value), applied, "{fault:?}");
    }
    for (fault, kind) in [
        (Fault::Refused(403, "AccessDenied"), ErrorKind::NotPermitted),
        (Fault::Refused(404, "NoSuchBucket"), ErrorKind::StoreMissing),
        (Fault::Refused(501, "NotImplemented"), ErrorKind::Config),
        (Fault::Refused(400, "InvalidRequest"), ErrorKind::NotPermitted),
    ] {
        serving.service.fail(Method::PUT, fault);
        match store.records.put(&key, value(&key), Precondition::Absent).await {
            Err(PutError::Failed(e)) => assert_eq!(e.kind(), kind, "{fault:?}: {e}"),
            other => panic!("{fault:?}: {other:?}"),
        }
    }
    assert!(serving.service.all_came());
}

#[tokio::test]
async fn a_put_that_the_service_wants_again_is_sent_again() {
    let (serving, store) = opened().await;
    let key = key("k");
    for _ in 0..3 {
        serving.service.fail(Method::PUT, Fault::Refused(409, "ConditionalRequestConflict"));
    }
    store.records.put(&key, value(&key), Precondition::Absent).await.unwrap();
    assert_eq!(serving.service.requests().len(), 4);
    for _ in 0..OBJECT_TRIES {
        serving.service.fail(Method::PUT, Fault::Refused(409, "ConditionalRequestConflict"));
    }
    let put = store.records.put(&key, value(&key), Precondition::Absent).await;
    assert!(matches!(put, Err(PutError::Failed(_))), "{put:?}");
    assert!(serving.service.all_came());
}

#[tokio::test]
async fn a_read_is_tried_again_and_not_for_ever() {
    let (serving, store) = opened().await;
    for fault in [Fault::Refused(503, "SlowDown"), Fault::Cut, Fault::Refused(500, "InternalError")] {
        serving.service.fail(Method::GET, fault);
    }
    assert!(store.records.get(&key("k")).await.unwrap().is_none());
    assert_eq!(serving.service.requests().len(), 4);
    for _ in 0..OBJECT_TRIES {
        serving.service.fail(Method::GET, Fault::Refused(503, "SlowDown"));
    }
    let e = store.records.get(&key("k")).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
    assert!(serving.service.all_came());
}

fn large(parts: usize) -> ByteStream {
    let part = Bytes::from(vec![7; OBJECT_PART]);
    stream::iter((0..parts).map(move |_| Ok(part.clone()))).boxed()
}

#[tokio::test]
async fn an_upload_that_fails_or_is_dropped_is_aborted() {
    let (serving, store) = opened().await;
    let id = |n| BlobId::random(key("k").hash(), FencingToken(n), &KernelEntropy);
    store.blobs.write(&id(1), large(3)).await.unwrap();
    let (names, uploads) = serving.service.names();
    assert_eq!((names.iter().filter(|name| name.contains("blobs/")).count(), uploads), (1, 0));

    serving.service.fail(Method::PUT, Fault::Refused(403, "AccessDenied"));
    let e = store.blobs.write(&id(2), large(3)).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotPermitted, "{e}");
    assert_eq!(serving.service.names().1, 0, "the failed upload was aborted");

    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (begun, mut begins) = tokio::sync::mpsc::channel::<()>(1);
    let endless = large(2).chain(stream::once(async move {
        begun.send(()).await.unwrap();
        std::future::pending().await
    }));
    let writing = tokio::spawn({
        let (blobs, id) = (store.blobs.clone(), id(3));
        async move { blobs.write(&id, endless.boxed()).await }
    });
    begins.recv().await.unwrap();
    writing.abort();
    // It is aborted in the background.
    let until = clock.boot() + Duration::from_secs(20);
    while serving.service.names().1 > 0 && clock.boot() < until {
        clock.sleep(Duration::from_millis(5)).await;
    }
    let (names, uploads) = serving.service.names();
    assert_eq!((names.iter().filter(|name| name.contains("blobs/")).count(), uploads), (1, 0));
}

/// A small blob whose answer was lost is there: the second try finds it, and takes it for its own.
#[tokio::test]
async fn a_small_blob_of_unknown_outcome_is_written_once() {
    let (serving, store) = opened().await;
    let id = BlobId::random(key("k").hash(), FencingToken(1), &KernelEntropy);
    serving.service.fail(Method::PUT, Fault::Cut);
    store.blobs.write(&id, stream::iter([Ok(Bytes::from_static(b"x"))]).boxed()).await.unwrap();
    assert!(serving.service.all_came());
    assert_eq!(store.blobs.list(key("k").hash()).await.unwrap(), [id]);
}
