//! The directory of an `lsm` store: `store.json` (who it is), `lock` (who has it open), `tree` (the records), `blobs`.
//!
//! A new tree is made under another name, and gets its own once the store has an identity; so a maker that was killed leaves
//! nothing that another one takes for a store, and nothing that it stumbles over.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;

use super::blobs::LsmBlobs;
use super::owner::Owner;
use super::tree::{self, FjallTree, Settings, damaged};
use super::{LsmRecords, journal, lost};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::LSM_MEMTABLE_BYTES;
use crate::platform::mounts::Mount;
use crate::store::Store;
use crate::store::disk::Disk;
use crate::store::disk::identity::{Identity, Kind};
use crate::store::disk::root::{Site, facts};
use crate::store::open::{OpenOptions, Opened};

const TREE: &str = "tree";
const NEW: &str = "tree.new";

impl Default for Settings {
    fn default() -> Self {
        Self { memtable_bytes: LSM_MEMTABLE_BYTES, anywhere: false }
    }
}

/// Opens the store in a directory, and makes it where that is wanted and safe.
///
/// # Errors
/// Those of [`crate::store::open::open`]; [`ErrorKind::Unavailable`] when another process has it open;
/// [`ErrorKind::StoreMissing`] on a file system that is not local.
pub async fn open(path: PathBuf, url: String, options: OpenOptions, settings: Settings) -> Result<Opened> {
    let look = move || find(&path, url, &options, settings).now_or_never().unwrap_or_else(|| Err(lost()));
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|_| Err(lost()))
}

async fn find(path: &Path, url: String, options: &OpenOptions, settings: Settings) -> Result<Opened> {
    let site = Site::look(path, options).await?;
    check_local(site.mount.as_ref(), settings)?;
    if site.identity(Kind::Lsm).await?.is_none() {
        site.check_new(Kind::Lsm, options).await?;
    }
    let owner = Owner::take(path, &*options.clock)?;
    // Another may have made it before this one had the lock.
    let (identity, created) = match site.identity(Kind::Lsm).await? {
        Some(identity) => (identity, false),
        None => (make(path, &site, options, settings).await?, true),
    };
    settle(path)?;
    if created {
        site.hold_room().await;
    } else if !owner.found_closed {
        journal::heal(&path.join(TREE))?;
    }
    let mut facts = facts(url, &identity, site.mount.as_ref(), &*options.clock);
    facts.about.push_str(", one process at a time");
    let disk = Disk::new(site.fs, identity, Arc::clone(&options.clock), Arc::clone(&options.entropy), false);
    let tree = FjallTree::open(&path.join(TREE), owner, disk.clone())?;
    let opening = u64::from_le_bytes(options.entropy.bytes());
    let tree = Arc::new(tree);
    let blobs = Arc::new(LsmBlobs::new(Arc::clone(&tree), disk));
    let records = Arc::new(LsmRecords::new(tree, opening));
    Ok(Opened { store: Store { records, blobs, facts }, created })
}

/// Syncs and locks of other hosts' file systems are not what this rests on.
fn check_local(mount: Option<&Mount>, settings: Settings) -> Result<()> {
    match mount {
        Some(mount) if mount.is_local() || settings.anywhere => Ok(()),
        mount => {
            let kind = mount.map_or("an unknown file system", |mount| mount.kind.as_str());
            let message = format!("the directory is on {kind}, and an lsm:// store needs a local disk");
            Err(Error::new(ErrorKind::StoreMissing, message)
                .with_hint("choose a directory on a local disk, or a disk:// store here"))
        }
    }
}

async fn make(path: &Path, site: &Site, options: &OpenOptions, settings: Settings) -> Result<Identity> {
    let new = path.join(NEW);
    remove(&new).map_err(|e| Error::io("remove a tree half made", &e))?;
    tree::make(&new, settings)?;
    sync_all(&new).and_then(|()| sync(path)).map_err(|e| Error::io("sync the store's new tree", &e))?;
    let (identity, _made) = site.make_identity(Kind::Lsm, options).await?;
    Ok(identity)
}

/// Gives the tree its name, where that was not done yet.
fn settle(path: &Path) -> Result<()> {
    let what = |e: io::Error| Error::io("open the store's tree", &e);
    if path.join(TREE).try_exists().map_err(what)? {
        return Ok(());
    }
    if !path.join(NEW).try_exists().map_err(what)? {
        return Err(damaged("the store's records are gone"));
    }
    std::fs::rename(path.join(NEW), path.join(TREE)).and_then(|()| sync(path)).map_err(what)
}

fn remove(dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Syncs all that is in a directory, and the directory.
fn sync_all(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { sync_all(&entry.path())? } else { sync(&entry.path())? }
    }
    sync(dir)
}
