//! The clock seam: the only place that reads a clock or sleeps.
//!
//! Durations decide who holds a lease, and they are measured on the boot clock (`CLOCK_BOOTTIME`), which runs through suspend;
//! `std::time::Instant` is `CLOCK_MONOTONIC` on Linux and stops there. The wall clock is for people only.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

/// A point on this machine's boot clock, in nanoseconds since boot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct BootTime(pub u64);

impl BootTime {
    /// The time from `earlier` to here; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for BootTime {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl std::ops::Sub<Duration> for BootTime {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Debug for BootTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "boot+{:?}", Duration::from_nanos(self.0))
    }
}

/// Wall-clock milliseconds since the Unix epoch. Shown to people, never evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// As RFC 3339 has it, in UTC, to the millisecond.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let (seconds, millis) = (self.0 / 1_000, self.0 % 1_000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// The date of a day counted from 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
const fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + (month <= 2) as u64, month, day)
}

/// Reads clocks and sleeps. One for the machine ([`SystemClock`]), others for simulation.
#[async_trait]
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now, on the boot clock.
    fn boot(&self) -> BootTime;
    /// Now, on the wall clock.
    fn wall(&self) -> UnixMillis;
    /// This boot's id, when readings of `boot()` with the same id can be compared across processes: `None` where the
    /// kernel does not say, and inside a time namespace, whose boot clock has an offset.
    fn boot_id(&self) -> Option<&str>;
    /// Returns once `boot()` is at or past `until`. Cancel-safe.
    async fn sleep_until(&self, until: BootTime);
}

impl dyn Clock + '_ {
    /// Sleeps for `d` on the boot clock. Cancel-safe.
    pub async fn sleep(&self, d: Duration) {
        self.sleep_until(self.boot() + d).await;
    }

    /// Runs `work` until it ends or `until` is reached; `None` when time ran out (`work` is dropped then).
    pub async fn timeout_at<T>(&self, until: BootTime, work: impl Future<Output = T>) -> Option<T> {
        let work = std::pin::pin!(work);
        let timer = std::pin::pin!(self.sleep_until(until));
        match futures_util::future::select(work, timer).await {
            futures_util::future::Either::Left((done, _)) => Some(done),
            futures_util::future::Either::Right(((), _)) => None,
        }
    }
}

mod sleepers;

pub use system::{SystemClock, cpu_time};

#[expect(clippy::disallowed_methods, reason = "this module is the seam")]
mod system {
    use std::sync::OnceLock;
    use std::time::Duration;

    use async_trait::async_trait;
    use rustix::time::{ClockId, Timespec};

    use super::sleepers::sleepers;
    use super::{BootTime, Clock, UnixMillis};

    /// The clocks of this machine.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct SystemClock;

    #[async_trait]
    impl Clock for SystemClock {
        fn boot(&self) -> BootTime {
            BootTime(nanos(rustix::time::clock_gettime(ClockId::Boottime)))
        }

        fn wall(&self) -> UnixMillis {
            UnixMillis(nanos(rustix::time::clock_gettime(ClockId::Realtime)) / 1_000_000)
        }

        fn boot_id(&self) -> Option<&str> {
            if in_initial_time_namespace() { boot_id() } else { None }
        }

        async fn sleep_until(&self, until: BootTime) {
            if let Some(sleepers) = sleepers() {
                return sleepers.until(until).await;
            }
            // tokio's timer stops in suspend: it is set again until the boot clock agrees.
            loop {
                let now = self.boot();
                if now >= until {
                    return;
                }
                tokio::time::sleep(until.since(now).min(Duration::from_secs(1))).await;
            }
        }
    }

    /// The time that the threads of this process have spent on a processor, in user and kernel mode together: for
    /// measurements.
    #[must_use]
    pub fn cpu_time() -> Duration {
        Duration::from_nanos(nanos(rustix::time::clock_gettime(ClockId::ProcessCPUTime)))
    }

    fn nanos(t: Timespec) -> u64 {
        u64::try_from(t.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec).unwrap_or(0)
    }

    /// This boot's random id (`random(4)`, boot_id), or `None` where the kernel does not say.
    fn boot_id() -> Option<&'static str> {
        static ID: OnceLock<Option<String>> = OnceLock::new();
        ID.get_or_init(|| {
            let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
            Some(text.trim().to_owned()).filter(|id| id.len() == 36)
        })
        .as_deref()
    }

    /// Whether this process's boot clock is the machine's own: inside another time namespace it has an offset
    /// (`time_namespaces(7)`), and stamps made there mean nothing outside.
    fn in_initial_time_namespace() -> bool {
        static INITIAL: OnceLock<bool> = OnceLock::new();
        // The inode of the initial time namespace is fixed in the kernel: PROC_TIME_INIT_INO (include/linux/proc_ns.h).
        *INITIAL.get_or_init(|| match std::fs::read_link("/proc/self/ns/time") {
            Ok(link) => link.to_str() == Some("time:[4026531834]"),
            // A kernel without time namespaces has only one.
            Err(e) => e.kind() == std::io::ErrorKind::NotFound && std::path::Path::new("/proc/self/ns").exists(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_rfc3339() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (4_102_444_800_000, "2100-01-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(UnixMillis(millis).rfc3339(), text);
        }
    }

    proptest! {
        #[test]
        fn dates_go_on_day_by_day(day in 0u64..200_000) {
            let ((y, m, d), next) = (civil(day), civil(day + 1));
            let leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
            let last = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][m as usize - 1];
            let expected = match (d == last, m == 12) {
                (false, _) => (y, m, d + 1),
                (true, false) => (y, m + 1, 1),
                (true, true) => (y + 1, 1, 1),
            };
            prop_assert_eq!(next, expected);
        }
    }
}
