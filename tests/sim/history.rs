//! Every applied write of every record, checked against the one before: the chain.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lockd::model::{How, Key, Lease, LeaseId, Namespace, Record, RequestId, StateEtag, Version, Versioned, WriteId};
use lockd::store::{Etag, Precondition};

use super::counters::Counter as C;
use super::records::{Sent, Watcher};
use super::rng::mix;
use super::time::Nanos;
use super::world::{ProcId, Shared};

pub struct History {
    pub keys: Vec<KeyHistory>,
    /// Versions that were there after a write whose sender got no good answer.
    pub unanswered: HashSet<(usize, u64)>,
    /// Updates with a blob that are under way: process and key.
    pub publishing: Vec<(ProcId, usize)>,
}

pub struct KeyHistory {
    pub key: Key,
    pub value: Option<(Bytes, Etag)>,
    pub head: Arc<Record>,
    pub written_at_store: Nanos,
    pub watchers: Vec<Watcher>,
    pub writes: HashSet<WriteId>,
    /// Writes that were sent.
    pub sent: HashSet<WriteId>,
    pub grants: HashMap<LeaseId, Granted>,
    pub tokens: HashMap<u64, LeaseId>,
    /// The last ended leases, newest last.
    pub ended: Vec<LeaseId>,
    /// A proof that its holder has handed on.
    pub handed: Option<lockd::service::Proof>,
    pub versions: HashMap<u64, Option<StateEtag>>,
    /// Committed versions in order, each with the time it came.
    pub committed: Vec<(Nanos, u64)>,
    pub requests: HashMap<RequestId, Asked>,
    /// Changes so far.
    pub changes: usize,
    /// What each value of the record showed: its version, and the last request done.
    pub named: HashMap<Arc<str>, (u64, Option<RequestId>)>,
    /// When the key was last known to be kept for a waiter, if it is not now.
    pub kept: Option<Nanos>,
    pub acquires: HashMap<LeaseId, AcquireClaim>,
    pub releases: HashMap<LeaseId, ReleaseClaim>,
}

/// A lease that was granted.
#[derive(Clone, Debug)]
pub struct Granted {
    pub token: u64,
    pub since: Nanos,
    pub ended: Option<(Nanos, How, u64)>,
    pub last_beat: Nanos,
    pub beats: u32,
    pub ttl: Duration,
}

/// What is known of acquires with one lease id.
#[derive(Clone, Copy, Debug, Default)]
pub struct AcquireClaim {
    pub under_way: u32,
    pub open: bool,
    pub failed: bool,
}

/// What is known of releases of one lease id.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReleaseClaim {
    pub under_way: u32,
    pub open: bool,
}

/// A state-changing request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub lease: LeaseId,
    pub token: u64,
    /// In the lease's transaction.
    pub staged: bool,
    pub etag: Option<StateEtag>,
    pub under_way: u32,
    pub calls: u32,
    /// The version that its first write was to be made on.
    pub bound: Option<u64>,
    /// Some call had no definite answer.
    pub open: bool,
    pub failed: bool,
    pub applied: Option<u64>,
    /// How many changes there were when it was applied.
    pub changes: usize,
}

impl History {
    pub fn new(keys: usize) -> Self {
        let keys = (0..keys).map(|n| KeyHistory::new(Key::new(Namespace::default(), &format!("key-{n}")).unwrap()));
        Self { keys: keys.collect(), unanswered: HashSet::new(), publishing: Vec::new() }
    }

    pub fn index(&self, key: &Key) -> usize {
        self.keys.iter().position(|known| known.key == *key).expect("only known keys are used")
    }
}

impl KeyHistory {
    fn new(key: Key) -> Self {
        Self {
            head: Arc::new(Record::new(key.clone())),
            key,
            value: None,
            written_at_store: 0,
            watchers: Vec::new(),
            writes: HashSet::new(),
            sent: HashSet::new(),
            grants: HashMap::new(),
            tokens: HashMap::new(),
            ended: Vec::new(),
            handed: None,
            versions: HashMap::from([(0, None)]),
            committed: vec![(0, 0)],
            requests: HashMap::new(),
            changes: 0,
            named: HashMap::new(),
            kept: None,
            acquires: HashMap::new(),
            releases: HashMap::new(),
        }
    }

