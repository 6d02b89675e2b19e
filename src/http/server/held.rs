//! The leases that were granted or renewed here and may still be held: a draining server waits for them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::clock::BootTime;
use crate::limits::takeover_age;
use crate::model::{LeaseId, Ttl};

/// From so many leases on those that ran out are forgotten, each time that twice as many are known as were left.
const TIDY_FROM: usize = 1_024;

/// A lease that may be held.
#[derive(Clone, Copy, Debug)]
struct Hold {
    since: BootTime,
    until: BootTime,
}

#[derive(Debug, Default)]
struct Leases {
    held: HashMap<LeaseId, Hold>,
    /// How many were left when those that ran out were last forgotten.
    left: usize,
}

impl Leases {
    fn tidy(&mut self, now: BootTime) {
        self.held.retain(|_, hold| now < hold.until);
        self.left = self.held.len();
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Held {
    leases: Mutex<Leases>,
    fewer: Notify,
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lease was granted or renewed.
    pub fn goes_on(&self, lease_id: &LeaseId, ttl: Ttl, now: BootTime) {
        let until = now + takeover_age(ttl.duration());
        let mut leases = self.lock();
        if leases.held.len() >= TIDY_FROM.max(2 * leases.left) {
            leases.tidy(now);
        }
        let since = leases.held.get(lease_id).map_or(now, |hold| hold.since);
        leases.held.insert(lease_id.clone(), Hold { since, until });
    }

    /// A lease is over; since when it was known to be held here.
    pub fn ended(&self, lease_id: &LeaseId) -> Option<BootTime> {
        let hold = self.lock().held.remove(lease_id);
        self.fewer.notify_waiters();
        hold.map(|hold| hold.since)
    }

    /// How many may be held.
    pub fn count(&self, now: BootTime) -> usize {
        let mut leases = self.lock();
        leases.tidy(now);
        leases.held.len()
    }

    /// Returns once fewer are held than before, by a release.
    pub async fn fewer(&self) {
        self.fewer.notified().await;
    }

    /// When the next one runs out by itself.
    pub fn next_end(&self) -> Option<BootTime> {
        self.lock().held.values().map(|hold| hold.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn leases_that_ran_out_are_forgotten_and_not_looked_for_each_time() {
        let (held, ttl) = (Held::default(), Ttl::new(Duration::from_secs(10)).unwrap());
        let grant = |n: u64, now: u64| held.goes_on(&LeaseId::new(&n.to_string()).unwrap(), ttl, BootTime(now));
        let second = 1_000_000_000;
        // One each second: a dozen are held at a time, and as many are known as make a look worth its while.
        (0..10_000).for_each(|n| grant(n, n * second));
        assert!(held.lock().held.len() <= TIDY_FROM);
        assert_eq!(held.count(BootTime(10_000 * second)), 11);
        // All of these are held: each look leaves them all, and the next comes at twice as many.
        (20_000..25_000).for_each(|n| grant(n, 20_000 * second));
        let leases = held.lock();
        assert_eq!((leases.held.len(), leases.left), (5_000, 4_052));
    }
}
