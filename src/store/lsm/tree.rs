//! The tree, and what is in it: a key is `namespace`, NUL, `name`; a value is its stamp and the encoded record.

use std::fmt;
use std::ops::Bound;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, UserValue};
use futures_util::FutureExt;

use super::committer::{Tree, Write};
use super::lost;
use super::owner::Owner;
use super::room::Room;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{LSM_CACHE_BYTES, LSM_JOURNAL_BYTES, RESERVE_BYTES};
use crate::model::{Key, Namespace};
use crate::store::Etag;
use crate::store::disk::fs::{Errno, Fs};
use crate::store::disk::layout::RESERVE;
use crate::store::disk::real::RealFs;
use crate::store::disk::{Disk, io_error, room};

/// The keyspace that has the records.
const RECORDS: &str = "records";

/// The name of one value: the opening of the store that wrote it (random), and its number among the values of that opening.
/// A number that a crash swallowed is given out again only under another opening, so that no stamp names two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Which opening of the store.
    pub opening: u64,
    /// Which of its values, from 1.
    pub number: u64,
}

impl Stamp {
    const BYTES: usize = 16;

    /// As an etag.
    #[must_use]
    pub fn etag(self) -> Etag {
        Etag(format!("{}-{:016x}", self.number, self.opening).into())
    }

    /// Reads what [`Stamp::etag`] made; `None` for anything else, which then matches nothing.
    #[must_use]
    pub fn parse(tag: &Etag) -> Option<Self> {
        let (number, opening) = tag.0.split_once('-')?;
        let stamp = Self { opening: u64::from_str_radix(opening, 16).ok()?, number: number.parse().ok()? };
        Some(stamp).filter(|stamp| stamp.etag() == *tag)
    }

    fn encoded(self, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::BYTES + value.len());
        out.extend_from_slice(&self.opening.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(value);
        out
    }

    fn decoded(stored: &[u8]) -> Option<(Self, &[u8])> {
        let (opening, rest) = stored.split_first_chunk()?;
        let (number, value) = rest.split_first_chunk()?;
        Some((Self { opening: u64::from_be_bytes(*opening), number: u64::from_be_bytes(*number) }, value))
    }
}

fn encoded(key: &Key) -> Vec<u8> {
    place(key.namespace(), key.name())
}

fn place(namespace: &Namespace, name: &str) -> Vec<u8> {
    [namespace.as_str().as_bytes(), &[0], name.as_bytes()].concat()
}

/// How a tree is set up; the figures of [`crate::limits`] unless a test wants other ones.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bytes of changes after which they move from memory into a file.
    pub memtable_bytes: u64,
    /// Whether any file system will do, also those that are not on the list.
    pub anywhere: bool,
}

/// A tree. Only one process has it.
pub struct FjallTree {
    /// `None` once it was closed.
    open: RwLock<Option<Open>>,
    /// The directory that it is in: the store's identity, and whether what was written can be trusted.
    disk: Disk<RealFs>,
    /// Whether the reserve is not whole.
    given: AtomicBool,
}

/// Closes the tree when it is dropped, and gives the store up.
struct Open {
    /// `None` only while it is dropped.
    tree: Option<(Database, Keyspace)>,
    owner: Owner,
    disk: Disk<RealFs>,
}

impl fmt::Debug for FjallTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FjallTree({:?})", self.disk)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.tree = None;
        if self.disk.shared().durable.check().is_ok() {
            self.owner.closed_well();
        }
    }
}

fn database(path: &Path) -> Result<Database> {
    let builder = Database::builder(path).cache_size(LSM_CACHE_BYTES).max_journaling_size(LSM_JOURNAL_BYTES);
    builder.open().map_err(|e| failed("open the store's tree", e))
}

/// Makes an empty tree in a directory that is not there yet.
///
/// # Errors
/// Those of the file system.
pub fn make(path: &Path, settings: Settings) -> Result<()> {
    let database = database(path)?;
    let options = || KeyspaceCreateOptions::default().max_memtable_size(settings.memtable_bytes);
    let records = database.keyspace(RECORDS, options).map_err(|e| failed("make the store's tree", e))?;
    database.persist(PersistMode::SyncAll).map_err(|e| failed("make the store's tree", e))?;
    drop(records);
    Ok(())
}

impl FjallTree {
    /// Opens a tree that is there.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when it is damaged; those of the file system.
    pub fn open(path: &Path, owner: Owner, disk: Disk<RealFs>) -> Result<Self> {
        let database = database(path)?;
        if !database.keyspace_exists(RECORDS) {
            return Err(damaged("the store's tree has no records"));
        }
        let options = KeyspaceCreateOptions::default;
        let records = database.keyspace(RECORDS, options).map_err(|e| failed("open the store's tree", e))?;
        let open = Open { tree: Some((database, records)), owner, disk: disk.clone() };
        // Whatever was given of the reserve before is made up for at the first chance.
        Ok(Self { open: RwLock::new(Some(open)), disk, given: AtomicBool::new(true) })
    }

    /// The store's directory, when it still is the one that was opened and may be used.
    fn root(&self) -> Result<OwnedFd> {
        self.disk.shared().root().now_or_never().unwrap_or_else(|| Err(lost()))
    }

