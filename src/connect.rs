//! From a URL to a service, in this process.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::Clock;
use crate::engine::{self, Engine};
use crate::entropy::Entropy;
use crate::error::Result;
use crate::service::LeaseService;
use crate::store::Store;
use crate::store::open::{self as stores, OpenOptions, Opened};

/// Where to act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Straight on a store.
    Store(String),
}

/// How to connect.
#[derive(Clone, Debug)]
pub struct Options {
    /// How a store is opened; its clock and generator are the connection's.
    pub open: OpenOptions,
    /// A private directory for what short commands saw; see [`engine::Options::notes`].
    pub notes: Option<PathBuf>,
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

/// Opens the target.
///
/// # Errors
/// What is wrong with the URL or the store.
pub async fn open(target: &Target, options: Options) -> Result<Connection> {
    let Target::Store(url) = target;
    let (clock, entropy) = (Arc::clone(&options.open.clock), Arc::clone(&options.open.entropy));
    let Opened { store, created } = stores::open(url, options.open).await?;
    let facts = store.facts.clone();
    let engine = Engine::new(store, clock, entropy, engine::Options { notes: options.notes });
    Ok(Connection { service: Arc::new(engine), store: facts, created })
}
