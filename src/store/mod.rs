//! Stores: where records and blobs are. Two traits with a numbered contract; a store is a pair of the two.
//!
//! Records are small and change by compare-and-swap; blobs are large, immutable and written once. There is no other door:
//! what one store cannot do is not in the traits.
//!
//! # The contract of `RecordStore`
//! - **R1** `put` is atomic, and durable when it returns, as far as the file system or service reports its failures.
//! - **R2** Of any number of puts with one precondition at most one succeeds, from whatever process or host.
//! - **R3** A `get` that begins after a put returned sees it or something newer.
//! - **R4** An etag never names two values of a key.
//! - **R5** [`PutError::Failed`] only when the put was certainly not applied and never will be.
//! - **R6** `changed` may return early or late, is cancel-safe, and returns at last once the value differs from the one seen.
//!
//! # The contract of `BlobStore`
//! - **B1** A blob is written once, under an id never used again, and is invisible until it is complete.
//! - **B2** A dropped or failed write leaves nothing that can be read.
//! - **B3** Delete is idempotent.
//! - **B4** `list` gives a key's blobs.
//!
//! [`conformance`] checks each clause, for tests and for operators alike.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::clock::{Clock, UnixMillis};
use crate::error::{Error, Result};
use crate::limits::{CREDENTIAL_AGAIN, CREDENTIAL_SOON};
use crate::model::{BlobId, Key, KeyHash, Namespace};

pub mod conformance;
pub mod disk;
pub mod identity;
#[cfg(feature = "lsm")]
pub mod lsm;
pub mod memory;
#[cfg(feature = "objects")]
pub mod object;
pub mod observed;
pub mod open;
pub mod place;

/// A stream of bytes, in chunks of at most [`crate::limits::CHUNK_BYTES`] where lockd makes it.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// A store's own name for one value of a key: opaque, never the same for two values.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Etag(pub Arc<str>);

/// A value with its etag.
#[derive(Clone, Debug)]
pub struct Tagged {
    /// The encoded record.
    pub value: Bytes,
    /// Its etag.
    pub etag: Etag,
    /// How long ago the value was written by the store's own clock, where the store has one that is shared by all who use
    /// it (object stores, NFS). The reader subtracts [`crate::limits::STORE_CLOCK_ALLOWANCE`].
    pub store_age: Option<Duration>,
}

/// What must be true for a put to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The key has no value.
    Absent,
    /// The key has the value with this etag.
    Matches(Etag),
}

/// Why a put did not succeed.
#[derive(Debug)]
pub enum PutError {
    /// The precondition did not hold, so this send was not applied; see [`RecordStore::conflicts_are_certain`].
    Conflict,
    /// It may have been applied, or may yet be.
    Unknown(Error),
    /// Certainly not applied, now or later.
    Failed(Error),
}

/// Where [`RecordStore::list`] goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

/// Records by key. See the module's contract.
#[async_trait]
pub trait RecordStore: Send + Sync + fmt::Debug {
    /// The present value and its etag; `None` when there never was one.
    async fn get(&self, key: &Key) -> Result<Option<Tagged>>;

    /// Replaces the value when the precondition holds.
    async fn put(&self, key: &Key, value: Bytes, when: Precondition) -> Result<Etag, PutError>;

    /// Whether a conflict is certain: nothing between caller and store repeats a send, so that the conflict cannot come of a copy
    /// of the same send that was applied.
    fn conflicts_are_certain(&self) -> bool {
        false
    }

    /// The keys of a namespace in the store's own order, after `after`. Keys made or found while it runs may be missing.
    fn list<'a>(&'a self, namespace: &'a Namespace, after: Option<&Cursor>) -> BoxStream<'a, Result<(Key, Cursor)>>;

    /// Waits until the value may differ from the one with etag `seen` (`None`: from no value). A hint, never the truth.
    ///
    /// # Errors
    /// When the store cannot be watched or read at all.
    async fn changed(&self, key: &Key, seen: Option<&Etag>) -> Result<()>;
}

/// Large immutable bodies. See the module's contract.
#[async_trait]
pub trait BlobStore: Send + Sync + fmt::Debug {
    /// Writes a blob; durable when it returns. An error of `body` ends the write and is returned.
    async fn write(&self, id: &BlobId, body: ByteStream) -> Result<()>;

