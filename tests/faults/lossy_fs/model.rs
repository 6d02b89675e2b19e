//! The file system as a model: for every file and directory what is there, and what of it has been synced.
//!
//! It promises no more than POSIX does: syncing a file keeps its content, not its name; syncing a directory keeps its names,
//! not what they lead to. After a failed sync of a file what was unsynced then never becomes durable, although later syncs succeed:
//! so ext4 and others behave (`fsync(2)`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lockd::clock::{Clock, SystemClock};
use rustix::io::Errno;

/// An inode number: never used twice, also not after a loss of power.
pub type Ino = u64;
/// The root.
pub const ROOT: Ino = 1;
/// What a torn write is torn into.
pub const SECTOR: usize = 512;

/// A file or directory.
#[derive(Clone, Debug)]
pub struct Inode {
    pub node: Node,
    pub links: u32,
    pub opened: u32,
    pub mode: u32,
    pub modified: SystemTime,
    pub changed: SystemTime,
}

/// What an inode holds.
#[derive(Clone, Debug)]
pub enum Node {
    File(File),
    Dir(Dir),
}

/// A file's content, and what of it survives.
#[derive(Clone, Debug, Default)]
pub struct File {
    pub data: Vec<u8>,
    pub durable: Vec<u8>,
    /// Sectors that the next sync writes.
    pub dirty: BTreeSet<usize>,
    /// Whether the length is to be written by the next sync.
    pub dirty_len: bool,
}

/// A directory's names, and which of them survive.
#[derive(Clone, Debug, Default)]
pub struct Dir {
    pub names: BTreeMap<String, Ino>,
    pub durable: BTreeMap<String, Ino>,
    /// Changes since the last sync, oldest first.
    pub pending: Vec<Pending>,
}

/// An unsynced change of a directory.
#[derive(Clone, Debug)]
pub struct Pending {
    pub name: String,
    /// The inode that it then leads to; `None` when it was removed.
    pub to: Option<Ino>,
    /// The name that it had before, when it was renamed: both change or neither.
    pub from: Option<String>,
}

/// The whole file system.
#[derive(Debug)]
pub struct Model {
    inodes: BTreeMap<Ino, Inode>,
    next: Ino,
    /// Bytes that files may have in all.
    pub room: u64,
    used: u64,
}

impl Inode {
    fn new(node: Node, mode: u32) -> Self {
        let now = now();
        let links = if matches!(node, Node::Dir(_)) { 2 } else { 1 };
        Self { node, links, opened: 0, mode, modified: now, changed: now }
    }

    pub fn len(&self) -> u64 {
        match &self.node {
            Node::File(file) => file.data.len() as u64,
            Node::Dir(_) => 4096,
        }
    }

    fn file(&mut self) -> Result<&mut File, Errno> {
        match &mut self.node {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(Errno::ISDIR),
        }
    }
}

impl Model {
    /// An empty file system.
    pub fn new() -> Self {
        let inodes = BTreeMap::from([(ROOT, Inode::new(Node::Dir(Dir::default()), 0o700))]);
        Self { inodes, next: ROOT + 1, room: u64::MAX, used: 0 }
    }

    pub fn inode(&self, ino: Ino) -> Result<&Inode, Errno> {
        self.inodes.get(&ino).ok_or(Errno::STALE)
    }

    pub fn inode_mut(&mut self, ino: Ino) -> Result<&mut Inode, Errno> {
        self.inodes.get_mut(&ino).ok_or(Errno::STALE)
    }

    /// All inodes, for a loss of power.
    pub fn inodes_mut(&mut self) -> &mut BTreeMap<Ino, Inode> {
        &mut self.inodes
    }

    pub fn fresh_ino(&mut self) -> Ino {
        self.next += 1;
        self.next - 1
    }

    pub fn used(&self) -> u64 {
        self.used
    }

    /// Counts again after the inodes were changed as a whole.
    pub fn recount(&mut self) {
        self.used = self.inodes.values().filter(|i| matches!(i.node, Node::File(_))).map(Inode::len).sum();
    }

    pub fn dir(&self, ino: Ino) -> Result<&Dir, Errno> {
        match &self.inode(ino)?.node {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(Errno::NOTDIR),
        }
    }

    fn dir_mut(&mut self, ino: Ino) -> Result<&mut Dir, Errno> {
        let inode = self.inode_mut(ino)?;
        (inode.modified, inode.changed) = (now(), now());
        match &mut inode.node {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(Errno::NOTDIR),
        }
    }

