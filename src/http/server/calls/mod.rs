//! The calls, one function each: from the words of the wire to the service and back.

mod for_update;
mod known;
mod lease;
mod operate;
mod state;
mod watch;

use std::sync::{Arc, OnceLock};

use hyper::Request;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::answer::{Answer, Failure};
use super::connection::Connection;
use super::route::Call;
use crate::error::Result;
use crate::http::wire::{KeyQuery, read_query};
use crate::model::{Key, RequestId};

/// What a call turned out to be about, for the log: its key, and the id that its caller gave a change.
#[derive(Debug, Default)]
pub struct Subject {
    pub key: OnceLock<Key>,
    pub request: OnceLock<RequestId>,
}

impl Subject {
    /// It is about this key.
    fn is(&self, key: &Key) {
        let _is_told_once = self.key.set(key.clone());
    }

    /// The caller calls it this.
    fn is_called(&self, request: &RequestId) {
        let _is_told_once = self.request.set(request.clone());
    }
}

/// A call and what it has in hand.
struct Asked<'a> {
    connection: &'a Arc<Connection>,
    correlation: &'a str,
    subject: &'a Subject,
    request: Request<Incoming>,
}

impl Asked<'_> {
    fn query<T: DeserializeOwned>(&self) -> Result<T> {
        read_query(self.request.uri().query().unwrap_or_default())
    }

    /// The key that the query names.
    fn key(&self) -> Result<Key> {
        let key = self.query::<KeyQuery>()?.key()?;
        self.subject.is(&key);
        Ok(key)
    }
}

/// Makes a call.
pub async fn call(
    connection: &Arc<Connection>,
    call: Call,
    request: Request<Incoming>,
    correlation: &str,
    subject: &Subject,
) -> Result<Answer, Failure> {
    let asked = Asked { connection, correlation, subject, request };
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
