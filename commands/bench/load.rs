//! The load generator: clients that repeat one operation, as fast as they can or at a fixed rate, and how long each took.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lockd::clock::{BootTime, Clock};
use lockd::error::{Error, ErrorKind, Result};
use lockd::limits::BACKOFF_MAX;
use tokio::task::JoinSet;

use super::crash::Losses;
use super::latencies::Latencies;

/// What the clients do, again and again.
#[async_trait]
pub trait Work: Send + Sync {
    /// The steps of one operation, in order; none when it is one step.
    fn steps(&self) -> &'static [&'static str] {
        &[]
    }

    /// What has to be there before the first operation; it is not measured.
    async fn prepare(&self) -> Result<()> {
        Ok(())
    }

    /// What was lost, in the end, where that can be told; it is not measured.
    async fn conclude(&self) -> Result<Option<Losses>> {
        Ok(None)
    }

    /// One operation of one client, which calls [`Laps::lap`] at the end of each step. A client does one after the other.
    async fn once(&self, client: usize, laps: &mut Laps<'_>) -> Result<()>;
}

/// The stopwatch of one operation.
pub struct Laps<'a> {
    clock: &'a dyn Clock,
    last: BootTime,
    steps: Vec<Duration>,
}

impl<'a> Laps<'a> {
    /// Starts it.
    pub fn start(clock: &'a dyn Clock) -> Self {
        Self { clock, last: clock.boot(), steps: Vec::new() }
    }

    /// A step has ended.
    pub fn lap(&mut self) {
        let now = self.clock.boot();
        self.steps.push(now.since(self.last));
        self.last = now;
    }
}

/// When the clients begin an operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// At once when the one before has ended: the rate is what the store can do.
    Closed,
    /// So many are due a second, by all clients together, whether or not those before have ended. An operation counts from when
    /// it was due, so that a store that stands still for a second is not asked less often for that (coordinated omission;
    /// Gil Tene, "How NOT to measure latency").
    Open(f64),
}

/// The operations of one run, as they become due.
struct Schedule {
    start: BootTime,
    until: BootTime,
    pace: Pace,
    next: AtomicU64,
}

impl Schedule {
    /// When the next operation is due; `None` when the run is over.
    fn next(&self, now: BootTime) -> Option<BootTime> {
        let due = match self.pace {
            Pace::Closed => now,
            Pace::Open(rate) => {
                let n = self.next.fetch_add(1, Ordering::Relaxed);
                self.start + Duration::from_secs_f64(n as f64 / rate)
            }
        };
        (due < self.until).then_some(due)
    }
}

/// What the operations of a run came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Operations that succeeded: the whole, from when it was due.
    pub whole: Latencies,
    /// Their steps, each from when it began.
    pub steps: Vec<Latencies>,
    /// Those that failed, by the code of their error.
    pub errors: BTreeMap<&'static str, u64>,
    /// What the first of them said.
    pub first_error: Option<String>,
    /// Operations that were due and had not begun at the end, because the store could not keep up. They count among the
    /// latencies with the time that they had waited, and not among those that succeeded.
    pub missed: u64,
}

impl Tally {
    /// Operations that succeeded.
    pub fn operations(&self) -> u64 {
        self.whole.count() - self.missed
    }

    /// Operations that failed.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Adds the operations of another run.
    pub fn add(&mut self, other: &Self) {
        self.whole.add(&other.whole);
        self.steps.resize_with(self.steps.len().max(other.steps.len()), Latencies::default);
        for (mine, theirs) in self.steps.iter_mut().zip(&other.steps) {
            mine.add(theirs);
        }
        for (code, n) in &other.errors {
            *self.errors.entry(code).or_default() += n;
        }
        self.first_error = self.first_error.take().or_else(|| other.first_error.clone());
        self.missed += other.missed;
    }

    fn succeeded(&mut self, took: Duration, steps: &[Duration]) {
        self.whole.record(took);
        self.steps.resize_with(self.steps.len().max(steps.len()), Latencies::default);
        for (all, step) in self.steps.iter_mut().zip(steps) {
            all.record(*step);
        }
    }

    fn failure(&mut self, error: &Error) {
        *self.errors.entry(error.kind().wire_code()).or_default() += 1;
        self.first_error.get_or_insert_with(|| error.to_string());
    }

    fn miss(&mut self, waited: Duration) {
        self.whole.record(waited);
        self.missed += 1;
    }
}

/// A tally that all clients of a run write to, and that can be read while they run.
#[derive(Debug, Default)]
pub struct Sheet(Mutex<Tally>);

impl Sheet {
    /// What is on it.
    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        // Nothing inside can leave half an entry behind that matters.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a load is made.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Clients at the same time.
    pub clients: usize,
    /// When they begin.
    pub pace: Pace,
    /// How long they begin operations. Those that have begun are waited for.
    pub duration: Duration,
}

/// Runs a load to its end. Dropping the future ends all clients.
///
/// # Errors
/// `Internal` when a client panicked. An operation that fails is no error here but counted.
pub async fn drive(work: &Arc<dyn Work>, load: Load, clock: &Arc<dyn Clock>, sheet: &Arc<Sheet>) -> Result<()> {
    let start = clock.boot();
    let schedule = Schedule { start, until: start + load.duration, pace: load.pace, next: AtomicU64::new(0) };
    let schedule = Arc::new(schedule);
    let mut clients = JoinSet::new();
    for client in 0..load.clients {
        let (work, clock, schedule, sheet) =
            (Arc::clone(work), Arc::clone(clock), Arc::clone(&schedule), Arc::clone(sheet));
        clients.spawn(async move { run_client(client, &*work, &*clock, &schedule, &sheet).await });
    }
    while let Some(ended) = clients.join_next().await {
        ended.map_err(|e| Error::new(ErrorKind::Internal, format!("a client of the load ended early: {e}")))?;
    }
    Ok(())
}