    pub fn lookup(&self, parent: Ino, name: &str) -> Result<Ino, Errno> {
        self.dir(parent)?.names.get(name).copied().ok_or(Errno::NOENT)
    }

    /// The names of the root's tree with their inodes, depth first.
    pub fn walk(&self, from: Ino, path: &str, seen: &mut dyn FnMut(&str, &Inode)) {
        let Ok(dir) = self.dir(from) else { return };
        for (name, ino) in &dir.names {
            let path = format!("{path}/{name}");
            seen(&path, &self.inodes[ino]);
            self.walk(*ino, &path, seen);
        }
    }

    pub fn create(&mut self, parent: Ino, name: &str, mode: u32) -> Result<Ino, Errno> {
        self.add(parent, name, Inode::new(Node::File(File::default()), mode))
    }

    pub fn make_dir(&mut self, parent: Ino, name: &str, mode: u32) -> Result<Ino, Errno> {
        self.add(parent, name, Inode::new(Node::Dir(Dir::default()), mode))
    }

    fn add(&mut self, parent: Ino, name: &str, inode: Inode) -> Result<Ino, Errno> {
        if self.dir(parent)?.names.contains_key(name) {
            return Err(Errno::EXIST);
        }
        let ino = self.fresh_ino();
        self.inodes.insert(ino, inode);
        self.dir_mut(parent)?.set(name, Some(ino));
        Ok(ino)
    }

    pub fn link(&mut self, ino: Ino, parent: Ino, name: &str) -> Result<(), Errno> {
        if self.dir(parent)?.names.contains_key(name) {
            return Err(Errno::EXIST);
        }
        let inode = self.inode_mut(ino)?;
        inode.file()?;
        if inode.links == 0 {
            return Err(Errno::NOENT);
        }
        inode.links += 1;
        inode.changed = now();
        self.dir_mut(parent)?.set(name, Some(ino));
        Ok(())
    }

    pub fn unlink(&mut self, parent: Ino, name: &str) -> Result<(), Errno> {
        let ino = self.lookup(parent, name)?;
        let inode = self.inode_mut(ino)?;
        inode.file()?;
        inode.links -= 1;
        inode.changed = now();
        self.dir_mut(parent)?.set(name, None);
        self.forget_if_gone(ino);
        Ok(())
    }

    pub fn remove_dir(&mut self, parent: Ino, name: &str) -> Result<(), Errno> {
        let ino = self.lookup(parent, name)?;
        if !self.dir(ino)?.names.is_empty() {
            return Err(Errno::NOTEMPTY);
        }
        self.inode_mut(ino)?.links = 0;
        self.dir_mut(parent)?.set(name, None);
        Ok(())
    }

    pub fn rename(&mut self, parent: Ino, name: &str, new_parent: Ino, new_name: &str) -> Result<(), Errno> {
        let ino = self.lookup(parent, name)?;
        let replaced = self.lookup(new_parent, new_name).ok();
        if replaced == Some(ino) {
            return Ok(());
        }
        if let Some(old) = replaced {
            // Only a file may stand where another one comes, not a directory.
            self.inode_mut(ino)?.file()?;
            let old = self.inode_mut(old)?;
            old.file()?;
            old.links -= 1;
        }
        if parent == new_parent {
            self.dir_mut(parent)?.rename(name, new_name, ino);
        } else {
            self.dir_mut(new_parent)?.set(new_name, Some(ino));
            self.dir_mut(parent)?.set(name, None);
        }
        if let Some(old) = replaced {
            self.forget_if_gone(old);
        }
        Ok(())
    }

    pub fn open(&mut self, ino: Ino) -> Result<(), Errno> {
        self.inode_mut(ino)?.opened += 1;
        Ok(())
    }

    pub fn release(&mut self, ino: Ino) {
        if let Ok(inode) = self.inode_mut(ino) {
            inode.opened = inode.opened.saturating_sub(1);
            self.forget_if_gone(ino);
        }
    }

