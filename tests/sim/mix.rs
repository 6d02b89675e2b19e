//! What goes wrong in one run, and how often: drawn anew for each seed, so that some runs have much of one fault and none of
//! another (swarm testing): rules that only fail under a certain mix are found that way.

use std::time::Duration;

use super::rng::Rng;
use super::services::Answers;
use super::time::{MILLI, Nanos, SECOND};

/// Chances are in 1 of 10 000.
#[derive(Clone, Debug)]
pub struct Mix {
    pub keys: usize,
    pub hosts: usize,
    /// Long-lived processes and scripts of short commands.
    pub procs: usize,
    pub workers: usize,
    pub scripts: usize,
    pub ttl: Duration,
    pub other_ttl: Duration,
    pub active: Nanos,
    /// Longest pause of a worker between two acts.
    pub think: Duration,
    /// Changes made under one lease.
    pub changes: u64,
    pub blob_states: u32,
    /// Changes whose caller does not wait for the answer.
    pub impatient: u32,
    pub staged: u32,
    pub ppm: [i64; 4],
    pub stamps: bool,
    pub notes: bool,
    /// All hosts keep their notes in one place, as with homes on a network file system.
    pub notes_shared: bool,
    pub store_clock: bool,
    pub poll: Nanos,
    /// Processes serve others: a grant that waited is provisional, and time counts from before the write.
    pub serves: bool,
    /// They are servers indeed, and what asks them is elsewhere: drawn for no other run.
    pub remote: bool,
    /// ETags are hashes of the body, else numbers.
    pub hashed_etags: bool,
    pub answers: Answers,

    pub delay: (Nanos, Nanos),
    pub tail: u32,
    pub tail_longest: Nanos,
    pub timeout: Nanos,
    pub lost_request: u32,
    pub lost_reply: u32,
    pub late: u32,
    pub duplicate: u32,
    pub conflict: u32,
    pub conflict_applied: u32,
    pub unknown: u32,
    pub unknown_applied: u32,
    pub failed: u32,
    pub get_error: u32,
    pub blob_fault: u32,
    pub torn_read: u32,
    pub late_delete: u32,
    pub stale_list: u32,

    pub pause_every: Nanos,
    pub crash_every: Nanos,
    pub cut_every: Nanos,
    pub stall_every: Nanos,
    pub reboot_every: Nanos,
    pub wall_every: Nanos,
    pub jump_every: Nanos,
    pub longest_trouble: Nanos,
}

impl Mix {
    pub fn draw(r: &mut Rng) -> Self {
        let ttl = r.pick(&[2_000u64, 2_500, 3_000, 5_000, 8_000, 15_000, 30_000]);
        let low = r.pick(&[1u64, 2, 5, 20]);
        let hosts = usize::try_from(r.between(1, 4)).unwrap();
        let share = |r: &mut Rng, most: u64| {
            if r.chance(5_000) { u32::try_from(r.below(most)).unwrap() } else { 0 }
        };
        let every = |r: &mut Rng, least: u64, most: u64| {
            if r.chance(5_000) { r.between(least, most) * SECOND } else { 0 }
        };
        let store_clock = r.chance(2_500);
        // Keys that nobody touches for long: only the store's own clock tells a fresh process.
        let quiet = store_clock && r.chance(2_500);
        let extremes = r.chance(5_000);
        Self {
            keys: if quiet { 1 } else { usize::try_from(r.between(1, 3)).unwrap() },
            hosts,
            procs: usize::try_from(r.between(1, 4)).unwrap(),
            workers: usize::try_from(r.between(1, 3)).unwrap(),
            scripts: if quiet { 2 } else { usize::try_from(r.between(0, 2)).unwrap() },
            ttl: Duration::from_millis(ttl),
            other_ttl: Duration::from_millis(r.pick(&[ttl, ttl, ttl * 2, ttl + 1_000])),
            active: if quiet { r.between(3_000, 6_000) } else { r.between(8 * 60, 20 * 60) } * SECOND,
            think: Duration::from_millis(if quiet {
                250_000
            } else {
                r.pick(&[50, 300, 1_000, ttl / 2, ttl, ttl * 2, ttl * 4, ttl * 6])
            }),
            changes: r.pick(&[1, 3, 6, 14]),
            blob_states: r.pick(&[0, 0, 300, 1_000, 5_000]),
            impatient: r.pick(&[0, 500, 500, 3_000]),
            staged: r.pick(&[0, 1_000, 3_000, 8_000]),
            ppm: std::array::from_fn(|_| {
                if extremes { r.pick(&[-4_990, 4_990]) } else { i64::try_from(r.below(9_980)).unwrap() - 4_990 }
            }),
            stamps: r.chance(3_000) && !quiet,
            notes: r.chance(1_500) && !quiet,
            notes_shared: r.chance(5_000),
            store_clock,
            serves: r.chance(5_000),
            remote: false,
            hashed_etags: r.chance(2_000),
            answers: Answers::Any,
            poll: r.pick(&[20, 200, 1_000]) * MILLI,
            delay: (low * MILLI, low * r.pick(&[2, 10, 50]) * MILLI),
            tail: if r.chance(6_000) { r.pick(&[100, 500, 2_000]) } else { 0 },
            tail_longest: r.pick(&[500, 2_000, 6_000, ttl * 2]) * MILLI,
            timeout: r.pick(&[1_000, 2_000, 5_000, 10_000, 20_000]) * MILLI,
            lost_request: share(r, 1_500),
            lost_reply: share(r, 2_500),
            late: share(r, 1_000),
            duplicate: share(r, 3_000),
            conflict: share(r, 2_000),
            conflict_applied: share(r, 1_500),
            unknown: share(r, 2_000),
            unknown_applied: share(r, 2_000),
            failed: share(r, 2_000),
            get_error: share(r, 3_000),
            blob_fault: share(r, 3_000),
            torn_read: share(r, 1_000),
            late_delete: share(r, 5_000),
            stale_list: share(r, 5_000),
            pause_every: every(r, 5, 120),
            crash_every: every(r, 5, 200),
            cut_every: every(r, 5, 120),
            stall_every: every(r, 5, 120),
            reboot_every: every(r, 30, 400),
            wall_every: every(r, 5, 200),
            jump_every: every(r, 5, 300),
            longest_trouble: r.pick(&[ttl / 2, ttl * 2, ttl * 4, 40_000]) * MILLI,
        }
    }

    /// The longest time that a request can be under way.
    pub fn latest(&self) -> Nanos {
        4 * u64::try_from(self.ttl.as_nanos()).unwrap() + self.timeout + 2 * SECOND
    }
}
