//! What goes wrong in one run, and how often: drawn anew for each seed (swarm testing), so that some runs have much of one fault
//! and none of another.

use super::super::rng::Rng;
use super::super::time::{MILLI, Nanos, SECOND};
use super::tree::{HOSTS, Keeps};

/// A kind of step on the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    OpenRoot,
    OpenDir,
    MakeDir,
    List,
    SyncDir,
    Create,
    OpenOrCreate,
    Open,
    Write,
    ReadAt,
    SyncData,
    SyncFile,
    FileStat,
    Read,
    Stat,
    Link,
    Unlink,
    Room,
}

impl Kind {
    pub const ALL: [Self; 18] = [
        Self::OpenRoot,
        Self::OpenDir,
        Self::MakeDir,
        Self::List,
        Self::SyncDir,
        Self::Create,
        Self::OpenOrCreate,
        Self::Open,
        Self::Write,
        Self::ReadAt,
        Self::SyncData,
        Self::SyncFile,
        Self::FileStat,
        Self::Read,
        Self::Stat,
        Self::Link,
        Self::Unlink,
        Self::Room,
    ];

    /// Those whose order is the protocol.
    const ORDERED: [Self; 8] =
        [Self::Create, Self::SyncData, Self::Stat, Self::Link, Self::SyncDir, Self::SyncFile, Self::Unlink, Self::List];

    /// Whether it changes names, so that a file server may still make it for a client that is dead.
    pub const fn changes_names(self) -> bool {
        matches!(self, Self::MakeDir | Self::Create | Self::Link | Self::Unlink)
    }
}

/// What strikes at the kind of step that a run has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    StallBefore,
    CrashBefore,
    CrashAfter,
    PowerBefore,
    PowerAfter,
}

/// Chances are in 1 of 10 000.
#[derive(Clone, Debug)]
pub struct Mix {
    /// A file server and its clients, else one machine.
    pub network: bool,
    pub hosts: usize,
    pub procs: usize,
    pub workers: usize,
    /// Processes with an engine.
    pub engines: usize,
    /// Keys with plain records, of which the first is used most.
    pub keys: usize,
    pub leases: usize,
    /// The longest time that a step usually takes.
    pub unit: Nanos,
    /// The faults end at this time, or after so many steps.
    pub active: Nanos,
    pub most_steps: u64,
    pub think: Nanos,
    pub ttl: u64,
    /// Puts in a row.
    pub chain: u64,
    pub value: u64,
    pub prunes: u32,
    pub blobs: u32,
    pub lists: u32,

    pub errors: [u32; Kind::ALL.len()],
    pub hidden: u32,
    pub late_link: u32,
    pub late_step: u32,
    pub stale: u32,
    pub short_write: u32,
    pub stall: u32,
    pub stall_longest: u64,
    pub forever: u32,
    pub crash_every: Nanos,
    pub host_every: Nanos,
    pub power_every: Nanos,
    pub pause_every: Nanos,
    pub full_every: Nanos,
    /// Temporary files of others that cannot be removed.
    pub stuck: u32,
    /// Steps that fate strikes at.
    pub hot: Vec<Kind>,
    pub hot_chance: u32,
    pub strikes: Vec<Strike>,
    pub keeps: Vec<Keeps>,
}

