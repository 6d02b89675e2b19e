//! A clock that runs fast, so that the patience of a retry is over soon: what a budget of seconds allows takes milliseconds.

use std::time::Duration;

use async_trait::async_trait;
use lockd::clock::{BootTime, Clock, SystemClock, UnixMillis};

/// How much faster.
const RATE: u32 = 50;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct FastClock {
    start: BootTime,
}

impl FastClock {
    pub fn new() -> Self {
        Self { start: SystemClock.boot() }
    }
}

#[async_trait]
impl Clock for FastClock {
    fn boot(&self) -> BootTime {
        self.start + SystemClock.boot().since(self.start) * RATE
    }

    fn wall(&self) -> UnixMillis {
        SystemClock.wall()
    }

    fn boot_id(&self) -> Option<&str> {
        None
    }

    async fn sleep_until(&self, until: BootTime) {
        SystemClock.sleep_until(self.start + until.since(self.start) / RATE + Duration::from_micros(1)).await;
    }
}
