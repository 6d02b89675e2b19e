//! A directory, on a local disk or NFS, shared by any number of processes and hosts, without locks and without a server.
//!
//! Each key has a directory with one file for each of its last revisions; publishing revision n+1 is linking a complete file to
//! that name, which only one writer can do. Old revisions are pruned behind a floor that only grows. The rules (ARCHITECTURE.md,
//! "Disk and NFS") are what an exhaustive model passed, order of system calls included; change nothing here without one.
//!
//! - [`fs`], [`real`], [`root`]: the seam for system calls, this machine's, and the directory that a store is in.
//! - [`layout`], [`etag`]: names on disk and in hand.
//! - [`publish`], [`head`], [`floor`], [`prune`], [`durable`]: the protocol, one rule each.
//! - [`examine`], [`probe`], [`names`], [`restored`]: for `lockd verify store`. [`scratch`]: a directory for checks and measurements.
//! - [`blob`]: large bodies. [`identity`]: whether the store is still the same. [`known`], [`age`], [`watch`], [`keys`]: the rest.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::{BlobStore, ByteStream, Cursor, Etag, Precondition, PutError, RecordStore, Tagged};
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{BlobId, Key, KeyHash, Namespace};
use crate::mutants::{Mutant, on};

pub mod age;
pub mod blob;
pub mod durable;
pub mod etag;
pub mod examine;
pub mod floor;
pub mod fs;
pub mod head;
pub mod identity;
pub mod keys;
pub mod known;
pub mod layout;
pub mod names;
pub mod probe;
pub mod prune;
pub mod publish;
pub mod real;
pub mod restored;
pub mod room;
pub mod root;
pub mod scratch;
pub mod watch;

use fs::{Errno, Fs};
use identity::Identity;
use layout::Place;

/// A store in a directory.
#[derive(Debug)]
pub struct Disk<F: Fs> {
    shared: Arc<Shared<F>>,
}

/// What every operation on a store has in hand.
#[derive(Debug)]
pub struct Shared<F: Fs> {
    /// The file system.
    pub fs: F,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Who the store is.
    pub identity: Identity,
    /// What is durable.
    pub durable: Arc<durable::Durable>,
    /// What was seen.
    pub known: known::Known,
    /// Whether it is on a file system that other hosts write to.
    pub network: bool,
    sends: AtomicU64,
}

impl<F: Fs> Disk<F> {
    /// A store whose identity is known.
    #[must_use]
    pub fn new(fs: F, identity: Identity, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, network: bool) -> Self {
        let (durable, known, sends) = Default::default();
        Self { shared: Arc::new(Shared { fs, clock, entropy, identity, durable, known, network, sends }) }
    }

    /// What its operations share.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared<F>> {
        &self.shared
    }

    /// Runs an operation of several steps to its end.
    async fn run<T, Op, Fut>(&self, op: Op) -> Result<T>
    where
        T: Send + 'static,
        Op: FnOnce(Arc<Shared<F>>) -> Fut,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        self.shared.fs.run(op(Arc::clone(&self.shared))).await.unwrap_or_else(|| Err(lost()))
    }
}

impl<F: Fs> Clone for Disk<F> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<F: Fs> Shared<F> {
    /// Opens the root by path and checks that it still is this store.
    ///
    /// # Errors
    /// [`ErrorKind::StoreReplaced`] when it is not; [`ErrorKind::Io`] when the store is refused after a failed sync.
    pub async fn root(&self) -> Result<F::Dir> {
        self.durable.check()?;
        self.identity.verify(&self.fs).await
    }

    /// Opens a key's directory anew. `None` when there is none: that is asked of each directory above in turn, since an NFS
    /// client may answer from an old view of one that it did not just open.
    ///
    /// # Errors
    /// Those of [`Shared::root`]; anything but its absence.
    pub async fn open(&self, place: &Place) -> Result<Option<F::Dir>> {
        let mut dir = self.root().await?;
        match self.fs.open_dir(&dir, &place.path()).await {
            Ok(found) => return Ok(Some(found)),
            Err(Errno::NOENT) => {}
            Err(e) => return Err(io_error(format!("open {}", place.path()), e)),
        }
        for segment in &place.segments {
            dir = match self.fs.open_dir(&dir, segment).await {
                Ok(next) => next,
                Err(Errno::NOENT) => return Ok(None),
                Err(e) => return Err(io_error(format!("open {segment} of {}", place.path()), e)),
            };
        }
        Ok(Some(dir))
    }

