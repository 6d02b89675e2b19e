//! The server: the API of a [`LeaseService`] over TCP and unix sockets.
//!
//! - [`address`]: where it listens. `accept`, `connection`, `line`, `farewell`, `hangup`: connections, their limits
//!   and their end.
//! - `dispatch`: from a request to an answer. `route`: the calls. `calls`: one function for each.
//! - `lanes`: permits, so that no flood starves renewals. `held`: the leases that a drain waits for.
//! - `streams`: the leases for update that are followed, and how many may be. `rising`: how far the server is in its life.
//! - [`metrics`]: for Prometheus.

mod accept;
pub mod address;
mod answer;
mod body;
mod calls;
mod connection;
mod dispatch;
mod farewell;
mod hangup;
mod held;
mod lanes;
mod line;
pub mod metrics;
mod rising;
mod route;
mod streams;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::limits::{
    CLOSE_TIME, CONNECTIONS, CONNECTIONS_HEALTH, CONNECTIONS_PER_ADDRESS, CONNECTIONS_UNIX, DRAIN, FOR_UPDATE,
    FOR_UPDATE_PER_CLIENT, TTL_MAX_SERVED,
};
use crate::model::Ttl;
use crate::service::LeaseService;

use accept::Gate;
use address::Listener;
use held::Held;
use lanes::Lanes;
use metrics::Metrics;
use rising::Rising;
use streams::Streams;

/// How a server behaves.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The longest TTL that it gives; longer ones are cut to it.
    pub max_ttl: Ttl,
    /// How long it waits for holders when it is asked to end.
    pub drain: Duration,
    /// Bounds on connections and streams.
    pub caps: Caps,
}

/// Bounds on connections and streams.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Over TCP, in all.
    pub tcp: usize,
    /// Of these from one address that is not this host.
    pub per_address: usize,
    /// Over unix sockets.
    pub unix: usize,
    /// Beyond `tcp`, for health and metrics only.
    pub health: usize,
    /// Leases for update, waiting ones included.
    pub for_update: usize,
    /// Of these for one address, or one user over unix sockets.
    pub for_update_per_client: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            tcp: CONNECTIONS,
            per_address: CONNECTIONS_PER_ADDRESS,
            unix: CONNECTIONS_UNIX,
            health: CONNECTIONS_HEALTH,
            for_update: FOR_UPDATE,
            for_update_per_client: FOR_UPDATE_PER_CLIENT,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let max_ttl = Ttl::new(TTL_MAX_SERVED).unwrap_or_default();
        Self { max_ttl, drain: DRAIN, caps: Caps::default() }
    }
}

/// Where the server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving = 0,
    /// No new grants; holders may finish.
    Draining = 1,
    /// Connections end after their last answer.
    Closing = 2,
}

/// What every call has in hand.
struct Shared {
    service: Arc<dyn LeaseService>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    config: Config,
    lanes: Lanes,
    held: Held,
    streams: Arc<Streams>,
    metrics: Arc<Metrics>,
    phase: Rising,
    /// Rises every few seconds: connections look at their age then, without a timer each.
    tick: Rising,
    exchanges: Exchanges,
}

/// Names exchanges where their callers do not: a random number of this server's, and how many came before. Nothing depends on it
/// but logs.
#[derive(Debug)]
struct Exchanges {
    server: u64,
    before: AtomicU64,
}

impl Exchanges {
    fn new(entropy: &dyn Entropy) -> Self {
        Self { server: u64::from_be_bytes(entropy.bytes()), before: AtomicU64::new(0) }
    }

    fn next(&self) -> String {
        format!("{:016x}-{}", self.server, self.before.fetch_add(1, Ordering::Relaxed))
    }
}

impl Shared {
    fn phase(&self) -> Phase {
        match self.phase.now() {
            0 => Phase::Serving,
            1 => Phase::Draining,
            _ => Phase::Closing,
        }
    }

    /// Returns once the server is so far in its life.
    async fn reached(&self, phase: Phase) {
        self.phase.reached(phase as u64).await;
    }
}

/// A server.
pub struct Server {
    shared: Arc<Shared>,
}

impl Server {
    /// A server of this service.
    #[must_use]
    pub fn new(
        service: Arc<dyn LeaseService>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        metrics: Arc<Metrics>,
        config: Config,
    ) -> Self {
        let (lanes, held, streams) = (Lanes::default(), Held::default(), Arc::default());
        let (phase, tick) = Default::default();
        let exchanges = Exchanges::new(&*entropy);
        let shared = Shared { service, clock, entropy, config, lanes, held, streams, metrics, phase, tick, exchanges };
        Self { shared: Arc::new(shared) }
    }

    /// Serves until `stop`, then drains: nothing is granted any more, those who wait are sent away, and holders may finish for
    /// as long as configured or until `hurry`. Then connections end after their last answers, within 5 s.
    pub async fn run(&self, listeners: Vec<Listener>, stop: impl Future<Output = ()>, hurry: impl Future<Output = ()>) {
        let shared = &self.shared;
        let gate = Arc::new(Gate::new(&shared.config.caps));
        let mut doors = JoinSet::new();
        for listener in listeners {
            doors.spawn(accept::run(Arc::clone(shared), listener, Arc::clone(&gate)));
        }
        let clock = Arc::clone(shared);
        let ticker = tokio::spawn(async move { ticks(&clock).await });
        stop.await;
        shared.phase.raise(Phase::Draining as u64);
        shared.service.grant_no_more().await;
        tracing::info!(held = shared.held.count(shared.clock.boot()), "draining");
        let _by_whatever_came_first = select(pin!(self.drained()), pin!(hurry)).await;
        shared.phase.raise(Phase::Closing as u64);
        tracing::info!(held = shared.held.count(shared.clock.boot()), "closing");
        while doors.join_next().await.is_some() {}
        ticker.abort();
        shared.service.close().await;
        tracing::info!("ended");
    }

    /// Until nothing that was granted here can be held any more, or the time for that is over.
    async fn drained(&self) {
        let shared = &self.shared;
        let until = shared.clock.boot() + shared.config.drain;
        loop {
            let fewer = pin!(shared.held.fewer());
            let now = shared.clock.boot();
            if now >= until || shared.held.count(now) == 0 {
                return;
            }
            let wake = shared.held.next_end().map_or(until, |end| end.min(until));
            match select(fewer, pin!(shared.clock.sleep_until(wake))).await {
                Either::Left(_) | Either::Right(_) => {}
            }
        }
    }
}

async fn ticks(shared: &Shared) {
    let clock: &dyn Clock = &*shared.clock;
    loop {
        clock.sleep(CLOSE_TIME).await;
        shared.tick.raise(shared.tick.now() + 1);
    }
}