    /// Whether the record remembers how this lease ended.
    pub fn remembers_end(&self, lease: &LeaseId) -> bool {
        self.ended.iter().rev().take(lockd::limits::ENDED_LEASES).any(|id| id == lease)
    }

    pub fn holds(&self, lease: &LeaseId) -> bool {
        self.head.lease.as_ref().is_some_and(|present| present.id == *lease)
    }
}

fn etag_of(versioned: &Versioned) -> Option<StateEtag> {
    versioned.etag().cloned()
}

impl Shared {
    /// A write is applied; returns its etag.
    pub fn applied(&mut self, proc: ProcId, index: usize, sent: &Sent) -> Etag {
        let next = match &sent.record {
            Ok(next) => Arc::clone(next),
            Err(e) => {
                self.broken("records can be read", e.to_string());
                return Etag("broken".into());
            }
        };
        self.note("applied", index as u64, next.token.0 << 40 ^ next.beat << 20 ^ next.last_version.0);
        let before = std::mem::replace(&mut self.history.keys[index].head, Arc::clone(&next));
        self.say(|| {
            format!(
                "{proc:?} wrote {} r{} t{} b{} lease {:?} committed {} staged {:?}",
                next.key,
                next.revision,
                next.token,
                next.beat,
                next.lease.as_ref().map(|lease| &lease.id),
                next.committed.version,
                next.staged.as_ref().map(|s| s.version)
            )
        });
        self.tell_write(proc, &before, &next);
        self.check_chain(index, &before, &next);
        self.check_lease(proc, index, &before, &next);
        self.check_claims(index, &before, &next);
        self.check_versions(index, &before, &next);
        self.check_requests(index, &before, &next);
        self.check_blobs(index, &before, &next);
        let etag = self.name_value(&next, &sent.value);
        let store_now = self.now() + self.store_clock_jump;
        let known = &mut self.history.keys[index];
        let shown = (next.visible().version.0, next.done.back().map(|done| done.id.clone()));
        known.named.insert(etag.0.clone(), shown);
        known.value = Some((sent.value.clone(), etag.clone()));
        known.written_at_store = store_now;
        etag
    }

    fn name_value(&self, next: &Record, value: &Bytes) -> Etag {
        if self.mix.hashed_etags {
            // As S3 does it: a hash of the body.
            let name = value
                .chunks(8)
                .fold(1, |sum, eight| mix(eight.iter().fold(sum, |n, b| n << 8 ^ n >> 56 ^ u64::from(*b))));
            return Etag(format!("{name:x}").into());
        }
        Etag(next.revision.to_string().into())
    }

    fn check_chain(&mut self, index: usize, before: &Record, next: &Record) {
        let follows = next.revision == before.revision + 1;
        self.ensure(follows, "the chain has no gap and no fork", || {
            format!("{} after {}", next.revision, before.revision)
        });
        let last = before.write_id.map(|id| (id, before.revision));
        self.ensure(next.recent.back().copied() == last, "each write remembers the one before", || format!("{last:?}"));
        let kept = before.recent.len().min(lockd::limits::RECENT_WRITES - 1);
        let tail = before.recent.iter().rev().take(kept).eq(next.recent.iter().rev().skip(1).take(kept));
        self.ensure(tail, "the memory of writes is kept", || format!("{:?}", next.recent.len()));
        let new = next.write_id.is_some_and(|id| self.history.keys[index].writes.insert(id));
        self.ensure(new, "a write is applied once", || format!("{:?} again", next.write_id));
        let (id, store) = (next.key.clone(), self.history.keys[index].key.clone());
        self.ensure(id == store, "a record belongs to its key", || format!("{id}"));
    }

