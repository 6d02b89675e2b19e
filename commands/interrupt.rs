//! Signals that end a wait.

use std::pin::pin;
use std::task::Poll;

use lockd::error::{Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::process::sys;

/// The signals that end a wait, by number: HUP, INT, QUIT, TERM.
const ENDING: [i32; 4] = [1, 2, 3, 15];

/// What came first.
pub enum Either<T> {
    /// The work ended.
    Done(T),
    /// This signal came, and the work was dropped.
    Signal(u8),
}

/// Runs work until it ends or a signal comes. Signals that the caller had ignored stay ignored (`nohup`, background jobs).
///
/// # Errors
/// When the kernel gives no signal handler.
pub async fn or_signal<T>(work: impl Future<Output = T>) -> Result<Either<T>> {
    let heard = |number: &i32| !sys::caller_ignored(*number);
    let listen = |number: i32| signal(SignalKind::from_raw(number)).map(|signal| (number, signal));
    let mut signals = ENDING
        .into_iter()
        .filter(heard)
        .map(listen)
        .collect::<Result<Vec<(i32, Signal)>, _>>()
        .map_err(|e| Error::io("listen for signals", &e))?;
    let mut work = pin!(work);
    Ok(std::future::poll_fn(|cx| {
        for (number, signal) in &mut signals {
            if signal.poll_recv(cx).is_ready() {
                return Poll::Ready(Either::Signal(u8::try_from(*number).unwrap_or(0)));
            }
        }
        work.as_mut().poll(cx).map(Either::Done)
    })
    .await)
}

/// The exit code of a command that a signal ended, as shells give it.
pub const fn exit_code(signal: u8) -> u8 {
    128 + signal
}
