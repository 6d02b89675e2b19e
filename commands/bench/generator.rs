//! What the load generator itself costs: the same loop around an operation that does nothing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lockd::clock::{Clock, cpu_time};
use lockd::error::Result;

use super::load::{Laps, Load, Pace, Sheet, Work, drive};

/// How long it is tried.
const TRIAL: Duration = Duration::from_millis(100);

struct Nothing;

#[async_trait]
impl Work for Nothing {
    async fn once(&self, _client: usize, laps: &mut Laps<'_>) -> Result<()> {
        // An operation waits for somebody, and its task is scheduled again.
        tokio::task::yield_now().await;
        laps.lap();
        laps.lap();
        Ok(())
    }
}

/// Processor time for one operation: reading clocks, counting, scheduling the clients.
///
/// # Errors
/// As [`drive`].
pub async fn cost(clients: usize, clock: &Arc<dyn Clock>) -> Result<Duration> {
    let (work, sheet): (Arc<dyn Work>, _) = (Arc::new(Nothing), Arc::new(Sheet::default()));
    let before = cpu_time();
    drive(&work, Load { clients, pace: Pace::Closed, duration: TRIAL }, clock, &sheet).await?;
    let spent = cpu_time().saturating_sub(before);
    let operations = sheet.tally().operations().max(1);
    Ok(spent.div_f64(operations as f64))
}
