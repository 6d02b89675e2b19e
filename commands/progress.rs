//! A bar on the terminal for what takes longer than two seconds.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lockd::clock::{BootTime, Clock};

use super::context::Context;

/// Shorter work shows no bar.
const SILENCE: Duration = Duration::from_secs(2);

/// Counts bytes, and shows them when people watch and it takes long.
pub struct Progress {
    clock: Arc<dyn Clock>,
    started: BootTime,
    total: Option<u64>,
    done: u64,
    shown: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins to count.
    pub fn new(context: &Context, total: Option<u64>) -> Self {
        let clock = Arc::clone(&context.clock);
        let shown = context.is_watched() && !context.voice.quiet && !context.voice.json;
        Self { started: clock.boot(), clock, total, done: 0, shown, bar: None }
    }

    /// Counts some more.
    pub fn advance(&mut self, bytes: usize) {
        self.done += bytes as u64;
        if self.bar.is_none() && self.shown && self.clock.boot().since(self.started) >= SILENCE {
            self.bar = Some(bar(self.total));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let template = match total {
        Some(_) => "{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
        None => "{spinner} {bytes}, {bytes_per_sec}",
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
