//! What was measured so far: nothing of it is lost when the rest is not waited for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lockd::clock::{BootTime, Clock, cpu_time};

use super::crash::Losses;
use super::load::{Sheet, Tally};
use super::place::Counts;
use super::processors;
use super::statistics;
use super::suites::Suite;

/// One run of a work.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// From its begin to the end of its last operation.
    pub elapsed: Duration,
    /// What its operations came to.
    pub tally: Tally,
    /// Processor time of this process, the load generator's included.
    pub cpu: Duration,
    /// Processor time that this machine spent meanwhile, on whatever it was.
    pub machine: Option<Duration>,
    /// Requests to the store, by kind, where that is known.
    pub requests: Option<Counts>,
}

/// What the load generator costs.
#[derive(Clone, Copy, Debug)]
pub enum Generator {
    /// So much processor time for an operation that does nothing: what is left of this process is lockd's own.
    Part(Duration),
    /// This process is nothing else: servers or other processes do the work.
    Whole,
}

impl Run {
    /// Operations a second.
    pub fn rate(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.tally.operations() as f64 / seconds } else { 0.0 }
    }

    /// Operations begun and ended, well or not: what processor time and requests were spent on.
    fn attempts(&self) -> u64 {
        self.tally.operations() + self.tally.failed()
    }
}

/// A work and its runs.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Its suite.
    pub suite: Suite,
    /// Its name.
    pub work: String,
    /// The steps of its operations.
    pub steps: &'static [&'static str],
    /// Clients at the same time.
    pub clients: usize,
    /// Its runs, in order.
    pub runs: Vec<Run>,
    /// The most memory that the process had in its runs, in bytes, where the kernel says so.
    pub peak_memory: Option<u64>,
    /// What the load generator costs.
    pub generator: Generator,
    /// What was lost when processes were killed, where they were.
    pub losses: Option<Losses>,
}

impl Measured {
    /// The operations of all runs.
    pub fn tally(&self) -> Tally {
        let mut all = Tally::default();
        self.runs.iter().for_each(|run| all.add(&run.tally));
        all
    }

    /// Operations a second, run by run.
    pub fn rates(&self) -> Vec<f64> {
        self.runs.iter().map(Run::rate).collect()
    }

    /// The middle one of the rates of the runs.
    pub fn rate(&self) -> f64 {
        statistics::median(&self.rates())
    }

    /// Processor time of this process for one operation, in seconds.
    pub fn cpu_per_operation(&self) -> f64 {
        share(
            self.runs.iter().map(|run| run.cpu.as_secs_f64()).sum(),
            self.runs.iter().map(Run::attempts).sum::<u64>() as f64,
        )
    }

    /// What the load generator takes: of the processor time of this process, or of all that this machine spent where others do
    /// the work.
    pub fn generator_share(&self) -> f64 {
        let seconds = |time: fn(&Run) -> Duration| self.runs.iter().map(|run| time(run).as_secs_f64()).sum::<f64>();
        let part = match self.generator {
            Generator::Part(each) => share(each.as_secs_f64(), self.cpu_per_operation()),
            Generator::Whole => share(seconds(|run| run.cpu), seconds(|run| run.machine.unwrap_or_default())),
        };
        part.min(1.0)
    }

    /// Requests to the store for one operation, by kind, over the runs of which they are known.
    pub fn requests_per_operation(&self) -> Option<BTreeMap<&'static str, f64>> {
        let known: Vec<(&Run, &Counts)> =
            self.runs.iter().filter_map(|run| Some((run, run.requests.as_ref()?))).collect();
        let attempts: u64 = known.iter().map(|(run, _)| run.attempts()).sum();
        let mut all: BTreeMap<&'static str, f64> = BTreeMap::new();
        for (kind, n) in known.iter().flat_map(|(_, counts)| *counts) {
            *all.entry(kind).or_default() += share(*n as f64, attempts as f64);
        }
        (!known.is_empty()).then_some(all)
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// What the clocks and counters of a run show.
struct Reading {
    at: BootTime,
    cpu: Duration,
    machine: Option<Duration>,
    requests: Option<Counts>,
}

struct Going {
    measured: Measured,
    run: Option<(Reading, Arc<Sheet>)>,
}

#[derive(Default)]
struct Pages {
    done: Vec<Measured>,
    going: Option<Going>,
}

/// All works, and the run that is going on.
pub struct Ledger {
    clock: Arc<dyn Clock>,
    pages: Mutex<Pages>,
}

impl Ledger {
    /// An empty one.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, pages: Mutex::default() }
    }

    /// A work begins.
    pub fn begin(&self, measured: Measured) {
        self.pages().going = Some(Going { measured, run: None });
    }

    /// A run of it begins, before which there were so many requests to the store. The clients write to the sheet.
    pub fn begin_run(&self, requests: Option<Counts>) -> Arc<Sheet> {
        let sheet = Arc::new(Sheet::default());
        let reading = self.read(requests);
        if let Some(going) = &mut self.pages().going {
            going.run = Some((reading, Arc::clone(&sheet)));
        }
        sheet
    }

