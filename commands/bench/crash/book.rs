//! What the processes said, and what cannot be true of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lockd::clock::BootTime;
use lockd::model::{FencingToken, Key};
use serde::Serialize;

/// What was lost when processes were killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Losses {
    pub processes_killed: u64,
    /// Updates that were acknowledged, and that a later holder did not see.
    pub updates_lost: u64,
    /// Fencing tokens of one key that were given to two leases.
    pub tokens_twice: u64,
    /// Times that two processes believed to hold one key.
    pub two_holders: u64,
}

impl Losses {
    /// Whether there was any.
    pub const fn any(&self) -> bool {
        self.updates_lost + self.tokens_twice + self.two_holders > 0
    }
}

/// One lease of a key, as its holder told.
#[derive(Clone, Copy, Debug)]
struct Hold {
    token: FencingToken,
    from: BootTime,
    /// When its holder stopped to believe in it: it gave it back, its deadline came, or it was dead.
    until: BootTime,
    /// The state that it found.
    read: Option<u64>,
    /// The state that it wrote, once that was acknowledged.
    saved: Option<u64>,
}

/// All leases, by key, in the order in which they were told of.
#[derive(Debug, Default)]
pub struct Book(Mutex<BTreeMap<Key, Vec<Hold>>>);

impl Book {
    /// A lease begins, and is believed in until its deadline.
    pub fn granted(&self, key: &Key, token: FencingToken, from: BootTime, deadline: BootTime) {
        let hold = Hold { token, from, until: deadline, read: None, saved: None };
        self.holds().entry(key.clone()).or_default().push(hold);
    }

    /// Its holder has read the state.
    pub fn read(&self, key: &Key, token: FencingToken, count: u64) {
        self.with(key, token, |hold| hold.read = Some(count));
    }

    /// Its holder has written the state, and that was acknowledged.
    pub fn saved(&self, key: &Key, token: FencingToken, count: u64) {
        self.with(key, token, |hold| hold.saved = Some(count));
    }

    /// Its holder believes in it no more.
    pub fn ended(&self, key: &Key, token: FencingToken, at: BootTime) {
        self.with(key, token, |hold| hold.until = hold.until.min(at));
    }

    /// Whether anything is known of the key.
    pub fn knows(&self, key: &Key) -> bool {
        self.holds().contains_key(key)
    }

    /// What cannot be true.
    pub fn losses(&self) -> Losses {
        self.holds().values().fold(Losses::default(), |all, holds| Losses {
            updates_lost: all.updates_lost + updates_lost(holds),
            tokens_twice: all.tokens_twice + tokens_twice(holds),
            two_holders: all.two_holders + two_holders(holds),
            ..all
        })
    }

    /// The last lease with this token.
    fn with(&self, key: &Key, token: FencingToken, change: impl FnOnce(&mut Hold)) {
        let mut holds = self.holds();
        let found = holds.get_mut(key).and_then(|holds| holds.iter_mut().rev().find(|hold| hold.token == token));
        if let Some(hold) = found {
            change(hold);
        }
    }

    fn holds(&self) -> MutexGuard<'_, BTreeMap<Key, Vec<Hold>>> {
        // Each change is one step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every holder writes one more than it has read. So whoever has a higher token reads no less than what was acknowledged before;
/// what it reads less was lost, and is counted once.
fn updates_lost(holds: &[Hold]) -> u64 {
    let mut holds = holds.to_vec();
    holds.sort_by_key(|hold| hold.token);
    let (mut lost, mut highest) = (0, 0);
    for hold in holds {
        if let Some(read) = hold.read.filter(|read| *read < highest) {
            lost += highest - read;
            highest = read;
        }
        highest = highest.max(hold.saved.unwrap_or(0));
    }
    lost
}

fn tokens_twice(holds: &[Hold]) -> u64 {
    let mut tokens: Vec<FencingToken> = holds.iter().map(|hold| hold.token).collect();
    tokens.sort();
    tokens.dedup();
    (holds.len() - tokens.len()) as u64
}

fn two_holders(holds: &[Hold]) -> u64 {
    let mut times: Vec<(BootTime, BootTime)> = holds.iter().map(|hold| (hold.from, hold.until)).collect();
    times.sort();
    let mut latest = BootTime(0);
    let mut overlaps = 0;
    for (from, until) in times {
        overlaps += u64::from(from < latest);
        latest = latest.max(until);
    }
    overlaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockd::model::Namespace;

    /// Leases of one key: token, from, until, read, saved.
    fn losses(holds: &[(u64, u64, u64, u64, Option<u64>)]) -> Losses {
        let (book, key) = (Book::default(), Key::new(Namespace::default(), "k").unwrap());
        for (token, from, until, read, saved) in holds {
            let token = FencingToken(*token);
            book.granted(&key, token, BootTime(*from), BootTime(from + 1_000));
            book.read(&key, token, *read);
            if let Some(saved) = saved {
                book.saved(&key, token, *saved);
            }
            book.ended(&key, token, BootTime(*until));
        }
        assert!(book.knows(&key));
        book.losses()
    }

    #[test]
    fn a_chain_of_holders_loses_nothing() {
        // The second was killed before it wrote, the third after it wrote and before it heard of that.
        let told =
            [(1, 10, 20, 0, Some(1)), (2, 20, 30, 1, None), (4, 2_000, 2_010, 1, None), (5, 4_000, 4_005, 2, Some(3))];
        assert_eq!(losses(&told), Losses::default());
        // They are told of in whatever order their processes are read.
        let told: Vec<_> = told.into_iter().rev().collect();
        assert_eq!(losses(&told), Losses::default());
        assert!(!Losses { processes_killed: 7, ..Losses::default() }.any());
    }

    #[test]
    fn an_acknowledged_update_that_is_gone_is_counted_once() {
        let told = [(1, 10, 20, 0, Some(1)), (2, 20, 30, 1, Some(2)), (3, 30, 40, 1, Some(2)), (4, 40, 50, 2, None)];
        assert_eq!(losses(&told), Losses { updates_lost: 1, ..Losses::default() });
        let told = [(1, 10, 20, 4, Some(5)), (2, 20, 30, 0, None), (3, 30, 40, 0, None)];
        assert_eq!(losses(&told).updates_lost, 5);
        assert!(losses(&told).any());
    }

    #[test]
    fn a_token_is_given_once() {
        let told = [(1, 10, 20, 0, Some(1)), (1, 20, 30, 1, None)];
        assert_eq!(losses(&told), Losses { tokens_twice: 1, ..Losses::default() });
    }

    #[test]
    fn two_holders_at_one_time_are_seen_until_the_deadline_of_the_first() {
        let told = [(1, 10, 25, 0, None), (2, 20, 30, 0, None), (3, 22, 24, 0, None)];
        assert_eq!(losses(&told), Losses { two_holders: 2, ..Losses::default() });
        let told = [(1, 10, 5_000, 0, None), (2, 1_010, 1_020, 0, None)];
        assert_eq!(losses(&told), Losses::default(), "the first stopped at its deadline");
    }
}
