//! What callers are told, checked against what the store knows at that moment.

use lockd::error::{Error, ErrorKind as K};
use lockd::model::{How, LeaseId, RequestId, StateEtag};
use lockd::service::{Changed, Proof, Released};

use std::time::Duration;

use super::counters::Counter as C;
use super::history::Asked;
use super::time::Nanos;
use super::world::{ProcId, Shared};

/// A call that is under way.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub key: usize,
    pub began: Nanos,
    /// The committed version when it began.
    pub committed: u64,
}

impl Shared {
    pub fn call(&self, key: usize) -> Call {
        Call { key, began: self.now(), committed: self.committed(key).0 }
    }

    /// Errors that no fault of the simulation explains.
    pub fn plausible(&mut self, what: &str, e: &Error) {
        let broken = matches!(
            e.kind(),
            K::Internal
                | K::Corrupt
                | K::StoreReplaced
                | K::TooNew
                | K::Usage
                | K::InvalidKey
                | K::InvalidState
                | K::TooLarge
                | K::BytesMismatch
                | K::Sha256Mismatch
                | K::Config
                | K::StoreMissing
                | K::CannotCreate
                | K::RequestIdReused
        );
        self.ensure(!broken, "no error without a cause", || format!("{what}: {:?} {e}", e.kind()));
        let message = e.message();
        if message.contains("ended without an answer") {
            self.broken("no task panics", format!("{what}: {e}"));
        }
        if message.contains("too many other writes") {
            let safe = e.hint().is_some_and(|hint| hint.contains("safe"));
            self.ensure(!safe, "after an overrun nobody is told that a repeat is safe", || format!("{what}: {e}"));
            self.count(C::Indeterminate);
        } else if e.kind() == K::OutcomeUnknown {
            self.count(C::Silent);
        } else if message.contains("did not accept the change") {
            self.count(C::Killed);
        }
        if e.kind() == K::LeaseEnded {
            self.count(C::EndedRefused);
        }
    }

    pub fn acquire_begins(&mut self, key: usize, lease: &LeaseId) -> Call {
        let claim = self.history.keys[key].acquires.entry(lease.clone()).or_default();
        claim.under_way += 1;
        claim.failed = false;
        self.call(key)
    }

    /// The caller of an acquire has gone, or does not know.
    pub fn acquire_left_open(&mut self, key: usize, lease: &LeaseId) {
        let claim = self.history.keys[key].acquires.entry(lease.clone()).or_default();
        claim.under_way = claim.under_way.saturating_sub(1);
        claim.open = true;
    }

    pub fn acquired(&mut self, call: Call, lease: &LeaseId, token: u64) {
        self.acquire_left_open(call.key, lease);
        let grant = self.history.keys[call.key].grants.get(lease).cloned();
        let fits = grant.as_ref().is_some_and(|grant| grant.token == token && grant.last_beat >= call.began);
        self.ensure(fits, "a grant is in the record", || format!("{lease:?} t{token}: {grant:?} since {}", call.began));
        self.note("acquired", call.key as u64, token);
    }

    /// What is left when an acquire is answered: little only after a renewal.
    pub fn starts_fresh(&mut self, key: usize, lease: &LeaseId, left: Duration, ttl: Duration) {
        let beats = self.history.keys[key].grants.get(lease).map_or(0, |grant| grant.beats);
        self.ensure(left >= ttl / 2 || beats > 1, "who was granted late renews before any work", || {
            format!("{lease:?}: {left:?} of {ttl:?} left")
        });
    }

    pub fn acquire_failed(&mut self, call: Call, lease: &LeaseId, e: &Error) {
        self.plausible("acquire", e);
        self.note("not acquired", call.key as u64, u64::from(e.kind().exit_code()));
        self.say(|| format!("acquire of {lease:?} failed: {:?} {e}", e.kind()));
        if let (K::Busy, Some(busy)) = (e.kind(), &e.details().busy) {
            let holder = self.history.keys[call.key].grants.get(&busy.lease_id);
            let stood = holder.is_some_and(|grant| grant.ended.is_none_or(|(at, ..)| at >= call.began));
            self.ensure(stood, "a refusal is true while it is asked (busy)", || format!("{:?}", busy.lease_id));
        }
        if e.kind() == K::Busy && e.details().busy.is_none() {
            let key = &self.history.keys[call.key];
            let kept = key.head.reserved.is_some() || key.kept.is_some_and(|at| at >= call.began);
            self.ensure(kept, "a refusal is true while it is asked (kept)", || format!("{lease:?}: {e}"));
        }
        let key = &mut self.history.keys[call.key];
        let claim = key.acquires.entry(lease.clone()).or_default();
        claim.under_way = claim.under_way.saturating_sub(1);
        let definite = matches!(
            e.kind(),
            K::Busy | K::Unavailable | K::Throttled | K::StoreFull | K::AlreadyExists | K::NotPermitted
        );
        if !definite {
            claim.open = true;
        } else if !claim.open && claim.under_way == 0 {
            claim.failed = true;
            let granted = key.grants.contains_key(lease);
            self.ensure(!granted, "failed means never applied (acquire)", || format!("{lease:?}: {:?} {e}", e.kind()));
        }
    }