    fn check_lease(&mut self, proc: ProcId, index: usize, before: &Record, next: &Record) {
        self.ensure(next.token >= before.token, "tokens never fall", || format!("{} to {}", before.token, next.token));
        self.ensure(next.beat >= before.beat, "beats never fall", || format!("{} to {}", before.beat, next.beat));
        match (&before.lease, &next.lease) {
            (Some(old), Some(new)) if old.id == new.id => self.lease_goes_on(index, before, next, old, new),
            (old, new) => {
                if let Some(old) = old {
                    self.lease_ends(index, old, next);
                }
                if let Some(new) = new {
                    self.lease_begins(proc, index, before, next, new);
                }
            }
        }
    }

    fn lease_goes_on(&mut self, index: usize, before: &Record, next: &Record, old: &Lease, new: &Lease) {
        self.ensure(old.token == new.token, "each token to one lease", || format!("{} to {}", old.token, new.token));
        self.ensure(new.ttl >= old.ttl, "a TTL never falls", || format!("{:?} to {:?}", old.ttl, new.ttl));
        if next.beat > before.beat {
            let now = self.now();
            if let Some(grant) = self.history.keys[index].grants.get_mut(&new.id) {
                grant.last_beat = now;
                grant.beats += 1;
                grant.ttl = new.ttl.duration();
            }
            let fresh = new.stamp.is_none() || old.stamp != new.stamp;
            self.ensure(fresh, "a stamp belongs to its beat", || format!("{:?}", new.id));
        } else {
            let same = old.stamp == new.stamp && old.ttl == new.ttl;
            self.ensure(same, "only a beat changes stamp and TTL", || format!("{:?}", new.id));
        }
    }

    fn lease_ends(&mut self, index: usize, old: &Lease, next: &Record) {
        let now = self.now();
        let remembered = next.ended(&old.id).cloned();
        let Some(ended) = remembered else {
            self.broken("an ended lease is remembered", format!("{:?}", old.id));
            return;
        };
        let key = &mut self.history.keys[index];
        key.ended.push(old.id.clone());
        if let Some(grant) = key.grants.get_mut(&old.id) {
            grant.ended = Some((now, ended.how, ended.version.0));
        }
        let asked = key.releases.get(&old.id).is_some_and(|claim| claim.open || claim.under_way > 0);
        let by_engine = ended.how == How::RolledBack && !asked;
        // An acquire whose caller has gone is given back by its engine.
        let given_back = key.acquires.get(&old.id).is_some_and(|claim| claim.open || claim.under_way > 0);
        let released = matches!(ended.how, How::Released | How::RolledBack);
        self.ensure(!released || asked || given_back, "failed means never applied (release)", || {
            format!("{:?}", old.id)
        });
        if by_engine {
            self.count(C::Unconfirmed);
        }
    }

    /// What is owed to waiters elsewhere.
    fn check_claims(&mut self, index: usize, before: &Record, next: &Record) {
        if next.knock.is_some() && before.knock.is_none() {
            self.count(C::Knock);
            self.ensure(next.beat == before.beat, "a knock is no sign of life", || format!("{}", next.beat));
        }
        if next.reserved.is_some() && before.reserved.is_none() {
            self.count(C::Reserved);
        }
        if next.reserved.is_some() || before.reserved.is_some() {
            self.history.keys[index].kept = Some(self.now());
        }
    }

