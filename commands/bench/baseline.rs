//! Today beside another day: the runs of each work compared pair by pair with those of an earlier `--json`.

use std::path::Path;
use std::time::Duration;

use lockd::error::{Error, Result};
use lockd::limits::BENCH_BASELINE_BYTES;
use serde::{Deserialize, Serialize};

use super::super::context::usage;
use super::ledger::{Measured, Run};
use super::load::Pace;
use super::plan::Plan;
use super::statistics::median;

/// What is read of an earlier document.
#[derive(Debug, Deserialize)]
pub struct Baseline {
    schema: u32,
    /// The lockd that was measured.
    pub version: String,
    /// When.
    pub began: String,
    store: String,
    duration_ms: u64,
    replicas: usize,
    rate: Option<f64>,
    results: Vec<Before>,
}

#[derive(Debug, Deserialize)]
struct Before {
    work: String,
    clients: usize,
    runs: Vec<Figures>,
}

/// The figures of one run that are compared.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Figures {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
}

/// How a work stands beside the baseline: each figure is the median of the ratios of all pairs of a run now and a run before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Operations a second: below 1 is slower now.
    pub per_second_ratio: f64,
    /// Above 1 is slower now.
    pub p50_ratio: f64,
    /// Above 1 is slower now. It is told and not judged, for a few operations make it.
    pub p99_ratio: f64,
    /// Whether rate or median latency are worse by more than the tolerance.
    pub slower: bool,
}

impl Baseline {
    /// Reads a file that `--json` wrote.
    ///
    /// # Errors
    /// When it cannot be read, or is something else.
    pub fn read(path: &Path) -> Result<Self> {
        let about = |e: Error| e.context("--baseline");
        let meta = std::fs::metadata(path).map_err(|e| about(Error::io(format!("read {}", path.display()), &e)))?;
        if meta.len() > BENCH_BASELINE_BYTES {
            return Err(usage("--baseline", &format!("{} is too large to be one", path.display())));
        }
        let text = std::fs::read(path).map_err(|e| about(Error::io(format!("read {}", path.display()), &e)))?;
        Self::parse(&text).map_err(|why| {
            usage("--baseline", &format!("{} is not what `lockd bench --json` prints: {why}", path.display()))
        })
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let found: Self = serde_json::from_slice(text).map_err(|e| e.to_string())?;
        match found.schema {
            1 => Ok(found),
            other => Err(format!("its schema is {other}")),
        }
    }

    /// What differs between the two measurements beside the time: ratios then say less.
    pub fn differences(&self, plan: &Plan, store: &str) -> Vec<String> {
        let rate = match plan.pace {
            Pace::Closed => None,
            Pace::Open(rate) => Some(rate),
        };
        let shown = |rate: Option<f64>| rate.map_or_else(|| "no rate".to_owned(), |rate| format!("rate {rate}"));
        let duration = Duration::from_millis(self.duration_ms);
        [
            (self.store != store).then(|| format!("the store was {}", self.store)),
            (duration != plan.duration).then(|| format!("runs took {duration:?}")),
            (self.replicas != plan.replicas).then(|| format!("there were {} replicas", self.replicas)),
            (self.rate != rate).then(|| format!("there was {}", shown(self.rate))),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Compares a work with the same work by as many clients; `None` when that was not measured.
    pub fn compare(&self, now: &Measured, tolerance: f64) -> Option<Comparison> {
        let same = |before: &&Before| before.work == now.work && before.clients == now.clients;
        let before = &self.results.iter().find(same)?.runs;
        let now: Vec<Figures> = now.runs.iter().map(Figures::of).collect();
        let ratio = |figure: fn(&Figures) -> f64| ratio(&now, before, figure);
        let (per_second_ratio, p50_ratio) = (ratio(|run| run.per_second)?, ratio(|run| run.p50_us)?);
        let p99_ratio = ratio(|run| run.p99_us)?;
        let slower = per_second_ratio < 1.0 - tolerance || p50_ratio > 1.0 / (1.0 - tolerance);
        Some(Comparison { per_second_ratio, p50_ratio, p99_ratio, slower })
    }
}

impl Figures {
    fn of(run: &Run) -> Self {
        let us = |share: f64| run.tally.whole.percentile(share).as_secs_f64() * 1e6;
        Self { per_second: run.rate(), p50_us: us(0.5), p99_us: us(0.99) }
    }
}

/// The median of the ratios of all pairs (as the estimator of Hodges and Lehmann has it for differences): no single run moves it
/// far. `None` when there is no pair that has a ratio.
fn ratio(now: &[Figures], before: &[Figures], figure: fn(&Figures) -> f64) -> Option<f64> {
    let of_pair = |now: &Figures, before: &Figures| (figure(before) > 0.0).then(|| figure(now) / figure(before));
    let all: Vec<f64> = now.iter().flat_map(|n| before.iter().filter_map(move |b| of_pair(n, b))).collect();
    (!all.is_empty()).then(|| median(&all))
}

#[cfg(test)]
mod tests {
    use super::super::load::Tally;
    use super::super::suites::Suite;
    use super::*;

    /// A run of a second with so many operations, each of which took so many microseconds.
    fn run(operations: u64, us: u64) -> Run {
        let mut tally = Tally::default();
        (0..operations).for_each(|_| tally.whole.record(Duration::from_micros(us)));
        Run { elapsed: Duration::from_secs(1), tally, ..Run::default() }
    }

    fn now(runs: &[(u64, u64)]) -> Measured {
        Measured {
            suite: Suite::Lease,
            work: "lease".to_owned(),
            steps: &[],
            clients: 16,
            runs: runs.iter().map(|(operations, us)| run(*operations, *us)).collect(),
            peak_memory: None,
            generator: super::super::ledger::Generator::Whole,
            losses: None,
        }
    }

    fn baseline(runs: &str) -> Baseline {
        let text = format!(
            r#"{{"schema":1,"version":"0.0.9","began":"2026-01-01T00:00:00.000Z","store":"mem://","duration_ms":2000,"replicas":1,
            "rate":null,"later":[1],"results":[{{"work":"lease","clients":16,"more":true,"runs":[{runs}]}}]}}"#
        );
        Baseline::parse(text.as_bytes()).unwrap()
    }

