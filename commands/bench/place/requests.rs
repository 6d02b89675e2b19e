//! What is asked of a store while it is measured.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lockd::clock::Clock;
use lockd::connect;
use lockd::http::client::Address;
use lockd::limits::BENCH_METRICS_PATIENCE;
use lockd::store::observed::{OPERATIONS, Observer};

/// Requests to a store by their kind.
pub type Counts = BTreeMap<&'static str, u64>;

/// Where they are counted.
#[derive(Clone)]
pub enum Requests {
    /// In this process.
    Here(Arc<Counter>),
    /// By servers, which say so among their metrics.
    There(Vec<Address>, Arc<dyn Clock>),
}

/// Counts requests to a store.
#[derive(Debug, Default)]
pub struct Counter(Mutex<Counts>);

impl Observer for Counter {
    fn answered(&self, operation: &'static str, _well: bool, _took: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(operation).or_default() += 1;
    }
}

impl Requests {
    /// How many there were until now, where that is known at once.
    pub fn at_once(&self) -> Option<Counts> {
        match self {
            Self::Here(counter) => Some(counter.0.lock().unwrap_or_else(PoisonError::into_inner).clone()),
            Self::There(..) => None,
        }
    }

    /// How many there were until now; `None` when a server does not say it, or not soon.
    pub async fn counted(&self) -> Option<Counts> {
        let Self::There(servers, clock) = self else { return self.at_once() };
        let mut all = Counts::new();
        for server in servers {
            let until = clock.boot() + BENCH_METRICS_PATIENCE;
            let text = clock.timeout_at(until, connect::metrics(server, Arc::clone(clock))).await?.ok()?;
            for (kind, n) in of_metrics(&text)? {
                *all.entry(kind).or_default() += n;
            }
        }
        Some(all)
    }
}

/// Reads them from the text format of Prometheus; `None` when a server has no such metric.
fn of_metrics(text: &str) -> Option<Counts> {
    // It is told of a server that has not asked its store yet, too.
    text.lines().find(|line| line.starts_with("# TYPE lockd_store_seconds "))?;
    let mut all = Counts::new();
    for line in text.lines() {
        let Some((labels, n)) = line.strip_prefix("lockd_store_seconds_count{").and_then(|rest| rest.split_once("} "))
        else {
            continue;
        };
        let is_of = |kind: &&str| labels.split(',').any(|label| label == format!("operation=\"{kind}\""));
        let kind = OPERATIONS.into_iter().find(is_of)?;
        *all.entry(kind).or_default() += n.trim().parse::<u64>().ok()?;
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_found_among_the_other_metrics() {
        let text = "# HELP lockd_store_seconds Time.\n# TYPE lockd_store_seconds histogram\n\
                    lockd_store_seconds_sum{operation=\"put\",outcome=\"ok\"} 0.25\n\
                    lockd_store_seconds_count{operation=\"put\",outcome=\"ok\"} 40\n\
                    lockd_store_seconds_bucket{le=\"0.1\",operation=\"put\",outcome=\"ok\"} 40\n\
                    lockd_store_seconds_count{operation=\"put\",outcome=\"error\"} 2\n\
                    lockd_store_seconds_count{outcome=\"ok\",operation=\"get\"} 7\n\
                    lockd_grants_total 9\n# EOF\n";
        assert_eq!(of_metrics(text), Some(Counts::from([("get", 7), ("put", 42)])));
        assert_eq!(of_metrics("# TYPE lockd_store_seconds histogram\n"), Some(Counts::new()));
        assert_eq!(of_metrics("<html>"), None);
        assert_eq!(of_metrics(&text.replace("operation=\"get\"", "operation=\"guess\"")), None);
    }
}
