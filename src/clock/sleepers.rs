//! All who sleep on the boot clock: one timer for the process, and a thread that waits for it.
//!
//! tokio's timer is `CLOCK_MONOTONIC`: after a suspend it would wake late by the time slept. A timer of the kernel on the boot
//! clock (`timerfd_create(2)`) does not; but one for each sleeper costs five system calls for each, and a server has a
//! sleeper for each key in use.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use super::{BootTime, Clock, SystemClock};

/// When somebody is to be woken, and a number of his own.
type Place = (BootTime, u64);

/// See the module.
#[derive(Debug)]
pub struct Sleepers {
    timer: OwnedFd,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    places: BTreeMap<Place, Waker>,
    last: u64,
}

/// Those of this process; `None` where the kernel gives no timer or no thread. The thread starts with the first sleeper, so
/// that a process which has not slept has one thread.
pub fn sleepers() -> Option<&'static Sleepers> {
    static SLEEPERS: OnceLock<Option<&Sleepers>> = OnceLock::new();
    *SLEEPERS.get_or_init(|| Sleepers::start().ok())
}

impl Sleepers {
    /// With their thread, which lives as long as the process.
    fn start() -> io::Result<&'static Self> {
        let timer = rustix::time::timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?;
        let sleepers: &Self = Box::leak(Box::new(Self { timer, queue: Mutex::default() }));
        std::thread::Builder::new().name("lockd-clock".to_owned()).spawn(|| sleepers.wake())?;
        Ok(sleepers)
    }

    /// Until then. Cancel-safe.
    pub fn until(&'static self, until: BootTime) -> Sleep {
        Sleep { sleepers: self, until, place: None }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The timer rings then. Under the lock, so that the last one who sets it knows of everybody.
    fn set(&self, _held: &Queue, at: BootTime) {
        // All zero would disarm the timer; one nanosecond after boot is long past.
        let at = at.0.max(1);
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let it_value = Timespec {
            tv_sec: i64::try_from(at / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: (at % 1_000_000_000) as _,
        };
        let spec = Itimerspec { it_interval: zero, it_value };
        // Fails for a bad descriptor or a bad time only (`timerfd_settime(2)`), and these are good.
        let _set = rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &spec);
    }

    /// Wakes whose time has come, for ever.
    fn wake(&self) {
        loop {
            // Returns when the timer rings, or a signal came.
            let _rings = rustix::io::read(&self.timer, &mut [0; 8]);
            for waker in self.due() {
                // A runtime panics when the kernel does not let it wake its thread. The others are woken all the same, and it
                // too, once more.
                if catch_unwind(AssertUnwindSafe(|| waker.wake_by_ref())).is_err() {
                    let _twice = catch_unwind(AssertUnwindSafe(|| waker.wake_by_ref()));
                }
            }
        }
    }

    fn due(&self) -> Vec<Waker> {
        let now = SystemClock.boot();
        let mut queue = self.lock();
        let mut due = Vec::new();
        while let Some(first) = queue.places.first_entry() {
            let at = first.key().0;
            if now < at {
                self.set(&queue, at);
                break;
            }
            due.push(first.remove());
        }
        due
    }
}

/// Sleeps. Dropped, it is forgotten.
#[derive(Debug)]
pub struct Sleep {
    sleepers: &'static Sleepers,
    until: BootTime,
    place: Option<Place>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if SystemClock.boot() >= self.until {
            return Poll::Ready(());
        }
        let mut queue = self.sleepers.lock();
        let place = self.place.unwrap_or_else(|| {
            queue.last += 1;
            (self.until, queue.last)
        });
        let before = queue.places.insert(place, cx.waker().clone());
        // Who comes again has set the timer before, unless it has rung since.
        if before.is_none() && queue.places.first_key_value().is_some_and(|(first, _)| *first == place) {
            self.sleepers.set(&queue, self.until);
        }
        drop(queue);
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            // The timer may ring for nobody: it is then set for the next one.
            let _woken_before = self.sleepers.lock().places.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::*;

    fn after(millis: u64) -> (BootTime, Sleep) {
        let until = SystemClock.boot() + Duration::from_millis(millis);
        (until, sleepers().unwrap().until(until))
    }

    #[tokio::test]
    async fn everybody_wakes_in_time_whoever_comes_first() {
        let times = [40, 5, 30, 0, 5, 20, 10_000, 1];
        let mut sleeping: Vec<_> = times.map(after).into();
        // Each has asked once; the earliest did not come first, and one goes before its time.
        for (_, sleep) in &mut sleeping {
            let _pending = sleep.now_or_never();
        }
        sleeping.remove(6);
        join_all(sleeping.into_iter().map(|(until, sleep)| async move {
            sleep.await;
            assert!(SystemClock.boot() >= until);
        }))
        .await;
    }

    #[tokio::test]
    async fn who_goes_is_forgotten_and_the_next_one_still_wakes() {
        let (first, second) = (after(1), after(15));
        let (mut first, mut second) = (Box::pin(first.1), Box::pin(second.1));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        let place = first.place.unwrap();
        drop(first);
        assert!(!sleepers().unwrap().lock().places.contains_key(&place));
        second.await;
    }

    /// Cannot be woken the first time, as when the kernel refuses.
    #[derive(Default)]
    struct Hard(std::sync::atomic::AtomicU32, tokio::sync::Notify);

    impl std::task::Wake for Hard {
        fn wake(self: std::sync::Arc<Self>) {
            let before = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            assert!(before > 0, "cannot be woken (this test means it)");
            self.1.notify_one();
        }
    }

    #[tokio::test]
    async fn who_cannot_be_woken_keeps_nobody_else_asleep() {
        let (hard, mut first) = (std::sync::Arc::new(Hard::default()), Box::pin(after(1).1));
        let waker = std::sync::Arc::clone(&hard).into();
        assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        hard.1.notified().await;
        after(1).1.await;
    }

    #[test]
    fn who_sleeps_may_be_polled_by_another_runtime() {
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut sleep = Box::pin(after(10).1);
        runtime().block_on(async { assert!(sleep.as_mut().now_or_never().is_none()) });
        runtime().block_on(sleep);
    }
}