    /// The run has ended, or is broken off; a run in which nothing was done yet does not count.
    pub fn end_run(&self, requests: Option<Counts>) {
        let now = self.read(requests);
        let mut pages = self.pages();
        let Some(going) = &mut pages.going else { return };
        let Some((begun, sheet)) = going.run.take() else { return };
        let run = Run {
            elapsed: now.at.since(begun.at),
            tally: sheet.tally().clone(),
            cpu: now.cpu.saturating_sub(begun.cpu),
            machine: now.machine.zip(begun.machine).map(|(now, then)| now.saturating_sub(then)),
            requests: now.requests.zip(begun.requests).map(|(now, then)| difference(&now, &then)),
        };
        if run.attempts() > 0 {
            going.measured.runs.push(run);
        }
    }

    /// What was lost in the present work.
    pub fn conclude(&self, losses: Option<Losses>) {
        if let Some(going) = &mut self.pages().going {
            going.measured.losses = losses;
        }
    }

    /// The work has ended, or is broken off. Gives it back when anything was measured.
    pub fn end(&self, peak_memory: Option<u64>, requests: Option<Counts>) -> Option<Measured> {
        self.end_run(requests);
        let mut pages = self.pages();
        let measured = pages.going.take().map(|going| Measured { peak_memory, ..going.measured });
        let measured = measured.filter(|measured| !measured.runs.is_empty())?;
        pages.done.push(measured.clone());
        Some(measured)
    }

    /// The works that have ended.
    pub fn done(&self) -> Vec<Measured> {
        self.pages().done.clone()
    }

    fn read(&self, requests: Option<Counts>) -> Reading {
        Reading { at: self.clock.boot(), cpu: cpu_time(), machine: processors::spent(), requests }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // Each change is one step.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn difference(now: &Counts, before: &Counts) -> Counts {
    let since = |(kind, n): (&&'static str, &u64)| (*kind, n.saturating_sub(before.get(kind).copied().unwrap_or(0)));
    now.iter().map(since).filter(|(_, n)| *n > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs of so many seconds, operations, CPU seconds and puts.
    fn measured(runs: &[(u64, u64, f64, u64)]) -> Measured {
        let run = |(seconds, operations, cpu, puts): &(u64, u64, f64, u64)| {
            let mut tally = Tally::default();
            (0..*operations).for_each(|_| tally.whole.record(Duration::from_millis(1)));
            Run {
                elapsed: Duration::from_secs(*seconds),
                tally,
                cpu: Duration::from_secs_f64(*cpu),
                machine: Some(Duration::from_secs_f64(*cpu * 4.0)),
                requests: Some(BTreeMap::from([("put", *puts)])),
            }
        };
        Measured {
            suite: Suite::Lease,
            work: "lease".to_owned(),
            steps: &[],
            clients: 1,
            runs: runs.iter().map(run).collect(),
            peak_memory: None,
            generator: Generator::Part(Duration::from_millis(1)),
            losses: None,
        }
    }

    #[test]
    fn rates_are_of_runs_and_costs_of_operations() {
        let measured = measured(&[(1, 100, 1.0, 200), (2, 100, 2.0, 200), (1, 200, 1.0, 400)]);
        assert_eq!(measured.rates(), [100.0, 50.0, 200.0]);
        assert_eq!(measured.rate(), 100.0);
        assert_eq!(measured.cpu_per_operation(), 0.01);
        assert_eq!(measured.generator_share(), 0.1);
        assert_eq!(measured.requests_per_operation(), Some(BTreeMap::from([("put", 2.0)])));
        assert_eq!(measured.tally().operations(), 400);
        let mut remote = Measured { generator: Generator::Whole, ..measured };
        assert_eq!(remote.generator_share(), 0.25);
        remote.runs[0].requests = None;
        assert_eq!(remote.requests_per_operation(), Some(BTreeMap::from([("put", 2.0)])), "of the other two runs");
        remote.runs.truncate(1);
        assert_eq!(remote.requests_per_operation(), None);
    }

    #[test]
    fn nothing_done_costs_nothing() {
        let measured = measured(&[(0, 0, 0.0, 0)]);
        assert_eq!((measured.rate(), measured.cpu_per_operation(), measured.generator_share()), (0.0, 0.0, 0.0));
    }

    #[test]
    fn what_was_measured_before_the_end_is_kept() {
        let ledger = Ledger::new(Arc::new(lockd::clock::SystemClock));
        assert!(ledger.end(None, None).is_none(), "nothing has begun");
        ledger.begin(Measured { runs: vec![], ..measured(&[]) });
        ledger.begin_run(None);
        ledger.end_run(None);
        ledger.begin_run(None);
        assert!(ledger.end(None, None).is_none(), "nothing was done");
        ledger.begin(Measured { runs: vec![], ..measured(&[]) });
        let sheet = ledger.begin_run(None);
        sheet.tally().whole.record(Duration::from_millis(1));
        let broken_off = ledger.end(Some(7), None).unwrap();
        assert_eq!((broken_off.runs.len(), broken_off.tally().operations()), (1, 1));
        assert!(broken_off.runs[0].elapsed > Duration::ZERO);
        assert_eq!(ledger.done()[0].peak_memory, Some(7));
    }

    #[test]
    fn requests_before_the_run_are_not_its_own() {
        let before = BTreeMap::from([("get", 2), ("put", 5)]);
        let now = BTreeMap::from([("blob_write", 1), ("get", 2), ("put", 9)]);
        assert_eq!(difference(&now, &before), BTreeMap::from([("blob_write", 1), ("put", 4)]));
    }
}
