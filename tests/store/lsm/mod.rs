//! The embedded key-value store: its rules one by one, on a tree that does as the test says; the rest on real ones.

mod gate;
mod group;
mod opening;
mod scale;
mod torn;

use std::path::Path;

use lockd::error::Result;
use lockd::store::Store;
use lockd::store::lsm::root;
use lockd::store::lsm::tree::Settings;
use lockd::store::open::{Opened, StoreUrl, open};

use super::options;

async fn open_lsm(path: &Path) -> Result<Opened> {
    open(&StoreUrl::Lsm(path.to_owned()).to_text(), options()).await
}

/// The same with a tree whose changes move into files all the time.
async fn open_small(path: &Path) -> Result<Opened> {
    let settings = Settings { memtable_bytes: 64 * 1024, ..Settings::default() };
    root::open(path.to_owned(), StoreUrl::Lsm(path.to_owned()).to_text(), options(), settings).await
}

/// A new store in a directory of its own, which goes with the first value.
pub async fn new_lsm() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let opened = open_lsm(&dir.path().join("s")).await.unwrap();
    assert!(opened.created);
    (dir, opened.store)
}