    /// Reads `range` of a blob. `None` when there is no such blob (it may have been collected).
    async fn read(&self, id: &BlobId, range: std::ops::Range<u64>) -> Result<Option<ByteStream>>;

    /// Deletes a blob; one that is not there is no error.
    async fn delete(&self, id: &BlobId) -> Result<()>;

    /// The blobs of a key.
    async fn list(&self, key: KeyHash) -> Result<Vec<BlobId>>;

    /// Whether a list costs as much as a put, so that it is made only where it may find something.
    fn lists_are_dear(&self) -> bool {
        false
    }
}

/// A pair of the two, and what is known of it.
#[derive(Clone, Debug)]
pub struct Store {
    /// The records.
    pub records: Arc<dyn RecordStore>,
    /// The blobs.
    pub blobs: Arc<dyn BlobStore>,
    /// What is known of it.
    pub facts: Facts,
}

/// What is known of a store: plain data, the same questions for every store.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The URL that names it, without secrets.
    pub url: String,
    /// The store's random id, made once.
    pub id: String,
    /// The store's epoch: raised after a restore from a backup, so that tokens go on rising.
    pub epoch: u32,
    /// Whether every writer that can reach it and shares this machine's boot id also shares its boot clock: true only for
    /// an allow-listed local file system seen from the initial time namespace. Then stamps are evidence of age.
    pub stamps: bool,
    /// The shortest TTL that makes sense on it.
    pub ttl_min: Duration,
    /// For people: "ext4, this host only".
    pub about: String,
    /// What is known of the credential that opened it.
    pub credential: Credential,
}

impl Facts {
    /// What whoever looks after the store should be told ahead of time: a credential that ends soon, or permits too little.
    #[must_use]
    pub fn warning(&self, now: UnixMillis) -> Option<String> {
        match &self.credential.lacks {
            Some(lacks) => {
                Some(format!("the SAS lacks {lacks}; lockd reads, writes, deletes and lists: make a new one"))
            }
            None => self.credential.ends_soon(now),
        }
    }
}

/// What a credential says of itself, where it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credential {
    /// When it ends.
    pub ends: Option<UnixMillis>,
    /// What it does not permit although lockd needs it, in words.
    pub lacks: Option<String>,
}

impl Credential {
    /// That it ends within [`CREDENTIAL_SOON`], in words.
    #[must_use]
    pub fn ends_soon(&self, now: UnixMillis) -> Option<String> {
        let left = Duration::from_millis(self.ends?.0.saturating_sub(now.0));
        (left < CREDENTIAL_SOON).then(|| format!("the SAS ends in {}: make a new one before that", roughly(left)))
    }

    /// Tells when it ends soon, and again every [`CREDENTIAL_AGAIN`], for as long as this is polled.
    pub async fn remind(&self, clock: &dyn Clock, tell: impl Fn(String)) {
        while self.ends.is_some() {
            clock.sleep(CREDENTIAL_AGAIN).await;
            if let Some(soon) = self.ends_soon(clock.wall()) {
                tell(soon);
            }
        }
    }
}

/// A time that is left, for people.
fn roughly(left: Duration) -> String {
    let minutes = left.as_secs() / 60;
    match minutes {
        0..=119 => format!("{minutes} min"),
        120..=2_879 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / (24 * 60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::KernelEntropy;

    #[test]
    fn a_credential_that_ends_soon_is_warned_about() {
        let mut facts = memory::store(&KernelEntropy).facts;
        assert_eq!(facts.warning(UnixMillis(0)), None);
        let day = 24 * 60 * 60 * 1_000;
        facts.credential.ends = Some(UnixMillis(10 * day));
        assert_eq!(facts.warning(UnixMillis(3 * day)), None);
        for (now, says) in [(3 * day + 1, "in 6 days"), (9 * day, "in 24 hours"), (10 * day - 60_000, "in 1 min")] {
            assert!(facts.warning(UnixMillis(now)).unwrap().contains(says), "{now}");
        }
        assert!(facts.warning(UnixMillis(11 * day)).unwrap().contains("in 0 min"));
        facts.credential.lacks = Some("the permissions d (sp)".to_owned());
        assert!(facts.warning(UnixMillis(0)).unwrap().contains("lacks the permissions d (sp)"));
    }
}
