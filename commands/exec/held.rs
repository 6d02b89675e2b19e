//! The leases of one exec as one: the deadline is the earliest of all, and one lost is all lost.

use std::future::pending;
use std::sync::Arc;

use futures_util::future::{join_all, select_all};
use lockd::client::{Belief, Lease};
use lockd::clock::{BootTime, UnixMillis};
use lockd::error::{Error, Result};
use lockd::model::Key;
use lockd::service::Released;
use tokio::sync::watch;

/// Leases in the order in which they were taken.
#[derive(Default)]
pub struct Held {
    leases: Vec<Lease>,
    watches: Vec<watch::Receiver<Belief>>,
}

impl Held {
    /// Adds a lease that was just granted.
    pub fn push(&mut self, lease: Lease) {
        self.watches.push(lease.watch());
        self.leases.push(lease);
    }

    /// Renews all of them in the background from now on.
    pub fn keep_alive(&mut self) {
        self.leases.iter_mut().for_each(Lease::keep_alive);
    }

    /// The lease of a key.
    pub fn of(&self, key: &Key) -> Option<&Lease> {
        self.leases.iter().find(|lease| lease.key == *key)
    }

    /// Before this all work must have stopped. Renewal moves it forward, never back.
    pub fn deadline(&self) -> BootTime {
        self.leases.iter().map(Lease::deadline).min().unwrap_or(BootTime(0))
    }

    /// Why one of them is lost.
    pub fn lost(&self) -> Option<Arc<Error>> {
        self.watches.iter().find_map(|watch| watch.borrow().lost.clone())
    }

    /// Returns when the deadline or the loss of one has changed. Cancel-safe.
    pub async fn changed(&mut self) {
        if self.watches.is_empty() {
            return pending().await;
        }
        let all = self.watches.iter_mut().map(|watch| Box::pin(watch.changed()));
        let (alive, _, _) = select_all(all).await;
        if alive.is_err() {
            // Whoever tells of it is gone only when the lease is.
            pending().await
        }
    }

    /// Returns once one is lost, and why. Cancel-safe.
    pub async fn until_lost(&mut self) -> Arc<Error> {
        loop {
            if let Some(why) = self.lost() {
                return why;
            }
            self.changed().await;
        }
    }

    /// Gives all of them back at the same time; with `success`, tells that the run which began then succeeded.
    pub async fn release(self, success: Option<UnixMillis>) -> Vec<(Key, Result<Released>)> {
        join_all(self.leases.into_iter().map(|lease| async move {
            let key = lease.key.clone();
            let released = match success {
                Some(began) => lease.release_after_success(began).await,
                None => lease.release().await,
            };
            (key, released)
        }))
        .await
    }

    /// Stops renewing: all of them run out by themselves, or whoever knows their ids gives them back.
    pub fn detach(self) {
        self.leases.into_iter().for_each(Lease::detach);
    }
}
