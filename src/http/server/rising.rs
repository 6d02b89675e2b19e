//! A number that only rises, and those who wait for that. They are woken in order of arrival: tokio's `watch` wakes in an order drawn
//! anew each time, which no simulation could repeat.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// See the module.
#[derive(Debug, Default)]
pub struct Rising {
    now: AtomicU64,
    rose: Notify,
}

impl Rising {
    /// How high it is.
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    /// Raises it to this, unless it is as high already.
    pub fn raise(&self, to: u64) {
        if self.now.fetch_max(to, Ordering::SeqCst) < to {
            self.rose.notify_waiters();
        }
    }

    /// Returns once it is so high.
    pub async fn reached(&self, wanted: u64) {
        loop {
            // Before the look, so that no rise is missed.
            let mut rises = pin!(self.rose.notified());
            rises.as_mut().enable();
            if self.now() >= wanted {
                return;
            }
            rises.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn who_waits_hears_of_a_rise_and_of_none_that_is_too_small() {
        let rising = Rising::default();
        assert!(rising.reached(0).now_or_never().is_some());
        let mut waiting = pin!(rising.reached(2));
        assert!(waiting.as_mut().now_or_never().is_none());
        rising.raise(1);
        assert!(waiting.as_mut().now_or_never().is_none());
        rising.raise(3);
        assert!(waiting.as_mut().now_or_never().is_some());
        rising.raise(2);
        assert_eq!(rising.now(), 3);
    }
}
