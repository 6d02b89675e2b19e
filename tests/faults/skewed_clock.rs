//! A clock that is off: its wall clock by an hour, now before and now after the true time, and its boot clock runs at another rate.

use std::time::Duration;

use async_trait::async_trait;
use lockd::clock::{BootTime, Clock, SystemClock, UnixMillis};

const HOUR: u64 = 3_600_000;
/// So long the wall clock is an hour ahead, then an hour behind, and so on.
const STEP: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct SkewedClock {
    start: BootTime,
    /// What its boot clock shows after a thousand true units of time.
    per_thousand: u32,
}

impl SkewedClock {
    /// One whose boot clock is ahead, or behind, by so many in a thousand: lockd allows for ten between any two.
    pub fn new(ahead: i32) -> Self {
        Self { start: SystemClock.boot(), per_thousand: 1_000_u32.saturating_add_signed(ahead) }
    }
}

#[async_trait]
impl Clock for SkewedClock {
    fn boot(&self) -> BootTime {
        self.start + SystemClock.boot().since(self.start) * self.per_thousand / 1_000
    }

    fn wall(&self) -> UnixMillis {
        let UnixMillis(now) = SystemClock.wall();
        let steps = SystemClock.boot().since(self.start).as_nanos() / STEP.as_nanos();
        UnixMillis(if steps.is_multiple_of(2) { now + HOUR } else { now - HOUR })
    }

    /// Its readings mean nothing to others.
    fn boot_id(&self) -> Option<&str> {
        None
    }

    async fn sleep_until(&self, until: BootTime) {
        let left = until.since(self.start) * 1_000 / self.per_thousand;
        SystemClock.sleep_until(self.start + left + Duration::from_micros(1)).await;
    }
}
