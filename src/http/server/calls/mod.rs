//! The calls, one function each: from the words of the wire to the service and back.

mod for_update;
mod known;
mod lease;
mod operate;
mod state;
mod watch;

use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::answer::{Answer, Failure};
use super::connection::Connection;
use super::route::Call;
use crate::error::Result;
use crate::http::wire::read_query;

/// A call and what it has in hand.
struct Asked<'a> {
    connection: &'a Arc<Connection>,
    correlation: &'a str,
    request: Request<Incoming>,
}

impl Asked<'_> {
    fn query<T: DeserializeOwned>(&self) -> Result<T> {
        read_query(self.request.uri().query().unwrap_or_default())
    }
}

/// Makes a call.
pub async fn call(
    connection: &Arc<Connection>,
    call: Call,
    request: Request<Incoming>,
    correlation: &str,
) -> Result<Answer, Failure> {
    let asked = Asked { connection, correlation, request };
    match call {
        Call::Acquire => lease::acquire(asked).await,
        Call::AcquireForUpdate => for_update::acquire(asked).await,
        Call::Keepalive => lease::keepalive(asked).await,
        Call::Release => lease::release(asked).await,
        Call::Get => state::get(asked).await,
        Call::Update => state::update(asked).await,
        Call::Remove => state::remove(asked).await,
        Call::Mutate => state::mutate(asked).await,
        Call::Describe => known::describe(asked).await,
        Call::List => known::list(asked).await,
        Call::Watch => watch::watch(asked),
        Call::Break => operate::break_lease(asked).await,
        Call::FenceAdmit => operate::admit(asked).await,
        Call::FenceCheck => operate::check(asked).await,
        Call::Health => Ok(operate::health()),
        Call::Ready => operate::ready(asked).await,
        Call::Metrics => Ok(operate::metrics(asked)),
    }
}