impl Mix {
    pub fn draw(r: &mut Rng) -> Self {
        let network = r.chance(3_500);
        let engines = if r.chance(2_500) { usize::try_from(r.between(1, 2)).unwrap() } else { 0 };
        // Leases need seconds; without them time is only order.
        let unit = if engines > 0 { r.pick(&[MILLI, 4 * MILLI]) } else { 100_000 };
        let some = |r: &mut Rng, most: u64| {
            if r.chance(5_000) { u32::try_from(r.between(1, most)).unwrap() } else { 0 }
        };
        let every = |r: &mut Rng, chance: u32, least: u64, most: u64| {
            if r.chance(chance) { unit * r.between(least, most) } else { 0 }
        };
        let error = if r.chance(5_000) { r.pick(&[10, 50, 200]) } else { 0 };
        let errors = std::array::from_fn(|_| if r.chance(3_000) { error } else { 0 });
        let strikes = [
            Strike::StallBefore,
            Strike::StallBefore,
            Strike::CrashBefore,
            Strike::CrashAfter,
            Strike::PowerBefore,
            Strike::PowerAfter,
        ];
        let one = r.pick(&strikes);
        let mut mix = Self {
            network,
            hosts: if network { usize::try_from(r.between(1, HOSTS as u64)).unwrap() } else { 1 },
            procs: usize::try_from(r.between(2, 4)).unwrap(),
            workers: usize::try_from(r.between(1, 3)).unwrap(),
            engines,
            keys: r.pick(&[1, 2, 2, 3, 6]),
            leases: engines.min(1) * r.pick(&[1, 2]),
            unit,
            active: if engines > 0 { r.between(20, 60) * SECOND } else { unit * r.between(1_000, 8_000) },
            think: unit * if engines > 0 { r.pick(&[20, 100, 400]) } else { r.pick(&[1, 1, 10, 60]) },
            most_steps: r.between(3_000, 25_000),
            ttl: r.pick(&[2_000, 3_000]),
            chain: r.pick(&[1, 3, 20]),
            value: r.pick(&[0, 300, 2_000]),
            prunes: r.pick(&[0, 300, 1_500]),
            blobs: r.pick(&[0, 0, 500, 2_000]),
            lists: r.pick(&[0, 200]),
            errors,
            hidden: r.pick(&[0, 1_000, 5_000]),
            late_link: if network { some(r, 600) } else { 0 },
            late_step: if network { 5_000 } else { 0 },
            stale: if network { some(r, 2_000) } else { 0 },
            short_write: some(r, 60),
            stall: some(r, 100),
            stall_longest: r.pick(&[30, 300, 2_000]),
            forever: if r.chance(2_000) { r.pick(&[1, 5]) } else { 0 },
            crash_every: every(r, 5_000, 30, 1_500),
            host_every: if network { every(r, 4_000, 100, 3_000) } else { 0 },
            power_every: every(r, 6_000, 60, 3_000),
            pause_every: every(r, 3_000, 50, 1_000),
            full_every: every(r, 1_000, 300, 3_000),
            hot: vec![if r.chance(3_000) { r.pick(&Kind::ALL) } else { r.pick(&Kind::ORDERED) }],
            stuck: if r.chance(1_500) { r.pick(&[500, 5_000]) } else { 0 },
            hot_chance: if r.chance(6_000) { r.pick(&[30, 150, 600]) } else { 0 },
            strikes: if r.chance(5_000) { vec![one] } else { strikes.to_vec() },
            keeps: r.pick(&[
                vec![Keeps::Nothing],
                vec![Keeps::AnyPart],
                vec![Keeps::Nothing, Keeps::AnyPart, Keeps::AnyPart, Keeps::Everything],
            ]),
        };
        mix.single_out(r);
        mix
    }
    /// Some runs are all about one thing that takes several blows of fate.
    fn single_out(&mut self, r: &mut Rng) {
        match r.below(20) {
            // What cannot be removed must not be linked late.
            0 => {
                (self.stuck, self.hot, self.hot_chance) = (5_000, vec![Kind::Link], 300);
                (self.strikes, self.stall_longest, self.chain) = (vec![Strike::StallBefore], 1_000, 20);
            }
            // Writers and pruners far behind all others.
            1 => {
                (self.hot, self.hot_chance) = (vec![Kind::Create, Kind::Link, Kind::OpenOrCreate], 3_000);
                (self.strikes, self.stall_longest, self.chain) = (vec![Strike::StallBefore], 150, 20);
                (self.keys, self.prunes, self.think) = (1, 0, self.unit);
            }
            // Replies get lost, and nobody comes by before the power does.
            2 => {
                (self.errors[Kind::Link as usize], self.hidden, self.chain) = (3_000, 10_000, 1);
                (self.procs, self.workers, self.think) = (2, 1, self.unit * 60);
                self.power_every = self.unit * 200;
            }
            _ => {}
        }
    }
}
