//! What is true of each key's directory, seen from above at every step, and after a loss of power: no process is asked.

use std::collections::BTreeMap;

use lockd::model::{Key, KeyHash, Namespace};
use lockd::store::disk::etag::{Digest, digest};
use lockd::store::disk::floor::STEP;
use lockd::store::disk::layout::{Entry as Name, FLOOR, RECORDS, revision};

use super::counters::Counter as C;
use super::tree::{Ino, ROOT};
use super::world::{ProcId, World};

pub struct Truth {
    pub keys: Vec<KeyTruth>,
    dirs: BTreeMap<Ino, usize>,
    /// Losses of power so far.
    pub losses: u64,
}

pub struct KeyTruth {
    pub key: Key,
    pub hash: KeyHash,
    /// Whether its records are put one by one here, else by an engine.
    pub plain: bool,
    pub dir: Option<Ino>,
    /// Every revision that was linked and not lost with the power.
    pub published: BTreeMap<u64, Digest>,
    pub acked: BTreeMap<u64, Digest>,
    /// The highest revision that any answer was made from.
    pub answered: u64,
    floor: u64,
    pub values: BTreeMap<Digest, Value>,
}

/// A value that somebody wants to put.
#[derive(Clone, Copy, Debug, Default)]
pub struct Value {
    pub n: u64,
    pub under_way: u32,
    /// Some send of it had no certain answer.
    pub doubt: bool,
    /// It was certainly not applied, and never will be.
    pub denied: bool,
}

impl Truth {
    pub fn new(plain: usize, leases: usize) -> Self {
        let key = |name: String, plain: bool| {
            let key = Key::new(Namespace::default(), &name).unwrap();
            KeyTruth {
                hash: key.hash(),
                key,
                plain,
                dir: None,
                published: BTreeMap::new(),
                acked: BTreeMap::new(),
                answered: 0,
                floor: 0,
                values: BTreeMap::new(),
            }
        };
        let plain = (0..plain).map(|n| key(format!("plain-{n}"), true));
        let keys = plain.chain((0..leases).map(|n| key(format!("lease-{n}"), false))).collect();
        Self { keys, dirs: BTreeMap::new(), losses: 0 }
    }

    fn path(&self, index: usize) -> [String; 3] {
        let hex = self.keys[index].hash.hex();
        [RECORDS.to_owned(), hex[..2].to_owned(), hex]
    }
}

impl World {
    fn key_of(&self, dir: Ino) -> Option<usize> {
        self.truth.dirs.get(&dir).copied()
    }

    pub fn truth_dir(&mut self, path: &str, ino: Ino) {
        if let Some(index) = (0..self.truth.keys.len()).find(|index| self.truth.path(*index).join("/") == path) {
            self.truth.dirs.insert(ino, index);
            self.truth.keys[index].dir = Some(ino);
        }
    }

    fn floor_len(&self, dir: Ino) -> Option<u64> {
        let floor = self.tree.find(dir, FLOOR)?;
        Some(self.tree.stat(floor).ok()?.len)
    }

    pub fn asked_for_pruned(&mut self, dir: Ino, name: &str) {
        if let Name::Revision(n) = Name::parse(name)
            && self.floor_len(dir).is_some_and(|len| n <= len * STEP)
        {
            self.count(C::PrunedMet);
        }
    }

    /// A name was opened.
    pub fn met(&mut self, _: Ino, name: &str, ino: Ino) {
        if matches!(Name::parse(name), Name::Revision(_)) && self.tree.node(ino).is_ok_and(|node| node.links > 1) {
            self.count(C::TwoLinksMet);
        }
    }

    /// A process learned a length.
    pub fn measured(&mut self, proc: ProcId, dir: Ino, name: &str, len: u64) {
        if name != FLOOR {
            return;
        }
        let Ok(names) = self.tree.dir(dir).map(|dir| &dir.names) else { return };
        let past = names.iter().any(|(name, entry)| {
            let own = self.tree.node(entry.ino).is_ok_and(|node| node.maker == proc);
            own && matches!(Name::parse(name), Name::Temp(n) if n <= len * STEP)
        });
        if past {
            self.count(C::FloorPast);
        }
    }

    /// A file has a second name.
    pub fn published(&mut self, proc: ProcId, ino: Ino, dir: Ino, name: &str) {
        let (Some(index), Name::Revision(n)) = (self.key_of(dir), Name::parse(name)) else { return };
        let content = self.tree.file(ino).map(|file| digest(&file.data)).unwrap_or_default();
        let floor = self.floor_len(dir).unwrap_or(0) * STEP;
        self.ensure(n > floor, "a pruned revision is never made again", || format!("r.{n} behind floor {floor}"));
        let known = self.truth.keys[index].published.get(&n).copied();
        self.ensure(known.is_none(), "no two values for one revision", || format!("r.{n} was there before"));
        let last = self.truth.keys[index].published.last_key_value().map_or(0, |(n, _)| *n);
        self.ensure(n <= last + 1, "revisions have no gap", || format!("r.{n} after r.{last}"));
        self.say(|| format!("{proc} published {name} of key {index}"));
        if self.truth.keys[index].plain {
            let value = self.truth.keys[index].values.get(&content).copied();
            let asked = value.is_some_and(|value| value.n == n);
            self.ensure(asked, "only what was asked for is published, and whole", || format!("r.{n}: {value:?}"));
            let denied = value.is_some_and(|value| value.denied);
            self.ensure(!denied, "what is not applied never becomes visible", || format!("r.{n} by {proc}"));
        }
        self.truth.keys[index].published.insert(n, content);
    }