async fn run_client(client: usize, work: &dyn Work, clock: &dyn Clock, schedule: &Schedule, sheet: &Sheet) {
    loop {
        // A store that answers without waiting would leave no time to the others.
        tokio::task::coop::consume_budget().await;
        let now = clock.boot();
        let Some(due) = schedule.next(now) else { return };
        if now >= schedule.until {
            sheet.tally().miss(now.since(due));
            continue;
        }
        if due > now {
            clock.sleep_until(due).await;
        }
        let mut laps = Laps::start(clock);
        match work.once(client, &mut laps).await {
            Ok(()) => {
                let took = clock.boot().since(due);
                sheet.tally().succeeded(took, &laps.steps);
            }
            Err(error) => {
                sheet.tally().failure(&error);
                // What fails at once would fail a million times a second.
                clock.sleep(BACKOFF_MAX).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockd::clock::UnixMillis;

    /// A clock that stands still until somebody sleeps or works.
    #[derive(Debug, Default)]
    struct Hands(AtomicU64);

    impl Hands {
        fn move_to(&self, at: BootTime) {
            self.0.fetch_max(at.0, Ordering::SeqCst);
        }
    }

    #[async_trait]
    impl Clock for Hands {
        fn boot(&self) -> BootTime {
            BootTime(self.0.load(Ordering::SeqCst))
        }

        fn wall(&self) -> UnixMillis {
            UnixMillis(0)
        }

        fn boot_id(&self) -> Option<&str> {
            None
        }

        async fn sleep_until(&self, until: BootTime) {
            self.move_to(until);
        }
    }

    /// Takes 10 ms in two steps; the third operation takes a second more, the fifth fails.
    struct Stubborn {
        clock: Arc<Hands>,
        count: AtomicU64,
    }

    #[async_trait]
    impl Work for Stubborn {
        fn steps(&self) -> &'static [&'static str] {
            &["a", "b"]
        }

        async fn once(&self, _client: usize, laps: &mut Laps<'_>) -> Result<()> {
            let n = self.count.fetch_add(1, Ordering::SeqCst);
            let pause = if n == 2 { 1_008 } else { 8 };
            self.clock.move_to(self.clock.boot() + Duration::from_millis(pause));
            laps.lap();
            self.clock.move_to(self.clock.boot() + Duration::from_millis(2));
            laps.lap();
            if n == 4 { Err(Error::new(ErrorKind::Busy, "held by another")) } else { Ok(()) }
        }
    }

    fn run(pace: Pace, duration: Duration) -> Tally {
        let hands = Arc::new(Hands::default());
        let work: Arc<dyn Work> = Arc::new(Stubborn { clock: Arc::clone(&hands), count: AtomicU64::new(0) });
        let clock: Arc<dyn Clock> = hands;
        let sheet = Arc::new(Sheet::default());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(drive(&work, Load { clients: 1, pace, duration }, &clock, &sheet)).unwrap();
        sheet.tally().clone()
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_closed_loop_asks_when_it_was_answered() {
        let tally = run(Pace::Closed, 2_000 * MS);
        // Four in 1,040 ms, the failed one and its pause in 110 more, then one each 10 ms until 2,000.
        assert_eq!((tally.operations(), tally.failed(), tally.missed), (4 + 85, 1, 0));
        assert_eq!(tally.errors, BTreeMap::from([("waiting", 1)]));
        assert_eq!(tally.first_error.as_deref(), Some("held by another"));
        assert_eq!(tally.whole.percentile(0.5).as_millis(), 10);
        assert_eq!(tally.steps.iter().map(|step| step.percentile(0.5).as_millis()).collect::<Vec<_>>(), [8, 2]);
        assert_eq!(tally.steps[0].count(), 89);
    }

    #[test]
    fn a_fixed_rate_counts_from_when_an_operation_was_due() {
        // Ten a second: a stall of a second delays those that are due meanwhile, and each of them says so.
        let tally = run(Pace::Open(10.0), 3_000 * MS);
        assert_eq!((tally.operations(), tally.failed(), tally.missed), (29, 1, 0));
        let late = |at_least: u128| {
            let over = (0..=1_000).filter(|n| tally.whole.percentile(f64::from(*n) / 1_000.0).as_millis() >= at_least);
            over.count() as f64 / 1_001.0
        };
        // One in 29 was slow by itself; about eight waited behind it.
        assert!((0.2..0.4).contains(&late(100)), "{}", late(100));
        assert_eq!(tally.steps[0].percentile(0.9).as_millis(), 8, "a step counts from when it began");
    }

    #[test]
    fn what_could_not_begin_is_missed_and_has_waited() {
        // A thousand a second are ten times what this work can do.
        let tally = run(Pace::Open(1_000.0), 2_000 * MS);
        assert_eq!(tally.operations() + tally.failed() + tally.missed, 2_000);
        assert!(tally.missed > 1_800, "{}", tally.missed);
        assert!(tally.whole.percentile(0.5) > 500 * MS);
    }

    #[test]
    fn tallies_add_up() {
        let (mut all, run) = (Tally::default(), run(Pace::Closed, 2_000 * MS));
        all.add(&run);
        all.add(&run);
        assert_eq!((all.operations(), all.failed(), all.steps[1].count()), (178, 2, 178));
        assert_eq!(all.whole.percentile(0.5), run.whole.percentile(0.5));
    }
}
