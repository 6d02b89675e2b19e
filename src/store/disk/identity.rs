//! Who a store is: `store.json` in its root, made once. A process that opened a store refuses whatever else it finds there later:
//! it never makes a store again under its own feet.

use std::sync::{Mutex, PoisonError};

use super::fs::{Errno, Fs, Stat, Whole};
use super::layout::{BLOBS, IDENTITY, RECORDS, RESERVE};
use super::{io_error, scratch};
use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind, Result};
use crate::store::identity as common;

pub use common::{Kind, replaced};

const LIMIT: usize = 64 * 1024;

/// What has the records: where it is, there must be an identity too.
const fn records(kind: Kind) -> &'static str {
    match kind {
        Kind::Plain => RECORDS,
        Kind::Lsm => "tree",
    }
}

/// What else may be in the directory before it has an identity.
const fn others(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Plain => &[BLOBS, RESERVE, "lost+found"],
        Kind::Lsm => &[BLOBS, RESERVE, "lock", "tree.new", "lost+found"],
    }
}

/// A store's identity, as read when it was opened.
#[derive(Debug)]
pub struct Identity {
    /// Random, made once.
    pub id: String,
    /// Raised after a restore.
    pub epoch: u32,
    kind: Kind,
    /// The file's attributes when it was last read: while they stay, so does its content.
    stamp: Mutex<Stat>,
}

impl Identity {
    /// Opens the root and checks that it still is this store. One `fstatat`, unless the file was touched.
    ///
    /// # Errors
    /// [`ErrorKind::StoreReplaced`] when it is not.
    pub async fn verify<F: Fs>(&self, fs: &F) -> Result<F::Dir> {
        let root = match fs.open_root().await {
            Ok(root) => root,
            Err(Errno::NOENT | Errno::NOTDIR) => return Err(replaced("its directory is gone")),
            Err(e) => return Err(io_error("open the store's directory", e)),
        };
        let stat = match fs.stat(&root, IDENTITY).await {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Err(replaced("its store.json is gone")),
            Err(e) => return Err(io_error(format!("read {IDENTITY}"), e)),
        };
        if *self.stamp.lock().unwrap_or_else(PoisonError::into_inner) != stat {
            self.read_again(fs, &root).await?;
        }
        Ok(root)
    }

    fn common(&self) -> common::Identity {
        common::Identity { id: self.id.clone(), epoch: self.epoch, kind: self.kind }
    }

    async fn read_again<F: Fs>(&self, fs: &F, root: &F::Dir) -> Result<()> {
        let present = read(fs, root, self.kind).await?.ok_or_else(|| replaced("its store.json is gone"))?;
        self.common().check(&present.common())?;
        let stamp = *present.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        *self.stamp.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
        Ok(())
    }
}

/// Reads the identity of the store in `root`; `None` when there is none.
///
/// # Errors
/// [`ErrorKind::StoreMissing`] when the file is not lockd's or another kind of store's, [`ErrorKind::TooNew`] when a newer
/// lockd made it.
pub async fn read<F: Fs>(fs: &F, root: &F::Dir, kind: Kind) -> Result<Option<Identity>> {
    match fs.read(root, IDENTITY, LIMIT).await {
        Ok(whole) => parse(&whole, kind).map(Some),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(io_error(format!("read {IDENTITY}"), e)),
    }
}

fn parse(whole: &Whole, kind: Kind) -> Result<Identity> {
    let common::Identity { id, epoch, kind } = common::Identity::parse_as(kind, &whole.bytes)?;
    Ok(Identity { id, epoch, kind, stamp: Mutex::new(whole.stat) })
}

/// Whether a name in the root is one that a store may have, or that may be there before it: only then is a store made.
#[must_use]
pub fn own_name(kind: Kind, name: &str) -> bool {
    let known = name == records(kind) || others(kind).contains(&name);
    known || name.starts_with(IDENTITY) || name.starts_with(scratch::PREFIX)
}

/// Whether a directory without an identity may become a store.
///
/// # Errors
/// [`ErrorKind::StoreMissing`] when something of others is in it, or a store that lost its identity.
pub async fn check_free<F: Fs>(fs: &F, root: &F::Dir, kind: Kind) -> Result<()> {
    let names = fs.list(root).await.map_err(|e| io_error("list the store's directory", e))?;
    let records = records(kind);
    if names.iter().any(|name| name == records) && !names.iter().any(|name| name == IDENTITY) {
        return Err(common::foreign(&format!("it has {records}, but {IDENTITY} is gone")));
    }
    match names.iter().find(|name| !own_name(kind, name)) {
        None => Ok(()),
        Some(name) => Err(common::foreign(&format!("it has {name:?}"))),
    }
}

/// Makes the identity of a new store, unless another process was faster: then reads that one. Says whether it was made here.
///
/// # Errors
/// Those of [`check_free`] and of the file system.
pub async fn make<F: Fs>(fs: &F, root: &F::Dir, kind: Kind, entropy: &dyn Entropy) -> Result<(Identity, bool)> {
    check_free(fs, root, kind).await?;
    let new = common::Identity::of(kind, entropy);
    let temp = format!("{IDENTITY}.{}", hex::encode(entropy.bytes::<8>()));
    let linked = write(fs, root, &temp, &new).await;
    let unlinked = fs.unlink(root, &temp).await;
    let found = read(fs, root, kind).await?;
    match (found, linked) {
        // Read back whatever `link` said: on NFS its error may hide success.
        (Some(found), _) => {
            fs.sync_dir(root).await.map_err(|e| io_error("sync the store's directory", e))?;
            let made = found.id == new.id;
            Ok((found, made))
        }
        (None, Err(e)) => Err(e),
        (None, Ok(())) => Err(io_error(format!("make {IDENTITY}"), unlinked.err().unwrap_or(Errno::IO))),
    }
}

async fn write<F: Fs>(fs: &F, root: &F::Dir, temp: &str, new: &common::Identity) -> Result<()> {
    let text = new.encode()?;
    let what = |e| io_error(format!("make {IDENTITY}"), e);
    let file = fs.create(root, temp).await.map_err(what)?;
    fs.write_at(&file, &text, 0).await.map_err(what)?;
    fs.sync_data(&file).await.map_err(what)?;
    drop(file);
    fs.link(root, temp, IDENTITY).await.map_err(|e| link_error(&format!("make {IDENTITY}"), e))
}

/// What to do where there are no hard links.
pub const NO_HARD_LINKS: &str = "use another file system, or an lsm:// store on a local disk behind `lockd serve`";

/// An error of `link`: where there are no hard links this protocol cannot work.
pub fn link_error(what: &str, error: Errno) -> Error {
    match error {
        Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS => Error::new(
            ErrorKind::StoreMissing,
            format!("{what}: {}: the file system has no hard links", std::io::Error::from(error)),
        )
        .with_hint(NO_HARD_LINKS),
        _ => io_error(what, error),
    }
}
