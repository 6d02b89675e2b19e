//! The tree of files as it is, and what of it would be there after a loss of power.
//!
//! No more is promised than POSIX does: syncing a file keeps its content and not its name, syncing a directory keeps its names
//! and not what they lead to. What is unsynced survives in any part: of a name any of the values that it had since the last
//! sync, of a file any length between, and its sectors or zeros.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use lockd::store::disk::fs::{Errno, Stat};

use super::super::rng::Rng;
use super::super::time::Nanos;

/// An inode number: never used twice.
pub type Ino = u64;
/// The root.
pub const ROOT: Ino = 1;
/// Machines that can have the tree mounted.
pub const HOSTS: usize = 3;
/// Removed names that a directory remembers, for lookups answered from an old view.
const GONE: usize = 64;
const SECTOR: usize = 512;

pub struct Node {
    pub parent: Ino,
    pub kind: Kind,
    pub links: u32,
    /// How many times it is open on each machine.
    pub uses: [u32; HOSTS],
    /// Who made it.
    pub maker: usize,
    pub host: usize,
    modified: Nanos,
    changed: Nanos,
}

pub enum Kind {
    File(File),
    Dir(Dir),
    /// A file of which only the length counts.
    Room(u64),
}

#[derive(Default)]
pub struct File {
    pub data: Vec<u8>,
    durable: usize,
    /// The first byte that the next sync writes.
    dirty: Option<usize>,
    /// A sync failed: what was unsynced then is never written, unless it is written again; then up to here.
    lost: Option<usize>,
}

#[derive(Default)]
pub struct Dir {
    /// Below the root.
    pub path: String,
    pub names: BTreeMap<String, Entry>,
    /// For every name changed since the last sync the values that it had, the durable one first.
    unsynced: BTreeMap<String, Vec<Option<Ino>>>,
    gone: VecDeque<(String, u64)>,
}

#[derive(Clone, Copy)]
pub struct Entry {
    pub ino: Ino,
    /// The tree's count of changes when it came.
    pub since: u64,
    /// The machines that were told of it, a bit each.
    pub known: u8,
}

pub struct Tree {
    nodes: BTreeMap<Ino, Node>,
    next: Ino,
    pub changes: u64,
    /// Bytes that may still be written; no limit where it is `None`.
    pub room: Option<u64>,
    /// Names are durable at once, as on a file server (RFC 1813, section 4.8: stable storage before the reply).
    pub names_synced: bool,
}

/// How much of what is unsynced a loss of power leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    Nothing,
    Everything,
    AnyPart,
}

impl File {
    pub fn is_synced(&self) -> bool {
        self.dirty.is_none() && self.durable == self.data.len()
    }

    /// The length that survives whatever happens.
    pub fn durable_len(&self) -> u64 {
        self.durable.min(self.data.len()) as u64
    }

    fn sync(&mut self) {
        match self.lost {
            None => (self.dirty, self.durable) = (None, self.data.len()),
            Some(again) => self.durable = self.durable.max(again.min(self.data.len())),
        }
    }

    /// What a loss of power makes of it. Whether it is not whole any more.
    fn tear(&mut self, rng: &mut Rng, keeps: Keeps) -> bool {
        if self.is_synced() || (keeps == Keeps::Everything && self.lost.is_none()) {
            self.lost = None;
            self.sync();
            return false;
        }
        let (low, high) = (self.durable.min(self.data.len()), self.durable.max(self.data.len()));
        let any = usize::try_from(rng.between(low as u64, high as u64)).unwrap();
        let len = if keeps == Keeps::Nothing { self.durable } else { rng.pick(&[low, any, high]) };
        let before = std::mem::take(&mut self.data);
        self.data = before.clone();
        self.data.resize(len, 0);
        let first = self.dirty.unwrap_or(len) / SECTOR;
        for sector in self.data.chunks_mut(SECTOR).skip(first) {
            if keeps == Keeps::Nothing || rng.chance(5_000) {
                sector.fill(0);
            }
        }
        (self.lost, self.dirty, self.durable) = (None, None, len);
        self.data != before
    }
}

