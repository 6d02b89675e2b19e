//! True time, and the clocks of the hosts, which run at rates of their own.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lockd::clock::{BootTime, Clock, UnixMillis};
use tokio::sync::oneshot;

use super::world::{EventId, ProcId, Shared};

/// Nanoseconds of true time since the run began.
pub type Nanos = u64;

pub const SECOND: Nanos = 1_000_000_000;
pub const MILLI: Nanos = 1_000_000;

/// One boot of a host.
#[derive(Debug)]
pub struct Boot {
    pub host: usize,
    pub id: String,
    /// True time of the boot.
    pub born: Nanos,
    /// The boot clock at that time.
    pub offset: u64,
    /// How much faster than true time the clock runs, in millionths.
    pub ppm: i64,
    /// The wall clock's distance from true time, in milliseconds; stepped while the host runs.
    pub wall: AtomicI64,
}

impl Boot {
    pub fn read(&self, now: Nanos) -> BootTime {
        let passed = i64::try_from(now - self.born).unwrap();
        let drift = i64::try_from(i128::from(passed) * i128::from(self.ppm) / 1_000_000).unwrap();
        BootTime(self.offset + u64::try_from(passed + drift).unwrap())
    }

    /// The first true time at which the clock is at or past `at`.
    pub fn reaches(&self, at: BootTime) -> Nanos {
        let wanted = i128::from(at.0.saturating_sub(self.offset));
        let passed = wanted * 1_000_000 / (1_000_000 + i128::from(self.ppm));
        let mut now = self.born + u64::try_from(passed).unwrap_or(0).saturating_sub(2);
        while self.read(now) < at {
            now += 1;
        }
        now
    }
}

/// The clock of one process.
pub struct SimClock {
    pub now: Arc<AtomicU64>,
    pub boot: Arc<Boot>,
    pub proc: ProcId,
    pub world: Arc<Mutex<Shared>>,
}

impl fmt::Debug for SimClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "clock of {:?}", self.proc)
    }
}

impl SimClock {
    pub fn now(&self) -> Nanos {
        self.now.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Clock for SimClock {
    fn boot(&self) -> BootTime {
        self.boot.read(self.now())
    }

    fn wall(&self) -> UnixMillis {
        let true_millis = i64::try_from(self.now() / MILLI).unwrap();
        let wall = 1_700_000_000_000 + true_millis + self.boot.wall.load(Ordering::Relaxed);
        UnixMillis(u64::try_from(wall).unwrap_or(0))
    }

    fn boot_id(&self) -> Option<&str> {
        Some(&self.boot.id)
    }

    async fn sleep_until(&self, until: BootTime) {
        if self.boot() >= until {
            return;
        }
        let (ring, alarm) = oneshot::channel();
        let at = self.boot.reaches(until);
        let proc = self.proc;
        let id = self.world.lock().unwrap().at(at, move |world| world.answer(proc, ring, ()));
        let _cancelled_when_dropped = Alarm { world: &self.world, id };
        let _rang = alarm.await;
    }
}

struct Alarm<'a> {
    world: &'a Mutex<Shared>,
    id: EventId,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        // A runtime that is dropped while the world is locked does not happen: the driver drops processes unlocked.
        self.world.lock().unwrap().cancel(self.id);
    }
}
