//! What runs on the hosts: servers, and clients with their workers.

use std::collections::BTreeMap;
use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use lockd::http::client::{Address, Body, Failure, Head, HttpClient, Nonblocking, PORT, Reply, Wire};
use lockd::http::server::address::Listener;
use lockd::http::server::metrics::Metrics;
use lockd::http::server::{Config, Server};
use tokio::sync::{Notify, mpsc};

use super::net::Card;
use super::worker as streaming;
use crate::sim::actor::{Actor, Seat};
use crate::sim::rng::mix;
use crate::sim::worker;
use crate::sim::world::{ProcId, Shared};
use crate::support::http2::Multiplexed;

/// What a host is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Server,
    /// A client with so many workers.
    Client(Protocol, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// hyper's client, as asynchronous programs use it.
    Http1,
    Http2,
}

/// Work for a client.
pub type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How often things happened.
pub type Tally = Arc<Mutex<BTreeMap<&'static str, u64>>>;

pub fn count(tally: &Tally, what: &'static str) {
    *tally.lock().unwrap().entry(what).or_default() += 1;
}

/// One life of a host's software.
pub struct Life {
    pub proc: ProcId,
    pub card: Arc<Card>,
    /// Dies at once.
    pub kill: Notify,
    /// A server drains and ends.
    pub stop: Notify,
    pub ended: AtomicBool,
    /// Workers that are not through yet.
    pub working: AtomicUsize,
    /// Of a client: who asks, and more work for it.
    pub client: Option<(Actor, mpsc::UnboundedSender<Job>)>,
}

/// A host.
#[derive(Clone)]
pub struct Host {
    pub name: String,
    pub index: usize,
    pub role: Role,
    /// What the servers are called, in this client's order.
    pub servers: Vec<String>,
    pub drain: Duration,
    pub life: Arc<Mutex<Option<Arc<Life>>>>,
    pub world: Arc<Mutex<Shared>>,
    pub tally: Tally,
}

impl Host {
    pub fn life(&self) -> Option<Arc<Life>> {
        self.life.lock().unwrap().clone()
    }

    /// A new life begins; what is returned is its software.
    pub fn start(&self) -> Pin<Box<dyn Future<Output = turmoil::Result>>> {
        let (proc, boot) = {
            let mut w = self.world.lock().unwrap();
            (w.process(self.index), Arc::clone(&w.boots[self.index]))
        };
        let (seat, card) = (Seat::new(&self.world, proc, &boot), Arc::new(Card::default()));
        let life = |client| {
            let life = Arc::new(Life {
                proc,
                card: Arc::clone(&card),
                kill: Notify::new(),
                stop: Notify::new(),
                ended: AtomicBool::new(false),
                working: AtomicUsize::new(0),
                client,
            });
            *self.life.lock().unwrap() = Some(Arc::clone(&life));
            life
        };
        match self.role {
            Role::Server => Box::pin(serve(life(None), seat, self.drain)),
            Role::Client(protocol, workers) => {
                let wire: Box<dyn Wire> = match protocol {
                    Protocol::Http1 => Box::new(Nonblocking::over(seat.clock.clone(), card.clone())),
                    Protocol::Http2 => Box::new(Multiplexed::over(card.clone())),
                };
                let wire = Counted { wire, world: Arc::clone(&self.world), proc, tally: Arc::clone(&self.tally) };
                let servers = self.servers.iter().map(|name| Address::Tcp { host: name.clone(), port: PORT });
                let http = HttpClient::new(servers.collect(), Box::new(wire), seat.clock.clone());
                let (give, jobs) = mpsc::unbounded_channel();
                let actor = Actor::over(seat, http);
                Box::pin(ask(life(Some((actor.clone(), give))), actor, workers, jobs))
            }
        }
    }
}

async fn dies(life: Arc<Life>) {
    life.kill.notified().await;
    life.card.die();
}

async fn serve(life: Arc<Life>, seat: Seat, drain: Duration) -> turmoil::Result {
    tokio::spawn(dies(Arc::clone(&life)));
    let listener = Listener::Other(life.card.listen(PORT).await?);
    let config = Config { drain, ..Config::default() };
    let metrics = Arc::new(Metrics::default());
    let server = Server::new(Arc::new(seat.engine(None)), seat.clock, seat.entropy, metrics, config);
    server.run(vec![listener], life.stop.notified(), pending()).await;
    life.ended.store(true, Ordering::Relaxed);
    pending().await
}

async fn ask(life: Arc<Life>, actor: Actor, workers: usize, mut jobs: mpsc::UnboundedReceiver<Job>) -> turmoil::Result {
    tokio::spawn(dies(Arc::clone(&life)));
    life.working.store(workers, Ordering::Relaxed);
    for n in 0..workers {
        let (life, actor, rng) = (Arc::clone(&life), actor.clone(), actor.world().rng.fork());
        tokio::spawn(async move {
            match n {
                0 => streaming::work(actor, rng).await,
                _ => worker::work(actor, rng).await,
            }
            life.working.fetch_sub(1, Ordering::Relaxed);
        });
    }
    while let Some(job) = jobs.recv().await {
        tokio::spawn(job);
    }
    pending().await
}

/// Counts requests, and puts them and their answers into the hash of the run.
struct Counted {
    wire: Box<dyn Wire>,
    world: Arc<Mutex<Shared>>,
    proc: ProcId,
    tally: Tally,
}

#[async_trait]
impl Wire for Counted {
    async fn send(&self, to: &Address, head: Head, body: Body<'_>) -> Result<Reply, Failure> {
        let text = format!("{to} {} {}", head.method, head.target);
        let asked = text.bytes().fold(0, |sum, byte| mix(sum ^ u64::from(byte)));
        count(&self.tally, "requests");
        self.world.lock().unwrap().note("request", self.proc.0 as u64, asked);
        let reply = self.wire.send(to, head, body).await;
        let (status, what) = match &reply {
            Ok(reply) => (u64::from(reply.status), "answers"),
            Err(failure) if failure.sent => (1, "requests without an answer"),
            Err(_) => (0, "requests that were not sent"),
        };
        count(&self.tally, what);
        self.world.lock().unwrap().note("answer", asked, status);
        reply
    }
}
