//! This machine's clock, which a test can set forward: a lease of a dead holder runs out at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lockd::clock::{BootTime, Clock, SystemClock, UnixMillis};

/// See the module. Clones share the offset.
#[derive(Clone, Debug, Default)]
pub struct JumpClock {
    ahead: Arc<AtomicU64>,
}

impl JumpClock {
    /// Sets it forward.
    pub fn advance(&self, by: Duration) {
        self.ahead.fetch_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    fn ahead(&self) -> Duration {
        Duration::from_nanos(self.ahead.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Clock for JumpClock {
    fn boot(&self) -> BootTime {
        SystemClock.boot() + self.ahead()
    }

    fn wall(&self) -> UnixMillis {
        SystemClock.wall()
    }

    fn boot_id(&self) -> Option<&str> {
        None
    }

    async fn sleep_until(&self, until: BootTime) {
        SystemClock.sleep_until(until - self.ahead()).await;
    }
}
