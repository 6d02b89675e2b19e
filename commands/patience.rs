//! How long to wait for a key, and what to do when it stays busy: the same flags wherever a lease is taken.

use std::time::Duration;

use lockd::error::Result;
use lockd::limits::WAIT_MAX;

use super::context::usage;
use super::duration;

/// Flags about waiting.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Patience {
    /// Do not wait when somebody else holds the key
    #[arg(short, long, conflicts_with = "wait", help_heading = "Waiting")]
    pub no_wait: bool,
    /// Wait at most so long, 0 is not at all [default: for ever]
    #[arg(short, long, value_name = "DUR", help_heading = "Waiting")]
    pub wait: Option<String>,
    /// Exit with this code instead of 75 when the key stays busy (0 to 255)
    #[arg(short = 'E', long, value_name = "N", help_heading = "Waiting")]
    pub conflict_exit_code: Option<String>,
}

impl Patience {
    /// How long to wait: `None` for ever, zero not at all.
    ///
    /// # Errors
    /// `Usage` when the duration is malformed or longer than a year.
    pub fn limit(&self) -> Result<Option<Duration>> {
        if self.no_wait {
            return Ok(Some(Duration::ZERO));
        }
        let Some(text) = &self.wait else { return Ok(None) };
        let wait = duration::parse(text).map_err(|why| usage("--wait", &why))?;
        if wait > WAIT_MAX {
            return Err(usage("--wait", "a wait may be a year at most; leave it out to wait for ever"));
        }
        Ok(Some(wait))
    }

    /// The exit code for a key that stays busy.
    ///
    /// # Errors
    /// `Usage` when it is not a number from 0 to 255.
    pub fn busy_exit(&self) -> Result<Option<u8>> {
        let Some(text) = &self.conflict_exit_code else { return Ok(None) };
        let wrong = || usage("--conflict-exit-code", &format!("{text:?} is not a number from 0 to 255"));
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten().map(Some).ok_or_else(wrong)
    }
}
