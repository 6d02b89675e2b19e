//! Who a store is: `store.json` in its root, made once. A process that opened a store refuses whatever else it finds there later:
//! it never makes a store again under its own feet.

use std::sync::{Mutex, PoisonError};

use super::fs::{Errno, Fs, Stat, Whole};
use super::io_error;
use super::layout::{IDENTITY, RECORDS, RESERVE};
use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind, Result};
use crate::store::identity as common;

const LIMIT: usize = 64 * 1024;

/// A store's identity, as read when it was opened.
#[derive(Debug)]
pub struct Identity {
    /// Random, made once.
    pub id: String,
    /// Raised after a restore.
    pub epoch: u32,
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
        common::Identity { id: self.id.clone(), epoch: self.epoch }
    }

    async fn read_again<F: Fs>(&self, fs: &F, root: &F::Dir) -> Result<()> {
        let present = read(fs, root).await?.ok_or_else(|| replaced("its store.json is gone"))?;
        self.common().check(&present.common())?;
        let stamp = *present.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        *self.stamp.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
        Ok(())
    }
}

pub use common::replaced;

/// Reads the identity of the store in `root`; `None` when there is none.
///
/// # Errors
/// [`ErrorKind::StoreMissing`] when the file is not lockd's, [`ErrorKind::TooNew`] when a newer lockd made it.
pub async fn read<F: Fs>(fs: &F, root: &F::Dir) -> Result<Option<Identity>> {
    match fs.read(root, IDENTITY, LIMIT).await {
        Ok(whole) => parse(&whole).map(Some),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(io_error(format!("read {IDENTITY}"), e)),
    }
}

fn parse(whole: &Whole) -> Result<Identity> {
    let common::Identity { id, epoch } = common::Identity::parse(&whole.bytes)?;
    Ok(Identity { id, epoch, stamp: Mutex::new(whole.stat) })
}

/// Makes the identity of a new store, unless another process was faster: then reads that one. Says whether it was made here.
///
/// # Errors
/// [`ErrorKind::StoreMissing`] when something of others is in the directory; those of the file system.
pub async fn make<F: Fs>(fs: &F, root: &F::Dir, entropy: &dyn Entropy) -> Result<(Identity, bool)> {
    let names = fs.list(root).await.map_err(|e| io_error("list the store's directory", e))?;
    if names.iter().any(|name| name == RECORDS) && !names.iter().any(|name| name == IDENTITY) {
        return Err(common::foreign(&format!("it has {RECORDS}, but {IDENTITY} is gone")));
    }
    let own = |name: &String| {
        name.starts_with(IDENTITY) || [RECORDS, "blobs", RESERVE, "lost+found"].contains(&name.as_str())
    };
    if let Some(name) = names.iter().find(|name| !own(name)) {
        return Err(common::foreign(&format!("it has {name:?}")));
    }
    let new = common::Identity::new(entropy);
    let temp = format!("{IDENTITY}.{}", hex::encode(entropy.bytes::<8>()));
    let linked = write(fs, root, &temp, &new).await;
    let unlinked = fs.unlink(root, &temp).await;
    let found = read(fs, root).await?;
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

/// An error of `link`: where there are no hard links this protocol cannot work.
pub fn link_error(what: &str, error: Errno) -> Error {
    match error {
        Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS => Error::new(
            ErrorKind::StoreMissing,
            format!("{what}: {}: the file system has no hard links", std::io::Error::from(error)),
        )
        .with_hint("use another file system, or an lsm:// store there behind `lockd serve`"),
        _ => io_error(what, error),
    }
}
