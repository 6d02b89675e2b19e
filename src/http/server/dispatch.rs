//! From a request to its answer: ids, permits, the call, the log.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};

use super::answer::{Answer, Failure, failed};
use super::connection::Connection;
use super::route::{Call, Lane, Route, route};
use super::{Phase, calls};
use crate::error::{Error, ErrorKind};
use crate::http::wire::{CORRELATION_ID, SHUTDOWN_IMMINENT};
use crate::model::RequestId;

/// Longest correlation id that a caller may choose.
const CORRELATION_BYTES: usize = 128;

/// Answers a request.
pub async fn answer(connection: &Arc<Connection>, request: Request<Incoming>) -> Answer {
    let shared = &connection.shared;
    let busy = connection.busy();
    let began = shared.clock.boot();
    let correlation = correlation(request.headers()).unwrap_or_else(|| RequestId::random(&*shared.entropy).to_string());
    let route = route(request.method(), request.uri().path());
    let name = match route {
        Route::Call(call) | Route::WrongMethod(call) => call.name(),
        Route::Unknown => "unknown",
    };
    let result = match route {
        Route::Call(call) => admitted(connection, call, request, &correlation).await,
        Route::WrongMethod(call) => Err(Failure::WrongMethod(call)),
        Route::Unknown => Err(Failure::Unknown),
    };
    let (mut answer, kind) = match result {
        Ok(answer) => (answer, None),
        Err(failure) => failed(failure, &*shared.entropy),
    };
    if let Ok(value) = HeaderValue::from_str(&correlation) {
        answer.headers_mut().insert(CORRELATION_ID, value);
    }
    if shared.phase() > Phase::Serving {
        answer.headers_mut().insert(SHUTDOWN_IMMINENT, HeaderValue::from_static("true"));
    }
    let (status, took) = (answer.status().as_u16(), shared.clock.boot().since(began));
    shared.metrics.called(name, status, took);
    let error = kind.map_or("", ErrorKind::wire_code);
    let (took_us, peer) = (u64::try_from(took.as_micros()).unwrap_or(u64::MAX), connection.peer.as_str());
    if status >= 500 {
        tracing::warn!(call = name, status, error, took_us, correlation, peer, "answered");
    } else if matches!(route, Route::Call(call) if call.is_health()) {
        tracing::debug!(call = name, status, took_us, correlation, peer, "answered");
    } else {
        tracing::info!(call = name, status, error, took_us, correlation, peer, "answered");
    }
    // What looks at each frame hides their length.
    if let Some(len) = answer.body().size_hint().exact().filter(|_| answer.status() != StatusCode::NO_CONTENT) {
        answer.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| len.into());
    }
    // The call is over when its answer's last byte is.
    answer.map(|body| body.map_frame(move |frame| kept(&busy, frame)).boxed_unsync())
}

fn kept<T, K>(_alive: &K, frame: T) -> T {
    frame
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
) -> Result<Answer, Failure> {
    let shared = &connection.shared;
    if connection.pass.health_only && !call.is_health() {
        let full = Error::new(ErrorKind::Unavailable, "the server has too many connections").with_hint("try again");
        return Err(full.into());
    }
    let _permit = shared.lanes.enter(call.lane(), &*shared.clock).await?;
    let work = pin!(calls::call(connection, call, request, correlation));
    if call.lane() != Lane::Waiting {
        return work.await;
    }
    // Who waits is turned away by the service when the server drains, and what it has sent to the store is answered. What is
    // under way still when the connections close is cut short.
    match select(pin!(shared.reached(Phase::Closing)), work).await {
        Either::Left(_) => Err(closing(call).into()),
        Either::Right((answer, _)) => answer,
    }
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
