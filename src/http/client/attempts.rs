//! One call, at one server after the other, with the same ids.
//!
//! Every call is safe to repeat: an acquire by its lease id, a change by its request id, the rest by what they say. What came
//! of all tries decides what may be said: an answer is an answer; when none came and a server may have got the request,
//! the outcome is unknown; else it was certainly not applied.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::stream::{self, StreamExt};
use http::{HeaderMap, Method};

use super::download::collect;
use super::upload::Payload;
use super::{Address, Failure, Head, HttpClient, Reply};
use crate::clock::{BootTime, Clock};
use crate::error::{Error, ErrorKind, Result};
use crate::http::wire::{ErrorBody, Subject};
use crate::limits::{ANSWER_PATIENCE, ANSWER_PATIENCE_SEVERAL};
use crate::mutants::{Mutant, on};

/// A call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// Headers.
    pub headers: HeaderMap,
    /// What it is about, for the codes that stand for two kinds.
    pub subject: Subject,
    /// Whether it may change something.
    pub changes: bool,
    /// Whether that may be forgotten by the time that its lease is over.
    pub forgotten: bool,
    /// How long a server may take for the head of its answer; the usual time when `None`.
    pub patience: Option<Duration>,
}

impl Call {
    /// One that reads.
    pub fn read(target: String) -> Self {
        Self {
            method: Method::GET,
            target,
            headers: HeaderMap::new(),
            subject: Subject::Call,
            changes: false,
            forgotten: false,
            patience: None,
        }
    }

    /// One that changes something.
    pub fn change(target: &str) -> Self {
        Self { method: Method::POST, changes: true, ..Self::read(target.to_owned()) }
    }
}

/// What came of the tries before.
#[derive(Default)]
struct Tries {
    /// A server may have got it and gave no answer.
    doubt: Option<Error>,
    /// A server certainly did nothing.
    refused: Option<Error>,
}

/// What came of one try that brought no answer.
enum Tried {
    /// A refusal that every server would give.
    Final(Error),
    /// Certainly not applied by this server. Whether the connection broke, which a new one may help.
    Refused(Error, bool),
    /// It may have been applied. Whether the connection broke, which a new one may help.
    Doubt(Error, bool),
}

impl Tries {
    fn verdict(self, call: &Call) -> Error {
        match (self.doubt, self.refused) {
            (Some(doubt), _) if call.changes && !on(Mutant::DoubtForgotten) => {
                doubt.with_kind(ErrorKind::OutcomeUnknown)
            }
            (Some(doubt), _) => doubt.with_kind(ErrorKind::Unavailable),
            (None, Some(refused)) => refused,
            (None, None) => Error::new(ErrorKind::Usage, "no server was named"),
        }
    }

    /// A refusal that every server would give. It speaks for its own send alone: what an earlier one may have done, or may do yet,
    /// stays unknown, unless the refusal excludes it.
    fn last_word(self, error: Error, call: &Call) -> Error {
        match self.doubt {
            Some(doubt) if call.changes && !excludes(error.kind(), call) && !on(Mutant::DoubtForgotten) => {
                doubt.with_kind(ErrorKind::OutcomeUnknown)
            }
            _ => error,
        }
    }
}

/// Whether a refusal says of every send of the call that it was not applied and never will be, or that its lease is over, which is all
/// that matters then.
fn excludes(kind: ErrorKind, call: &Call) -> bool {
    use ErrorKind as K;
    match kind {
        K::Busy | K::StoreFull | K::NotPermitted | K::Io => false,
        K::LeaseRequired | K::LeaseExpired | K::LeaseBroken => !call.forgotten,
        _ => true,
    }
}

impl HttpClient {
    /// Makes a call and reads its whole answer.
    pub(super) async fn ask(&self, call: &Call, payload: &mut Payload) -> Result<Bytes> {
        self.attempt(call, payload, true).await.map(|(_, body)| body)
    }

    /// Makes a call whose answer is a stream.
    pub(super) async fn open(&self, call: &Call, payload: &mut Payload) -> Result<Reply> {
        self.attempt(call, payload, false).await.map(|(reply, _)| reply)
    }

