//! The events of a key, as they happen.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream;
use hyper::header::{CACHE_CONTROL, HeaderValue};
use tokio::sync::mpsc;

use super::Asked;
use crate::error::{Error, Result};
use crate::http::server::answer::{Answer, Failure, endless};
use crate::http::server::{Phase, Shared};
use crate::http::wire::{sse, sse_error};
use crate::limits::{EVENT_SILENCE, EVENTS_AHEAD};
use crate::model::Key;

/// Watches a key until the client goes or the server closes.
pub fn watch(asked: Asked<'_>) -> Result<Answer, Failure> {
    let key = asked.key()?;
    let (events, sent) = mpsc::channel(EVENTS_AHEAD);
    let shared = Arc::clone(&asked.connection.shared);
    let hung_up = asked.connection.hung_up();
    tokio::spawn(async move {
        let dropped = events.clone();
        let following = pin!(follow(&shared, &key, &events));
        let (dropped, hung_up) = (pin!(dropped.closed()), pin!(hung_up));
        let closing = pin!(shared.reached(Phase::Closing));
        let _nobody_listens = select(following, select(select(dropped, hung_up), closing)).await;
    });
    let body =
        stream::unfold(sent, |mut sent| async { sent.recv().await.map(|event| (Ok::<Bytes, Error>(event), sent)) });
    let mut answer = endless("text/event-stream", body.boxed());
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

async fn follow(shared: &Shared, key: &Key, events: &mpsc::Sender<Bytes>) {
    let mut watched = shared.service.watch(key);
    loop {
        let clock = &*shared.clock;
        let next = pin!(watched.next());
        let text = match select(next, clock.sleep_until(clock.boot() + EVENT_SILENCE)).await {
            Either::Left((Some(Ok(event)), _)) => sse(&event, clock.wall()),
            Either::Left((Some(Err(error)), _)) => {
                let _nobody_listens = events.send(sse_error(&error).unwrap_or_default().into()).await;
                return;
            }
            Either::Left((None, _)) => return,
            Either::Right(_) => Ok(b":\n\n".to_vec()),
        };
        let Ok(text) = text else { return };
        if events.send(text.into()).await.is_err() {
            return;
        }
    }
}
