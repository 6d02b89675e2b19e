//! The bar on the terminal while it measures.

use std::convert::Infallible;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lockd::clock::Clock;

use super::super::context::Context;

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);

/// Shows how much of the planned time is over; nothing where nobody watches.
pub struct Meter(Option<ProgressBar>);

impl Meter {
    /// Begins to show it.
    pub fn new(context: &Context, length: Duration) -> Self {
        let shown = context.is_watched() && !context.voice.quiet && !context.voice.json;
        Self(shown.then(|| bar(length)))
    }

    /// What is being measured.
    pub fn say(&self, what: String) {
        if let Some(bar) = &self.0 {
            bar.set_message(what);
        }
    }

    /// Does something with the terminal while the bar is out of its way.
    pub fn aside<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(work),
            None => work(),
        }
    }

    /// Moves the bar as time passes, for ever.
    pub async fn ticks(&self, clock: &dyn Clock) -> Infallible {
        let start = clock.boot();
        loop {
            match &self.0 {
                Some(bar) => bar.set_position(millis(clock.boot().since(start)).min(bar.length().unwrap_or(0))),
                None => std::future::pending().await,
            }
            clock.sleep(TICK).await;
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn bar(length: Duration) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(millis(length)), ProgressDrawTarget::stderr());
    match ProgressStyle::with_template("{wide_bar} {msg}, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