impl Dir {
    pub fn at(path: &str) -> Self {
        Self { path: path.to_owned(), ..Self::default() }
    }

    /// Whether a name leads to this file after a loss of power, whatever is kept.
    pub fn is_durable(&self, name: &str, ino: Ino) -> bool {
        match self.unsynced.get(name) {
            None => self.names.get(name).is_some_and(|entry| entry.ino == ino),
            Some(values) => values.iter().all(|value| *value == Some(ino)),
        }
    }

    pub fn has_unsynced(&self, name: &str) -> bool {
        self.unsynced.contains_key(name)
    }

    /// Whether a machine that saw the directory at `then` may still believe that the name is there.
    pub fn went_since(&self, name: &str, then: u64) -> bool {
        self.gone.iter().any(|(gone, at)| gone == name && *at > then)
    }

    fn set(&mut self, name: &str, to: Option<Entry>, at: u64, synced: bool) {
        let before = self.names.get(name).map(|entry| entry.ino);
        if !synced {
            self.unsynced.entry(name.to_owned()).or_insert_with(|| vec![before]).push(to.map(|entry| entry.ino));
        }
        match to {
            Some(entry) => drop(self.names.insert(name.to_owned(), entry)),
            None => {
                self.names.remove(name);
                self.gone.push_back((name.to_owned(), at));
                if self.gone.len() > GONE {
                    self.gone.pop_front();
                }
            }
        }
    }
}

impl Tree {
    pub fn new(names_synced: bool) -> Self {
        let root = Node::new(ROOT, Kind::Dir(Dir::default()), 0, 0, 0);
        Self { nodes: BTreeMap::from([(ROOT, root)]), next: ROOT + 1, changes: 1, room: None, names_synced }
    }

    pub fn node(&self, ino: Ino) -> Result<&Node, Errno> {
        self.nodes.get(&ino).ok_or(Errno::STALE)
    }

    pub fn node_mut(&mut self, ino: Ino) -> Result<&mut Node, Errno> {
        self.nodes.get_mut(&ino).ok_or(Errno::STALE)
    }

    pub fn dir(&self, ino: Ino) -> Result<&Dir, Errno> {
        match &self.node(ino)?.kind {
            Kind::Dir(dir) => Ok(dir),
            _ => Err(Errno::NOTDIR),
        }
    }

    fn dir_mut(&mut self, ino: Ino) -> Result<&mut Dir, Errno> {
        match &mut self.node_mut(ino)?.kind {
            Kind::Dir(dir) => Ok(dir),
            _ => Err(Errno::NOTDIR),
        }
    }

    pub fn file(&self, ino: Ino) -> Result<&File, Errno> {
        match &self.node(ino)?.kind {
            Kind::File(file) => Ok(file),
            Kind::Dir(_) => Err(Errno::ISDIR),
            Kind::Room(_) => Err(Errno::NXIO),
        }
    }

    pub fn entry(&self, dir: Ino, name: &str) -> Result<Entry, Errno> {
        self.dir(dir)?.names.get(name).copied().ok_or(Errno::NOENT)
    }

    pub fn find(&self, dir: Ino, name: &str) -> Option<Ino> {
        self.entry(dir, name).ok().map(|entry| entry.ino)
    }

    /// Tells a machine that a name is there.
    pub fn tell(&mut self, dir: Ino, name: &str, host: usize) {
        if let Some(entry) = self.dir_mut(dir).ok().and_then(|dir| dir.names.get_mut(name)) {
            entry.known |= 1 << host;
        }
    }