    fn lease_begins(&mut self, proc: ProcId, index: usize, before: &Record, next: &Record, new: &Lease) {
        let now = self.now();
        self.count(C::Grant);
        if let Some(old) = &before.lease {
            if next.ended(&old.id).is_some_and(|ended| ended.how == How::TakenOver) {
                self.count_takeover(now - self.born[proc.0], old);
                self.check_takeover(index, old);
            } else {
                self.count(C::HandOver);
            }
        }
        self.ensure(new.token > before.token, "tokens rise", || format!("{} after {}", new.token, before.token));
        let key = &mut self.history.keys[index];
        let ended_lately = key.remembers_end(&new.id);
        let claim = key.acquires.get(&new.id).copied().unwrap_or_default();
        let first = key.tokens.insert(new.token.0, new.id.clone()).is_none();
        key.grants.insert(
            new.id.clone(),
            Granted { token: new.token.0, since: now, ended: None, last_beat: now, beats: 1, ttl: new.ttl.duration() },
        );
        self.ensure(first, "each token to one lease", || format!("{} again", new.token));
        self.ensure(!ended_lately, "an ended lease id is never granted again", || format!("{:?} by {proc:?}", new.id));
        self.ensure(!claim.failed, "failed means never applied (acquire)", || format!("{:?} by {proc:?}", new.id));
    }

    /// Without stamps every source of age begins after the beat was written; a clock is at most half a percent too fast.
    fn check_takeover(&mut self, index: usize, old: &Lease) {
        let beat = self.history.keys[index].grants.get(&old.id).map_or(0, |grant| grant.last_beat);
        let silent = self.now() - beat;
        let least = lockd::limits::takeover_age(old.ttl.duration()).as_nanos() * 1_000 / 1_005;
        let late_enough = self.mix.stamps || u128::from(silent) >= least;
        self.ensure(late_enough, "no takeover before its time", || format!("{:?} after {silent} ns", old.id));
    }

    /// What could tell a process that is younger than the lease's silence.
    fn count_takeover(&mut self, process_age: Nanos, old: &Lease) {
        self.count(C::Takeover);
        if u128::from(process_age) >= old.ttl.duration().as_nanos() {
            return;
        }
        match (self.mix.stamps, self.mix.notes, self.mix.store_clock) {
            (true, false, false) => self.count(C::StampUsed),
            (false, true, false) => self.count(C::NoteUsed),
            (false, false, true) => self.count(C::StoreClockUsed),
            _ => {}
        }
    }

    fn check_versions(&mut self, index: usize, before: &Record, next: &Record) {
        let now = self.now();
        self.ensure(next.last_version >= before.last_version, "versions rise", || format!("{}", next.last_version));
        let (old, new) = (&before.committed, &next.committed);
        self.ensure(new.version >= old.version, "no committed state is lost", || {
            format!("{} to {}", old.version, new.version)
        });
        let shown = [Some(new), next.staged.as_ref()];
        for versioned in shown.into_iter().flatten() {
            let known = self.history.keys[index].versions.get(&versioned.version.0).cloned();
            match known {
                Some(etag) => self.ensure(etag == etag_of(versioned), "a version names one state", || {
                    format!("version {} of {}", versioned.version, next.key)
                }),
                None => {
                    self.ensure(versioned.version > before.last_version, "versions are never reused", || {
                        format!("{} after {}", versioned.version, before.last_version)
                    });
                    let named = next.done.back().is_some_and(|done| done.version == versioned.version);
                    self.ensure(named, "each version has its request", || format!("{}", versioned.version));
                    self.history.keys[index].versions.insert(versioned.version.0, etag_of(versioned));
                }
            }
        }
        if new.version != old.version {
            self.history.keys[index].committed.push((now, new.version.0));
            let by_commit = before.staged.as_ref().is_some_and(|staged| staged.version == new.version);
            let by_update = next.last_version == new.version && new.version > before.last_version;
            self.ensure(by_commit || by_update, "only a commit or an update commits", || format!("{}", new.version));
            if by_commit {
                let ended = before.lease.as_ref().and_then(|old| next.ended(&old.id));
                let released = ended.is_some_and(|ended| ended.how == How::Released);
                self.ensure(released, "a staged change is committed by its release alone", || new.version.to_string());
                self.count(C::StagedCommit);
            }
            let kept = next.previous.as_ref() == old.blob();
            self.ensure(kept, "the blob before is kept for readers", || format!("{:?}", old.blob()));
        }
        let dropped = before.staged.is_some() && next.staged.is_none() && new.version == old.version;
        let same_lease = before.lease.as_ref().map(|l| &l.id) == next.lease.as_ref().map(|l| &l.id);
        self.ensure(!(dropped && same_lease), "a staged change lives as long as its lease", String::new);
    }

