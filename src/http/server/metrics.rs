//! Metrics, in the text format of Prometheus.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::service::Tally;

type Label<const N: usize> = [(&'static str, &'static str); N];

/// See the module.
pub struct Metrics {
    registry: Registry,
    calls: Family<Label<2>, Counter>,
    latency: Family<Label<1>, Histogram, fn() -> Histogram>,
    store: Family<Label<2>, Histogram, fn() -> Histogram>,
    waits: Histogram,
    holds: Histogram,
    grants: Counter,
    expiries: Counter<u64, AtomicU64>,
    takeovers: AtomicU64,
    breaks: Counter,
    refused: Counter,
    connections: Gauge,
    waiters: Gauge<u64, AtomicU64>,
    waiting: Gauge<u64, AtomicU64>,
    held: Gauge<u64, AtomicU64>,
    for_update: Gauge<u64, AtomicU64>,
    parted: Counter,
    under_way: Gauge,
    tasks: Gauge<u64, AtomicU64>,
}

/// What is counted when it is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    /// What the service counts.
    pub tally: Tally,
    /// Calls that may wait.
    pub waiting: usize,
    /// Leases that may be held.
    pub held: usize,
    /// Leases for update that are followed, those that wait included.
    pub for_update: usize,
    /// Tasks of the runtime.
    pub tasks: usize,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// From 0.1 ms to about 7 minutes.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 2.0, 22))
}

/// From 1 ms to about 6 days.
fn long() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 3.0, 19))
}

impl Default for Metrics {
    fn default() -> Self {
        let constructor: fn() -> Histogram = seconds;
        let mut metrics = Self {
            registry: Registry::with_prefix("lockd"),
            calls: Family::default(),
            latency: Family::new_with_constructor(constructor),
            store: Family::new_with_constructor(constructor),
            waits: long(),
            holds: long(),
            grants: Counter::default(),
            expiries: Counter::default(),
            takeovers: AtomicU64::default(),
            breaks: Counter::default(),
            refused: Counter::default(),
            connections: Gauge::default(),
            waiters: Gauge::default(),
            waiting: Gauge::default(),
            held: Gauge::default(),
            for_update: Gauge::default(),
            parted: Counter::default(),
            under_way: Gauge::default(),
            tasks: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("calls", "Calls answered, by call and status class", self.calls.clone());
        r.register("call_seconds", "Time from a call's head to its answer's", self.latency.clone());
        r.register("store_seconds", "Time of requests to the store", self.store.clone());
        r.register("wait_seconds", "How long grants waited", self.waits.clone());
        r.register(
            "hold_seconds",
            "How long leases were held, for those that were given back here",
            self.holds.clone(),
        );
        r.register("grants", "Leases granted", self.grants.clone());
        r.register(
            "expiries",
            "Leases whose holder was not heard of: taken over by a grant here, or recorded as expired",
            self.expiries.clone(),
        );
        r.register("breaks", "Leases ended by force", self.breaks.clone());
        r.register("connections_refused", "Connections closed because there were too many", self.refused.clone());
        r.register("connections", "Open connections", self.connections.clone());
        r.register("calls_under_way", "Calls whose answers have not ended, this one included", self.under_way.clone());
        r.register("tasks", "Tasks of the runtime that have not ended", self.tasks.clone());
        r.register("waiters", "Acquires that have a place in the queue of a key here", self.waiters.clone());
        r.register(
            "waiting_calls",
            "Calls under way that may wait: acquires and breaks, whether they do or not, and watches to their end",
            self.waiting.clone(),
        );
        r.register("for_update", "Leases for update that are followed or waited for", self.for_update.clone());
        r.register("for_update_lost", "Leases for update whose client went away before their end", self.parted.clone());
        r.register("held", "Leases granted or renewed here that may still be held", self.held.clone());
    }

    /// A call was answered.
    pub fn called(&self, call: &'static str, status: u16, took: Duration) {
        let class = match status {
            200..300 => "2xx",
            400..500 => "4xx",
            500.. => "5xx",
            _ => "other",
        };
        self.calls.get_or_create(&[("call", call), ("status", class)]).inc();
        self.latency.get_or_create(&[("call", call)]).observe(took.as_secs_f64());
    }

    /// A request to the store was answered.
    pub fn stored(&self, operation: &'static str, well: bool, took: Duration) {
        let outcome = if well { "ok" } else { "error" };
        self.store.get_or_create(&[("operation", operation), ("outcome", outcome)]).observe(took.as_secs_f64());
    }

    /// A lease was granted after so long.
    pub fn granted(&self, waited: Duration, taken_over: bool) {
        self.grants.inc();
        self.takeovers.fetch_add(u64::from(taken_over), Ordering::Relaxed);
        self.waits.observe(waited.as_secs_f64());
    }

    /// A lease was given back after so long.
    pub fn released(&self, held: Duration) {
        self.holds.observe(held.as_secs_f64());
    }

    /// A lease was ended by force.
    pub fn broken(&self) {
        self.breaks.inc();
    }

    /// A connection was closed because there are too many.
    pub fn turned_away(&self) {
        self.refused.inc();
    }

    /// A connection was opened.
    pub fn opened(&self) {
        self.connections.inc();
    }

    /// A connection is gone.
    pub fn closed(&self) {
        self.connections.dec();
    }

    /// A call began.
    pub fn began(&self) {
        self.under_way.inc();
    }

    /// The last byte of its answer is sent, or its client has gone.
    pub fn over(&self) {
        self.under_way.dec();
    }

    /// The client of a lease for update went away before its end.
    pub fn parted(&self) {
        self.parted.inc();
    }

    /// All of it as text.
    pub fn text(&self, now: Standing) -> String {
        self.expiries.inner().store(self.takeovers.load(Ordering::Relaxed) + now.tally.expired, Ordering::Relaxed);
        self.waiters.set(now.tally.waiters);
        self.waiting.set(now.waiting as u64);
        self.held.set(now.held as u64);
        self.for_update.set(now.for_update as u64);
        self.tasks.set(now.tasks as u64);
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ok = encode(&mut text, &self.registry);
        text
    }
}
