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

pub use system::{SystemClock, cpu_time};

#[expect(clippy::disallowed_methods, reason = "this module is the seam")]
mod system {
    use std::sync::OnceLock;
    use std::time::Duration;

    use async_trait::async_trait;
    use rustix::time::{ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
    use tokio::net::unix::pipe;

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
            // tokio's timer is CLOCK_MONOTONIC: after a suspend it would wake late by the time slept. A timerfd on the
            // boot clock does not; where the kernel refuses one, the fallback is re-armed until the boot clock agrees.
            if sleep_on_timerfd(until).await.is_ok() {
                return;
            }
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

    async fn sleep_on_timerfd(until: BootTime) -> std::io::Result<()> {
        let fd =
            rustix::time::timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        // An all-zero value would disarm the timer; one nanosecond after boot is long past.
        let at = until.0.max(1);
        let value = Timespec {
            tv_sec: i64::try_from(at / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: (at % 1_000_000_000) as _,
        };
        let spec = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        rustix::time::timerfd_settime(&fd, TimerfdTimerFlags::ABSTIME, &spec)?;
        // A timerfd is read like a pipe; this door to tokio's readiness needs no unsafe code.
        pipe::Receiver::from_owned_fd_unchecked(fd)?.readable().await?;
        Ok(())
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
