//! Acquire for update: one request is the lease. Its answer brings the state, and then goes on until the lease ends.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream;
use hyper::header::{CACHE_CONTROL, HeaderValue};
use tokio::sync::mpsc;

use super::Asked;
use super::lease::Wanted;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::http::server::answer::{Answer, Failure, endless, with};
use crate::http::server::streams::{Seat, Told};
use crate::http::server::{Phase, Shared};
use crate::http::wire::{StreamLine, for_update_headers, on_disconnect_from};
use crate::limits::{WRITE_STALL, for_update_beat};
use crate::model::{LeaseId, Ttl};
use crate::service::{Following, ForUpdate, LeaseEnd, State};

/// Takes a lease for update.
pub async fn acquire(asked: Asked<'_>) -> Result<Answer, Failure> {
    let shared = &asked.connection.shared;
    let seat = shared.streams.enter(&asked.connection.client, &shared.config.caps)?;
    let on_disconnect = on_disconnect_from(asked.request.headers())?;
    let wanted = Wanted::read(shared, asked.subject, asked.request.into_body()).await?;
    let began = shared.clock.boot();
    let granted = shared.service.acquire_for_update(wanted.request.clone(), on_disconnect).await;
    let ForUpdate { grant, state, following } = granted.map_err(|error| wanted.refused(error))?;
    wanted.granted(asked.connection, &grant, began);
    let headers = for_update_headers(&wanted.request.owner, &grant, state.as_ref())?;
    let stream = Stream {
        told: shared.streams.of(&grant.lease_id),
        shared: Arc::clone(shared),
        lease_id: grant.lease_id,
        ttl: grant.ttl,
        following,
        _seat: seat,
    };
    // The stream is driven beside the connection, so that the client's end is seen before a byte of the state is sent.
    let (send, sent) = mpsc::channel(1);
    tokio::spawn(stream.run(state, send, asked.connection.hung_up()));
    let body = stream::unfold(sent, |mut sent| async { sent.recv().await.map(|chunk| (chunk, sent)) });
    let mut answer = with(endless("application/octet-stream", body.boxed()), headers);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

type Chunks = mpsc::Sender<Result<Bytes>>;

/// A lease for update as it goes on.
struct Stream {
    shared: Arc<Shared>,
    lease_id: LeaseId,
    ttl: Ttl,
    told: Told,
    following: Following,
    _seat: Seat,
}

/// Why a stream is over.
enum Over {
    /// The lease has ended.
    Lease(LeaseEnd),
    /// There is a newer stream of the same lease.
    Replaced,
    /// The client has gone, or reads no more.
    Gone,
}

impl Stream {
    /// Sends the state, then shows from time to time that the connection stands, until the lease ends. That the client goes away
    /// or reads no more, or the server closes, is what dropping the lease's `following` means.
    async fn run(mut self, state: Option<State>, send: Chunks, hung_up: impl Future<Output = ()>) {
        let (dropped, shared) = (send.clone(), Arc::clone(&self.shared));
        let over = {
            let (dropped, hung_up) = (pin!(dropped.closed()), pin!(hung_up));
            let (work, closing) = (pin!(self.work(state, &send)), pin!(shared.reached(Phase::Closing)));
            match select(work, select(select(dropped, hung_up), closing)).await {
                Either::Left((over, _)) => over,
                Either::Right(_) => Over::Gone,
            }
        };
        match over {
            Over::Lease(end) => {
                shared.held.ended(&self.lease_id);
                self.following.settle();
                let _the_client_has_gone = self::send(&shared, &send, Ok(StreamLine::Ended(end).bytes())).await;
            }
            Over::Replaced => self.following.settle(),
            Over::Gone => shared.metrics.parted(),
        }
    }

    async fn work(&mut self, state: Option<State>, out: &Chunks) -> Over {
        if let Some(mut state) = state {
            while let Some(chunk) = state.body.next().await {
                let broken = chunk.is_err();
                if !send(&self.shared, out, chunk).await || broken {
                    return Over::Gone;
                }
            }
        }
        let clock: &dyn Clock = &*self.shared.clock;
        let mut beat = clock.boot();
        loop {
            if !send(&self.shared, out, Ok(StreamLine::Alive.bytes())).await {
                return Over::Gone;
            }
            beat = (beat + for_update_beat(self.ttl.duration())).max(clock.boot());
            let (ended, due) = (pin!(self.following.end()), clock.sleep_until(beat));
            match select(&mut self.told.end, select(ended, due)).await {
                Either::Left((Ok(end), _)) => return Over::Lease(end),
                Either::Left((Err(_), _)) => return Over::Replaced,
                Either::Right((Either::Left((Some(end), _)), _)) => return Over::Lease(end),
                Either::Right((Either::Left((None, _)), _)) => return Over::Gone,
                Either::Right((Either::Right(_), _)) => {}
            }
        }
    }
}

/// Hands something to the connection; false when the client has gone or does not read.
async fn send(shared: &Shared, out: &Chunks, chunk: Result<Bytes, Error>) -> bool {
    let clock = &shared.clock;
    matches!(clock.timeout_at(clock.boot() + WRITE_STALL, out.send(chunk)).await, Some(Ok(())))
}
