//! `age`: a lower bound of the time since a record's sign of life, the pair (token, beat), was written. One function; a new
//! source is one function and one line of proof.
//!
//! An age is compared with 1.01 x TTL + 1 s, while the holder stops believing 0.99 x TTL after it *began to send*. So any
//! reading that cannot begin before the holder's send is safe, with room for clock rates that differ by 1 %.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::notes::Notes;
use crate::clock::{BootTime, Clock};
use crate::entropy::Entropy;
use crate::limits::{SEEN_KEYS, STORE_CLOCK_ALLOWANCE};
use crate::model::{FencingToken, Key, Lease, Record};
use crate::mutants::{Mutant, on};
use crate::store::Facts;

/// What this process knows of the ages of leases.
#[derive(Debug)]
pub(super) struct Ages {
    stamps: bool,
    clock: Arc<dyn Clock>,
    notes: Option<Notes>,
    seen: Mutex<HashMap<Key, Seen>>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    token: FencingToken,
    beat: u64,
    /// When this process first had it in hand: after the reply.
    at: BootTime,
    /// The store's own word, and when it was given.
    store: Option<(Duration, BootTime)>,
}

impl Ages {
    pub(super) fn new(facts: &Facts, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, notes: Option<PathBuf>) -> Self {
        let notes = notes.map(|dir| Notes::new(dir, &facts.id, Arc::clone(&clock), entropy));
        Self { stamps: facts.stamps, clock, notes, seen: Mutex::default() }
    }

    /// A record was read (or written); its reply came at `at`.
    pub(super) fn saw(&self, record: &Record, store_age: Option<Duration>, at: BootTime) {
        let mut seen = self.lock();
        if record.lease.is_none() {
            seen.remove(&record.key);
            return;
        }
        let store = store_age.map(|age| (age, at));
        match seen.get_mut(&record.key) {
            Some(known) if (known.token, known.beat) == sign_of_life(record) => known.store = store.or(known.store),
            _ => {
                make_room(&mut seen);
                let (token, beat) = sign_of_life(record);
                seen.insert(record.key.clone(), Seen { token, beat, at, store });
            }
        }
    }

    /// The age of the record's sign of life: the largest of what each source proves; zero when none says anything.
    pub(super) fn age(&self, record: &Record) -> Duration {
        let Some(lease) = &record.lease else { return Duration::ZERO };
        let now = self.clock.boot();
        let sources = [
            self.own(record, now),
            self.stamped(lease, now),
            self.noted(record, now),
            self.stored(record, now),
            self.wrongly(lease),
        ];
        sources.into_iter().flatten().max().unwrap_or_default()
    }

    /// Leaves what was seen for the next short command.
    pub(super) fn note(&self, record: &Record) {
        if let (Some(notes), Some(lease)) = (&self.notes, &record.lease)
            && self.stamped(lease, self.clock.boot()).is_none()
            && let Some(seen) = self.known(record)
        {
            notes.leave(record, seen.at);
        }
    }

    /// Seen by this process: it was written before the reply arrived.
    fn own(&self, record: &Record, now: BootTime) -> Option<Duration> {
        self.known(record).map(|seen| now.since(seen.at))
    }

    /// Stamped by its writer with this machine's boot clock before the write, and after the holder began to send: the
    /// holder's belief ends before the stamp is TTL old. Another boot id proves nothing.
    fn stamped(&self, lease: &Lease, now: BootTime) -> Option<Duration> {
        let stamp = lease.stamp.as_ref().filter(|_| self.stamps)?;
        let same_boot = self.clock.boot_id() == Some(&stamp.boot_id) || on(Mutant::ForeignBootBelieved);
        (same_boot && stamp.boot <= now).then(|| now.since(stamp.boot))
    }

    /// Seen by an earlier command of this user in this boot: a record with this very write id was in its hand then.
    fn noted(&self, record: &Record, now: BootTime) -> Option<Duration> {
        let at = self.notes.as_ref()?.find(record)?;
        (at <= now).then(|| now.since(at))
    }

    /// Said by the store's own clock, less the allowance for its jumps; the time since it said so is added.
    fn stored(&self, record: &Record, now: BootTime) -> Option<Duration> {
        let (age, said) = self.known(record)?.store?;
        let allowance = if on(Mutant::StoreClockTrusted) { Duration::from_secs(10) } else { STORE_CLOCK_ALLOWANCE };
        Some((age + now.since(said)).saturating_sub(allowance))
    }

    /// What is no evidence: somebody's wall clock, and a process that is not here.
    fn wrongly(&self, lease: &Lease) -> Option<Duration> {
        if on(Mutant::WallClockBelieved) {
            return Some(Duration::from_millis(self.clock.wall().0.saturating_sub(lease.renewed.0)));
        }
        let gone = |pid: u32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
        (on(Mutant::DeadPidBelieved) && lease.holder.pid.is_some_and(gone)).then_some(Duration::MAX)
    }

    fn known(&self, record: &Record) -> Option<Seen> {
        self.lock().get(&record.key).copied().filter(|seen| (seen.token, seen.beat) == sign_of_life(record))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What names a sign of life: other writes are none.
fn sign_of_life(record: &Record) -> (FencingToken, u64) {
    (record.token, if on(Mutant::AgeOfAnyWrite) { record.revision } else { record.beat })
}

/// Forgetting only makes an age smaller, which is safe; the youngest know the least.
fn make_room(seen: &mut HashMap<Key, Seen>) {
    if seen.len() < SEEN_KEYS {
        return;
    }
    let mut ages: Vec<BootTime> = seen.values().map(|seen| seen.at).collect();
    let (_, median, _) = ages.select_nth_unstable(SEEN_KEYS / 2);
    let median = *median;
    seen.retain(|_, seen| seen.at < median);
}
