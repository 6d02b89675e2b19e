//! The world as stateright sees it: initial state, actions, faults and properties.

use super::state::{
    Content, Entry, FILES, File, FileId, Floor, PROCESSES, Process, REVISIONS, Revision, Set, State, Step, Verdict,
    Violation,
};
use super::world::{Role, World};
use stateright::{Model, Property};

/// The ways in which a step can go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// As the manual says.
    Plain,
    /// A writer builds on what it knows instead of looking for the head.
    FromKnown,
    /// The lookup is answered from the client's cache: absent.
    CachedAbsence,
    /// The link is made, and its reply is lost.
    ReplyLost,
    /// The request times out and is still under way.
    TimedOut,
    /// The listing misses the temporary files.
    TempsMissed,
    /// The unlink fails.
    Fails,
    /// This one of several.
    Pick(u8),
}

/// One step of the world.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    Run {
        process: usize,
        step: Step,
        way: Way,
    },
    Crash {
        process: usize,
    },
    /// A LINK that had timed out reaches the server.
    LinkArrives(FileId),
    /// Power fails everywhere; this is what the disk kept.
    PowerLoss {
        temps: Set,
        revisions: [Option<FileId>; REVISIONS],
        floor: Revision,
    },
    /// Somebody unlinks a temporary file, asking nothing.
    Sweep(FileId),
}

impl World {
    fn initial(&self) -> State {
        let mut state = State {
            files: [File::NEVER; FILES],
            made: self.born,
            temps: [Entry::NEVER; FILES],
            revisions: [Entry::NEVER; REVISIONS],
            silly: Set::default(),
            floor: Floor::default(),
            delayed: Set::default(),
            published: [None; REVISIONS],
            told: self.born,
            pruned: Set::default(),
            processes: [Process::NEW; PROCESSES],
            crashes_left: self.crashes,
            power_losses_left: self.power_losses,
            lost_replies_left: self.lost_replies,
            violation: None,
        };
        for n in 1..=self.born {
            let file = FileId(n - 1);
            let parent = n.checked_sub(2).map(FileId);
            state.files[file.index()] =
                File { revision: n, parent, content: Content::Synced, verdict: Verdict::Applied };
            state.revisions[usize::from(n)].set(Some(file));
            state.published[usize::from(n)] = Some(file);
        }
        state.sync_directory();
        let known = self.known_at_start.checked_sub(1).map(|file| (self.known_at_start, FileId(file)));
        for process in 0..self.roles.len() {
            state.processes[process].known = known;
            self.open_anew(&mut state, process);
        }
        state
    }

    /// A client opens the directory by path: what it looks up from now on is at least as new as this.
    pub fn open_anew(&self, state: &mut State, process: usize) {
        if self.network.cached_absence {
            state.processes[process].view = state.revisions_up_to(Revision::MAX);
        }
    }

    /// Ends what a process was doing; what it knows it keeps.
    pub fn rest(&self, state: &mut State, process: usize) {
        state.processes[process].step = Step::Idle;
    }

    fn ways(&self, state: &State, process: usize, ways: &mut Vec<Way>) {
        let role = self.roles[process];
        match state.processes[process].step {
            Step::Idle => match role {
                Role::Writer => self.ways_to_begin_a_write(state, process, ways),
                Role::Reader => ways.push(Way::Plain),
                Role::Pruner => ways.extend(self.floor_to_prune_to(state).map(|_| Way::Plain)),
                Role::Sweeper => ways.extend((!state.temps_up_to(state.highest()).is_empty()).then_some(Way::Plain)),
            },
            Step::Probe(walk) => self.ways_to_look_up(state, process, walk.at + 1, ways),
            Step::Look(file) => self.ways_to_look_up(state, process, state.file(file).revision, ways),
            Step::Link(file) | Step::LinkByHandle(file) => self.ways_to_link(state, process, file, ways),
            Step::ListAll(floor) => self.ways_to_list(state, floor, ways),
            Step::UnlinkTemps { temps, .. } => self.ways_to_unlink_temps(temps, ways),
            Step::UnlinkRevisions(revisions) => ways.extend(revisions.members().map(Way::Pick)),
            Step::UnlinkSwept(head) => {
                ways.extend(state.temps_up_to(head).members().map(Way::Pick));
                ways.push(Way::Plain);
            }
            _ => ways.push(Way::Plain),
        }
    }

