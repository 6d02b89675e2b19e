//! Buckets and containers: S3 and what speaks it, and Azure Blob Storage. One implementation over the `object_store` crate.
//!
//! A record is one object, replaced by conditional writes (`If-None-Match: *`, `If-Match`); the etag is the service's. Every
//! record body is unique, so that an etag that is a hash of the body never comes back.
//!
//! - [`settings`], [`secret`], [`endpoint`], [`sas`], [`connection`]: what is handed in. [`s3`], [`azure`]: the two services.
//! - [`http`], [`tls`]: the client below, and what it saw. [`verdict`]: what an answer means. [`refusal`]: how it is told.
//! - [`names`], [`identity`], [`root`]: where things are, who the store is, and opening it.
//! - [`probe`]: what is asked of a bucket before a store is made there.
//! - [`put`], [`records`], [`list`], [`blobs`], [`upload`]: the two traits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, ObjectStoreExt, RetryConfig};

use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::error::Result;
use crate::limits::{OBJECT_BACKOFF_FIRST, OBJECT_BACKOFF_MAX, OBJECT_REQUEST, OBJECT_TRANSFER, OBJECT_TRIES, backoff};

#[cfg(feature = "azure")]
pub mod azure;
pub mod blobs;
pub mod connection;
pub mod endpoint;
pub mod http;
pub mod identity;
pub mod list;
pub mod names;
pub mod probe;
pub mod put;
pub mod records;
pub mod refusal;
pub mod root;
#[cfg(feature = "s3")]
pub mod s3;
pub mod sas;
pub mod secret;
pub mod settings;
pub mod tls;
pub mod upload;
pub mod verdict;

use refusal::{Act, Asked};

/// Which protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// S3.
    S3,
    /// Azure Blob Storage.
    Azure,
}

impl Service {
    /// Its name, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::S3 => "S3",
            Self::Azure => "Azure Blob",
        }
    }

    /// What it calls the place that objects are in.
    #[must_use]
    pub const fn bucket(self) -> &'static str {
        match self {
            Self::S3 => "bucket",
            Self::Azure => "container",
        }
    }
}

/// The crate's clients for one bucket or container.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Sends once and tells what came of it: for everything that has three outcomes.
    pub strict: Arc<dyn ObjectStore>,
    /// Tries again by itself: for what may be done twice.
    pub patient: Arc<dyn ObjectStore>,
    /// How a blob is deleted, where the crate has no way of its own.
    #[cfg(feature = "azure")]
    pub azure_delete: Option<azure::Delete>,
    /// Without Azure there is none.
    #[cfg(not(feature = "azure"))]
    pub azure_delete: Option<std::convert::Infallible>,
}

/// How the patient client tries again.
fn patient() -> RetryConfig {
    RetryConfig {
        max_retries: OBJECT_TRIES as usize - 1,
        retry_timeout: OBJECT_TRANSFER,
        backoff: BackoffConfig { init_backoff: OBJECT_BACKOFF_FIRST, max_backoff: OBJECT_BACKOFF_MAX, base: 2. },
    }
}

/// A store in a bucket or container.
#[derive(Debug)]
pub struct Objects {
    clients: Clients,
    asked: Asked,
    names: names::Names,
    identity: identity::Known,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Objects {
    fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Runs an operation for at most `limit`, and puts its error into words.
    async fn ask<T>(
        &self,
        act: Act,
        limit: Duration,
        work: impl Future<Output = object_store::Result<T>>,
    ) -> (Result<T>, http::Seen) {
        let (done, seen) = http::witnessed(self.clock(), limit, work).await;
        let result = match done {
            Some(Ok(value)) => Ok(value),
            Some(Err(e)) => Err(self.asked.refused(act, &seen, Some(&e))),
            None => Err(self.asked.refused(act, &seen, None)),
        };
        (result, seen)
    }

    /// A jittered, growing pause.
    async fn pause(&self, tried: u32) {
        let longest = backoff(tried, OBJECT_BACKOFF_FIRST, OBJECT_BACKOFF_MAX);
        self.clock().sleep(self.entropy.within(longest)).await;
    }

    /// Deletes an object; one that is not there is no error.
    async fn delete_object(&self, path: &Path) -> Result<()> {
        let mut tried = 0;
        loop {
            let (done, seen) = self.ask(Act::Delete, OBJECT_REQUEST, self.delete_once(path)).await;
            let gone = seen.status == Some(404) && ["NoSuchKey", "BlobNotFound"].contains(&seen.code.as_str());
            let busy = matches!(seen.status, None | Some(408 | 429 | 500..=599)) && seen.sent;
            match done {
                _ if gone => return Ok(()),
                Err(_) if busy && tried + 1 < OBJECT_TRIES => {}
                // The client for single deletes reports every answer; what it means is in what was seen.
                Ok(()) if seen.status.is_some_and(|status| status >= 300) => {
                    return Err(self.asked.refused(Act::Delete, &seen, None));
                }
                done => return done,
            }
            tried += 1;
            self.pause(tried).await;
        }
    }

    #[cfg(feature = "azure")]
    async fn delete_once(&self, path: &Path) -> object_store::Result<()> {
        match &self.clients.azure_delete {
            Some(delete) => delete.ask(path).await.map(drop),
            None => self.clients.strict.delete(path).await,
        }
    }

    #[cfg(not(feature = "azure"))]
    async fn delete_once(&self, path: &Path) -> object_store::Result<()> {
        self.clients.strict.delete(path).await
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.asked.bucket, self.asked.endpoint)
    }
}
