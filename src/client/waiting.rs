//! Asking for a lease until it is granted: while another holds the key, and over the restart of whoever is asked.

use std::time::Duration;

use super::{AcquireOptions, Client, request};
use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{HURRIED_TRY, OUTAGE_PAUSE_FIRST, OUTAGE_PAUSE_MAX, RELEASE_TRY, WAIT_POLL, backoff};
use crate::model::{Key, LeaseId, TxnId};
use crate::mutants::{Mutant, on};
use crate::service::{AcquireRequest, Busy, Released, Wait};

/// Why a lease is waited for.
#[derive(Clone, Copy, Debug)]
pub enum Delay<'a> {
    /// Another holds the key. Told at first, and once a minute.
    Held(&'a Busy),
    /// Whoever is asked is away, or about to end: it is asked again. Told at each try.
    Away(&'a Error),
}

impl Client {
    /// Asks until a lease is granted or the wait is over.
    pub(super) async fn granted<T, F: Future<Output = Result<T>>>(
        &self,
        options: &AcquireOptions,
        mut on_delay: impl FnMut(Delay<'_>),
        ask: impl Fn(AcquireRequest) -> F,
    ) -> Result<T> {
        let until = options.wait.map(|wait| self.clock.boot() + wait);
        let left = || until.map_or(WAIT_POLL, |until| until.since(self.clock.boot()).min(WAIT_POLL));
        let txn = TxnId::random(&*self.entropy);
        let mut outage = Outage::default();
        let last = loop {
            // At first, and after an outage, only to hear who holds it.
            let waits = outage.waited && outage.tries == 0 && !left().is_zero();
            let wait = if waits { Wait::For(left()) } else { Wait::No };
            let error = match ask(request(options, txn.clone(), wait)).await {
                Ok(granted) => return Ok(granted),
                Err(error) => error,
            };
            if left().is_zero() {
                break error;
            }
            if error.kind() == ErrorKind::Busy {
                outage.is_over();
                error.details().busy.iter().for_each(|busy| on_delay(Delay::Held(busy)));
            } else if let Some(pause) = outage.pause(&error, &*self.entropy) {
                on_delay(Delay::Away(&error));
                self.clock.sleep(pause.min(left())).await;
            } else {
                break error;
            }
        };
        if outage.doubt.is_some() || last.kind() == ErrorKind::OutcomeUnknown {
            self.abandon(&options.key, &options.lease_id).await;
        }
        Err(outage.verdict(last))
    }

    /// Whoever abandons an acquire sends a release for its lease id, so that a delayed grant holds nobody up. Tried for a
    /// bounded time; that it failed is no error: the lease runs out by itself.
    pub async fn abandon(&self, key: &Key, lease_id: &LeaseId) -> Option<Released> {
        if on(Mutant::AbandonSendsNothing) {
            return None;
        }
        let until = self.clock.boot() + RELEASE_TRY;
        self.insist(until, || self.service.release(key, lease_id, None, true)).await.ok()
    }

    /// The same for somebody who was told to end at once: one try, of 1 s at most.
    pub async fn abandon_in_a_hurry(&self, key: &Key, lease_id: &LeaseId) -> Option<Released> {
        let until = self.clock.boot() + HURRIED_TRY;
        self.clock.timeout_at(until, self.service.release(key, lease_id, None, true)).await?.ok()
    }
}

/// What goes on while whoever is asked does not answer.
#[derive(Debug, Default)]
struct Outage {
    /// It was there and said that another holds the key: since then this waits, and does not end with it.
    waited: bool,
    /// Tries without an answer, one after the other.
    tries: u32,
    /// What a try may have done that had no answer: no later refusal speaks for it.
    doubt: Option<Error>,
}

impl Outage {
    /// An answer came.
    fn is_over(&mut self) {
        (self.waited, self.tries) = (true, 0);
    }

    /// How long to pause before the same is asked again, with the same ids; `None` when the error is the last word. Nobody waits for
    /// one that was never there; but what one of them may have done is asked for once more.
    fn pause(&mut self, error: &Error, entropy: &dyn Entropy) -> Option<Duration> {
        let unknown = error.kind() == ErrorKind::OutcomeUnknown;
        if !is_away(error) || !(self.waited || unknown && self.tries == 0) {
            return None;
        }
        if unknown {
            self.doubt = Some(error.clone());
        }
        let half = backoff(self.tries, OUTAGE_PAUSE_FIRST, OUTAGE_PAUSE_MAX) / 2;
        self.tries += 1;
        Some(half + entropy.within(half))
    }

    /// A refusal speaks for one send only (`design.md`, section 4): what an earlier one may have done stays unknown, unless the lease
    /// is known to have ended.
    fn verdict(self, last: Error) -> Error {
        match self.doubt {
            Some(doubt) if last.kind() != ErrorKind::LeaseEnded => doubt,
            _ => last,
        }
    }
}

/// What a restart looks like from outside, and an overload after one.
pub(super) fn is_away(error: &Error) -> bool {
    use ErrorKind as K;
    matches!(error.kind(), K::Unavailable | K::Draining | K::Throttled | K::TooManyStreams | K::OutcomeUnknown)
}