    /// A name for a revision being written that no other send has or had.
    fn temp_name(&self, n: u64) -> String {
        if on(Mutant::TempNameReused) {
            return layout::temp(n, [0; 16], 0);
        }
        layout::temp(n, self.entropy.bytes(), self.sends.fetch_add(1, Ordering::Relaxed))
    }
}

#[async_trait]
impl<F: Fs> RecordStore for Disk<F> {
    async fn get(&self, key: &Key) -> Result<Option<Tagged>> {
        let hash = key.hash();
        self.run(move |s| async move { age::tagged(&s, head::find(&s, hash).await?).await }).await.map_err(about(key))
    }

    async fn put(&self, key: &Key, value: Bytes, when: Precondition) -> Result<Etag, PutError> {
        let (hash, shared) = (key.hash(), Arc::clone(&self.shared));
        let done = self.shared.fs.run(async move { publish::put(&shared, hash, &value, &when).await }).await;
        let won = match done.unwrap_or_else(|| Err(PutError::Unknown(lost()))) {
            Ok(won) => won,
            Err(PutError::Conflict) => return Err(PutError::Conflict),
            Err(PutError::Unknown(e)) => return Err(PutError::Unknown(about(key)(e))),
            Err(PutError::Failed(e)) => return Err(PutError::Failed(about(key)(e))),
        };
        if won.tidy {
            let shared = Arc::clone(&self.shared);
            // What goes wrong here costs room, not truth: the next pass meets it again.
            self.shared.fs.detach(async move {
                drop(prune::pass(&shared, hash).await);
                room::restore(&shared).await;
            });
        }
        Ok(won.etag)
    }

    /// The verdict looks for whose revision stands there, whatever `link` said.
    fn conflicts_are_certain(&self) -> bool {
        true
    }

    fn list<'a>(&'a self, namespace: &'a Namespace, after: Option<&Cursor>) -> BoxStream<'a, Result<(Key, Cursor)>> {
        keys::list(self, namespace, after)
    }

    async fn changed(&self, key: &Key, seen: Option<&Etag>) -> Result<()> {
        watch::changed(self, key, seen).await
    }
}

#[async_trait]
impl<F: Fs> BlobStore for Disk<F> {
    async fn write(&self, id: &BlobId, body: ByteStream) -> Result<()> {
        blob::write(self, id, body).await
    }

    async fn read(&self, id: &BlobId, range: std::ops::Range<u64>) -> Result<Option<ByteStream>> {
        blob::read(self, id, range).await.map_err(about(id))
    }

    async fn delete(&self, id: &BlobId) -> Result<()> {
        let wanted = id.clone();
        self.run(move |s| async move { blob::delete(&s, &wanted).await }).await.map_err(about(id))
    }

    async fn list(&self, key: KeyHash) -> Result<Vec<BlobId>> {
        self.run(move |s| async move { blob::list(&s, key).await }).await
    }
}

/// An error of a step on the file system; `what` names the step and the path below the store's root.
pub fn io_error(what: impl fmt::Display, error: Errno) -> Error {
    let kind = match error {
        // Another kind of file stands where lockd has its own.
        Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::SPIPE | Errno::NXIO | Errno::FBIG => ErrorKind::Corrupt,
        _ => return Error::io(what, &error.into()),
    };
    Error::new(kind, format!("{what}: {}: it was not written by lockd", std::io::Error::from(error)))
        .with_hint("look at it, and move it out of the store")
}

/// The operation's thread ended before it did.
fn lost() -> Error {
    Error::new(ErrorKind::Internal, "an operation on the store was cut off while lockd was ending")
}

fn about(what: &impl fmt::Display) -> impl FnOnce(Error) -> Error {
    move |error| error.context(what)
}
