//! Whose turn it is, beyond the queue: grants that are still to be confirmed, and what is owed to waiters elsewhere.

use crate::clock::BootTime;
use crate::limits::{KNOCKED_GRANTS, KNOCKED_PATIENCE, RESERVED_FOR};
use crate::model::{FencingToken, LeaseId, Record};

/// A grant that waited, until its client shows that it knows of it.
#[derive(Debug)]
pub(super) struct Provisional {
    pub(super) lease_id: LeaseId,
    /// The beat of the grant: a higher one is a sign of life, wherever it was written.
    pub(super) beat: u64,
    /// Before the write.
    pub(super) written: BootTime,
    pub(super) until: BootTime,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) provisional: Option<Provisional>,
    /// The last lease that was granted here.
    granted: Option<LeaseId>,
    /// A knock from elsewhere: since when it is known, and the grants within this engine since then.
    knock: Option<(LeaseId, BootTime, u32)>,
    /// A reservation for somebody elsewhere, and since when it is known.
    reserved: Option<(LeaseId, BootTime)>,
    /// Whose knock was left from here.
    own_knock: Option<LeaseId>,
    /// The token of the lease at which a knock was tried.
    asked_at: Option<FencingToken>,
}

impl Turn {
    /// Takes note of what a record says, whoever wrote it.
    pub(super) fn saw(&mut self, record: &Record, now: BootTime) {
        match &record.knock {
            Some(knock) if self.own_knock.as_ref() != Some(&knock.waiter) => {
                if self.knock.as_ref().is_none_or(|(waiter, ..)| *waiter != knock.waiter) {
                    self.knock = Some((knock.waiter.clone(), now, 0));
                }
            }
            _ => self.knock = None,
        }
        match &record.reserved {
            Some(reserved) if self.own_knock.as_ref() != Some(&reserved.waiter) => {
                if self.reserved.as_ref().is_none_or(|(waiter, _)| *waiter != reserved.waiter) {
                    self.reserved = Some((reserved.waiter.clone(), now));
                }
            }
            _ => self.reserved = None,
        }
    }

    /// Whether the key is kept for somebody, or somebody has knocked.
    pub(super) const fn is_kept(&self) -> bool {
        self.provisional.is_some() || self.knock.is_some() || self.reserved.is_some() || self.own_knock.is_some()
    }

    /// Whether the key is to be left free for who has knocked: it was passed on within this engine often or long enough.
    pub(super) fn lets_go(&self, now: BootTime) -> bool {
        let patient =
            |(_, since, grants): &(LeaseId, BootTime, u32)| *grants < KNOCKED_GRANTS && now < *since + KNOCKED_PATIENCE;
        self.knock.as_ref().is_some_and(|knock| !patient(knock))
    }

    /// Whether this waiter leaves a reserved key alone.
    pub(super) fn yields(&self, record: &Record, asking: &LeaseId, now: BootTime) -> bool {
        record.lease.is_none()
            && self.reserved.as_ref().is_some_and(|(waiter, since)| waiter != asking && now < *since + RESERVED_FOR)
    }

    /// From when a free key may be taken by those who wait here.
    pub(super) fn free_from(&self, record: &Record, now: BootTime) -> BootTime {
        match &self.reserved {
            Some((_, since)) if record.reserved.is_some() => now.max(*since + RESERVED_FOR),
            _ => now,
        }
    }

    /// The key was passed on within this engine.
    pub(super) fn passed_on(&mut self) {
        if let Some((_, _, grants)) = &mut self.knock {
            *grants += 1;
        }
    }

    pub(super) fn grants(&mut self, lease_id: &LeaseId) {
        self.granted = Some(lease_id.clone());
    }

    pub(super) fn granted(&self, lease_id: &LeaseId) -> bool {
        self.granted.as_ref() == Some(lease_id)
    }

    pub(super) fn has_asked(&self, at: FencingToken) -> bool {
        self.asked_at == Some(at)
    }

    /// A knock was tried; `own` when it is in the record.
    pub(super) fn asked(&mut self, at: Option<FencingToken>, own: Option<LeaseId>) {
        self.asked_at = at;
        self.own_knock = own.or_else(|| self.own_knock.take());
        self.knock = self.knock.take().filter(|(waiter, ..)| self.own_knock.as_ref() != Some(waiter));
    }

    /// Before the write of a grant that is still to be confirmed.
    pub(super) fn written(&self, lease_id: &LeaseId) -> Option<BootTime> {
        self.provisional.as_ref().filter(|p| p.lease_id == *lease_id).map(|p| p.written)
    }

    /// This grant is provisional no more.
    pub(super) fn settle(&mut self, lease_id: &LeaseId) -> Option<Provisional> {
        self.provisional.take_if(|p| p.lease_id == *lease_id)
    }

    pub(super) fn unconfirmed_at(&self) -> Option<BootTime> {
        self.provisional.as_ref().map(|p| p.until)
    }

    /// The grant whose time to be confirmed is over.
    pub(super) fn unconfirmed(&mut self, now: BootTime) -> Option<Provisional> {
        self.provisional.take_if(|p| p.until <= now)
    }

    /// A knock whose waiter has gone from here is one like any other's: it takes the one slot that there is.
    pub(super) fn waits_on(&mut self, is_waiting: impl Fn(&LeaseId) -> bool) {
        self.own_knock = self.own_knock.take().filter(is_waiting);
    }
}
