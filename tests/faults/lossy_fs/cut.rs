//! A loss of power: which of the unsynced changes survive is drawn from a seed.

use std::collections::BTreeMap;

use super::model::{Dir, File, Ino, Inode, Model, Node, ROOT, SECTOR, now};
use crate::faults::rng::Rng;

/// How the survivors are drawn; each loss of power draws one of these first, since a uniform mix hardly ever loses all or nothing.
#[derive(Clone, Copy, Debug)]
pub enum Mood {
    /// Nothing unsynced survives.
    Nothing,
    /// All of it does.
    All,
    /// All names survive and no content.
    NamesOnly,
    /// Each change survives or not by itself.
    Any,
}

const MOODS: [Mood; 6] = [Mood::Nothing, Mood::All, Mood::NamesOnly, Mood::Any, Mood::Any, Mood::Any];

impl Model {
    /// Cuts the power: what was synced survives, and of the rest what the seed says. Every inode gets a new number, so that nothing
    /// cached or open from before leads anywhere.
    pub fn power_cut(&mut self, rng: &mut Rng) {
        let mood = MOODS[rng.below(MOODS.len())];
        self.settle(mood, rng);
    }

    /// The same with survivors of one kind.
    pub fn settle(&mut self, mood: Mood, rng: &mut Rng) {
        let old = std::mem::take(self.inodes_mut());
        let mut renumbered = BTreeMap::from([(ROOT, ROOT)]);
        let mut survivors = BTreeMap::new();
        let mut todo = vec![ROOT];
        let mut links: BTreeMap<Ino, u32> = BTreeMap::new();
        while let Some(ino) = todo.pop() {
            let Some(inode) = old.get(&ino) else { continue };
            let node = match &inode.node {
                Node::File(file) => Node::File(settled_file(file, mood, rng)),
                Node::Dir(dir) => {
                    let mut names = settled_names(dir, mood, rng);
                    // A name whose inode was never known to survive anywhere leads nowhere: fsck removes it.
                    names.retain(|_, to| old.contains_key(to));
                    for to in names.values_mut() {
                        let known = renumbered.contains_key(to);
                        let new = *renumbered.entry(*to).or_insert_with(|| self.fresh_ino());
                        if !known {
                            todo.push(*to);
                        }
                        *links.entry(new).or_default() += 1;
                        *to = new;
                    }
                    Node::Dir(Dir { durable: names.clone(), names, pending: Vec::new() })
                }
            };
            let kept = Inode { node, links: 0, opened: 0, mode: inode.mode, modified: inode.modified, changed: now() };
            survivors.insert(renumbered[&ino], kept);
        }
        for (ino, inode) in &mut survivors {
            let count = links.get(ino).copied().unwrap_or(0);
            inode.links = if matches!(inode.node, Node::Dir(_)) { 2 } else { count };
        }
        *self.inodes_mut() = survivors;
        self.recount();
    }
}

fn settled_names(dir: &Dir, mood: Mood, rng: &mut Rng) -> BTreeMap<String, Ino> {
    let mut names = dir.durable.clone();
    for pending in dir.pending.clone() {
        let survives = match mood {
            Mood::Nothing => false,
            Mood::All | Mood::NamesOnly => true,
            Mood::Any => rng.chance(50),
        };
        if survives {
            pending.apply(&mut names);
        }
    }
    names
}

/// The durable content, and over it those unsynced sectors that made it to the disk; a length may survive without its bytes.
fn settled_file(file: &File, mood: Mood, rng: &mut Rng) -> File {
    let settled = |data: Vec<u8>| File { durable: data.clone(), data, ..File::default() };
    match mood {
        Mood::Nothing | Mood::NamesOnly => return settled(file.durable.clone()),
        Mood::All if file.dirty.is_empty() => return settled(file.durable.clone()),
        Mood::All => {
            let mut all = file.clone();
            all.sync();
            return settled(all.durable);
        }
        Mood::Any => {}
    }
    let mut data = file.durable.clone();
    if file.dirty_len {
        let (shorter, longer) = (data.len().min(file.data.len()), data.len().max(file.data.len()));
        let len = match rng.below(3) {
            0 => data.len(),
            1 => file.data.len(),
            _ => shorter + rng.below(longer - shorter + 1),
        };
        data.resize(len, 0);
    }
    for sector in &file.dirty {
        let from = sector * SECTOR;
        let end = (from + SECTOR).min(data.len()).min(file.data.len());
        if from < end && rng.chance(50) {
            data[from..end].copy_from_slice(&file.data[from..end]);
        }
    }
    settled(data)
}
