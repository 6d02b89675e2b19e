//! Stores: the contract on each of them, and what is particular to directories.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lockd::clock::SystemClock;
use lockd::entropy::{Entropy, KernelEntropy};
use lockd::error::Result;
use lockd::model::{Key, Namespace, Record, WriteId};
use lockd::store::Store;
use lockd::store::open::{OpenOptions, Opened, StoreUrl, open};

mod contract;
mod faults;
#[cfg(feature = "lsm")]
mod lsm;
mod opening;
mod order;
mod processes;
mod rate;
mod replaced;
mod spy;
mod tidying;
mod views;

fn options() -> OpenOptions {
    OpenOptions { fstab: "/nonexistent/fstab".into(), ..OpenOptions::system() }
}

async fn open_dir(path: &Path) -> Result<Opened> {
    open(&StoreUrl::Disk(path.to_owned()).to_text(), options()).await
}

/// A new store in a directory of its own, which goes with the first value.
async fn new_store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let opened = open_dir(&dir.path().join("s")).await.unwrap();
    assert!(opened.created);
    (dir, opened.store)
}

fn key(name: &str) -> Key {
    Key::new(Namespace::default(), name).unwrap()
}

fn entropy() -> Arc<dyn Entropy> {
    Arc::new(KernelEntropy)
}

/// A record that no other has.
fn value(key: &Key) -> Bytes {
    Record::new(key.clone()).sealed(WriteId::random(&KernelEntropy)).encode().unwrap()
}

const CLOCK: SystemClock = SystemClock;

/// The directory of a key's records.
fn place(dir: &tempfile::TempDir, key: &Key) -> std::path::PathBuf {
    let hash = key.hash().hex();
    dir.path().join("s/records").join(&hash[..2]).join(hash)
}
