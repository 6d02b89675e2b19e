//! A network that misbehaves: real sockets to a server in a process of its own, with clients that hang up, are slow or hostile,
//! and a proxy in between. Times are printed; asserted is only what the API promises.

#![expect(clippy::disallowed_methods, reason = "how long real sockets take is measured, on a machine that is awake")]

mod aborts;
mod between;
mod crowd;
mod fuzz;
mod hostile;
mod killed;
mod proxy;
mod raw;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lockd::clock::{Clock, SystemClock};
use lockd::connect::{self, Carrier};
use lockd::service::{AcquireRequest, LeaseService, Wait};
use tokio::sync::{Mutex, MutexGuard};

use crate::cli::lab::Lab;
use crate::cli::serve::server::Server;
use crate::support::world::{ask, body, change, key, proof};

/// These tests measure, and take the machine for themselves.
static ONE: Mutex<()> = Mutex::const_new(());

/// A server and an ordinary client of it.
struct Place {
    _one: MutexGuard<'static, ()>,
    lab: Lab,
    server: Server,
    service: Arc<dyn LeaseService>,
}

impl Place {
    async fn new() -> Self {
        let one = ONE.lock().await;
        let lab = Lab::new();
        assert_eq!(lab.run(["list", "--store", &lab.store()]).code, 0, "a server makes no store");
        let server = started(&lab);
        let service = servers(&[&server.at[0]], Carrier::Runtime);
        Self { _one: one, lab, server, service }
    }

    fn at(&self) -> &str {
        &self.server.at[0]
    }

    /// A number of its metrics.
    fn metric(&self, name: &str) -> u64 {
        let text = String::from_utf8(self.server.call("GET", "/metrics", &[], "").body).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
        line.parse().unwrap()
    }

    /// Until nothing is left of what others did at the server.
    async fn quiet(&self) {
        // One connection is the client's, one asks.
        while self.metric("lockd_connections") > 2
            || self.metric("lockd_for_update") > 0
            || self.metric("lockd_waiters") > 0
        {
            pass(Duration::from_millis(5)).await;
        }
    }

    /// Makes this the state of a key.
    async fn put(&self, name: &str, text: &str) {
        let held = self.service.acquire(lasting(name)).await.unwrap();
        let text = text.to_owned();
        self.service.update(change(name, proof(&held)), Default::default(), body(text)).await.unwrap();
        self.service.release(&key(name), &held.lease_id, Some(&proof(&held)), false).await.unwrap();
    }

    /// Calls of others that are under way.
    fn under_way(&self) -> u64 {
        self.metric("lockd_calls_under_way") - 1
    }

    async fn waiters(&self, name: &str) -> u64 {
        self.service.describe(&key(name)).await.unwrap().waiters.unwrap()
    }

    async fn is_held(&self, name: &str) -> bool {
        self.service.describe(&key(name)).await.unwrap().held.is_some()
    }
}

/// A server over a store in the lab's directory, which several may share.
fn started(lab: &Lab) -> Server {
    let store = lab.store();
    Server::start(lab, &["--store", &store, "--listen", "127.0.0.1:0"], 1)
}

fn servers(at: &[&str], carrier: Carrier) -> Arc<dyn LeaseService> {
    let urls: Vec<String> = at.iter().map(|at| format!("http://{at}")).collect();
    connect::servers(&urls, carrier, Arc::new(SystemClock)).unwrap()
}

/// A lease that outlasts any test.
fn lasting(name: &str) -> AcquireRequest {
    AcquireRequest { ttl: lockd::model::Ttl::new(Duration::from_secs(1_000)).unwrap(), ..ask(name, Wait::No) }
}

/// Lets time pass: what is waited for is looked at again.
async fn pass(time: Duration) {
    let clock: &dyn Clock = &SystemClock;
    clock.sleep(time).await;
}

/// Until something is so; how long that took.
async fn until(mut so: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < Duration::from_secs(60), "it never is");
        pass(Duration::from_millis(1)).await;
    }
    began.elapsed()
}

/// Prints the distribution of some times.
fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 1_000).min(times.len() - 1)];
    println!("{what}: {} times, p50 {:?}, p99 {:?}, max {:?}", times.len(), at(500), at(990), at(1_000));
}