    async fn attempt(&self, call: &Call, payload: &mut Payload, whole: bool) -> Result<(Reply, Bytes)> {
        let mut tries = Tries::default();
        let one = self.servers.len() == 1;
        for server in self.order() {
            let address = &self.servers[server];
            let answer = match self.exchange(address, call, payload).await {
                Ok(reply) => self.read(reply, call, whole).await,
                Err(failure) => Err(Err(failure)),
            };
            let tried = match answer {
                Ok(answer) => {
                    self.preferred.store(server, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(Ok(refusal)) => of_refusal(refusal),
                Err(Err(failure)) => of_failure(address, &failure, payload),
            };
            let again = payload.can_repeat();
            match tried {
                Tried::Final(error) => {
                    self.preferred.store(server, Ordering::Relaxed);
                    return Err(tries.last_word(error, call));
                }
                Tried::Refused(error, broken) => {
                    tries.refused = Some(error);
                    if (one && !broken) || !again {
                        break;
                    }
                }
                Tried::Doubt(error, broken) => {
                    tries.doubt = Some(error);
                    if (one && !broken) || !again {
                        break;
                    }
                }
            }
        }
        Err(tries.verdict(call))
    }

    /// The answer, or the refusal, or that it broke off.
    async fn read(
        &self,
        mut reply: Reply,
        call: &Call,
        whole: bool,
    ) -> std::result::Result<(Reply, Bytes), std::result::Result<Error, Failure>> {
        let success = (200..300).contains(&reply.status);
        if success && !whole {
            return Ok((reply, Bytes::new()));
        }
        let body = std::mem::replace(&mut reply.body, stream::empty().boxed());
        let body = collect(&*self.clock, body).await.map_err(Err)?;
        if success {
            return Ok((reply, body));
        }
        Err(Ok(serde_json::from_slice::<ErrorBody>(&body)
            .map_or_else(|_| ErrorBody::of_status(reply.status), |body| body.into_error(reply.status, call.subject))))
    }

    /// The servers, beginning with the one that answered last. A single one is tried again, once: a connection that was
    /// kept open may have been closed from the other side.
    fn order(&self) -> impl Iterator<Item = usize> + use<> {
        let (first, count) = (self.preferred.load(Ordering::Relaxed), self.servers.len());
        let tries = if count == 1 { 2 } else { count };
        (0..tries).map(move |n| (first + n) % count)
    }

    async fn exchange(&self, server: &Address, call: &Call, payload: &mut Payload) -> Result<Reply, Failure> {
        let Call { method, target, headers, .. } = call.clone();
        let usual = if self.servers.len() == 1 { ANSWER_PATIENCE } else { ANSWER_PATIENCE_SEVERAL };
        let patience = call.patience.unwrap_or(usual);
        let progress = payload.progress();
        let sending = self.wire.send(server, Head { method, target, headers }, payload.body());
        patient(&*self.clock, sending, patience, &progress)
            .await
            .unwrap_or_else(|| Err(Failure { sent: true, why: format!("no answer for {}", seconds(patience)) }))
    }
}

/// Waits for `work` as long as it goes on: `progress` has the boot time of its last step.
async fn patient<T>(
    clock: &dyn Clock,
    work: impl Future<Output = T>,
    patience: Duration,
    progress: &AtomicU64,
) -> Option<T> {
    let mut work = pin!(work);
    let mut until = clock.boot() + patience;
    loop {
        match select(work, clock.sleep_until(until)).await {
            Either::Left((done, _)) => return Some(done),
            Either::Right(((), unfinished)) => work = unfinished,
        }
        let went_on = BootTime(progress.load(Ordering::Relaxed)) + patience;
        if went_on <= clock.boot() {
            return None;
        }
        until = went_on;
    }
}

/// What a refusal means: some are for reasons of one server, and another may not have them.
fn of_refusal(error: Error) -> Tried {
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Draining | ErrorKind::Throttled | ErrorKind::TooManyStreams => {
            Tried::Refused(error, false)
        }
        ErrorKind::OutcomeUnknown => Tried::Doubt(error, false),
        _ => Tried::Final(error),
    }
}

/// What it means that there is no answer.
fn of_failure(server: &Address, failure: &Failure, payload: &Payload) -> Tried {
    if let Some(error) = payload.failed() {
        return Tried::Final(error);
    }
    let sent = failure.sent && payload.was_complete();
    let error = no_answer(server, &failure.why, sent);
    if sent { Tried::Doubt(error, true) } else { Tried::Refused(error, failure.sent) }
}

fn no_answer(server: &Address, why: &str, sent: bool) -> Error {
    let error = Error::new(ErrorKind::Unavailable, format!("{server}: {why}"));
    match sent {
        true => error.with_hint("it may have been applied; repeat it with the same ids"),
        false => error.with_hint("see whether `lockd serve` runs there, and whether the address is right"),
    }
}

fn seconds(d: Duration) -> String {
    format!("{:.1} s", d.as_secs_f64())
}
