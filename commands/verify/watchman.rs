//! A process that waits for the end of the one that checks: should that be killed, at whatever moment, this one removes what was
//! made for the checks.

use std::time::Duration;

use lockd::clock::Clock;
use lockd::error::{Error, ErrorKind, Result};
use lockd::store::open::StoreUrl;

use super::worker::{Begin, Order};
use crate::process::worker::Worker;

/// How long it may take to go home.
const FAREWELL: Duration = Duration::from_secs(5);

/// Killed when dropped.
pub struct Watchman(Worker);

impl Watchman {
    /// Starts one that knows the checks' place. Nothing has to be there yet.
    ///
    /// # Errors
    /// When there can be no such process.
    pub async fn start(place: &StoreUrl) -> Result<Self> {
        let mut worker = Worker::start().map_err(|e| Error::io("start a process", &e))?;
        worker
            .tell(&line(&Begin { url: None, place: place.to_text() })?)
            .await
            .map_err(|e| Error::io("give a process its orders", &e))?;
        Ok(Self(worker))
    }

    /// Sends it home: everything was removed.
    pub async fn dismiss(mut self, clock: &dyn Clock) {
        if let Ok(line) = line(&Order::End) {
            let _may_be_gone = self.0.tell(&line).await;
            let _a_late_one_is_killed = clock.timeout_at(clock.boot() + FAREWELL, self.0.ended()).await;
        }
    }
}

fn line(what: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(what).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))
}
