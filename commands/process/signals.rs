//! The signals that exec passes on.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::sys;

/// Those that end the wait for a lease; with a command, they are passed on to it.
pub const ENDING: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];
/// Those that are only passed on.
const OTHERS: [i32; 4] = [libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH, libc::SIGCONT];

/// Receives the signals that exec passes on, but for those that the caller had ignored: these stay ignored.
pub struct Signals(Vec<(i32, Signal)>);

impl Signals {
    /// Starts to listen. Must be called inside a runtime.
    ///
    /// # Errors
    /// When the kernel refuses a handler.
    pub fn listen() -> io::Result<Self> {
        let wanted = ENDING.into_iter().chain(OTHERS).filter(|n| !sys::caller_ignored(*n));
        wanted.map(|n| Ok((n, signal(SignalKind::from_raw(n))?))).collect::<io::Result<_>>().map(Self)
    }

    /// The next signal's number. Cancel-safe.
    pub async fn next(&mut self) -> i32 {
        poll_fn(|cx| {
            let mut listeners = self.0.iter_mut();
            let came = listeners.find_map(|(n, signal)| signal.poll_recv(cx).is_ready().then_some(*n));
            came.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// The next signal that ends a wait. Cancel-safe.
    pub async fn next_ending(&mut self) -> i32 {
        loop {
            let n = self.next().await;
            if ENDING.contains(&n) {
                return n;
            }
        }
    }
}