    /// A name was removed.
    pub fn removed(&mut self, proc: ProcId, dir: Ino, name: &str, ino: Ino) {
        let Some(index) = self.key_of(dir) else { return };
        match Name::parse(name) {
            Name::Revision(n) => {
                let floor = self.tree.find(dir, FLOOR).and_then(|ino| self.tree.file(ino).ok());
                let durable = floor.map_or(0, super::tree::File::durable_len) * STEP;
                let holds = !self.strict || durable >= n;
                self.ensure(holds, "the floor is durable before a prune", || format!("r.{n}, floor {durable}"));
            }
            Name::Temp(_) if self.tree.node(ino).is_ok_and(|node| node.maker != proc) => self.count(C::SweptOthers),
            Name::Silly => self.count(C::SillySwept),
            _ => {}
        }
        self.say(|| format!("{proc} removed {name} of key {index}"));
    }

    /// A file has another length: a floor only grows, and stays behind the head.
    pub fn check_floor(&mut self, ino: Ino) {
        let dir = self.tree.node(ino).map_or(0, |node| node.parent);
        if self.tree.find(dir, FLOOR) != Some(ino) {
            return;
        }
        let (Some(index), Some(len)) = (self.key_of(dir), self.floor_len(dir)) else { return };
        let (floor, before) = (len * STEP, self.truth.keys[index].floor);
        self.ensure(floor >= before, "a floor never goes back", || format!("{before} to {floor}"));
        if floor == before {
            self.count(C::FloorAgain);
        }
        self.truth.keys[index].floor = floor;
        let head = self.truth.keys[index].published.last_key_value().map_or(0, |(n, _)| *n);
        self.ensure(floor == 0 || floor + STEP <= head, "floor <= head - 8", || format!("floor {floor}, head {head}"));
    }

    /// Before power is lost: what is at stake.
    pub fn count_at_stake(&mut self) -> Vec<(usize, u64)> {
        let mut unsynced = Vec::new();
        for (index, key) in self.truth.keys.iter().enumerate() {
            let Some(dir) = key.dir.and_then(|dir| self.tree.dir(dir).ok()) else { continue };
            let last = key.published.last_key_value().map_or(0, |(n, _)| *n);
            if dir.has_unsynced(&revision(last)) {
                unsynced.push((index, last));
            }
        }
        for _ in &unsynced {
            self.count(C::LossBeforeSync);
        }
        unsynced
    }

    /// After a loss of power: nothing that was answered is lost, and every directory can be gone on with.
    pub fn survey(&mut self, at_stake: &[(usize, u64)]) {
        self.truth.losses += 1;
        self.truth.dirs.clear();
        for index in 0..self.truth.keys.len() {
            let path = self.truth.path(index);
            let dir = path.iter().try_fold(ROOT, |dir, name| self.tree.find(dir, name));
            let had = std::mem::replace(&mut self.truth.keys[index].dir, dir).is_some();
            match dir {
                Some(dir) => {
                    self.truth.dirs.insert(dir, index);
                    self.survey_key(index, dir);
                }
                None => {
                    self.lost_down_to(index, 0);
                    self.truth.keys[index].floor = 0;
                    if had {
                        self.count(C::DirectoryLost);
                    }
                }
            }
        }
        for (index, n) in at_stake {
            let kept = self.truth.keys[*index].published.contains_key(n);
            self.count(if kept { C::LinkKept } else { C::LinkLost });
        }
    }

    fn lost_down_to(&mut self, index: usize, head: u64) {
        let key = &mut self.truth.keys[index];
        key.published.retain(|n, _| *n <= head);
        let answered = key.answered;
        self.ensure(head >= answered, "what was answered is never lost", || format!("{answered}, there is {head}"));
    }

    fn survey_key(&mut self, index: usize, dir: Ino) {
        let Ok(names) = self.tree.dir(dir).map(|dir| dir.names.clone()) else { return };
        let mut head = 0;
        for (name, entry) in &names {
            let Name::Revision(n) = Name::parse(name) else { continue };
            head = head.max(n);
            let content = self.tree.file(entry.ino).map(|file| digest(&file.data)).unwrap_or_default();
            let whole = self.truth.keys[index].published.get(&n) == Some(&content);
            self.ensure(whole, "a revision is whole", || format!("r.{n} of key {index}"));
        }
        self.lost_down_to(index, head);
        let floor = self.floor_len(dir).map(|len| len * STEP);
        self.ensure(head == 0 || floor.is_some(), "every head has a floor", || format!("key {index}, head {head}"));
        let floor = floor.unwrap_or(0);
        self.truth.keys[index].floor = floor;
        self.ensure(floor == 0 || floor + STEP <= head, "floor <= head - 8", || format!("floor {floor}, head {head}"));
        let gap = (floor + 1..head).find(|n| !names.contains_key(&revision(*n)));
        self.ensure(gap.is_none(), "nothing past the floor is missing", || format!("r.{gap:?}, floor {floor}"));
    }

    /// Whether a revision survives whatever is lost with the power.
    pub fn is_durable(&self, index: usize, n: u64) -> bool {
        let mut at = ROOT;
        for name in self.truth.path(index) {
            let (Ok(dir), Some(below)) = (self.tree.dir(at), self.tree.find(at, &name)) else { return false };
            if !dir.is_durable(&name, below) {
                return false;
            }
            at = below;
        }
        let (Ok(dir), Some(floor)) = (self.tree.dir(at), self.tree.find(at, FLOOR)) else { return false };
        let durable_floor = self.tree.file(floor).map_or(0, super::tree::File::durable_len) * STEP;
        let name = revision(n);
        let there = self.tree.find(at, &name).is_some_and(|ino| {
            dir.is_durable(&name, ino) && self.tree.file(ino).is_ok_and(super::tree::File::is_synced)
        });
        dir.is_durable(FLOOR, floor) && (there || durable_floor >= n)
    }
}
