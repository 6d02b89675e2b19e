//! Where the load goes: a place of its own inside the store, gone afterwards.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lockd::client::{AcquireOptions, Client, Lease};
use lockd::connect;
use lockd::entropy::Entropy;
use lockd::error::{Error, ErrorKind, Result};
use lockd::model::{Holder, Key, LeaseId, Namespace, Owner, Ttl};
use lockd::store::observed::{self, Observer};
use lockd::store::open::{self, StoreUrl};
use lockd::store::{Facts, Store};

use super::super::context::{Context, usage};
use super::super::identity;
use super::super::target::{Kind, Need};

/// What the name of such a place begins with; what a killed run leaves can be told by it, and removed.
const PREFIX: &str = "bench.";

/// What the works work on. Cheap to clone.
#[derive(Clone)]
pub struct Place {
    /// A client of each replica: an engine of its own over the store.
    pub clients: Vec<Client>,
    /// The store as each replica opened it.
    pub stores: Vec<Store>,
    /// How the store is known to whoever named it.
    pub facts: Facts,
    /// What was asked of the store.
    pub requests: Arc<Requests>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The TTL of every lease.
    pub ttl: Ttl,
    /// Who takes them.
    pub owner: Owner,
    /// From where.
    pub holder: Holder,
}

/// Counts requests to a store by their kind.
#[derive(Debug, Default)]
pub struct Requests(Mutex<BTreeMap<&'static str, u64>>);

impl Requests {
    /// How many there were until now.
    pub fn counted(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for Requests {
    fn answered(&self, operation: &'static str, _well: bool, _took: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(operation).or_default() += 1;
    }
}

/// The place's own store, inside the one that the settings name.
///
/// # Errors
/// What is wrong with the settings.
pub fn choose(context: &Context) -> Result<StoreUrl> {
    let place = context.place(Need::Trial)?;
    if place.kind == Kind::Servers {
        return Err(usage(&place.origin.to_string(), "bench measures stores"));
    }
    let url = StoreUrl::parse(&place.url)?;
    Ok(url.inside(&format!("{PREFIX}{}", hex::encode(context.entropy.bytes::<8>()))))
}

/// Removes a place with all that was measured in it, also one that was never made; nothing may use it any more.
///
/// # Errors
/// When something stays.
pub fn remove(context: &Context, inside: &StoreUrl) -> Result<()> {
    let options = context.options(&inside.to_text())?;
    context.block_on(async { open::remove(inside, &options).await })
}

impl Place {
    /// Opens the store that the settings name, makes the place in it, and so many engines over that.
    ///
    /// # Errors
    /// What is wrong with the store.
    pub async fn open(context: &Context, inside: &StoreUrl, replicas: usize) -> Result<Self> {
        let session = context.open(Need::Trial).await?;
        let holder = identity::this_process(None);
        let mut place = Self {
            clients: Vec::new(),
            stores: Vec::new(),
            facts: session.facts.ok_or_else(|| Error::new(ErrorKind::Internal, "no store was opened"))?,
            requests: Arc::new(Requests::default()),
            entropy: Arc::clone(&context.entropy),
            ttl: Ttl::default(),
            owner: context.owner(None, &holder)?,
            holder,
        };
        place.add_replicas(context, inside, replicas).await?;
        Ok(place)
    }

    async fn add_replicas(&mut self, context: &Context, inside: &StoreUrl, replicas: usize) -> Result<()> {
        let (clock, entropy) = (&context.clock, &context.entropy);
        let first = open::open(&inside.to_text(), context.options(&inside.to_text())?).await?.store;
        for replica in 0..replicas {
            let store = match (inside, replica) {
                // These are shared by those who have them in hand, and by nobody else.
                (StoreUrl::Memory | StoreUrl::Lsm(_), _) | (_, 0) => first.clone(),
                _ => open::open(&inside.to_text(), context.options(&inside.to_text())?).await?.store,
            };
            let observer: Arc<dyn Observer> = Arc::clone(&self.requests) as Arc<dyn Observer>;
            let store = observed::store(store, Arc::clone(clock), observer);
            let service = connect::over(store.clone(), Arc::clone(clock), Arc::clone(entropy));
            self.clients.push(Client::new(service, Arc::clone(clock), Arc::clone(entropy)));
            self.stores.push(store);
        }
        Ok(())
    }

    /// A key of the measurement.
    ///
    /// # Errors
    /// When the name is none for a key.
    pub fn key(&self, name: &str) -> Result<Key> {
        Key::new(Namespace::new("bench")?, name)
    }

    /// The client of the replica that is this client's.
    pub fn client(&self, client: usize) -> &Client {
        &self.clients[client % self.clients.len()]
    }

    /// The store of the replica that is this client's.
    pub fn store(&self, client: usize) -> &Store {
        &self.stores[client % self.stores.len()]
    }

    /// Takes a lease as a program would, and waits for it as long as it takes.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn take(&self, client: usize, key: &Key) -> Result<Lease> {
        let options = AcquireOptions {
            key: key.clone(),
            lease_id: LeaseId::random(&*self.entropy),
            ttl: self.ttl,
            owner: self.owner.clone(),
            reason: None,
            holder: self.holder.clone(),
            wait: None,
            if_not_exists: false,
        };
        self.client(client).acquire(options, |_| {}).await
    }
}
