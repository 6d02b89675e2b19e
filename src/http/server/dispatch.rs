//! From a request to its answer: ids, permits, the call, the log.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};
use tracing::field::display;

use super::answer::{Answer, Failure, failed};
use super::calls::Subject;
use super::connection::Connection;
use super::route::{Call, Lane, Route, route};
use super::{Phase, calls};
use crate::error::{Error, ErrorKind};
use crate::http::wire::{CORRELATION_ID, SHUTDOWN_IMMINENT};

/// Longest correlation id that a caller may choose.
const CORRELATION_BYTES: usize = 128;

/// Answers a request.
pub async fn answer(connection: &Arc<Connection>, request: Request<Incoming>) -> Answer {
    let shared = &connection.shared;
    let busy = connection.busy();
    let began = shared.clock.boot();
    let correlation = correlation(request.headers()).unwrap_or_else(|| shared.exchanges.next());
    let route = route(request.method(), request.uri().path());
    let name = match route {
        Route::Call(call) | Route::WrongMethod(call) => call.name(),
        Route::Unknown => "unknown",
    };
    let subject = Subject::default();
    let result = match route {
        Route::Call(call) => admitted(connection, call, request, &correlation, &subject).await,
        Route::WrongMethod(call) => Err(Failure::WrongMethod(call)),
        Route::Unknown => Err(Failure::Unknown),
    };
    let (mut answer, error) = match result {
        Ok(answer) => (answer, None),
        Err(failure) => {
            let (answer, code) = failed(failure, &*shared.entropy);
            (answer, Some(code))
        }
    };
    if let Ok(value) = HeaderValue::from_str(&correlation) {
        answer.headers_mut().insert(CORRELATION_ID, value);
    }
    if shared.phase() > Phase::Serving {
        answer.headers_mut().insert(SHUTDOWN_IMMINENT, HeaderValue::from_static("true"));
    }
    let (status, took) = (answer.status().as_u16(), shared.clock.boot().since(began));
    shared.metrics.called(name, status, took);
    let (took_us, peer) = (u64::try_from(took.as_micros()).unwrap_or(u64::MAX), connection.peer.as_str());
    // What a call has none of is left out of its line.
    let namespace = subject.key.get().map(|key| display(key.namespace()));
    let (key, request) = (subject.key.get().map(display), subject.request.get().map(display));
    if status >= 500 {
        tracing::warn!(call = name, status, error, namespace, key, request, took_us, correlation, peer, "answered");
    } else if matches!(route, Route::Call(call) if call.is_health()) {
        tracing::debug!(call = name, status, took_us, correlation, peer, "answered");
    } else {
        tracing::info!(call = name, status, error, namespace, key, request, took_us, correlation, peer, "answered");
    }
    // What looks at each frame hides their length.
    if let Some(len) = answer.body().size_hint().exact().filter(|_| answer.status() != StatusCode::NO_CONTENT) {
        answer.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| len.into());
    }
    // The call is over when its answer's last byte is.
    keeping(answer, busy)
}

/// The answer, which keeps something until its last byte is sent or its client has gone.
fn keeping(answer: Answer, kept: impl Send + 'static) -> Answer {
    let passed = |_: &_, frame| frame;
    answer.map(|body| body.map_frame(move |frame| passed(&kept, frame)).boxed_unsync())
}

/// The caller's own id for this exchange, where it is one.
fn correlation(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CORRELATION_ID)?.to_str().ok()?;
    let good = (1..=CORRELATION_BYTES).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b));
    good.then(|| text.to_owned())
}

async fn admitted(
    connection: &Arc<Connection>,
    call: Call,
    request: Request<Incoming>,
    correlation: &str,
    subject: &Subject,
) -> Result<Answer, Failure> {
    let shared = &connection.shared;
    if connection.pass.health_only && !call.is_health() {
        let full = Error::new(ErrorKind::Unavailable, "the server has too many connections").with_hint("try again");
        return Err(full.into());
    }
    let permit = shared.lanes.enter(call.lane(), &*shared.clock).await?;
    let work = pin!(calls::call(connection, call, request, correlation, subject));
    if call.lane() != Lane::Waiting {
        return work.await;
    }
    // Who waits is turned away by the service when the server drains, and what it has sent to the store is answered. What is
    // under way still when the connections close is cut short, and so is a wait whose client has gone.
    let (closes, gone) = (pin!(shared.reached(Phase::Closing)), pin!(connection.hung_up()));
    match select(select(closes, gone), work).await {
        Either::Left((Either::Left(_), _)) => Err(closing(call).into()),
        Either::Left((Either::Right(_), _)) => Err(client_has_gone().into()),
        // A watch goes on after its head.
        Either::Right((answer, _)) if call == Call::Watch => answer.map(|answer| keeping(answer, permit)),
        Either::Right((answer, _)) => answer,
    }
}

/// Nobody reads this but the log.
fn client_has_gone() -> Error {
    Error::new(ErrorKind::Unavailable, "the client has gone").with_hint("repeat the call with the same ids")
}

/// The answer to who is cut short: an acquire was perhaps granted, anything else that waits changes nothing.
fn closing(call: Call) -> Error {
    match call.grants() {
        true => Error::new(ErrorKind::OutcomeUnknown, "the server ended before the store had answered")
            .with_hint("repeat the call with the same lease id, at another server"),
        false => Error::new(ErrorKind::Draining, "the server is shutting down")
            .with_hint("ask another server, or try again later"),
    }
}
