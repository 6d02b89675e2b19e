//! A store with engines and clients on it, in advanced time; over servers in fast time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use lockd::client::{AcquireOptions, Client};
use lockd::clock::Clock;
use lockd::connect::{self, Carrier};
use lockd::engine::{Engine, Options};
use lockd::entropy::{Entropy, KernelEntropy};
use lockd::error::Result;
use lockd::http::client::{Address, HttpClient};
use lockd::http::server::metrics::Metrics;
use lockd::http::server::{Config, Server, address};
use lockd::model::{Holder, Key, LeaseId, Namespace, Owner, RequestId, Ttl, TxnId};
use lockd::service::{AcquireRequest, ChangeRequest, Grant, Guards, LeaseService, Proof, State, Wait};
use lockd::store::open::{OpenOptions, open};
use lockd::store::{ByteStream, Store, memory};

use super::clock::TestClock;
use super::http2::Http2;

pub const TTL: Duration = Duration::from_secs(30);

/// A store and its clock; engines on it play processes.
#[derive(Debug, Clone)]
pub struct World {
    pub store: Store,
    pub clock: TestClock,
    /// Where the store is, when it is a directory; removed with the last clone.
    dir: Option<Arc<tempfile::TempDir>>,
    /// What is between its peers and their engines.
    over: Option<Over>,
}

/// What carries requests to servers.
#[derive(Clone, Copy, Debug)]
pub enum Over {
    Http1(Carrier),
    Http2,
}

impl From<Carrier> for Over {
    fn from(carrier: Carrier) -> Self {
        Self::Http1(carrier)
    }
}

/// How many times faster time passes where servers are asked.
const RATE: u32 = 10;

/// Somebody on the store: an engine, alone or behind a server of its own.
pub struct Peer {
    service: Arc<dyn LeaseService>,
    engine: Engine,
    server: Option<tokio::task::JoinHandle<()>>,
}

impl std::ops::Deref for Peer {
    type Target = dyn LeaseService;
    fn deref(&self) -> &Self::Target {
        &*self.service
    }
}

impl Peer {
    /// What it asks.
    pub fn service(&self) -> Arc<dyn LeaseService> {
        Arc::clone(&self.service)
    }

    /// Waits for what goes on behind answers.
    pub async fn close(&self) {
        self.engine.close().await;
    }

