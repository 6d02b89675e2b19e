//! Who a store is: `store.json` in its root, made once. A process that opened a store refuses whatever else it finds there later:
//! it never makes a store again under its own feet.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::fs::{Errno, Fs, Stat, Whole};
use super::io_error;
use super::layout::{BLOBS, IDENTITY, RECORDS, RESERVE};
use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind, Result};

/// The newest format of a directory that this lockd knows.
pub const FORMAT: u32 = 1;

const LIMIT: usize = 64 * 1024;

/// What keeps the records in a store's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Files, one directory a key: `disk://`.
    Directory,
    /// An embedded key-value store: `lsm://`.
    Lsm,
}

impl Kind {
    /// What its identity says. Each kind refuses the other's.
    const fn word(self) -> &'static str {
        match self {
            Self::Directory => "store",
            Self::Lsm => "lsm store",
        }
    }

    /// What has the records: where it is, there must be an identity too.
    const fn records(self) -> &'static str {
        match self {
            Self::Directory => RECORDS,
            Self::Lsm => "tree",
        }
    }

    /// What else may be in its directory before it has an identity.
    const fn others(self) -> &'static [&'static str] {
        match self {
            Self::Directory => &[BLOBS, RESERVE, "lost+found"],
            Self::Lsm => &[BLOBS, "lock", "tree.new", "lost+found"],
        }
    }

    const fn scheme(self) -> &'static str {
        match self {
            Self::Directory => "disk://",
            Self::Lsm => "lsm://",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct File {
    /// Says what this file is.
    lockd: String,
    format: u32,
    id: String,
    #[serde(default)]
    epoch: u32,
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

    async fn read_again<F: Fs>(&self, fs: &F, root: &F::Dir) -> Result<()> {
        let present = read(fs, root, self.kind).await?.ok_or_else(|| replaced("its store.json is gone"))?;
        if present.id != self.id {
            return Err(replaced("another store is in its place"));
        }
        if present.epoch != self.epoch {
            return Err(replaced(&format!("its epoch went from {} to {}", self.epoch, present.epoch)));
        }
        let stamp = *present.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        *self.stamp.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
        Ok(())
    }
}

/// The store is not the one that this process knew.
pub fn replaced(what: &str) -> Error {
    Error::new(ErrorKind::StoreReplaced, format!("the store is not the one that this process opened: {what}"))
        .with_hint("put the store back, or start lockd again to use what is there now; nothing was written")
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
    let file: File = serde_json::from_slice(&whole.bytes).map_err(|e| foreign(&format!("its {IDENTITY} says: {e}")))?;
    let other = [Kind::Directory, Kind::Lsm].into_iter().find(|other| *other != kind && file.lockd == other.word());
    if let Some(other) = other {
        let message = format!("the directory has a store of another kind: write {} before its path", other.scheme());
        return Err(Error::new(ErrorKind::StoreMissing, message));
    }
    if file.lockd != kind.word() || file.id.is_empty() {
        return Err(foreign(&format!("its {IDENTITY} is not lockd's")));
    }
    if file.format > FORMAT {
        let message = format!("the store has format {}, this lockd knows {FORMAT}", file.format);
        return Err(Error::new(ErrorKind::TooNew, message).with_hint("upgrade lockd on this host"));
    }
    Ok(Identity { id: file.id, epoch: file.epoch, kind, stamp: Mutex::new(whole.stat) })
}

fn foreign(why: &str) -> Error {
    Error::new(ErrorKind::StoreMissing, format!("the directory is not a lockd store: {why}"))
        .with_hint("choose another directory; lockd takes only its own or an empty one")
}

/// Whether a directory without an identity may become a store.
///
/// # Errors
/// [`ErrorKind::StoreMissing`] when something of others is in it, or a store that lost its identity.
pub async fn check_free<F: Fs>(fs: &F, root: &F::Dir, kind: Kind) -> Result<()> {
    let names = fs.list(root).await.map_err(|e| io_error("list the store's directory", e))?;
    let records = kind.records();
    if names.iter().any(|name| name == records) && !names.iter().any(|name| name == IDENTITY) {
        return Err(foreign(&format!("it has {records}, but {IDENTITY} is gone")));
    }
    let own = |name: &str| name.starts_with(IDENTITY) || name == records || kind.others().contains(&name);
    match names.iter().find(|name| !own(name)) {
        None => Ok(()),
        Some(name) => Err(foreign(&format!("it has {name:?}"))),
    }
}

/// Makes the identity of a new store, unless another process was faster: then reads that one. Says whether it was made here.
///
/// # Errors
/// Those of [`check_free`] and of the file system.
pub async fn make<F: Fs>(fs: &F, root: &F::Dir, kind: Kind, entropy: &dyn Entropy) -> Result<(Identity, bool)> {
    check_free(fs, root, kind).await?;
    let id = hex::encode(entropy.bytes::<16>());
    let temp = format!("{IDENTITY}.{}", hex::encode(entropy.bytes::<8>()));
    let linked = write(fs, root, kind, &temp, &id).await;
    let unlinked = fs.unlink(root, &temp).await;
    let found = read(fs, root, kind).await?;
    match (found, linked) {
        // Read back whatever `link` said: on NFS its error may hide success.
        (Some(found), _) => {
            fs.sync_dir(root).await.map_err(|e| io_error("sync the store's directory", e))?;
            let made = found.id == id;
            Ok((found, made))
        }
        (None, Err(e)) => Err(e),
        (None, Ok(())) => Err(io_error(format!("make {IDENTITY}"), unlinked.err().unwrap_or(Errno::IO))),
    }
}

async fn write<F: Fs>(fs: &F, root: &F::Dir, kind: Kind, temp: &str, id: &str) -> Result<()> {
    let file = File { lockd: kind.word().to_owned(), format: FORMAT, id: id.to_owned(), epoch: 0 };
    let mut text = serde_json::to_vec(&file).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    text.push(b'\n');
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