    /// A file without a name that nobody has open gives its room back. It stays known while a lost name may come back.
    fn forget_if_gone(&mut self, ino: Ino) {
        let pending = |inode: &Inode| match &inode.node {
            Node::Dir(dir) => {
                dir.durable.values().chain(dir.pending.iter().filter_map(|p| p.to.as_ref())).any(|i| *i == ino)
            }
            Node::File(_) => false,
        };
        let Some(inode) = self.inodes.get(&ino) else { return };
        if inode.links == 0 && inode.opened == 0 {
            let len = inode.len();
            if !self.inodes.values().any(pending) {
                self.inodes.remove(&ino);
            }
            self.used = self.used.saturating_sub(len);
        }
    }

    pub fn read(&self, ino: Ino, offset: u64, len: usize) -> Result<&[u8], Errno> {
        match &self.inode(ino)?.node {
            Node::File(file) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX).min(file.data.len());
                Ok(&file.data[from..(from + len).min(file.data.len())])
            }
            Node::Dir(_) => Err(Errno::ISDIR),
        }
    }

    pub fn write(&mut self, ino: Ino, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let from = usize::try_from(offset).map_err(|_| Errno::FBIG)?;
        let end = from + bytes.len();
        let grows = (end as u64).saturating_sub(self.inode(ino)?.len());
        if self.used.saturating_add(grows) > self.room {
            return Err(Errno::NOSPC);
        }
        let inode = self.inode_mut(ino)?;
        (inode.modified, inode.changed) = (now(), now());
        let file = inode.file()?;
        file.dirty_len |= grows > 0;
        file.dirty.extend(from.min(file.data.len()) / SECTOR..end.div_ceil(SECTOR));
        if file.data.len() < end {
            file.data.resize(end, 0);
        }
        file.data[from..end].copy_from_slice(bytes);
        self.used += grows;
        Ok(())
    }

    pub fn truncate(&mut self, ino: Ino, len: u64) -> Result<(), Errno> {
        let len = usize::try_from(len).map_err(|_| Errno::FBIG)?;
        let inode = self.inode_mut(ino)?;
        (inode.modified, inode.changed) = (now(), now());
        let file = inode.file()?;
        let before = file.data.len();
        file.dirty.extend(len.min(before) / SECTOR..len.max(before).div_ceil(SECTOR));
        file.dirty_len = true;
        file.data.resize(len, 0);
        self.used = self.used - before as u64 + len as u64;
        Ok(())
    }

    /// Makes what is unsynced durable.
    pub fn sync(&mut self, ino: Ino) -> Result<(), Errno> {
        match &mut self.inode_mut(ino)?.node {
            Node::File(file) => file.sync(),
            Node::Dir(dir) => dir.sync(),
        }
        Ok(())
    }

    /// A sync failed: what was unsynced of a file counts as clean from now on and is never written.
    pub fn fail_sync(&mut self, ino: Ino) -> Result<(), Errno> {
        match &mut self.inode_mut(ino)?.node {
            Node::File(file) => {
                file.dirty.clear();
                file.dirty_len = false;
            }
            // A journal that cannot be written ends the use of ext4, XFS and Btrfs until the next mount; what can pass (a
            // full quota, a FUSE or network file system) leaves the names to the next sync.
            Node::Dir(_) => {}
        }
        Ok(())
    }
}

impl File {
    pub fn sync(&mut self) {
        if self.dirty_len {
            self.durable.resize(self.data.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            let from = sector * SECTOR;
            let end = (from + SECTOR).min(self.data.len()).min(self.durable.len());
            if from < end {
                self.durable[from..end].copy_from_slice(&self.data[from..end]);
            }
        }
        self.dirty_len = false;
    }
}

impl Dir {
    fn set(&mut self, name: &str, to: Option<Ino>) {
        match to {
            Some(ino) => self.names.insert(name.to_owned(), ino),
            None => self.names.remove(name),
        };
        self.pending.push(Pending { name: name.to_owned(), to, from: None });
    }

    fn rename(&mut self, from: &str, name: &str, ino: Ino) {
        let pending = Pending { name: name.to_owned(), to: Some(ino), from: Some(from.to_owned()) };
        pending.clone().apply(&mut self.names);
        self.pending.push(pending);
    }

    fn sync(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            pending.apply(&mut self.durable);
        }
    }
}

impl Pending {
    pub fn apply(self, names: &mut BTreeMap<String, Ino>) {
        if let Some(from) = &self.from {
            names.remove(from);
        }
        match self.to {
            Some(ino) => names.insert(self.name, ino),
            None => names.remove(&self.name),
        };
    }
}

/// Now; lockd sees it as the file server's clock.
pub fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(SystemClock.wall().0)
}
