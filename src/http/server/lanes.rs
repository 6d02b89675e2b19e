//! Permits: how much is done at the same time. Renewals and releases have permits of their own, so that a flood of acquires
//! or uploads cannot expire leases.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::route::Lane;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{LANE_BULK, LANE_GENERAL, LANE_PRIORITY, LANE_WAIT, LANE_WAITERS};

/// See the module.
#[derive(Debug)]
pub struct Lanes {
    priority: Arc<Semaphore>,
    general: Arc<Semaphore>,
    waiters: Arc<Semaphore>,
    bulk: Arc<Semaphore>,
}

impl Default for Lanes {
    fn default() -> Self {
        let lane = |permits| Arc::new(Semaphore::new(permits));
        Self {
            priority: lane(LANE_PRIORITY),
            general: lane(LANE_GENERAL),
            waiters: lane(LANE_WAITERS),
            bulk: lane(LANE_BULK),
        }
    }
}

impl Lanes {
    /// A permit, after a short wait at most.
    ///
    /// # Errors
    /// `Unavailable` when the server is overloaded, `Throttled` when there are too many of this kind.
    pub async fn enter(&self, lane: Lane, clock: &dyn Clock) -> Result<Option<OwnedSemaphorePermit>> {
        let (permits, kind, what) = match lane {
            Lane::Free => return Ok(None),
            Lane::Priority => (&self.priority, ErrorKind::Unavailable, "renewals and releases"),
            Lane::General => (&self.general, ErrorKind::Unavailable, "calls"),
            Lane::Waiting => (&self.waiters, ErrorKind::Throttled, "waiting calls"),
            Lane::Bulk => (&self.bulk, ErrorKind::Throttled, "transfers"),
        };
        let permit = clock.timeout_at(clock.boot() + LANE_WAIT, Arc::clone(permits).acquire_owned()).await;
        match permit {
            Some(Ok(permit)) => Ok(Some(permit)),
            _ => Err(Error::new(kind, format!("the server has too many {what} at the moment")).with_hint("try again")),
        }
    }

    /// How many calls are under way that may wait: acquires, breaks, and watches to their end.
    pub fn waiting(&self) -> usize {
        LANE_WAITERS - self.waiters.available_permits()
    }
}
