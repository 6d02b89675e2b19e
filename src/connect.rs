//! From a URL to a service: a store in this process, or servers.

use std::path::PathBuf;
use std::sync::Arc;

use crate::client::Client;
use crate::clock::{Clock, SystemClock};
use crate::engine::{self, Engine};
use crate::entropy::{Entropy, KernelEntropy};
use crate::error::Result;
#[cfg(any(feature = "ureq", feature = "hyper"))]
use crate::http::client::{Address, HttpClient, Wire};
use crate::service::LeaseService;
use crate::store::Store;
use crate::store::observed::{self, Observer};
use crate::store::open::{self as stores, OpenOptions, Opened};

/// Where to act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Straight on a store.
    Store(String),
}

/// How to connect.
#[derive(Clone)]
pub struct Options {
    /// How a store is opened; its clock and generator are the connection's.
    pub open: OpenOptions,
    /// A private directory for what short commands saw; see [`engine::Options::notes`].
    pub notes: Option<PathBuf>,
    /// Whether others are served; see [`engine::Options::serves`].
    pub serves: bool,
    /// Who is told how long requests to the store take.
    pub observer: Option<Arc<dyn Observer>>,
}

/// A service, and the news of how it was reached.
pub struct Connection {
    /// The service.
    pub service: Arc<dyn LeaseService>,
    /// What is known of the store, when one was opened.
    pub store: crate::store::Facts,
    /// Whether the store was made just now.
    pub created: bool,
}

/// A service over a store that is open already: for measurements, which count what it asks of its store.
#[must_use]
pub fn over(store: Store, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Arc<dyn LeaseService> {
    Arc::new(Engine::new(store, clock, entropy, engine::Options::default()))
}

/// What carries the requests to servers.
#[cfg(any(feature = "ureq", feature = "hyper"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Blocking calls by ureq, each on a thread of its own: for a program that makes a few.
    #[cfg(feature = "ureq")]
    Threads,
    /// hyper on the runtime of the program.
    #[cfg(feature = "hyper")]
    Runtime,
}

/// Servers of one store, tried in turn. Nothing is sent yet.
///
/// # Errors
/// `Usage` when a URL is not the address of a server, or none or too many are given.
#[cfg(any(feature = "ureq", feature = "hyper"))]
pub fn servers<U: AsRef<str>>(
    urls: impl IntoIterator<Item = U>,
    carrier: Carrier,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn LeaseService>> {
    let urls: Vec<String> = urls.into_iter().map(|url| url.as_ref().to_owned()).collect();
    let servers = Address::parse_all(&urls.join(","))?;
    let wire: Box<dyn Wire> = match carrier {
        #[cfg(feature = "ureq")]
        Carrier::Threads => Box::new(crate::http::client::Blocking::default()),
        #[cfg(feature = "hyper")]
        Carrier::Runtime => Box::new(crate::http::client::Nonblocking::new(Arc::clone(&clock))),
    };
    Ok(Arc::new(HttpClient::new(servers, wire, clock)))
}

/// What a server tells of itself, in the text format of Prometheus.
///
/// # Errors
/// That it does not answer, or not so.
#[cfg(feature = "hyper")]
pub async fn metrics(server: &Address, clock: Arc<dyn Clock>) -> Result<String> {
    let wire = Box::new(crate::http::client::Nonblocking::new(Arc::clone(&clock)));
    HttpClient::new(vec![server.clone()], wire, clock).metrics().await
}

impl Client {
    /// A client of servers that share one store: `http://host:port` or `unix:///path`, tried in turn, so that the client goes on
    /// at another one when one is gone. Nothing is sent yet. To be used on a tokio runtime.
    ///
    /// # Errors
    /// `Usage` when a URL is not the address of a server, or none or too many are given.
    #[cfg(feature = "hyper")]
    pub fn connect<U: AsRef<str>>(urls: impl IntoIterator<Item = U>) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let service = servers(urls, Carrier::Runtime, Arc::clone(&clock))?;
        Ok(Self::new(service, clock, Arc::new(KernelEntropy)))
    }

    /// A client of an engine in this process: no server is needed.
    #[must_use]
    pub fn in_process(engine: Engine) -> Self {
        Self::new(Arc::new(engine), Arc::new(SystemClock), Arc::new(KernelEntropy))
    }

    /// A client of a store that this process opens by its URL, such as `disk:///var/lib/lockd`, and makes when it is missing.
    ///
    /// # Errors
    /// What is wrong with the URL or the store.
    pub async fn open(url: &str) -> Result<Self> {
        let options = Options { open: OpenOptions::system(), notes: None, serves: false, observer: None };
        let Connection { service, .. } = open(&Target::Store(url.to_owned()), options).await?;
        Ok(Self::new(service, Arc::new(SystemClock), Arc::new(KernelEntropy)))
    }
}

/// Opens the target.
///
/// # Errors
/// What is wrong with the URL or the store.
pub async fn open(target: &Target, options: Options) -> Result<Connection> {
    let Target::Store(url) = target;
    let (clock, entropy) = (Arc::clone(&options.open.clock), Arc::clone(&options.open.entropy));
    let Opened { store, created } = stores::open(url, options.open).await?;
    let store = match options.observer {
        Some(observer) => observed::store(store, Arc::clone(&clock), observer),
        None => store,
    };
    let facts = store.facts.clone();
    let engine = Engine::new(store, clock, entropy, engine::Options { notes: options.notes, serves: options.serves });
    Ok(Connection { service: Arc::new(engine), store: facts, created })
}
