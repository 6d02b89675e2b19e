//! The queue of one key: who waits for it here, in order of arrival.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::commit::Job;
use crate::clock::BootTime;
use crate::lease::Request;
use crate::limits::PLACE_KEPT;
use crate::model::LeaseId;

/// How an acquire waits.
#[derive(Debug)]
pub(super) struct Patience {
    /// Until when.
    pub(super) until: BootTime,
    /// Whether the client confirms a grant that waited.
    pub(super) confirm: bool,
    /// Its share of the count of waiters.
    pub(super) seat: Arc<Seat>,
}

/// One waiter's share of the count of a key's waiters: it counts from when it has a place until its caller has gone.
#[derive(Debug)]
pub(super) struct Seat {
    state: AtomicU8,
    count: Arc<AtomicU64>,
}

const STANDING: u8 = 0;
const TAKEN: u8 = 1;
const LEFT: u8 = 2;

impl Seat {
    fn take(&self) {
        if self.state.compare_exchange(STANDING, TAKEN, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            self.count.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn leave(&self) {
        if self.state.swap(LEFT, Ordering::SeqCst) == TAKEN {
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// The caller's end of a [`Seat`]: dropped with its future.
#[derive(Debug)]
pub(super) struct SeatHeld(Arc<Seat>);

impl SeatHeld {
    pub(super) fn new(count: Arc<AtomicU64>) -> Self {
        Self(Arc::new(Seat { state: AtomicU8::new(STANDING), count }))
    }

    pub(super) fn share(&self) -> Arc<Seat> {
        Arc::clone(&self.0)
    }
}

impl Drop for SeatHeld {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// A waiter, or the place of one.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) lease_id: LeaseId,
    /// Since when.
    pub(super) since: BootTime,
    /// `None` while the place is only kept.
    job: Option<Job>,
    /// Until when the place is kept without one.
    kept: BootTime,
}

impl Waiter {
    /// A place is bound to its caller: once that is known to have gone it is nobody's.
    fn is_here(&self) -> bool {
        self.job.as_ref().is_some_and(|job| !job.reply.is_closed())
    }

    fn until(&self) -> Option<BootTime> {
        self.job.as_ref()?.wait.as_ref().map(|wait| wait.until)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Queue {
    places: VecDeque<Waiter>,
}

impl Queue {
    /// Gives up the places of those who have gone, and those kept for too long.
    pub(super) fn tidy(&mut self, now: BootTime) {
        self.places.retain(|waiter| waiter.is_here() || (waiter.job.is_none() && now < waiter.kept));
    }

    /// Whether anybody waits.
    pub(super) fn is_waiting(&self) -> bool {
        self.places.iter().any(Waiter::is_here)
    }

    /// Places, kept ones included.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The first who waits.
    pub(super) fn first(&self) -> Option<&Waiter> {
        self.places.iter().find(|waiter| waiter.is_here())
    }

    /// The place that a newcomer would have, from 1.
    pub(super) fn next_place(&self) -> u64 {
        self.places.iter().filter(|waiter| waiter.is_here()).count() as u64 + 1
    }

    /// Lets a job wait, at the place that its lease id has, else at the end. The call that stood there before, if any, is
    /// returned: two calls for one lease have one place.
    pub(super) fn enter(&mut self, job: Job, now: BootTime) -> Option<Job> {
        let Request::Acquire(acquire) = &job.request else { return None };
        if let Some(wait) = &job.wait {
            wait.seat.take();
        }
        let lease_id = acquire.lease_id.clone();
        match self.places.iter_mut().find(|waiter| waiter.lease_id == lease_id) {
            Some(place) => place.job.replace(job),
            None => {
                self.places.push_back(Waiter { lease_id, since: now, job: Some(job), kept: now });
                None
            }
        }
    }

    /// Puts a job back to where it was: it was its turn, and nothing came of that.
    pub(super) fn put_back(&mut self, job: Job, since: BootTime) {
        let Request::Acquire(acquire) = &job.request else { return };
        let lease_id = acquire.lease_id.clone();
        let at = self.places.partition_point(|waiter| waiter.since < since);
        self.places.insert(at, Waiter { lease_id, since, job: Some(job), kept: since });
    }

    /// Whether this one has a place.
    pub(super) fn has(&self, lease_id: &LeaseId) -> bool {
        self.places.iter().any(|waiter| waiter.lease_id == *lease_id)
    }

    /// Takes a waiter out, with the time since when it waited. `None` when only its place is there.
    pub(super) fn take(&mut self, lease_id: &LeaseId) -> Option<(Job, BootTime)> {
        let at = self.places.iter().position(|waiter| waiter.lease_id == *lease_id)?;
        let waiter = self.places.remove(at)?;
        Some((waiter.job?, waiter.since))
    }

    /// Takes everybody out, with the places that were kept.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = Job> {
        std::mem::take(&mut self.places).into_iter().filter_map(|waiter| waiter.job)
    }

    /// Takes somebody whose time is up, and their place in the line, which is kept for a while.
    pub(super) fn overdue(&mut self, now: BootTime) -> Option<(Job, u64)> {
        let late = |waiter: &Waiter| waiter.until().is_some_and(|until| until <= now);
        let at = self.places.iter().position(late)?;
        let ahead = self.places.iter().take(at).filter(|waiter| waiter.is_here()).count() as u64;
        let waiter = self.places.get_mut(at)?;
        waiter.kept = now + PLACE_KEPT;
        Some((waiter.job.take()?, ahead + 1))
    }

    /// The first time that somebody's wait is over.
    pub(super) fn next_overdue(&self) -> Option<BootTime> {
        self.places.iter().filter_map(Waiter::until).min()
    }
}
