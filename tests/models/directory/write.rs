//! Writing a revision, and finding out what became of it.

use super::model::Way;
use super::state::{Content, File, FileId, Purpose, REVISIONS, Revision, State, Step, Verdict, Violation};
use super::world::{Mutation, World};

impl World {
    pub fn ways_to_begin_a_write(&self, state: &State, process: usize, ways: &mut Vec<Way>) {
        if state.made < self.files {
            ways.push(Way::Plain);
            ways.extend(state.processes[process].known.map(|_| Way::FromKnown));
        }
    }

    pub fn ways_to_link(&self, state: &State, process: usize, file: FileId, ways: &mut Vec<Way>) {
        ways.push(Way::Plain);
        let looks_up = self.network.link_by_handle && matches!(state.processes[process].step, Step::Link(_));
        if state.lost_replies_left == 0 || looks_up {
            return;
        }
        if self.can_link(state, file) {
            ways.push(Way::ReplyLost);
        }
        if self.network.delayed_link {
            ways.push(Way::TimedOut);
        }
    }

    fn can_link(&self, state: &State, file: FileId) -> bool {
        let source = if self.network.link_by_handle { state.link_count(file) > 0 } else { state.has_temp(file) };
        source && state.revision(state.file(file).revision).is_none()
    }

    /// LINK takes effect, if it can.
    pub fn link(&self, state: &mut State, file: FileId) -> bool {
        if !self.can_link(state, file) {
            return false;
        }
        let n = state.file(file).revision;
        if n <= state.highest() {
            state.violate(Violation::PrunedMadeAgain);
        }
        state.revisions[usize::from(n)].set(Some(file));
        true
    }

    pub fn run_write(&self, state: &mut State, process: usize, way: Way) {
        let floor = state.floor.written;
        let next = match state.processes[process].step {
            Step::Create { at, value } => self.create(state, process, at, value),
            Step::WriteAndSync(file) => {
                if !self.without(Mutation::ContentNotSynced) {
                    state.files[file.index()].content = Content::Synced;
                }
                if self.without(Mutation::FloorReadAfterLink) { Step::Link(file) } else { Step::ReadFloor(file) }
            }
            Step::ReadFloor(file) if floor >= state.file(file).revision => Step::UnlinkGivenUp(file),
            Step::ReadFloor(file) => Step::Link(file),
            Step::Link(file) if self.network.link_by_handle => {
                if state.has_temp(file) {
                    Step::LinkByHandle(file)
                } else {
                    Step::SyncFailed(file)
                }
            }
            Step::Link(file) | Step::LinkByHandle(file) => self.send_link(state, process, file, way),
            Step::ReadFloorLate(file) if floor >= state.file(file).revision => Step::UnlinkGivenUp(file),
            Step::ReadFloorLate(file) => Step::SyncWin(file),
            Step::SyncWin(file) => {
                if !self.without(Mutation::NoSyncBeforeWin) {
                    state.sync_directory();
                }
                Step::AnswerWin(file)
            }
            Step::AnswerWin(file) => {
                self.answer_win(state, file);
                state.processes[process].known = Some((state.file(file).revision, file));
                Step::UnlinkWon(file)
            }
            Step::UnlinkWon(file) => {
                self.unlink_temp(state, file, Some(process));
                Step::Idle
            }
            Step::UnlinkGivenUp(file) => {
                self.unlink_temp(state, file, Some(process));
                return self.answer_not_applied(state, process, file);
            }
            step => step,
        };
        state.processes[process].step = next;
    }

    fn create(&self, state: &mut State, process: usize, at: Revision, value: FileId) -> Step {
        if state.made >= self.files || usize::from(at) + 1 >= REVISIONS {
            self.rest(state, process);
            return Step::Idle;
        }
        let file = FileId(state.made);
        state.made += 1;
        state.files[file.index()] =
            File { revision: at + 1, parent: Some(value), content: Content::Unsynced, verdict: Verdict::Open };
        state.temps[file.index()].set(Some(file));
        Step::WriteAndSync(file)
    }

