//! The leases that were granted or renewed here and may still be held: a draining server waits for them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::clock::BootTime;
use crate::limits::takeover_age;
use crate::model::{LeaseId, Ttl};

/// Leases that ran out are forgotten each time that so many more are known.
const TIDY_EVERY: usize = 1_024;

/// A lease that may be held.
#[derive(Clone, Copy, Debug)]
struct Hold {
    since: BootTime,
    until: BootTime,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Held {
    leases: Mutex<HashMap<LeaseId, Hold>>,
    fewer: Notify,
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, HashMap<LeaseId, Hold>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lease was granted or renewed.
    pub fn goes_on(&self, lease_id: &LeaseId, ttl: Ttl, now: BootTime) {
        let until = now + takeover_age(ttl.duration());
        let mut leases = self.lock();
        if leases.len() % TIDY_EVERY == TIDY_EVERY - 1 {
            leases.retain(|_, hold| now < hold.until);
        }
        let since = leases.get(lease_id).map_or(now, |hold| hold.since);
        leases.insert(lease_id.clone(), Hold { since, until });
    }

    /// A lease is over; since when it was known to be held here.
    pub fn ended(&self, lease_id: &LeaseId) -> Option<BootTime> {
        let hold = self.lock().remove(lease_id);
        self.fewer.notify_waiters();
        hold.map(|hold| hold.since)
    }

    /// How many may be held.
    pub fn count(&self, now: BootTime) -> usize {
        let mut leases = self.lock();
        leases.retain(|_, hold| now < hold.until);
        leases.len()
    }

    /// Returns once fewer are held than before, by a release.
    pub async fn fewer(&self) {
        self.fewer.notified().await;
    }

    /// When the next one runs out by itself.
    pub fn next_end(&self) -> Option<BootTime> {
        self.lock().values().map(|hold| hold.until).min()
    }
}
