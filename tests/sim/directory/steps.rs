//! What each step does to the tree, as a local kernel or a file server and its clients do it.

use bytes::Bytes;
use lockd::store::disk::fs::Errno;

use super::super::time::Nanos;
use super::counters::Counter as C;
use super::tree::{Dir, File, Ino, Kind as Node};
use super::world::{ProcId, World};

/// An open directory: what a client looks up in it is at least as new as this.
#[derive(Clone, Copy, Debug)]
pub struct View {
    pub ino: Ino,
    pub opened: u64,
}

impl World {
    pub fn view(&self, ino: Ino) -> View {
        View { ino, opened: self.tree.changes }
    }

    /// Looks a name up. A client of a file server may answer from what it saw when it opened the directory.
    pub fn lookup(&mut self, proc: ProcId, at: View, name: &str) -> Result<Ino, Errno> {
        let network = self.mix.network;
        let host = self.host_of(proc);
        let found = self.tree.entry(at.ino, name);
        let old_view = match &found {
            Ok(entry) if network && entry.since > at.opened && entry.known >> host & 1 == 0 => {
                Some((C::StaleAbsence, Errno::NOENT))
            }
            Err(Errno::NOENT) if network && self.tree.dir(at.ino)?.went_since(name, at.opened) => {
                Some((C::StaleName, Errno::STALE))
            }
            _ => None,
        };
        if let Some((counter, error)) = old_view
            && self.chance(self.mix.stale)
        {
            self.count(counter);
            self.procs[proc].faults += 1;
            return Err(error);
        }
        if found.is_err() {
            self.asked_for_pruned(at.ino, name);
        }
        let ino = found?.ino;
        self.tree.tell(at.ino, name, host);
        Ok(ino)
    }

    /// A machine knows of a name that it made itself, unless the reply was lost.
    fn tell(&mut self, host: usize, dir: Ino, name: &str) {
        if self.heard {
            self.tree.tell(dir, name, host);
        }
    }

    pub fn open_dir(&mut self, proc: ProcId, at: View, path: &str) -> Result<View, Errno> {
        let mut at = at;
        for (depth, segment) in path.split('/').enumerate() {
            // Only the last directory is asked for anew; those on the way may be known from long ago.
            let view = if depth == 0 { at } else { View { opened: 0, ..at } };
            let ino = self.lookup(proc, view, segment)?;
            self.tree.dir(ino)?;
            at = self.view(ino);
        }
        Ok(at)
    }

    pub fn make_dir(&mut self, proc: ProcId, at: Ino, name: &str) -> Result<(), Errno> {
        let above = &self.tree.dir(at)?.path;
        let path = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
        let dir = Node::Dir(Dir::at(&path));
        let (now, host) = (self.now(), self.host_of(proc));
        match self.tree.make(at, name, dir, (proc, host), now) {
            Ok(ino) => {
                self.truth_dir(&path, ino);
                self.tell(host, at, name);
                Ok(())
            }
            Err(e) => {
                self.count(C::OthersDirectory);
                Err(e)
            }
        }
    }

    pub fn names(&self, dir: Ino) -> Result<Vec<String>, Errno> {
        Ok(self.tree.dir(dir)?.names.keys().cloned().collect())
    }

    /// The second half of a listing, in any order.
    pub fn names_since(&mut self, dir: Ino, first: &[String]) -> Result<Vec<String>, Errno> {
        let now = self.names(dir)?;
        let mut seen = Vec::with_capacity(now.len());
        for name in first.iter().chain(now.iter().filter(|name| !first.contains(name))) {
            let stayed = now.contains(name) && first.contains(name);
            if stayed || self.rng.chance(5_000) {
                seen.push(name.clone());
            }
        }
        for at in (1..seen.len()).rev() {
            let with = usize::try_from(self.rng.below(at as u64 + 1)).unwrap();
            seen.swap(at, with);
        }
        Ok(seen)
    }

    /// Has a file open. What nobody hears of is open nowhere.
    fn use_file(&mut self, proc: ProcId, ino: Ino) -> Result<Ino, Errno> {
        if !self.heard {
            return Ok(ino);
        }
        let host = self.host_of(proc);
        self.tree.node_mut(ino)?.uses[host] += 1;
        *self.procs[proc].open.entry(ino).or_default() += 1;
        Ok(ino)
    }

    pub fn open(&mut self, proc: ProcId, at: View, name: &str) -> Result<Ino, Errno> {
        let ino = self.lookup(proc, at, name)?;
        self.met(at.ino, name, ino);
        self.tree.stat(ino)?;
        self.use_file(proc, ino)
    }

    pub fn create(&mut self, proc: ProcId, dir: Ino, name: &str, new: bool) -> Result<Ino, Errno> {
        let (now, host) = (self.now(), self.host_of(proc));
        let ino = match self.tree.find(dir, name) {
            Some(ino) if !new => ino,
            _ => self.tree.make(dir, name, Node::File(File::default()), (proc, host), now)?,
        };
        self.tell(host, dir, name);
        self.use_file(proc, ino)
    }

    pub fn close(&mut self, proc: ProcId, ino: Ino) {
        let host = self.host_of(proc);
        if let Some(times) = self.procs[proc].open.get_mut(&ino) {
            *times -= 1;
            if *times == 0 {
                self.procs[proc].open.remove(&ino);
            }
            self.unuse(host, ino);
        }
    }

