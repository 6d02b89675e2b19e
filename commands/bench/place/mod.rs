//! Where the load goes: a place of its own inside a store, gone afterwards, or a namespace of its own behind servers.

mod requests;
mod servers;
mod stores;

use std::sync::Arc;
use std::time::Duration;

use lockd::client::{AcquireOptions, Client, Lease};
use lockd::clock::Clock;
use lockd::entropy::Entropy;
use lockd::error::{Error, ErrorKind, Result};
use lockd::http::client::Address;
use lockd::model::{Holder, Key, LeaseId, Namespace, Owner, Ttl};
use lockd::store::Store;
use lockd::store::open::StoreUrl;

use super::super::context::Context;
use super::super::identity;
use super::super::target::{Kind, Need};
use super::crash::Link;
use super::plan::Plan;
use super::suites::Suite;

pub use requests::{Counts, Requests};

/// What is measured, before anything is opened.
pub enum Site {
    /// A place inside a store.
    Store(StoreUrl),
    /// Servers of one store.
    Servers(Vec<Address>),
}

/// How what is measured is known to whoever named it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The URL.
    pub url: String,
    /// What is known of it.
    pub about: String,
}

/// What the works work on. Cheap to clone.
#[derive(Clone)]
pub struct Place {
    /// Over a store a client of each engine, which the load shares; over servers one for each client of the load.
    clients: Vec<Client>,
    /// The store as each engine has it; none over servers.
    stores: Vec<Store>,
    /// What is measured.
    pub subject: Subject,
    /// What was asked of the store.
    pub requests: Requests,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The shortest TTL that is good for it.
    pub ttl_min: Ttl,
    /// Where other processes find the same.
    url: String,
    namespace: Namespace,
    ttl: Ttl,
    owner: Owner,
    holder: Holder,
}

impl Site {
    /// From the settings.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn choose(context: &Context) -> Result<Self> {
        let place = context.place(Need::Trial)?;
        match place.kind {
            Kind::Servers => Address::parse_all(&place.url).map(Self::Servers),
            Kind::Store => Ok(Self::Store(stores::inside(&StoreUrl::parse(&place.url)?, &*context.entropy))),
        }
    }

    /// Why a suite cannot be run on it, when it cannot.
    pub const fn refuses(&self, suite: Suite) -> Option<&'static str> {
        match (self, suite) {
            (Self::Servers(_), Suite::Raw) => Some("it measures a store itself, which servers keep to themselves"),
            (Self::Store(StoreUrl::Memory | StoreUrl::Lsm(_)), Suite::Crash) => {
                Some("its processes share a store, and this one is for one process at a time")
            }
            _ => None,
        }
    }

    /// Removes what was made, also where nothing was; nothing may use it any more. Behind servers [`Place::clear`] did so.
    ///
    /// # Errors
    /// When something stays.
    pub fn remove(&self, context: &Context) -> Result<()> {
        match self {
            Self::Store(inside) => stores::remove(context, inside),
            Self::Servers(_) => Ok(()),
        }
    }
}

impl Place {
    /// Opens the store that the settings name, and makes the place in it; or reaches the servers.
    ///
    /// # Errors
    /// What is wrong with the store, or that no server answers.
    pub async fn open(context: &Context, site: &Site, plan: &Plan) -> Result<Self> {
        match site {
            Site::Store(inside) => stores::open(context, inside, plan.replicas).await,
            Site::Servers(servers) => servers::reach(context, servers, plan.most_clients()).await,
        }
    }

    fn new(
        context: &Context,
        subject: Subject,
        requests: Requests,
        namespace: &str,
        ttl_min: Duration,
    ) -> Result<Self> {
        let holder = identity::this_process(None);
        Ok(Self {
            clients: Vec::new(),
            stores: Vec::new(),
            requests,
            entropy: Arc::clone(&context.entropy),
            clock: Arc::clone(&context.clock),
            ttl_min: Ttl::new(ttl_min)?,
            url: subject.url.clone(),
            namespace: Namespace::new(namespace)?,
            ttl: Ttl::default(),
            owner: context.owner(None, &holder)?,
            holder,
            subject,
        })
    }

    /// What a process of its own needs to work on the same keys.
    pub fn link(&self) -> Link {
        Link {
            url: self.url.clone(),
            servers: !self.has_store(),
            namespace: self.namespace.as_str().to_owned(),
            ttl_ms: u64::try_from(self.ttl_min.duration().as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// A key of the measurement.
    ///
    /// # Errors
    /// When the name is none for a key.
    pub fn key(&self, name: &str) -> Result<Key> {
        Key::new(self.namespace.clone(), name)
    }

    /// The client that this client of the load works through.
    pub fn client(&self, client: usize) -> &Client {
        &self.clients[client % self.clients.len()]
    }

    /// The store that it works on, where this process has one.
    ///
    /// # Errors
    /// `Usage`: servers have it.
    pub fn store(&self, client: usize) -> Result<&Store> {
        match self.stores.len() {
            0 => Err(Error::new(ErrorKind::Usage, "servers have the store: only they can work on it")),
            n => Ok(&self.stores[client % n]),
        }
    }

    /// Whether this process has the store.
    pub const fn has_store(&self) -> bool {
        !self.stores.is_empty()
    }

    /// Takes a lease as a program would, and waits for it as long as it takes.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn take(&self, client: usize, key: &Key) -> Result<Lease> {
        self.client(client).acquire(self.wish(key), |_| {}).await
    }

    fn wish(&self, key: &Key) -> AcquireOptions {
        AcquireOptions {
            key: key.clone(),
            lease_id: LeaseId::random(&*self.entropy),
            ttl: self.ttl,
            owner: self.owner.clone(),
            reason: None,
            holder: self.holder.clone(),
            wait: None,
            if_not_exists: false,
        }
    }
}
