//! What this process has seen of each key: the highest revision and what was in it. A hint where to look, and the proof that a
//! store went back behind what was seen.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::etag::Digest;
use crate::limits::KNOWN_KEYS;
use crate::model::KeyHash;

/// A revision and its content.
pub type Seen = (u64, Digest);

/// The revisions seen, of the keys used last.
#[derive(Debug, Default)]
pub struct Known {
    generations: Mutex<Generations>,
}

/// Two generations: what is used moves to the young one; when that is full it becomes the old one, and the old one is forgotten.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<KeyHash, Seen>,
    old: HashMap<KeyHash, Seen>,
}

impl Known {
    /// What was seen of a key.
    pub fn get(&self, key: KeyHash) -> Option<Seen> {
        let mut all = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = all.young.get(&key).or_else(|| all.old.get(&key)).copied()?;
        all.note(key, seen);
        Some(seen)
    }

    /// Notes what was seen; a lower revision than before changes nothing.
    pub fn note(&self, key: KeyHash, seen: Seen) {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner).note(key, seen);
    }
}

impl Generations {
    fn note(&mut self, key: KeyHash, seen: Seen) {
        let before = self.young.get(&key).or_else(|| self.old.get(&key)).copied();
        if self.young.len() >= KNOWN_KEYS / 2 && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, before.filter(|b| b.0 >= seen.0).unwrap_or(seen));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Key, Namespace};

    #[test]
    fn it_is_bounded_keeps_what_is_used_and_never_goes_back() {
        let key = |n: usize| Key::new(Namespace::default(), &format!("k{n}")).unwrap().hash();
        let known = Known::default();
        known.note(key(0), (7, [7; 16]));
        known.note(key(0), (6, [6; 16]));
        for n in 1..2 * KNOWN_KEYS {
            known.note(key(n), (1, [0; 16]));
            assert_eq!(known.get(key(0)), Some((7, [7; 16])));
        }
        assert_eq!(known.get(key(1)), None);
        let all = known.generations.lock().unwrap();
        assert!(all.young.len() + all.old.len() <= KNOWN_KEYS);
    }
}