    fn ways_to_look_up(&self, state: &State, process: usize, n: Revision, ways: &mut Vec<Way>) {
        ways.push(Way::Plain);
        let seen = state.processes[process].view.contains(n);
        if self.network.cached_absence && state.revision(n).is_some() && !seen {
            ways.push(Way::CachedAbsence);
        }
    }

    fn run(&self, state: &mut State, process: usize, way: Way) {
        match state.processes[process].step {
            Step::Idle => match self.roles[process] {
                Role::Writer | Role::Reader => self.begin_head(state, process, way),
                Role::Pruner => self.begin_prune(state, process),
                Role::Sweeper => self.begin_sweep(state, process),
            },
            Step::OpenDirectory(_) | Step::ReadName { .. } | Step::OpenListed(_) | Step::Probe(_) => {
                self.run_walk(state, process, way)
            }
            Step::CheckLast(_) | Step::SyncSeen(_) | Step::UseHead(_) => self.run_head_found(state, process),
            Step::SyncFailed(_)
            | Step::UnlinkFailed(_)
            | Step::FloorFirst(_)
            | Step::Look(_)
            | Step::FloorAfterLook(_) => {
                self.run_verdict(state, process, way);
            }
            Step::SyncBeforePrune(_)
            | Step::RaiseFloor(_)
            | Step::AppendToFloor(_)
            | Step::SyncFloor(_)
            | Step::RaiseFloorLate { .. } => {
                self.run_floor(state, process);
            }
            Step::ListAll(_) | Step::UnlinkTemps { .. } | Step::ListAgain { .. } | Step::UnlinkRevisions(_) => {
                self.run_prune(state, process, way);
            }
            Step::SyncBeforeSweep(_) | Step::UnlinkSwept(_) => self.run_sweep(state, process, way),
            _ => self.run_write(state, process, way),
        }
    }

    fn crash(&self, state: &mut State, process: usize) {
        state.crashes_left -= 1;
        if let Step::LinkByHandle(file) = state.processes[process].step {
            state.silly.remove(file.0);
        }
        let known = state.processes[process].known.filter(|_| self.known_survives);
        state.processes[process] = Process { known, ..Process::NEW };
        self.open_anew(state, process);
    }

    /// Every directory that a power loss may leave, with every length of the floor.
    fn power_losses(&self, state: &State, actions: &mut Vec<Action>) {
        let mut kept = vec![(Set::default(), [None; REVISIONS])];
        for file in 0..state.made {
            kept = branch(kept, &state.temps[usize::from(file)], |(temps, _), survivor| {
                if survivor.is_some() {
                    temps.insert(file);
                }
            });
        }
        for n in 1..REVISIONS {
            kept = branch(kept, &state.revisions[n], |(_, revisions), survivor| revisions[n] = survivor);
        }
        let Floor { written, synced } = state.floor;
        let lengths = (written.min(synced)..=written.max(synced)).step_by(usize::from(self.floor_step));
        for (temps, revisions) in kept {
            actions.extend(lengths.clone().map(|floor| Action::PowerLoss { temps, revisions, floor }));
        }
    }

    fn lose_power(&self, state: &mut State, temps: Set, revisions: [Option<FileId>; REVISIONS], floor: Revision) {
        state.power_losses_left -= 1;
        state.delayed = Set::default();
        state.silly = Set::default();
        state.floor = Floor { written: floor, synced: floor };
        for file in (0..state.made).map(FileId) {
            state.temps[file.index()].set(temps.contains(file.0).then_some(file));
            let content = &mut state.files[file.index()].content;
            if *content == Content::Unsynced {
                *content = Content::Torn;
            }
        }
        for (entry, kept) in state.revisions.iter_mut().zip(revisions) {
            entry.set(kept);
        }
        state.sync_directory();
        for process in 0..self.roles.len() {
            let known = state.processes[process].known.filter(|_| self.known_survives);
            state.processes[process] = Process { known, ..Process::NEW };
            self.open_anew(state, process);
        }
    }
}