    pub fn renewed(&mut self, call: Call, lease: &LeaseId) {
        let beat = self.history.keys[call.key].grants.get(lease).map(|grant| grant.last_beat);
        self.ensure(beat.is_some_and(|beat| beat >= call.began), "a renewal is in the record", || format!("{lease:?}"));
        self.count(C::Renewal);
        self.note("renewed", call.key as u64, 0);
    }

    /// A call that needs the lease was refused: then the lease must have ended.
    pub fn lease_refused(&mut self, call: Call, lease: &LeaseId, e: &Error) {
        if matches!(e.kind(), K::LeaseRequired | K::LeaseExpired | K::LeaseBroken) {
            let held = self.history.keys[call.key].holds(lease);
            self.ensure(!held, "a refusal is true while it is asked (lease)", || format!("{lease:?}: {e}"));
        }
    }

    pub fn release_begins(&mut self, key: usize, lease: &LeaseId) -> Call {
        let claim = self.history.keys[key].releases.entry(lease.clone()).or_default();
        claim.under_way += 1;
        self.call(key)
    }

    /// Somebody may release it, now or later, and nobody is told.
    pub fn release_left_open(&mut self, key: usize, lease: &LeaseId) {
        self.history.keys[key].releases.entry(lease.clone()).or_default().open = true;
    }

    /// A release that might have been sent was not.
    pub fn release_not_needed(&mut self, key: usize, lease: &LeaseId) {
        let claim = self.history.keys[key].releases.entry(lease.clone()).or_default();
        claim.under_way = claim.under_way.saturating_sub(1);
    }

    pub fn release_ends(&mut self, call: Call, lease: &LeaseId, result: Option<&Result<Released, Error>>) {
        let claim = self.history.keys[call.key].releases.entry(lease.clone()).or_default();
        claim.under_way = claim.under_way.saturating_sub(1);
        // A definite failure alone says that this call has not ended the lease and never will.
        let definite = |e: &Error| matches!(e.kind(), K::Unavailable | K::Throttled | K::StoreFull);
        match result {
            Some(Err(e)) if definite(e) => {}
            _ => claim.open = true,
        }
        match result {
            None => {}
            Some(Err(e)) => {
                self.plausible("release", e);
                self.say(|| format!("release of {lease:?} failed: {:?} {e}", e.kind()));
                if e.kind() == K::StagedDiscarded {
                    self.count(C::StagedDiscarded);
                }
            }
            Some(Ok(released)) => self.released(call, lease, *released),
        }
    }

    fn released(&mut self, call: Call, lease: &LeaseId, released: Released) {
        let key = &self.history.keys[call.key];
        let grant = key.grants.get(lease).cloned();
        // Who releases what another process still waits for may be answered just before it is granted.
        let held = key.holds(lease) && grant.as_ref().is_some_and(|grant| grant.since < call.began);
        let ended = grant.and_then(|grant| grant.ended);
        self.note("released", call.key as u64, 0);
        self.ensure(!held, "a release that was answered is in the record", || format!("{lease:?} {released:?}"));
        if let Released::Released { version } = released {
            let fits = matches!(ended, Some((_, How::Released | How::RolledBack, at)) if at == version.0);
            self.ensure(fits, "a release that was answered is in the record", || format!("{lease:?} {ended:?}"));
            self.count(C::Release);
            if ended.is_some_and(|(at, ..)| at < call.began) {
                self.count(C::ReleaseReplayed);
            }
        } else {
            let before = matches!(ended, Some((at, How::Released | How::RolledBack, _)) if at < call.began);
            let remembered = self.history.keys[call.key].remembers_end(lease);
            self.ensure(!(before && remembered), "a repeated release gets its first answer", || {
                format!("{lease:?}: {released:?}")
            });
        }
    }