    fn send_link(&self, state: &mut State, process: usize, file: FileId, way: Way) -> Step {
        if way == Way::TimedOut {
            state.silly.remove(file.0);
            state.lost_replies_left -= 1;
            state.delayed.insert(file.0);
            return Step::SyncFailed(file);
        }
        let linked = self.link(state, file);
        // The name is no longer in use: the client drops what it had kept as .nfs*.
        state.silly.remove(file.0);
        if !linked {
            return Step::SyncFailed(file);
        }
        if way == Way::ReplyLost {
            state.lost_replies_left -= 1;
            return Step::SyncFailed(file);
        }
        if self.network.cached_absence {
            state.processes[process].view.insert(state.file(file).revision);
        }
        if self.without(Mutation::FloorReadAfterLink) { Step::ReadFloorLate(file) } else { Step::SyncWin(file) }
    }

    /// The verdict on a `link` that did anything but succeed.
    pub fn run_verdict(&self, state: &mut State, process: usize, way: Way) {
        let next = match state.processes[process].step {
            Step::SyncFailed(file) => {
                if !self.without(Mutation::NoSyncAfterFailedLink) {
                    state.sync_directory();
                }
                Step::UnlinkFailed(file)
            }
            Step::UnlinkFailed(file) => return self.unlink_failed(state, process, file),
            Step::FloorFirst(file) if state.floor.written >= state.file(file).revision => {
                return self.walk_from_known(state, process, Purpose::Ring(file));
            }
            Step::FloorFirst(file) => Step::Look(file),
            Step::Look(file) => return self.look(state, process, file, way),
            Step::FloorAfterLook(file) if state.floor.written >= state.file(file).revision => {
                return self.walk_from_known(state, process, Purpose::Ring(file));
            }
            Step::FloorAfterLook(file) => return self.answer_not_applied(state, process, file),
            step => step,
        };
        state.processes[process].step = next;
    }

    fn unlink_failed(&self, state: &mut State, process: usize, file: FileId) {
        let two_links = state.link_count(file) >= 2;
        if !self.without(Mutation::LookBeforeUnlink) {
            self.unlink_temp(state, file, Some(process));
        }
        if self.without(Mutation::LinkCountIsVerdict) {
            if two_links {
                self.answer_win(state, file);
                return self.forget(state, process);
            }
            return self.answer_not_applied(state, process, file);
        }
        if !self.without(Mutation::DirectoryNotOpenedAnew) {
            self.open_anew(state, process);
        }
        let floor_first = self.without(Mutation::FloorReadBeforeLook);
        state.processes[process].step = if floor_first { Step::FloorFirst(file) } else { Step::Look(file) };
    }

    fn look(&self, state: &mut State, process: usize, file: FileId, way: Way) {
        let there = state.revision(state.file(file).revision).filter(|_| way != Way::CachedAbsence);
        let absent_is_verdict =
            self.without(Mutation::AbsentIsNotApplied) || self.without(Mutation::FloorReadBeforeLook);
        match there {
            Some(other) if other == file => {
                self.answer_win(state, file);
                self.forget(state, process);
            }
            Some(_) => self.answer_not_applied(state, process, file),
            None if absent_is_verdict => self.answer_not_applied(state, process, file),
            None => state.processes[process].step = Step::FloorAfterLook(file),
        }
        if self.without(Mutation::LookBeforeUnlink) && there.is_some() {
            self.unlink_temp(state, file, Some(process));
        }
    }

    fn answer_not_applied(&self, state: &mut State, process: usize, file: FileId) {
        if self.without(Mutation::LookBeforeUnlink) {
            self.unlink_temp(state, file, Some(process));
        }
        state.files[file.index()].verdict = Verdict::NotApplied;
        self.forget(state, process);
    }

    /// Unlinks a temporary file. A client that has it in use keeps it under another name.
    pub fn unlink_temp(&self, state: &mut State, file: FileId, by: Option<usize>) {
        if !state.has_temp(file) {
            return;
        }
        let in_use = |(process, other): (usize, &super::state::Process)| {
            Some(process) != by && other.step == Step::LinkByHandle(file)
        };
        if self.network.silly_rename && state.processes.iter().enumerate().any(in_use) {
            state.silly.insert(file.0);
        }
        state.temps[file.index()].set(None);
    }
}