    /// Closes the tree, once what is under way has ended: then another process may have the store. All that follows fails.
    pub fn close(&self) {
        // Whoever panicked in between only read what this guards.
        let open = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(open);
    }

    fn with<T>(&self, work: impl FnOnce(&Database, &Keyspace) -> Result<T>) -> Result<T> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let (database, records) = open.as_ref().and_then(|open| open.tree.as_ref()).ok_or_else(lost)?;
        work(database, records)
    }

    fn stored(&self, key: &Key) -> Result<Option<UserValue>> {
        self.with(|_, records| records.get(encoded(key)).map_err(|e| failed("read the record", e)))
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When the store may not be used any more; when the value cannot be read.
    pub fn get(&self, key: &Key) -> Result<Option<(Stamp, Bytes)>> {
        self.root()?;
        let Some(stored) = self.stored(key)? else { return Ok(None) };
        let (stamp, value) = Stamp::decoded(&stored).ok_or_else(|| damaged("the record is too short"))?;
        Ok(Some((stamp, Bytes::copy_from_slice(value))))
    }

    /// The stamp of [`Tree::present`], of a store that may still be used.
    ///
    /// # Errors
    /// Those of [`FjallTree::get`].
    pub fn stamp_checked(&self, key: &Key) -> Result<Option<Stamp>> {
        self.root()?;
        Ok(self.present(key)?.map(|(stamp, _)| stamp))
    }

    /// Gives the reserve back when the disk is about to be full, and makes it whole when there is room again.
    fn room(&self, root: &OwnedFd) -> Result<Room> {
        let fs = &self.disk.shared().fs;
        let free =
            || fs.free(root).now_or_never().unwrap_or(Err(Errno::IO)).map_err(|e| io_error("ask for free room", e));
        let room = Room::of(free()?);
        if room.is_short() {
            self.given.store(true, Ordering::Relaxed);
            let _given = fs.give_room(root, RESERVE, RESERVE_BYTES).now_or_never();
            return Ok(Room::of(free()?));
        }
        if room.is_plenty() && self.given.swap(false, Ordering::Relaxed) {
            let _held = room::hold(fs, root).now_or_never();
        }
        Ok(room)
    }

    /// At most `limit` keys of a namespace whose names come after `after`, in order.
    ///
    /// # Errors
    /// Those of [`FjallTree::get`].
    pub fn keys(&self, namespace: &Namespace, after: &str, limit: usize) -> Result<Vec<Key>> {
        self.root()?;
        let from = Bound::Excluded(place(namespace, after));
        let mut to = place(namespace, "");
        to[namespace.as_str().len()] = 1;
        let key = |stored: &[u8]| {
            let name = stored.get(namespace.as_str().len() + 1..).and_then(|name| std::str::from_utf8(name).ok());
            let key = name.and_then(|name| Key::new(namespace.clone(), name).ok());
            key.ok_or_else(|| damaged("the store's tree has a malformed key"))
        };
        self.with(|_, records| {
            let found = records.range((from, Bound::Excluded(to))).take(limit);
            found.map(|found| key(&found.key().map_err(|e| failed("list the records", e))?)).collect()
        })
    }
}

impl Tree for FjallTree {
    fn check(&self) -> Result<Room> {
        self.room(&self.root()?)
    }

    fn present(&self, key: &Key) -> Result<Option<(Stamp, usize)>> {
        let Some(stored) = self.stored(key)? else { return Ok(None) };
        let (stamp, value) = Stamp::decoded(&stored).ok_or_else(|| damaged("the record is too short"))?;
        Ok(Some((stamp, value.len())))
    }

    fn commit(&self, batch: Vec<Write>) -> Result<()> {
        self.with(|database, records| {
            let mut writes = database.batch().durability(Some(PersistMode::SyncData));
            for write in batch {
                writes.insert(records, encoded(&write.key), write.stamp.encoded(&write.value));
            }
            writes.commit().map_err(|e| failed("commit to the store's journal", e))
        })
    }

    fn distrust(&self, error: Error) -> Error {
        let hint = "this process no longer uses the store; look at the kernel's log, then start lockd again";
        self.disk.shared().durable.distrust(error).with_hint(hint)
    }
}

pub(super) fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, what).with_hint("restore the store from a backup")
}

/// What the tree says, as lockd says it.
pub(super) fn failed(what: &str, error: fjall::Error) -> Error {
    match error {
        fjall::Error::Io(e) | fjall::Error::Storage(fjall::LsmError::Io(e)) => Error::io(what, &e),
        fjall::Error::Poisoned => Error::new(ErrorKind::Io, format!("{what}: an earlier write failed")),
        other => damaged(&format!("{what}: {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_etags_are_read() {
        let stamp = Stamp { opening: 0xabc, number: 41 };
        assert_eq!(Stamp::parse(&stamp.etag()), Some(stamp));
        for text in ["", "41", "41-abc", "041-0000000000000abc", "0-not-an-etag", "41-0000000000000ABC"] {
            assert_eq!(Stamp::parse(&Etag(text.into())), None, "{text:?}");
        }
    }

    #[test]
    fn a_value_has_its_stamp() {
        let stamp = Stamp { opening: u64::MAX, number: 1 };
        assert_eq!(Stamp::decoded(&stamp.encoded(b"x")), Some((stamp, &b"x"[..])));
        assert_eq!(Stamp::decoded(&[0; 15]), None);
    }
}