    pub fn update_begins(&mut self, proc: ProcId, call: Call, id: &RequestId, proof: &Proof, etag: Option<StateEtag>) {
        let key = &mut self.history.keys[call.key];
        let asked = key.requests.entry(id.clone()).or_insert_with(|| Asked {
            lease: proof.lease_id.clone(),
            token: proof.token.0,
            staged: proof.txn.is_some(),
            etag,
            under_way: 0,
            calls: 0,
            bound: None,
            open: false,
            failed: false,
            applied: None,
            changes: 0,
        });
        asked.under_way += 1;
        asked.calls += 1;
        self.history.publishing.push((proc, call.key));
    }

    pub fn update_ends(
        &mut self,
        proc: ProcId,
        call: Call,
        id: &RequestId,
        lease: &LeaseId,
        result: Option<&Result<Changed, Error>>,
    ) {
        if let Some(at) = self.history.publishing.iter().position(|one| *one == (proc, call.key)) {
            self.history.publishing.swap_remove(at);
        }
        let Some(asked) = self.history.keys[call.key].requests.get_mut(id) else { return };
        asked.under_way = asked.under_way.saturating_sub(1);
        let known = asked.clone();
        let open = match result {
            None => true,
            // Once it was applied, a repeat that fails says nothing of the first time.
            Some(Ok(_)) => true,
            Some(Err(e)) => matches!(e.kind(), K::OutcomeUnknown | K::StoreReplaced | K::Corrupt | K::TooNew),
        };
        asked.open |= open;
        let failed = matches!(result, Some(Err(_))) && !asked.open && asked.under_way == 0;
        asked.failed |= failed;
        self.note("updated", call.key as u64, u64::from(matches!(result, Some(Ok(_)))));
        match result {
            None => {}
            Some(Ok(changed)) => self.update_acked(call, id, &known, changed),
            Some(Err(e)) => {
                self.plausible("update", e);
                self.say(|| format!("update {id:?} failed: {:?} {e}", e.kind()));
                self.lease_refused(call, lease, e);
                if matches!(e.kind(), K::LeaseRequired | K::LeaseExpired) {
                    self.count(C::FencedWrite);
                }
                let applied = failed && known.applied.is_some();
                self.ensure(!applied, "failed means never applied (update)", || format!("{id:?}: {:?} {e}", e.kind()));
            }
        }
    }

    fn update_acked(&mut self, call: Call, id: &RequestId, asked: &Asked, changed: &Changed) {
        if !changed.changed {
            return;
        }
        let fits = asked.applied == Some(changed.version.0) && asked.etag == changed.etag;
        self.ensure(fits, "an acknowledged update is in the record", || format!("{id:?}: {asked:?} {changed:?}"));
        self.count(if asked.open { C::UpdateReplayed } else { C::UpdateAcked });
        if self.history.unanswered.remove(&(call.key, changed.version.0)) {
            self.count(C::LostReplyResolved);
        }
        let known = self.history.keys[call.key].versions.contains_key(&changed.version.0);
        self.ensure(known, "an acknowledged version exists", || format!("{}", changed.version));
    }

    /// A read of the committed state: something that was committed between its beginning and its end.
    pub fn read_ends(&mut self, call: Call, found: Option<(u64, &StateEtag)>) {
        self.count(C::Reads);
        self.note("read", call.key as u64, found.map_or(0, |(version, _)| version));
        let key = &self.history.keys[call.key];
        let now = self.committed(call.key).0;
        match found {
            Some((version, etag)) => {
                let in_time = (call.committed..=now).contains(&version);
                let same = key.versions.get(&version).is_some_and(|known| known.as_ref() == Some(etag));
                let was = key.committed.iter().any(|(_, committed)| *committed == version);
                self.ensure(in_time && same && was, "reads are linearizable", || {
                    format!("version {version} read, {} to {now} were committed", call.committed)
                });
            }
            None => {
                let mut seen = key.committed.iter().filter(|(_, v)| (call.committed..=now).contains(v));
                let absent = seen.any(|(_, version)| key.versions.get(version) == Some(&None));
                self.ensure(absent, "reads are linearizable", || {
                    format!("nothing read, {} to {now} were committed", call.committed)
                });
            }
        }
    }
}
