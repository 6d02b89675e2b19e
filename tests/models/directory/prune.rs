//! Raising the floor, pruning below it, and sweeping temporary files that nobody needs.

use super::model::Way;
use super::state::{FileId, Floor, Revision, Set, State, Step, Violation};
use super::world::{Mutation, World};

impl World {
    /// The floor that a pruner would raise to, if there is anything to do.
    pub fn floor_to_prune_to(&self, state: &State) -> Option<Revision> {
        let floor = state.highest().saturating_sub(self.keep) / self.floor_step * self.floor_step;
        let left = !state.revisions_up_to(floor).is_empty() || !state.temps_up_to(floor).is_empty();
        (floor > 0 && (floor > state.floor.written || left)).then_some(floor)
    }

    pub fn begin_prune(&self, state: &mut State, process: usize) {
        let Some(floor) = self.floor_to_prune_to(state) else {
            return;
        };
        state.processes[process].step = Step::SyncBeforePrune(floor);
    }

    pub fn run_floor(&self, state: &mut State, process: usize) {
        let already = |state: &State, floor| state.floor.written >= floor;
        let next = match state.processes[process].step {
            Step::SyncBeforePrune(floor) => {
                if !self.without(Mutation::PruneWithoutSync) {
                    state.sync_directory();
                }
                if self.without(Mutation::ListedBeforeFloor) {
                    self.listed_early(state, floor)
                } else {
                    Step::RaiseFloor(floor)
                }
            }
            Step::RaiseFloor(floor) if self.without(Mutation::FloorAppended) => {
                if already(state, floor) {
                    Step::SyncFloor(floor)
                } else {
                    Step::AppendToFloor(floor)
                }
            }
            Step::RaiseFloor(floor) => self.raise_floor(state, floor),
            Step::AppendToFloor(floor) => {
                state.floor.written += self.floor_step;
                Step::RaiseFloor(floor)
            }
            Step::SyncFloor(floor) => {
                state.floor.synced = state.floor.written;
                Step::ListAll(floor)
            }
            Step::RaiseFloorLate { floor, temps, revisions } => {
                let raised = state.floor.written.max(floor);
                state.floor = Floor { written: raised, synced: raised };
                Step::UnlinkTemps { temps, revisions }
            }
            step => step,
        };
        state.processes[process].step = next;
    }

    fn raise_floor(&self, state: &mut State, floor: Revision) -> Step {
        let stood = state.floor.written >= floor;
        if !stood {
            state.floor.written = floor;
        } else if self.without(Mutation::FloorReplaced) && state.floor.written > floor {
            state.floor.written = floor;
            state.violate(Violation::FloorWentDown);
        }
        let skip = self.without(Mutation::FloorNotSynced) || stood && self.without(Mutation::FloorSyncSkippedIfRaised);
        if skip { Step::ListAll(floor) } else { Step::SyncFloor(floor) }
    }

    pub fn ways_to_list(&self, state: &State, floor: Revision, ways: &mut Vec<Way>) {
        ways.push(Way::Plain);
        if self.without(Mutation::StaleTempListing) && !state.temps_up_to(floor).is_empty() {
            ways.push(Way::TempsMissed);
        }
    }

    pub fn ways_to_unlink_temps(&self, temps: Set, ways: &mut Vec<Way>) {
        ways.push(Way::Plain);
        if self.without(Mutation::TempUnlinkFailureIgnored) && !temps.is_empty() {
            ways.push(Way::Fails);
        }
    }

    fn listed(&self, state: &State, floor: Revision) -> Step {
        let temps = if self.without(Mutation::TempsNotPruned) { Set::default() } else { state.temps_up_to(floor) };
        Step::UnlinkTemps { temps, revisions: state.revisions_up_to(floor) }
    }

    fn listed_early(&self, state: &State, floor: Revision) -> Step {
        let temps = state.temps_up_to(floor);
        Step::RaiseFloorLate { floor, temps, revisions: state.revisions_up_to(floor) }
    }

    pub fn run_prune(&self, state: &mut State, process: usize, way: Way) {
        let next = match state.processes[process].step {
            Step::ListAll(floor) => match self.listed(state, floor) {
                Step::UnlinkTemps { revisions, .. } if way == Way::TempsMissed => {
                    Step::UnlinkTemps { temps: Set::default(), revisions }
                }
                step => step,
            },
            Step::UnlinkTemps { mut temps, revisions } => match temps.members().next() {
                Some(file) => {
                    if way != Way::Fails {
                        self.unlink_temp(state, FileId(file), Some(process));
                    }
                    temps.remove(file);
                    Step::UnlinkTemps { temps, revisions }
                }
                None => Step::ListAgain { revisions },
            },
            Step::ListAgain { revisions } => {
                let in_use = !state.silly.is_empty() && !self.without(Mutation::SillyRenameIgnored);
                if in_use || revisions.is_empty() { Step::Idle } else { Step::UnlinkRevisions(revisions) }
            }
            Step::UnlinkRevisions(mut revisions) => {
                if let Way::Pick(n) = way {
                    unlink_revision(state, n);
                    revisions.remove(n);
                }
                if revisions.is_empty() { Step::Idle } else { Step::UnlinkRevisions(revisions) }
            }
            step => step,
        };
        state.processes[process].step = next;
    }

    pub fn begin_sweep(&self, state: &mut State, process: usize) {
        let head = state.highest();
        let sync = !self.without(Mutation::SweepWithoutSync);
        state.processes[process].step = if sync { Step::SyncBeforeSweep(head) } else { Step::UnlinkSwept(head) };
    }

    pub fn run_sweep(&self, state: &mut State, process: usize, way: Way) {
        match (state.processes[process].step, way) {
            (Step::SyncBeforeSweep(head), _) => {
                state.sync_directory();
                state.processes[process].step = Step::UnlinkSwept(head);
            }
            (Step::UnlinkSwept(_), Way::Pick(file)) => self.unlink_temp(state, FileId(file), Some(process)),
            _ => self.rest(state, process),
        }
    }
}

fn unlink_revision(state: &mut State, n: Revision) {
    if state.revision(n).is_some() {
        state.revisions[usize::from(n)].set(None);
        state.pruned.insert(n);
    }
}