    const HUNDRED: &str = r#"{"per_second":100,"p50_us":1000,"p99_us":2000}"#;

    #[test]
    fn a_difference_within_the_tolerance_is_none() {
        let before = baseline(HUNDRED);
        let same = before.compare(&now(&[(95, 1_050)]), 0.1).unwrap();
        assert!(!same.slower);
        assert!((same.per_second_ratio - 0.95).abs() < 1e-9 && (same.p50_ratio - 1.05).abs() < 0.002, "{same:?}");
        assert!(before.compare(&now(&[(95, 1_000)]), 0.04).unwrap().slower, "less tolerance");
        assert!(before.compare(&now(&[(100, 1_200)]), 0.1).unwrap().slower, "latency alone");
        assert!(!before.compare(&now(&[(500, 200)]), 0.1).unwrap().slower, "faster is not slower");
    }

    #[test]
    fn one_wild_run_decides_nothing() {
        let before = baseline(&[HUNDRED; 3].join(","));
        assert!(!before.compare(&now(&[(100, 1_000), (3, 30_000), (101, 990)]), 0.1).unwrap().slower);
        let wild = format!(r#"{HUNDRED},{{"per_second":900,"p50_us":100,"p99_us":200}},{HUNDRED}"#);
        assert!(!baseline(&wild).compare(&now(&[(100, 1_000); 3]), 0.1).unwrap().slower);
        assert!(before.compare(&now(&[(50, 2_000), (100, 1_000), (51, 1_990)]), 0.1).unwrap().slower, "two of three");
    }

    #[test]
    fn only_the_same_work_by_as_many_clients_is_compared() {
        let before = baseline(HUNDRED);
        assert!(before.compare(&Measured { clients: 1, ..now(&[(1, 1)]) }, 0.1).is_none());
        assert!(before.compare(&Measured { work: "handoff".to_owned(), ..now(&[(1, 1)]) }, 0.1).is_none());
        assert!(baseline("").compare(&now(&[(1, 1)]), 0.1).is_none());
        let idle = baseline(r#"{"per_second":0,"p50_us":0,"p99_us":0}"#);
        assert!(idle.compare(&now(&[(1, 1)]), 0.1).is_none(), "a ratio to nothing");
    }

    #[test]
    fn something_else_is_refused() {
        for text in ["", "{}", "[]", "{\"schema\":1}"] {
            assert!(Baseline::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        let newer =
            r#"{"schema":2,"version":"","began":"","store":"","duration_ms":1,"replicas":1,"rate":null,"results":[]}"#;
        assert_eq!(Baseline::parse(newer.as_bytes()).unwrap_err(), "its schema is 2");
    }
}
