//! The answers for programs: one document, whose fields may only grow.

use std::collections::BTreeMap;

use lockd::clock::UnixMillis;
use serde::Serialize;

use super::super::text;
use super::baseline::{Baseline, Comparison};
use super::crash::Losses;
use super::latencies::Summary;
use super::ledger::{Measured, Run};
use super::load::Pace;
use super::place::{Counts, Subject};
use super::plan::Plan;
use super::statistics;

/// Everything that was measured. Durations carry their unit in their name.
#[derive(Serialize)]
pub struct Document {
    /// The version of lockd.
    pub version: &'static str,
    /// The store or the servers that were named; the work was done in a place of its own inside.
    pub store: String,
    pub about: String,
    /// When it began, by the wall clock.
    pub began: String,
    /// Processors that this process may use.
    pub processors: usize,
    pub replicas: usize,
    /// Runs of each work, as planned.
    pub runs: usize,
    pub duration_ms: u64,
    pub warm_up_ms: u64,
    /// Operations due a second; null when clients go as fast as they can.
    pub rate: Option<f64>,
    /// Whether a signal ended it; then the last run is as long as it got.
    pub interrupted: bool,
    /// What it was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<Before>,
    results: Vec<Outcome>,
}

#[derive(Serialize)]
struct Before {
    version: String,
    began: String,
    /// As a share: 0.1 is 10 %.
    tolerance: f64,
}

#[derive(Serialize)]
struct Outcome {
    suite: &'static str,
    work: String,
    clients: usize,
    /// Operations that succeeded, in all runs.
    operations: u64,
    /// Those that failed, by the code of their error.
    errors: BTreeMap<&'static str, u64>,
    /// What the first of them said.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_error: Option<String>,
    /// Operations that were due and never begun, with a rate; their latency is how long they had waited.
    missed: u64,
    per_second: Rate,
    latency_us: Summary,
    steps: Vec<Step>,
    cpu_us_per_operation: f64,
    /// The load generator's part of that, from 0 to 1; over servers this process's part of what this machine spent.
    generator_cpu_share: f64,
    peak_memory_bytes: Option<u64>,
    /// Null where servers do not tell.
    store_requests_per_operation: Option<BTreeMap<&'static str, f64>>,
    /// What was lost when processes were killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    losses: Option<Losses>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<Comparison>,
    runs: Vec<OneRun>,
}

/// Over the runs.
#[derive(Serialize)]
struct Rate {
    median: f64,
    min: f64,
    max: f64,
    /// Half of the distance from the lowest to the highest, as a share of the median.
    spread: f64,
}

#[derive(Serialize)]
struct Step {
    step: &'static str,
    latency_us: Summary,
}

#[derive(Serialize)]
struct OneRun {
    elapsed_ms: f64,
    operations: u64,
    errors: u64,
    missed: u64,
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    cpu_us: f64,
    store_requests: Option<Counts>,
}

impl Document {
    /// From what was measured.
    pub fn new(subject: &Subject, plan: &Plan, began: UnixMillis, interrupted: bool, all: &[Measured]) -> Self {
        let millis = |d: std::time::Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            store: subject.url.clone(),
            about: subject.about.clone(),
            began: text::rfc3339(began),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            replicas: plan.replicas,
            runs: plan.runs,
            duration_ms: millis(plan.duration),
            warm_up_ms: millis(plan.warm_up()),
            rate: match plan.pace {
                Pace::Closed => None,
                Pace::Open(rate) => Some(rate),
            },
            interrupted,
            baseline: None,
            results: all.iter().map(Outcome::new).collect(),
        }
    }

    /// The same with what each work is beside a baseline.
    pub fn beside(mut self, baseline: &Baseline, tolerance: f64, all: &[Measured]) -> Self {
        let (version, began) = (baseline.version.clone(), baseline.began.clone());
        self.baseline = Some(Before { version, began, tolerance });
        for (outcome, measured) in self.results.iter_mut().zip(all) {
            outcome.comparison = baseline.compare(measured, tolerance);
        }
        self
    }
}

impl Outcome {
    fn new(measured: &Measured) -> Self {
        let (tally, rates) = (measured.tally(), measured.rates());
        let (min, max) = statistics::range(&rates);
        let steps = measured.steps.iter().zip(&tally.steps);
        Self {
            suite: measured.suite.name(),
            work: measured.work.clone(),
            clients: measured.clients,
            operations: tally.operations(),
            errors: tally.errors.clone(),
            first_error: tally.first_error.clone(),
            missed: tally.missed,
            per_second: Rate { median: measured.rate(), min, max, spread: statistics::spread(&rates) },
            latency_us: tally.whole.summary(),
            steps: steps.map(|(step, all)| Step { step, latency_us: all.summary() }).collect(),
            cpu_us_per_operation: measured.cpu_per_operation() * 1e6,
            generator_cpu_share: measured.generator_share(),
            peak_memory_bytes: measured.peak_memory,
            store_requests_per_operation: measured.requests_per_operation(),
            losses: measured.losses,
            comparison: None,
            runs: measured.runs.iter().map(OneRun::new).collect(),
        }
    }
}

impl OneRun {
    fn new(run: &Run) -> Self {
        let latency = run.tally.whole.summary();
        Self {
            elapsed_ms: run.elapsed.as_secs_f64() * 1e3,
            operations: run.tally.operations(),
            errors: run.tally.failed(),
            missed: run.tally.missed,
            per_second: run.rate(),
            p50_us: latency.p50,
            p99_us: latency.p99,
            cpu_us: run.cpu.as_secs_f64() * 1e6,
            store_requests: run.requests.clone(),
        }
    }
}