    pub fn stat(&self, ino: Ino) -> Result<Stat, Errno> {
        let node = self.node(ino)?;
        let len = match &node.kind {
            Kind::File(file) => file.data.len() as u64,
            Kind::Room(len) => *len,
            Kind::Dir(_) => return Err(Errno::NXIO),
        };
        let (modified, changed) = (Duration::from_nanos(node.modified), Duration::from_nanos(node.changed));
        Ok(Stat { inode: (1, ino), len, links: u64::from(node.links), modified, changed })
    }

    /// Gives a file or directory a name.
    pub fn set(&mut self, dir: Ino, name: &str, to: Option<Ino>) -> Result<(), Errno> {
        self.changes += 1;
        let at = self.changes;
        let entry = to.map(|ino| Entry { ino, since: at, known: 0 });
        let synced = self.names_synced;
        self.dir_mut(dir)?.set(name, entry, at, synced);
        Ok(())
    }

    pub fn make(&mut self, dir: Ino, name: &str, kind: Kind, who: (usize, usize), now: Nanos) -> Result<Ino, Errno> {
        if self.find(dir, name).is_some() {
            return Err(Errno::EXIST);
        }
        let ino = self.next;
        self.next += 1;
        self.nodes.insert(ino, Node::new(dir, kind, who.0, who.1, now));
        self.set(dir, name, Some(ino))?;
        Ok(ino)
    }

    /// A second name for a file. A file without any name is not to be had any more.
    pub fn link(&mut self, ino: Ino, dir: Ino, name: &str, now: Nanos) -> Result<(), Errno> {
        if self.node(ino)?.links == 0 {
            return Err(Errno::STALE);
        }
        if self.find(dir, name).is_some() {
            return Err(Errno::EXIST);
        }
        self.set(dir, name, Some(ino))?;
        let node = self.node_mut(ino)?;
        (node.links, node.changed) = (node.links + 1, now);
        Ok(())
    }

    pub fn unlink(&mut self, dir: Ino, name: &str, now: Nanos) -> Result<(), Errno> {
        let ino = self.entry(dir, name)?.ino;
        self.set(dir, name, None)?;
        let node = self.node_mut(ino)?;
        (node.links, node.changed) = (node.links - 1, now);
        self.forget_if_gone(ino);
        Ok(())
    }

    pub fn rename(&mut self, dir: Ino, name: &str, to: &str) -> Result<(), Errno> {
        let ino = self.entry(dir, name)?.ino;
        self.set(dir, name, None)?;
        self.set(dir, to, Some(ino))
    }

    /// A file without a name that nobody has open is forgotten, unless a loss of power may bring a name back.
    pub fn forget_if_gone(&mut self, ino: Ino) {
        let Some(node) = self.nodes.get(&ino) else { return };
        if node.links > 0 || node.uses != [0; HOSTS] {
            return;
        }
        let may_come_back =
            self.dir(node.parent).is_ok_and(|dir| dir.unsynced.values().flatten().any(|v| *v == Some(ino)));
        if !may_come_back {
            self.nodes.remove(&ino);
        }
    }

    pub fn write(&mut self, ino: Ino, bytes: &[u8], offset: u64, now: Nanos) -> Result<(), Errno> {
        let from = usize::try_from(offset).map_err(|_| Errno::FBIG)?;
        let end = from + bytes.len();
        let room = self.room;
        let node = self.node_mut(ino)?;
        (node.modified, node.changed) = (now, now);
        let Kind::File(file) = &mut node.kind else { return Err(Errno::ISDIR) };
        let grows = end.saturating_sub(file.data.len());
        if room.is_some_and(|room| (grows as u64) > room) {
            return Err(Errno::NOSPC);
        }
        file.dirty = Some(file.dirty.unwrap_or(from).min(from).min(file.data.len()));
        if file.data.len() < end {
            file.data.resize(end, 0);
        }
        file.data[from..end].copy_from_slice(bytes);
        file.lost = file.lost.map(|again| again.max(end));
        self.room = room.map(|room| room - grows as u64);
        Ok(())
    }

