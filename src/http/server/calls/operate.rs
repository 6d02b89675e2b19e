//! For operators and receivers of effects: break, fence, health, metrics.

use tokio::runtime::Handle;

use super::Asked;
use crate::error::{Error, ErrorKind, Result};
use crate::http::server::Phase;
use crate::http::server::answer::{Answer, Failure, full, json, typed};
use crate::http::server::body::document;
use crate::http::server::metrics::Standing;
use crate::http::wire::{BreakBody, BreakReply, FenceBody, FenceQuery, FenceReply};
use crate::limits::READY_TIME;
use crate::model::{Key, Namespace, Owner};
use crate::service::{Broke, LeaseEnd};

const TEXT: &str = "text/plain; charset=utf-8";

/// Ends a lease by force; with `drain` the answer comes when its holder has stopped by its own rules.
pub async fn break_lease(asked: Asked<'_>) -> Result<Answer, Failure> {
    let shared = &asked.connection.shared;
    let body: BreakBody = document(asked.request.into_body(), &shared.clock).await?;
    let drain = body.drain;
    let caller = Owner::new(&asked.connection.peer)?;
    let request = body.request(caller)?;
    asked.subject.is(&request.key);
    let broke = shared.service.break_lease(request).await?;
    let until = shared.clock.boot();
    if let Broke::Broken { lease_id, over_in, .. } = &broke {
        shared.metrics.broken();
        shared.held.ended(lease_id);
        shared.streams.over(lease_id, LeaseEnd::Broken);
        if drain {
            shared.clock.sleep_until(until + *over_in).await;
        }
    }
    Ok(json(&BreakReply::new(&broke))?)
}

/// Admits an effect.
pub async fn admit(asked: Asked<'_>) -> Result<Answer, Failure> {
    let shared = &asked.connection.shared;
    let body: FenceBody = document(asked.request.into_body(), &shared.clock).await?;
    let request = body.request()?;
    asked.subject.is(&request.resource);
    let token = request.token;
    let fence = shared.service.fence_admit(request).await?;
    Ok(json(&FenceReply::new(fence, token))?)
}

/// What an effect would be compared with.
pub async fn check(asked: Asked<'_>) -> Result<Answer, Failure> {
    let query: FenceQuery = asked.query()?;
    let request = FenceBody::from(query).request()?;
    asked.subject.is(&request.resource);
    let token = request.token;
    let fence = asked.connection.shared.service.fence_check(request).await?;
    Ok(json(&FenceReply::new(fence, token))?)
}

/// The process is alive.
pub fn health() -> Answer {
    typed(TEXT, full("ok\n"))
}

/// It can serve: it is not about to end, and the store answers.
pub async fn ready(asked: Asked<'_>) -> Result<Answer, Failure> {
    let shared = &asked.connection.shared;
    if shared.phase() > Phase::Serving {
        return Err(Error::new(ErrorKind::Draining, "the server is shutting down").into());
    }
    let probe = Key::new(Namespace::default(), "readyz")?;
    let look = shared.service.describe(&probe);
    match shared.clock.timeout_at(shared.clock.boot() + READY_TIME, look).await {
        Some(Ok(_)) => Ok(typed(TEXT, full("ok\n"))),
        Some(Err(error)) => Err(error.with_kind(ErrorKind::Unavailable).into()),
        None => Err(Error::new(ErrorKind::Unavailable, "the store does not answer").into()),
    }
}

/// Metrics.
pub fn metrics(asked: Asked<'_>) -> Answer {
    let shared = &asked.connection.shared;
    let text = shared.metrics.text(Standing {
        tally: shared.service.tally(),
        waiting: shared.lanes.waiting(),
        held: shared.held.count(shared.clock.boot()),
        for_update: shared.streams.count(),
        tasks: Handle::current().metrics().num_alive_tasks(),
    });
    typed("application/openmetrics-text; version=1.0.0; charset=utf-8", full(text))
}
