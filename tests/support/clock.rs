//! A clock whose time is advanced, not slept: tokio's paused time under a rate and an offset of its own. Where sockets take
//! part, which time cannot be advanced past, it is the time of this machine, only faster.

use std::time::Duration;

use async_trait::async_trait;
use lockd::clock::{BootTime, Clock, UnixMillis};
use tokio::time::Instant;

/// A node's clock in a test.
#[derive(Clone, Debug)]
pub struct TestClock {
    start: Instant,
    /// Boot time at the start of the test.
    offset: Duration,
    boot_id: Option<String>,
    rate: u32,
}

impl TestClock {
    /// A clock that began an hour ago.
    pub fn new() -> Self {
        Self { start: Instant::now(), offset: Duration::from_secs(3_600), boot_id: Some("boot-a".into()), rate: 1 }
    }

    /// One that runs so many times faster than tokio's time.
    pub fn fast(rate: u32) -> Self {
        Self { rate, ..Self::new() }
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed() * self.rate
    }

    /// The same time under another boot id (`None`: no comparable one).
    pub fn of_boot(&self, boot_id: Option<&str>) -> Self {
        Self { boot_id: boot_id.map(Into::into), ..self.clone() }
    }
}

#[async_trait]
impl Clock for TestClock {
    fn boot(&self) -> BootTime {
        BootTime(0) + self.offset + self.elapsed()
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(1_700_000_000_000 + self.elapsed().as_millis() as u64)
    }

    fn boot_id(&self) -> Option<&str> {
        self.boot_id.as_deref()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is a clock seam; the time is paused and advanced, or runs faster"
    )]
    async fn sleep_until(&self, until: BootTime) {
        // Timers of tokio end on a millisecond, which at a rate is many.
        while self.boot() < until {
            tokio::time::sleep(until.since(self.boot()) / self.rate).await;
        }
    }
}
