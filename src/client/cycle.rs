//! One cycle: take the lease, read the state, work, commit, give back.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{AcquireOptions, Client, Delay, Lease, passing};
use crate::error::{Error, Result};
use crate::limits::{BACKOFF_MAX, HANDSHAKE_TRIES};
use crate::model::{FencingToken, LeaseId, Version};

impl Client {
    /// Takes a lease, calls `work` with its fencing token and the state, commits what it returns and gives the lease back. With `None` nothing is
    /// written. The lease is renewed meanwhile; when it is lost, `work` is dropped at its next `await`.
    ///
    /// Only what comes before `work` is tried again, [`HANDSHAKE_TRIES`] times: `work` runs at most once. Returns the version of
    /// the state afterwards.
    ///
    /// # Errors
    /// Those of [`Client::acquire`], [`Lease::load`], `work`, and [`Lease::save`]; why the lease was lost. Nothing is committed after an
    /// error, except that after `OutcomeUnknown` nobody can say.
    pub async fn change<T, W>(
        &self,
        options: AcquireOptions,
        work: impl FnOnce(FencingToken, Option<T>) -> W,
    ) -> Result<Version>
    where
        T: DeserializeOwned + Serialize,
        W: Future<Output = Result<Option<T>>>,
    {
        let (mut lease, state) = self.hand_shake(options).await?;
        let done = {
            let lost = pin!(lease.lost());
            match select(pin!(work(lease.token, state)), lost).await {
                Either::Left((done, _)) => done,
                Either::Right((why, _)) => Err(copy(&why)),
            }
        };
        let committed = match done {
            Ok(Some(new)) => lease.save(&new).await.map(|changed| changed.version),
            Ok(None) => Ok(lease.version),
            Err(e) => Err(e),
        };
        lease.close().await;
        committed
    }

    /// A lease that renews itself, and the state under it.
    async fn hand_shake<T: DeserializeOwned>(&self, mut options: AcquireOptions) -> Result<(Lease, Option<T>)> {
        let until = options.wait.map(|wait| self.clock.boot() + wait);
        let mut tried = 1;
        loop {
            let failed = match self.acquire(options.clone(), in_silence).await {
                Ok(mut lease) => {
                    lease.keep_alive();
                    match lease.load().await {
                        Ok(state) => return Ok((lease, state)),
                        Err(e) => {
                            lease.close().await;
                            e
                        }
                    }
                }
                Err(e) => e,
            };
            if !passing(&failed) || tried == HANDSHAKE_TRIES {
                return Err(failed);
            }
            tried += 1;
            self.clock.sleep(BACKOFF_MAX).await;
            options.wait = until.map(|until| until.since(self.clock.boot()));
            // The one before may have been released meanwhile, and is never granted again.
            options.lease_id = LeaseId::random(&*self.entropy);
        }
    }
}

/// Nobody is told what is waited for.
fn in_silence(_: Delay<'_>) {}

fn copy(why: &Arc<Error>) -> Error {
    let copy = Error::new(why.kind(), why.message());
    match why.hint() {
        Some(hint) => copy.with_hint(hint),
        None => copy,
    }
}
