//! Who works on the sets, and the servers whose clocks are off: this test binary again, with orders.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lockd::client::{Client, Lease};
use lockd::clock::{Clock, SystemClock};
use lockd::connect::{self, Carrier, Connection, Target};
use lockd::entropy::KernelEntropy;
use lockd::error::{Error, ErrorKind as K};
use lockd::http::server::address::Address;
use lockd::http::server::metrics::Metrics;
use lockd::http::server::{Config, Server};
use lockd::model::Ttl;
use lockd::service::LeaseService;
use lockd::store::open::OpenOptions;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::UnixStream;

use super::TTL;
use super::register::{Answer, Ask};
use crate::faults::rng::Rng;
use crate::faults::skewed_clock::SkewedClock;
use crate::faults::worker::{again, block_on};

const ENV: &str = "LOCKD_TEST_LOCK_SET";
/// A holder works for so long at the most between its look at the deadline and its write.
const THINK_MS: usize = 20;
/// A worker waits for a lock for so long at the most, and then tries another.
const WAIT_MS: usize = 1_500;

/// What a process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    pub role: Role,
    /// How far ahead its boot clock gets in a thousand units of time; its wall clock is then off, too. None: the machine's clocks.
    pub skew: Option<i32>,
    pub name: String,
    /// Of its choices.
    pub seed: u64,
    /// No other process has it.
    pub number: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Serve a store at an address, as `lockd serve` does once it has checked the store.
    Replica { store: String, at: String },
    /// Add elements to sets, by several workers.
    Worker { register: PathBuf, sets: usize, at_once: usize, over: Over },
}

/// Where a worker takes its locks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Over {
    Store(String),
    Servers(Vec<String>),
}

impl Orders {
    pub fn command(&self) -> std::process::Command {
        again(&[], "faults::lock_set::worker::carries_out_its_orders", ENV, self)
    }
}

#[test]
fn carries_out_its_orders() {
    // In an ordinary run there are none: the test that starts this process as one of its own is the test.
    let Some(orders) = std::env::var_os(ENV) else { return };
    let orders: Orders = serde_json::from_slice(orders.as_encoded_bytes()).unwrap();
    let clock: Arc<dyn Clock> = match orders.skew {
        Some(ahead) => Arc::new(SkewedClock::new(ahead)),
        None => Arc::new(SystemClock),
    };
    block_on(async {
        match &orders.role {
            Role::Replica { store, at } => replicate(store, at, clock).await,
            Role::Worker { register, sets, at_once, over } => {
                let service = over.service(&clock).await;
                let client = Client::new(service, Arc::clone(&clock), Arc::new(KernelEntropy));
                let all = (0..*at_once as u64).map(|n| {
                    let (client, clock) = (client.clone(), Arc::clone(&clock));
                    let (rng, next) = (Rng::new(orders.seed.wrapping_add(n)), (orders.number << 32) | (n << 24));
                    let by = format!("{}.{n}", orders.name);
                    async move {
                        let stream = BufStream::new(UnixStream::connect(register).await.unwrap());
                        Worker { client, clock, stream, rng, by, next }.work(*sets).await
                    }
                });
                futures_util::future::join_all(all).await;
            }
        }
    });
}

async fn open(store: &str, clock: &Arc<dyn Clock>, serves: bool) -> Arc<dyn LeaseService> {
    let open = OpenOptions { clock: Arc::clone(clock), create: false, ..OpenOptions::system() };
    let options = connect::Options { open, notes: None, serves, observer: None };
    let Connection { service, .. } = connect::open(&Target::Store(store.to_owned()), options).await.unwrap();
    service
}

async fn replicate(store: &str, at: &str, clock: Arc<dyn Clock>) {
    let service = open(store, &clock, true).await;
    let listener = Address::parse(at).unwrap().bind().await.unwrap();
    let server = Server::new(service, clock, Arc::new(KernelEntropy), Arc::new(Metrics::default()), Config::default());
    server.run(vec![listener], std::future::pending(), std::future::pending()).await;
}

impl Over {
    async fn service(&self, clock: &Arc<dyn Clock>) -> Arc<dyn LeaseService> {
        match self {
            Self::Store(url) => open(url, clock, false).await,
            Self::Servers(at) => connect::servers(at, Carrier::Runtime, Arc::clone(clock)).unwrap(),
        }
    }
}

/// One at a time: take the lock of a set, read it, add an element, write it, give the lock back.
struct Worker {
    client: Client,
    clock: Arc<dyn Clock>,
    stream: BufStream<UnixStream>,
    rng: Rng,
    by: String,
    /// Its next element, which nobody else adds.
    next: u64,
}

impl Worker {
    async fn work(mut self, sets: usize) {
        loop {
            let set = self.rng.below(sets);
            if let Err(error) = self.once(set).await {
                let what = error.kind().wire_code().to_owned();
                assert!(is_expected(&error), "{}: set {set}: {error} ({what})", self.by);
                self.ask(&Ask::Tell { what }).await;
                self.clock.sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn once(&mut self, set: usize) -> Result<(), Error> {
        let mut options = self.client.options(&format!("set/{set}"))?;
        options.ttl = Ttl::new(TTL)?;
        options.wait = Some(Duration::from_millis(self.rng.below(WAIT_MS) as u64));
        let mut lease = self.client.acquire(options, |_| ()).await?;
        lease.keep_alive();
        self.add(set, &lease).await;
        lease.release().await.map(drop)
    }

    async fn add(&mut self, set: usize, lease: &Lease) {
        let (token, by) = (lease.token.0, self.by.clone());
        let read = self.ask(&Ask::Read { set, token, by }).await;
        let Answer::Elements(mut elements) = read else { return self.tell("read refused").await };
        // As any holder should; it may be stopped after it.
        if lease.deadline() <= self.clock.boot() {
            return self.tell("too late to write").await;
        }
        self.clock.sleep(Duration::from_millis(self.rng.below(THINK_MS) as u64)).await;
        self.next += 1;
        elements.push(self.next);
        if self.ask(&Ask::Write { set, token, elements }).await == Answer::Refused {
            self.tell("write refused").await;
        }
    }

    async fn tell(&mut self, what: &str) {
        self.ask(&Ask::Tell { what: what.to_owned() }).await;
    }

    async fn ask(&mut self, ask: &Ask) -> Answer {
        let text = serde_json::to_string(ask).unwrap() + "\n";
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

/// What servers that are killed and stopped, and pauses of its own, may do to a worker.
fn is_expected(error: &Error) -> bool {
    matches!(
        error.kind(),
        K::Busy
            | K::Unavailable
            | K::OutcomeUnknown
            | K::LeaseExpired
            | K::LeaseEnded
            | K::LeaseRequired
            | K::FencingMismatch
    )
}
