//! Latencies as a histogram: three significant digits, from a nanosecond to hours, at constant memory.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Significant decimal digits of a latency.
const DIGITS: u8 = 3;

/// How long operations took.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

/// The figures that are printed of a histogram, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    pub count: u64,
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Default for Latencies {
    fn default() -> Self {
        // It grows by itself; three digits are always allowed.
        Self(Histogram::new(DIGITS).unwrap_or_else(|e| unreachable!("{e}")))
    }
}

impl Latencies {
    /// Counts one.
    pub fn record(&mut self, took: Duration) {
        // It grows by itself, up to what no clock shows.
        let _recorded = self.0.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).min(u64::MAX / 4));
    }

    /// Counts all of another one.
    pub fn add(&mut self, other: &Self) {
        // Both grow by themselves and have the same digits: it cannot fail.
        let _added = self.0.add(&other.0);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time that this share of all did not exceed; zero when there are none.
    pub fn percentile(&self, share: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(share))
    }

    /// The figures.
    pub fn summary(&self) -> Summary {
        let us = |nanos: u64| nanos as f64 / 1_000.0;
        let at = |share: f64| us(self.0.value_at_quantile(share));
        Summary {
            count: self.count(),
            min: us(self.0.min()),
            mean: self.0.mean() / 1_000.0,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: us(self.0.max()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_three_digits_from_nanoseconds_to_hours() {
        for unit in [1, 1_000, 1_000_000, 3_600_000_000] {
            let mut latencies = Latencies::default();
            for n in 1..=1_000 {
                latencies.record(Duration::from_nanos(n * unit));
            }
            for (share, expected) in [(0.5, 500), (0.9, 900), (0.99, 990), (0.999, 999), (1.0, 1_000)] {
                let (found, expected) = (latencies.percentile(share).as_nanos() as f64, (expected * unit) as f64);
                assert!((found / expected - 1.0).abs() <= 0.001, "{share} of {unit}: {found}");
            }
        }
    }

    #[test]
    fn merged_histograms_are_the_histogram_of_all() {
        let (mut odd, mut even, mut all) = (Latencies::default(), Latencies::default(), Latencies::default());
        for n in 0..10_000_u64 {
            // Very unequal halves, so that one histogram is larger than the other.
            let took = Duration::from_nanos(if n % 2 == 0 { n } else { n * 1_000_000 });
            if n % 2 == 0 {
                even.record(took)
            } else {
                odd.record(took)
            }
            all.record(took);
        }
        even.add(&odd);
        assert_eq!(even.summary(), all.summary());
        assert_eq!(even.count(), 10_000);
    }

    #[test]
    fn nothing_measured_is_all_zeroes() {
        let summary = Latencies::default().summary();
        assert_eq!((summary.count, summary.p50, summary.max), (0, 0.0, 0.0));
        let mut longest = Latencies::default();
        longest.record(Duration::MAX);
        assert_eq!(longest.count(), 1);
    }
}