    /// One use less; a client removes what it had renamed for that long.
    pub fn unuse(&mut self, host: usize, ino: Ino) {
        let Ok(node) = self.tree.node_mut(ino) else { return };
        node.uses[host] = node.uses[host].saturating_sub(1);
        let (left, dir) = (node.uses[host], node.parent);
        let now = self.now();
        let silly = format!(".nfs{ino:08}{host}");
        if left == 0 && self.tree.find(dir, &silly) == Some(ino) {
            let _gone_with_a_loss_of_power = self.tree.unlink(dir, &silly, now);
        }
        self.tree.forget_if_gone(ino);
    }

    pub fn content(&mut self, proc: ProcId, ino: Ino) -> Result<Bytes, Errno> {
        if self.mix.network && self.tree.node(ino)?.links == 0 {
            // Removed by another machine since it was opened.
            self.procs[proc].faults += 1;
            return Err(Errno::STALE);
        }
        Ok(Bytes::copy_from_slice(&self.tree.file(ino)?.data))
    }

    pub fn write(&mut self, proc: ProcId, ino: Ino, bytes: &[u8], offset: u64) -> Result<(), Errno> {
        let now = self.now();
        let part = bytes.len() > 1 && self.chance(self.mix.short_write);
        let bytes = if part { &bytes[..bytes.len() / 2] } else { bytes };
        let written = self.tree.write(ino, bytes, offset, now);
        self.check_floor(ino);
        if part {
            self.count(C::ShortWrite);
        }
        if part || written.is_err() {
            self.procs[proc].faults += 1;
            return Err(Errno::NOSPC);
        }
        written
    }

    pub fn link_by_name(&mut self, proc: ProcId, dir: Ino, from: &str, to: &str) -> Result<(), Errno> {
        match self.tree.entry(dir, from) {
            Ok(entry) => self.link(proc, entry.ino, dir, to),
            Err(e) => {
                self.count(C::LinkWithoutTemp);
                Err(e)
            }
        }
    }

    pub fn link(&mut self, proc: ProcId, from: Ino, dir: Ino, to: &str) -> Result<(), Errno> {
        let now = self.now();
        match self.tree.link(from, dir, to, now) {
            Ok(()) => {
                self.tell(self.host_of(proc), dir, to);
                self.published(proc, from, dir, to);
                Ok(())
            }
            Err(e) => {
                if e == Errno::EXIST {
                    self.count(C::LinkRefused);
                }
                Err(e)
            }
        }
    }

    /// A client may give up on its server, which makes the link later all the same.
    pub fn link_or_time_out(&mut self, proc: ProcId, from: Ino, dir: Ino, to: &str) -> Result<(), Errno> {
        if !self.chance(self.mix.late_link) {
            return self.link(proc, from, dir, to);
        }
        self.count(C::LateLink);
        self.procs[proc].faults += 1;
        let longest: Nanos = self.mix.unit * self.rng.pick(&[3, 30, 300]);
        let (wait, to) = (self.rng.below(longest), to.to_owned());
        let powered = self.truth.losses;
        self.after(wait, move |w| {
            if w.truth.losses == powered {
                w.heard = false;
                let late = w.link(proc, from, dir, &to);
                w.heard = true;
                w.say(|| format!("late link of {from} to {to}: {late:?}"));
                w.count(if late.is_ok() { C::LateLinkApplied } else { C::LateLinkVoid });
            }
        });
        Err(Errno::TIMEDOUT)
    }

    /// Removes a name. A client of a file server only renames what it has open itself.
    pub fn unlink(&mut self, proc: ProcId, dir: Ino, name: &str) -> Result<(), Errno> {
        let (now, host) = (self.now(), self.host_of(proc));
        let ino = self.tree.entry(dir, name)?.ino;
        let others = name.starts_with("t.") && self.tree.node(ino)?.maker != proc;
        if others && self.chance(self.mix.stuck) {
            self.count(C::Stuck);
            self.procs[proc].faults += 1;
            return Err(Errno::IO);
        }
        let used = self.mix.network && self.tree.node(ino)?.uses[host] > 0;
        if used && name.starts_with(".nfs") {
            let users = self.procs.iter().position(|proc| proc.open.contains_key(&ino));
            self.say(|| format!("{name} is in use by {users:?}"));
            return Err(Errno::BUSY);
        }
        let silly = format!(".nfs{ino:08}{host}");
        if used && self.tree.find(dir, &silly).is_none() {
            self.count(C::Silly);
            self.tree.rename(dir, name, &silly)?;
        } else {
            self.tree.unlink(dir, name, now)?;
        }
        self.removed(proc, dir, name, ino);
        Ok(())
    }

    pub fn hold_room(&mut self, proc: ProcId, dir: Ino, name: &str, len: u64) -> Result<(), Errno> {
        let (now, host) = (self.now(), self.host_of(proc));
        let ino = match self.tree.find(dir, name) {
            Some(ino) => ino,
            None => self.tree.make(dir, name, Node::Room(0), (proc, host), now)?,
        };
        let held = self.tree.stat(ino)?.len;
        let more = len.saturating_sub(held);
        if let Some(room) = &mut self.tree.room {
            *room = room.checked_sub(more).ok_or(Errno::NOSPC)?;
        }
        self.tree.set_len(ino, held.max(len))
    }

    pub fn give_room(&mut self, dir: Ino, name: &str, by: u64) -> Result<(), Errno> {
        let ino = self.tree.entry(dir, name)?.ino;
        let held = self.tree.stat(ino)?.len;
        let left = held.saturating_sub(by);
        self.tree.set_len(ino, left)?;
        if let Some(room) = &mut self.tree.room {
            *room += held - left;
            self.count(C::ReserveUsed);
        }
        self.check_floor(ino);
        Ok(())
    }
}
