//! From a URL to a service, in this process.

use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::{self, Engine};
use crate::error::Result;
use crate::service::LeaseService;
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
