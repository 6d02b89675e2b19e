//! Leases for update: followed to their end, and given up with the connection of their holder as `lease::parting` has it.

use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use tokio::runtime::Handle;

use super::Engine;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::lease::{Expire, Parting, Request, end_of, parting};
use crate::limits::{BACKOFF_MAX, RELEASE_TRY, TTL_MAX};
use crate::model::{Key, LeaseId, Record};
use crate::service::{AcquireRequest, Following, ForUpdate, LeaseEnd, LeaseService, OnDisconnect, Proof};

impl Engine {
    /// The lease is followed from before it is asked for: whoever goes away at whatever moment is known to have gone.
    pub(super) async fn take_for_update(&self, request: AcquireRequest, how: OnDisconnect) -> Result<ForUpdate> {
        let (key, lease_id) = (request.key.clone(), request.lease_id.clone());
        let following = self.following(key.clone(), lease_id, how);
        let grant = match self.acquire_waiting(request).await {
            Ok(grant) => grant,
            Err(error) => {
                if error.kind() != ErrorKind::OutcomeUnknown {
                    following.settle();
                }
                return Err(error);
            }
        };
        let proof = Proof { lease_id: grant.lease_id.clone(), token: grant.token, txn: None };
        match self.read_state(&key, Some(&proof)).await {
            Ok(state) => Ok(ForUpdate { grant, state, following }),
            Err(error) => {
                // Nobody has begun to work.
                let _runs_out_by_itself = self.release(&key, &proof.lease_id, Some(&proof), true).await;
                following.settle();
                Err(in_vain(&key, error))
            }
        }
    }

    fn following(&self, key: Key, lease_id: LeaseId, how: OnDisconnect) -> Following {
        let (engine, gone) = (self.clone(), self.clone());
        let of = (key.clone(), lease_id.clone());
        let end = async move { Some(engine.until_over(&of.0, &of.1).await) };
        Following::new(end.boxed(), move || gone.disconnected(key, lease_id, how))
    }

    /// Until the record says that the lease has ended. A store that cannot be read is asked again.
    async fn until_over(&self, key: &Key, lease_id: &LeaseId) -> LeaseEnd {
        let clock = &*self.shared.clock;
        loop {
            match self.shared.read(key).await {
                Ok((record, etag)) => {
                    if let Some(end) = end_of(&record, lease_id) {
                        return end;
                    }
                    self.wait_for_change(key, etag.as_ref(), clock.boot() + TTL_MAX).await;
                }
                Err(_) => clock.sleep(BACKOFF_MAX).await,
            }
        }
    }

    /// The connection of the holder has gone. What is to be done at once is waited for when the engine closes.
    fn disconnected(&self, key: Key, lease_id: LeaseId, how: OnDisconnect) {
        let Ok(runtime) = Handle::try_current() else { return };
        let engine = self.clone();
        let part = async move { engine.part(&key, &lease_id, how).await };
        match how {
            OnDisconnect::Release => self.shared.later(part),
            OnDisconnect::Expire => drop(runtime.spawn(part)),
        }
    }

    /// Ends a lease as soon as that is safe, unless it goes on. Where the store does not answer, it runs out by itself.
    async fn part(&self, key: &Key, lease_id: &LeaseId, how: OnDisconnect) {
        // A grant that was not confirmed yet is the next one's at once.
        self.withdraw_grant(key, lease_id).await;
        let clock: &dyn Clock = &*self.shared.clock;
        let mut give_up = clock.boot() + RELEASE_TRY;
        let mut beat = None;
        loop {
            let tried = match self.shared.read(key).await {
                Ok((record, _)) => {
                    let age = self.shared.ages.age(&record);
                    match parting(&record, lease_id, beat, how, age) {
                        Parting::Over | Parting::GoesOn => return,
                        Parting::Wait(left) => {
                            beat = Some(record.beat);
                            clock.sleep_until(clock.boot() + left).await;
                            give_up = clock.boot() + RELEASE_TRY;
                            continue;
                        }
                        Parting::Release => self.release(key, lease_id, None, true).await.map(|_| ()),
                        Parting::Expire => self.expire(&record, lease_id).await,
                    }
                }
                Err(error) => Err(error),
            };
            if tried.is_ok() || clock.boot() >= give_up {
                return;
            }
            clock.sleep(BACKOFF_MAX).await;
        }
    }

    async fn expire(&self, record: &Record, lease_id: &LeaseId) -> Result<()> {
        let request = Expire { lease_id: lease_id.clone(), at: self.shared.clock.wall() };
        let answer = self.ask(&record.key, Request::Expire(request)).await?;
        if answer.written.is_some() {
            self.shared.expired.fetch_add(1, Ordering::SeqCst);
        }
        self.collect_soon(&answer.record);
        Ok(())
    }
}

/// What kept the state from being read says of most calls that nothing was done: but this lease was granted, and its id is used up.
fn in_vain(key: &Key, error: Error) -> Error {
    use ErrorKind as K;
    match error.kind() {
        K::Unavailable | K::Throttled | K::StoreFull | K::NotPermitted | K::Draining => {
            let why = error.message();
            let message =
                format!("{key} was granted and given back at once, because its state could not be read: {why}");
            Error::new(K::OutcomeUnknown, message).with_hint("acquire again with a new lease id")
        }
        _ => error,
    }
}