    fn check_requests(&mut self, index: usize, before: &Record, next: &Record) {
        let Some(done) = next.done.back().filter(|done| before.done.back() != Some(done)) else { return };
        let key = &mut self.history.keys[index];
        let Some(asked) = key.requests.get_mut(&done.id) else {
            self.broken("only what was asked is done", format!("{:?}", done.id));
            return;
        };
        key.changes += 1;
        // The record remembers so many, and no more is promised.
        let remembered = key.changes - asked.changes <= lockd::limits::DONE_REQUESTS;
        let twice = asked.applied.replace(done.version.0).is_some() && remembered;
        asked.changes = key.changes;
        let asked = asked.clone();
        let own = before.lease.as_ref().is_some_and(|lease| lease.id == asked.lease && lease.token.0 == asked.token);
        self.ensure(!twice, "a request is applied once", || format!("{:?}", done.id));
        self.ensure(!asked.failed, "failed means never applied (update)", || format!("{:?}", done.id));
        self.ensure(own, "a fenced-off holder never writes", || {
            format!("{:?} of {:?} while {:?} held it", done.id, asked.lease, before.lease.as_ref().map(|l| &l.id))
        });
        let made = match asked.staged {
            true => next.staged.as_ref().is_some_and(|staged| staged.version == done.version),
            false => next.committed.version == done.version && before.staged.is_none(),
        };
        self.ensure(made, "a change in a transaction is staged, any other committed", || format!("{:?}", done.id));
        self.ensure(done.etag == asked.etag, "what was asked is done", || format!("{:?}", done.id));
    }

    /// A write is sent: an update is bound to the version that it met first.
    pub fn check_bound(&mut self, index: usize, sent: &Sent, when: &Precondition) {
        let Precondition::Matches(etag) = when else { return };
        let key = &mut self.history.keys[index];
        let Some((version, last)) = key.named.get(&etag.0) else { return };
        let Ok(next) = &sent.record else { return };
        let Some(done) = next.done.back().filter(|done| Some(&done.id) != last.as_ref()) else { return };
        let first_send = next.write_id.is_some_and(|id| key.sent.insert(id));
        let Some(asked) = key.requests.get_mut(&done.id) else { return };
        // Servers do not know at once that a client has gone, and it may bind the same change anew, after a conflict.
        if self.mix.remote {
            return;
        }
        if first_send && asked.under_way == 0 {
            self.broken("nothing is sent for a client that has gone", format!("{:?}", done.id));
            return;
        }
        if asked.calls > 1 {
            return;
        }
        let (first, version) = (*asked.bound.get_or_insert(*version), *version);
        self.ensure(first == version, "an update is bound to the version that it met", || {
            format!("{:?} met {first} and is sent for {version}", done.id)
        });
    }

    fn check_blobs(&mut self, index: usize, before: &Record, next: &Record) {
        let hash = self.history.keys[index].key.hash();
        let states =
            [Some(&next.committed), next.staged.as_ref()].into_iter().flatten().filter_map(|v| v.state.as_ref());
        let named: Vec<_> = states.filter_map(|state| Some((state.blob()?.clone(), state.clone()))).collect();
        for (id, state) in named {
            if before.blobs().any(|known| *known == id) {
                continue;
            }
            self.count(C::BlobPublished);
            let stored = self.blobs.there.get(&id);
            let whole =
                stored.is_some_and(|bytes| bytes.len() as u64 == state.len && StateEtag::of(bytes) == state.etag);
            self.ensure(whole && id.key() == hash, "no dangling blob", || format!("{id} is named and not there"));
        }
    }

    /// The committed version now.
    pub fn committed(&self, index: usize) -> Version {
        self.history.keys[index].head.committed.version
    }
}
