//! Answers: heads, bodies, errors.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::route::Call;
use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind, Result};
use crate::http::wire::{ErrorBody, RETRY_AFTER, write};
use crate::limits::RETRY_SPREAD;
use crate::service::ByteStream;

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, Error>;
/// An answer.
pub type Answer = Response<Body>;

/// Why a call is not answered as asked.
#[derive(Debug)]
pub enum Failure {
    /// What went wrong.
    Error(Error),
    /// The same, with when to ask again; without it, the error's kind says.
    Later(Error, Option<Duration>),
    /// There is no such call.
    Unknown,
    /// The call does not take this method.
    WrongMethod(Call),
    /// The range is not in the state, which has so many bytes.
    Range(u64),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Bytes as a body.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer with a document.
///
/// # Errors
/// `Internal`, in theory.
pub fn json(body: &impl Serialize) -> Result<Answer> {
    Ok(typed("application/json", full(write(body)?)))
}

/// An answer with a body of this type.
pub fn typed(content_type: &'static str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = status;
    answer
}

/// An answer whose bytes come by and by; their number is known. An error on the way breaks the body off uncleanly.
pub fn streamed(content_type: &'static str, len: u64, body: ByteStream) -> Answer {
    let mut answer = typed(content_type, StreamBody::new(body.map(|chunk| chunk.map(Frame::data))).boxed_unsync());
    answer.headers_mut().insert(CONTENT_LENGTH, len.into());
    answer
}

/// The same without an end that is known.
pub fn endless(content_type: &'static str, body: ByteStream) -> Answer {
    typed(content_type, StreamBody::new(body.map(|chunk| chunk.map(Frame::data))).boxed_unsync())
}

/// Adds headers.
pub fn with(mut answer: Answer, headers: HeaderMap) -> Answer {
    answer.headers_mut().extend(headers);
    answer
}

/// The answer to what failed, and its code.
pub fn failed(failure: Failure, entropy: &dyn Entropy) -> (Answer, &'static str) {
    match failure {
        Failure::Unknown => {
            const CODE: &str = "not_found";
            (refused(StatusCode::NOT_FOUND, CODE, "there is no such call"), CODE)
        }
        Failure::WrongMethod(call) => {
            const CODE: &str = "method_not_allowed";
            let mut answer = refused(StatusCode::METHOD_NOT_ALLOWED, CODE, "use another method");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(call.allow()));
            (answer, CODE)
        }
        Failure::Range(len) => {
            const CODE: &str = "range_not_satisfiable";
            let mut answer = refused(StatusCode::RANGE_NOT_SATISFIABLE, CODE, "no such bytes");
            if let Ok(value) = HeaderValue::from_str(&format!("bytes */{len}")) {
                answer.headers_mut().insert(hyper::header::CONTENT_RANGE, value);
            }
            (answer, CODE)
        }
        Failure::Error(error) => {
            let later = matches!(
                error.kind(),
                ErrorKind::Unavailable | ErrorKind::Throttled | ErrorKind::TooManyStreams | ErrorKind::Draining
            );
            let again = later.then(|| 1 + entropy.below(RETRY_SPREAD + 1));
            (of_error(&error, again), error.kind().wire_code())
        }
        Failure::Later(error, after) => {
            let seconds =
                after.map(|after| u64::try_from(after.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX).max(1));
            (of_error(&error, seconds), error.kind().wire_code())
        }
    }
}

fn of_error(error: &Error, again: Option<u64>) -> Answer {
    let status = StatusCode::from_u16(error.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = document(status, &ErrorBody::new(error, again));
    if let Some(seconds) = again {
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    answer
}

fn refused(status: StatusCode, code: &str, detail: &str) -> Answer {
    document(status, &ErrorBody { error: code.to_owned(), detail: detail.to_owned(), ..ErrorBody::default() })
}

fn document(status: StatusCode, body: &ErrorBody) -> Answer {
    let mut answer = json(body).unwrap_or_else(|_| empty(status));
    *answer.status_mut() = status;
    answer
}