    /// A file of a length, whatever is in it.
    pub fn set_len(&mut self, ino: Ino, len: u64) -> Result<(), Errno> {
        match &mut self.node_mut(ino)?.kind {
            Kind::Room(room) => *room = len,
            Kind::File(file) => {
                file.data.resize(usize::try_from(len).map_err(|_| Errno::FBIG)?, 0);
                file.dirty = Some(file.dirty.unwrap_or(file.data.len()).min(file.data.len()));
            }
            Kind::Dir(_) => return Err(Errno::ISDIR),
        }
        Ok(())
    }

    pub fn sync(&mut self, ino: Ino) -> Result<(), Errno> {
        let values = match &mut self.node_mut(ino)?.kind {
            Kind::File(file) => {
                file.sync();
                return Ok(());
            }
            Kind::Room(_) => return Ok(()),
            Kind::Dir(dir) => std::mem::take(&mut dir.unsynced),
        };
        for ino in values.into_values().flatten().flatten() {
            self.forget_if_gone(ino);
        }
        Ok(())
    }

    /// A sync failed: what is unsynced of a file is never written; the names of a directory are left to the next one.
    pub fn fail_sync(&mut self, ino: Ino) {
        if let Ok(Node { kind: Kind::File(file), .. }) = self.node_mut(ino)
            && !file.is_synced()
        {
            file.lost = Some(0);
        }
    }

    /// A machine ends: what it wrote and did not sync is lost, in part.
    pub fn lose_host(&mut self, host: usize, rng: &mut Rng) {
        let mut gone = Vec::new();
        for (ino, node) in &mut self.nodes {
            node.uses[host] = 0;
            if let Kind::File(file) = &mut node.kind
                && node.host == host
            {
                file.tear(rng, Keeps::AnyPart);
            }
            if node.links == 0 {
                gone.push(*ino);
            }
        }
        for ino in gone {
            self.forget_if_gone(ino);
        }
    }

    /// Power is lost. Returns the number of files that are torn.
    pub fn lose_power(&mut self, rng: &mut Rng, keeps: Keeps) -> u64 {
        let mut torn = 0;
        for node in self.nodes.values_mut() {
            (node.uses, node.links) = ([0; HOSTS], 0);
            match &mut node.kind {
                Kind::Dir(dir) => {
                    dir.gone.clear();
                    for (name, values) in std::mem::take(&mut dir.unsynced) {
                        let value = match keeps {
                            Keeps::Nothing => values[0],
                            Keeps::Everything => values[values.len() - 1],
                            Keeps::AnyPart => rng.pick(&values),
                        };
                        match value {
                            Some(ino) => drop(dir.names.insert(name, Entry { ino, since: 0, known: 0 })),
                            None => drop(dir.names.remove(&name)),
                        }
                    }
                }
                Kind::File(file) => torn += u64::from(file.tear(rng, keeps)),
                Kind::Room(_) => {}
            }
        }
        self.changes += 1;
        self.drop_unnamed();
        torn
    }

    fn drop_unnamed(&mut self) {
        let mut open = vec![ROOT];
        let mut links: BTreeMap<Ino, u32> = BTreeMap::from([(ROOT, 1)]);
        while let Some(ino) = open.pop() {
            let Ok(dir) = self.dir(ino) else { continue };
            for entry in dir.names.values() {
                let links = links.entry(entry.ino).or_default();
                *links += 1;
                if *links == 1 {
                    open.push(entry.ino);
                }
            }
        }
        self.nodes.retain(|ino, node| {
            node.links = links.get(ino).copied().unwrap_or(0);
            node.links > 0
        });
    }
}

impl Node {
    fn new(parent: Ino, kind: Kind, maker: usize, host: usize, now: Nanos) -> Self {
        Self { parent, kind, links: 1, uses: [0; HOSTS], maker, host, modified: now, changed: now }
    }
}