/// Doubles what is kept for every value that the entry may keep.
fn branch<T: Clone>(kept: Vec<T>, entry: &Entry, keep: impl Fn(&mut T, Option<FileId>)) -> Vec<T> {
    let with = |one: T| {
        let keep = &keep;
        entry.survivors().map(move |survivor| {
            let mut one = one.clone();
            keep(&mut one, survivor);
            one
        })
    };
    kept.into_iter().flat_map(with).collect()
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.initial()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let mut ways = Vec::new();
        for process in 0..self.roles.len() {
            let step = state.processes[process].step;
            self.ways(state, process, &mut ways);
            actions.extend(ways.drain(..).map(|way| Action::Run { process, step, way }));
            if step != Step::Idle && state.crashes_left > 0 {
                actions.push(Action::Crash { process });
            }
        }
        actions.extend(state.delayed.members().map(|file| Action::LinkArrives(FileId(file))));
        if self.without(super::world::Mutation::SweepAnyTemp) {
            actions.extend(state.temps_up_to(Revision::MAX).members().map(|file| Action::Sweep(FileId(file))));
        }
        if state.power_losses_left > 0 {
            self.power_losses(state, actions);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        match action {
            Action::Run { process, way, .. } => self.run(&mut state, process, way),
            Action::Crash { process } => self.crash(&mut state, process),
            Action::LinkArrives(file) => {
                state.delayed.remove(file.0);
                self.link(&mut state, file);
            }
            Action::PowerLoss { temps, revisions, floor } => self.lose_power(&mut state, temps, revisions, floor),
            Action::Sweep(file) => self.unlink_temp(&mut state, file, None),
        }
        (state != *last).then_some(state)
    }

    fn format_action(&self, action: &Action) -> String {
        match action {
            Action::Run { process, step, way } => {
                format!("{:?} {process}: {step:?} {way:?}", self.roles[*process])
            }
            other => format!("{other:?}"),
        }
    }

    fn properties(&self) -> Vec<Property<World>> {
        vec![
            Property::always("no two values for one revision", |w: &World, s: &State| w.never(s, Violation::TwoValues)),
            Property::always("one win for a revision", |w: &World, s: &State| w.never(s, Violation::TwoWins)),
            Property::always("no fork", |w: &World, s: &State| w.never(s, Violation::Fork)),
            Property::always("the head never goes back for a reader", |w: &World, s: &State| {
                w.never(s, Violation::HeadWentBack)
            }),
            Property::always("a pruned revision is never made again", |w: &World, s: &State| {
                w.never(s, Violation::PrunedMadeAgain)
            }),
            Property::always("floor never goes down", |w: &World, s: &State| w.never(s, Violation::FloorWentDown)),
            Property::always("torn content is never served", |w: &World, s: &State| w.never(s, Violation::TornServed)),
            Property::always("what was answered is never lost", |w: &World, s: &State| w.judge(!s.told_is_lost())),
            Property::always("what is not applied never becomes visible", |w: &World, s: &State| {
                w.judge(!s.denied_is_visible())
            }),
            Property::always("floor <= head - keep", |w: &World, s: &State| {
                w.judge(s.floor.written + w.keep <= s.highest().max(w.keep))
            }),
            Property::always("floor is durable before a prune", |w: &World, s: &State| {
                w.judge(!s.pruned_without_floor())
            }),
            Property::always("never stuck", |w: &World, s: &State| w.judge(!s.stuck() && !s.head_is_torn())),
        ]
    }
}

impl World {
    fn judge(&self, holds: bool) -> bool {
        self.first_only.judge(holds)
    }

    fn never(&self, state: &State, violation: Violation) -> bool {
        self.judge(state.violation != Some(violation))
    }
}