    /// Ends its server and its connections, as if the process had been killed.
    pub fn kill(&self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl World {
    pub fn memory() -> Self {
        Self { store: memory::store(&KernelEntropy), clock: TestClock::new(), dir: None, over: None }
    }

    /// A new directory store. Its stamps are off, so that ages are watched as on any other store.
    pub async fn disk() -> Self {
        Self::in_directory("disk").await
    }

    /// A new `lsm` store, with the same.
    #[cfg(feature = "lsm")]
    pub async fn lsm() -> Self {
        Self::in_directory("lsm").await
    }

    async fn in_directory(scheme: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = TestClock::new();
        let options = OpenOptions { clock: Arc::new(clock.clone()), ..OpenOptions::system() };
        let opened = open(&format!("{scheme}://{}/store", dir.path().display()), options).await.unwrap();
        let mut store = opened.store;
        store.facts.stamps = false;
        Self { store, clock, dir: Some(Arc::new(dir)), over: None }
    }

    /// The same in the time of this machine, only faster.
    pub fn faster(self) -> Self {
        Self { clock: TestClock::fast(RATE), ..self }
    }

    /// A store in memory behind servers.
    pub fn served(over: impl Into<Over>) -> Self {
        let dir = Some(Arc::new(tempfile::tempdir().unwrap()));
        Self { clock: TestClock::fast(RATE), dir, over: Some(over.into()), ..Self::memory() }
    }

    /// How much later than due something may be seen in this world.
    pub fn slack(&self) -> Duration {
        match self.over {
            None => Duration::ZERO,
            // The time of this machine, with all that it does beside.
            Some(_) => Duration::from_secs(2) * RATE,
        }
    }

    /// Another process on the same store, as this world has them.
    pub async fn peer(&self) -> Peer {
        match self.over {
            None => {
                let engine = self.engine();
                Peer { service: Arc::new(engine.clone()), engine, server: None }
            }
            Some(over) => self.server(over).await.1,
        }
    }

    /// A server, by its address.
    pub async fn server(&self, over: impl Into<Over>) -> (String, Peer) {
        let engine = self.engine_at(self.clock.clone(), Options { serves: true, ..Options::default() });
        // One after the other over TCP and a unix socket.
        let dir = self.dir.as_ref().unwrap().path();
        let nth = std::fs::read_dir(dir).unwrap().count();
        std::fs::create_dir(dir.join(nth.to_string())).unwrap();
        let at = match nth % 2 {
            0 => "127.0.0.1:0".to_owned(),
            _ => format!("unix://{}/{nth}/lockd.sock", dir.display()),
        };
        let listener = address::Address::parse(&at).unwrap().bind().await.unwrap();
        let bound = listener.address().unwrap().to_string();
        let url = if bound.starts_with("unix:") { bound } else { format!("http://{bound}") };
        let (clock, metrics) = (Arc::new(self.clock.clone()), Arc::new(Metrics::default()));
        let server =
            Server::new(Arc::new(engine.clone()), clock.clone(), Arc::new(KernelEntropy), metrics, Config::default());
        let running = tokio::spawn(async move {
            server.run(vec![listener], std::future::pending(), std::future::pending()).await;
        });
        let service: Arc<dyn LeaseService> = match over.into() {
            Over::Http1(carrier) => connect::servers([&url], carrier, clock).unwrap(),
            Over::Http2 => Arc::new(HttpClient::new(vec![Address::parse(&url).unwrap()], Box::new(Http2), clock)),
        };
        (url, Peer { service, engine, server: Some(running) })
    }

    /// A store that somebody else opened.
    pub fn over(store: Store, clock: TestClock) -> Self {
        Self { store, clock, dir: None, over: None }
    }

    /// An engine of its own: another process on the same store.
    pub fn engine(&self) -> Engine {
        self.engine_at(self.clock.clone(), Options::default())
    }

    pub fn engine_at(&self, clock: TestClock, options: Options) -> Engine {
        Engine::new(self.store.clone(), Arc::new(clock), Arc::new(KernelEntropy), options)
    }

    pub fn client(&self, engine: &Engine) -> Client {
        Client::new(Arc::new(engine.clone()), Arc::new(self.clock.clone()), Arc::new(KernelEntropy))
    }

    pub async fn pass(&self, d: Duration) {
        let clock: &dyn Clock = &self.clock;
        clock.sleep(d).await;
    }
}

pub fn key(name: &str) -> Key {
    Key::new(Namespace::default(), name).unwrap()
}

pub fn entropy() -> &'static dyn Entropy {
    &KernelEntropy
}

pub fn lease_id() -> LeaseId {
    LeaseId::random(entropy())
}

pub fn ask(name: &str, wait: Wait) -> AcquireRequest {
    AcquireRequest {
        key: key(name),
        lease_id: lease_id(),
        txn: TxnId::random(entropy()),
        ttl: Ttl::new(TTL).unwrap(),
        owner: Owner::new("tester").unwrap(),
        reason: None,
        holder: Holder::default(),
        if_not_exists: false,
        wait,
        confirm: false,
    }
}

pub fn options(name: &str, wait: Option<Duration>) -> AcquireOptions {
    let r = ask(name, Wait::No);
    AcquireOptions {
        key: r.key,
        lease_id: r.lease_id,
        ttl: r.ttl,
        owner: r.owner,
        reason: None,
        holder: r.holder,
        wait,
        if_not_exists: false,
    }
}

pub fn proof(grant: &Grant) -> Proof {
    Proof { lease_id: grant.lease_id.clone(), token: grant.token, txn: None }
}

pub fn staged(grant: &Grant) -> Proof {
    Proof { txn: Some(grant.txn.clone()), ..proof(grant) }
}

pub fn change(name: &str, proof: Proof) -> ChangeRequest {
    let request_id = RequestId::random(entropy());
    ChangeRequest { key: key(name), proof, request_id, guards: Guards::default(), edits: None }
}

pub fn body(bytes: impl Into<Bytes>) -> ByteStream {
    let bytes = bytes.into();
    let chunks: Vec<Result<Bytes>> = bytes.chunks(65_536).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    stream::iter(chunks).boxed()
}

pub async fn all(state: State) -> Result<Bytes> {
    let mut body = state.body;
    let mut out = Vec::new();
    while let Some(chunk) = body.next().await {
        out.extend_from_slice(&chunk?);
    }
    Ok(out.into())
}

/// The committed state, whole.
pub async fn committed(service: &dyn LeaseService, name: &str) -> Option<Bytes> {
    match service.get(&key(name), None).await.unwrap() {
        Some(state) => Some(all(state).await.unwrap()),
        None => None,
    }
}
