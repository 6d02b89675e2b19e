//! Waiting for a key that another holds: watch the record, try again when it changes or when a takeover may be tried.

use super::{Denied, Engine, unexpected};
use crate::clock::{BootTime, UnixMillis};
use crate::error::Result;
use crate::lease::{Acquire, Outcome, Refusal, Request};
use crate::limits::{BACKOFF_MAX, WAIT_POLL, takeover_age};
use crate::model::Key;
use crate::mutants::{Mutant, on};
use crate::service::{AcquireRequest, Grant, Wait};
use crate::store::Etag;

impl Engine {
    pub(super) async fn acquire_waiting(&self, request: AcquireRequest) -> Result<Grant> {
        let clock = &*self.shared.clock;
        let until = match request.wait {
            Wait::No => None,
            Wait::For(wait) => Some(clock.boot() + wait.min(WAIT_POLL)),
        };
        let key = request.key.clone();
        let acquire = self.acquire_of(request);
        loop {
            let denied = match self.submit(&key, Request::Acquire(acquire.clone())).await {
                Ok(answer) => {
                    if matches!(answer.outcome, Outcome::Granted { taken_over: true, .. }) {
                        self.collect_soon(&answer.record);
                    }
                    return grant(answer.outcome, answer.record.last_success);
                }
                Err(denied) => denied,
            };
            match (&denied, until) {
                (Denied::Refused { refusal, seen, age, .. }, Some(until)) if clock.boot() < until => {
                    let Refusal::Busy(lease) = &**refusal else { return Err(denied.into_error(&key, clock)) };
                    let free = clock.boot() + takeover_age(lease.ttl.duration()).saturating_sub(*age);
                    let free = if on(Mutant::WaiterForgetsTakeover) { until } else { free };
                    self.wait_for_change(&key, seen.as_ref(), until.min(free)).await;
                }
                _ => return Err(denied.into_error(&key, clock)),
            }
        }
    }

    /// Until the record may have changed, or `until`. A store that cannot be watched is asked again after a pause.
    pub(super) async fn wait_for_change(&self, key: &Key, seen: Option<&Etag>, until: BootTime) {
        let clock = &*self.shared.clock;
        let changed = clock.timeout_at(until, self.shared.store.records.changed(key, seen)).await;
        if let Some(Err(_)) = changed {
            clock.sleep_until(until.min(clock.boot() + BACKOFF_MAX)).await;
        }
    }

    fn acquire_of(&self, r: AcquireRequest) -> Acquire {
        Acquire {
            lease_id: r.lease_id,
            txn: r.txn,
            ttl: r.ttl,
            owner: r.owner,
            reason: r.reason,
            holder: r.holder,
            if_not_exists: r.if_not_exists,
            epoch: self.shared.store.facts.epoch,
            stamp: None,
            at: self.shared.clock.wall(),
        }
    }
}

fn grant(outcome: Outcome, last_success: Option<UnixMillis>) -> Result<Grant> {
    match outcome {
        Outcome::Granted { lease, version, etag, taken_over } => Ok(Grant {
            lease_id: lease.id,
            token: lease.token,
            txn: lease.txn,
            ttl: lease.ttl,
            left: lease.ttl.duration(),
            version,
            etag,
            taken_over,
            last_success,
        }),
        other => Err(unexpected(&other)),
    }
}
