//! Finding the head, and what follows from having found it.

use super::model::Way;
use super::state::{Content, FileId, Purpose, REVISIONS, Revision, State, Step, Verdict, Violation, Walk};
use super::world::{Listing, Mutation, Role, World};

impl World {
    /// A reader or a writer opens the directory anew and starts from the revision that it knows, if any.
    pub fn begin_head(&self, state: &mut State, process: usize, way: Way) {
        if way == Way::FromKnown {
            let known = state.processes[process].known;
            state.processes[process].step = known.map_or(Step::Idle, |(at, value)| Step::Create { at, value });
            return;
        }
        let purpose = if self.roles[process] == Role::Reader { Purpose::Read } else { Purpose::Base };
        self.walk_from_known(state, process, purpose);
    }

    pub fn walk_from_known(&self, state: &mut State, process: usize, purpose: Purpose) {
        if !self.without(Mutation::DirectoryNotOpenedAnew) {
            self.open_anew(state, process);
        }
        let told_before = state.told;
        let walk = |at, value| Walk { purpose, at, value, sync_first: false, told_before };
        state.processes[process].step = match state.processes[process].known {
            Some((at, value)) => Step::Probe(walk(at, Some(value))),
            None => Step::OpenDirectory(walk(0, None)),
        };
    }

    pub fn run_walk(&self, state: &mut State, process: usize, way: Way) {
        let next = match state.processes[process].step {
            Step::OpenDirectory(walk) => {
                self.open_anew(state, process);
                self.begin_listing(state, walk)
            }
            Step::ReadName { walk, place } => self.read_name(state, walk, place),
            Step::OpenListed(walk) => open_listed(state, walk, self.without(Mutation::ListingIsHead)),
            Step::Probe(walk) => probe(state, walk, way),
            step => step,
        };
        state.processes[process].step = next;
    }

    fn begin_listing(&self, state: &State, walk: Walk) -> Step {
        let at = match self.listing {
            Listing::Atomic => {
                return Step::OpenListed(Walk { at: state.highest(), ..walk });
            }
            Listing::Descending => REVISIONS as Revision - 1,
            Listing::Ascending => 1,
        };
        Step::ReadName { walk: Walk { at: 0, ..walk }, place: at }
    }

    fn read_name(&self, state: &State, mut walk: Walk, place: Revision) -> Step {
        if state.revision(place).is_some() {
            walk.at = walk.at.max(place);
        }
        let (next, last) = match self.listing {
            Listing::Ascending => (place + 1, REVISIONS as Revision - 1),
            _ => (place - 1, 1),
        };
        if place != last {
            Step::ReadName { walk, place: next }
        } else if walk.at == 0 {
            Step::OpenDirectory(walk)
        } else {
            Step::OpenListed(walk)
        }
    }

    pub fn run_head_found(&self, state: &mut State, process: usize) {
        let next = match state.processes[process].step {
            Step::CheckLast(walk) if self.last_is_gone(state, walk) => Step::OpenDirectory(walk),
            Step::CheckLast(walk) => Step::SyncSeen(walk),
            Step::SyncSeen(walk) => {
                if walk.sync_first && !self.leaves_unsynced(walk.purpose) {
                    state.sync_directory();
                }
                Step::UseHead(walk)
            }
            Step::UseHead(walk) => return self.use_head(state, process, walk),
            step => step,
        };
        state.processes[process].step = next;
    }

    /// The check that ends a walk: has a prune passed over what it stands on?
    fn last_is_gone(&self, state: &State, walk: Walk) -> bool {
        if self.without(Mutation::LastNotChecked) {
            false
        } else if self.without(Mutation::LastStillThere) {
            state.revision(walk.at).is_none()
        } else {
            state.floor.written > walk.at
        }
    }

    fn leaves_unsynced(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Base => self.without(Mutation::BaseNotSynced),
            _ => self.without(Mutation::ReaderDoesNotSync),
        }
    }

    fn use_head(&self, state: &mut State, process: usize, walk: Walk) {
        let Some(value) = walk.value else { return };
        if !self.leaves_unsynced(walk.purpose) || walk.purpose == Purpose::Read {
            self.publish(state, walk.at, value);
            if walk.at < walk.told_before {
                state.violate(Violation::HeadWentBack);
            }
        }
        state.processes[process].known = Some((walk.at, value));
        state.processes[process].step = match walk.purpose {
            Purpose::Read => Step::Idle,
            Purpose::Base => Step::Create { at: walk.at, value },
            Purpose::Ring(file) => return self.ask_ring(state, process, value, file),
        };
    }

    /// The last question after an unclear write: is its write id in the ring of the head?
    fn ask_ring(&self, state: &mut State, process: usize, head: FileId, file: FileId) {
        match self.in_ring(state, head, file) {
            Verdict::Applied => self.answer_win(state, file),
            verdict => state.files[file.index()].verdict = verdict,
        }
        self.forget(state, process);
    }

    fn in_ring(&self, state: &State, head: FileId, file: FileId) -> Verdict {
        let mut next = Some(head);
        for _ in 0..self.ring {
            match next {
                Some(value) if value == file => return Verdict::Applied,
                Some(value) if state.file(value).revision > state.file(file).revision => {
                    next = state.file(value).parent
                }
                _ => return Verdict::NotApplied,
            }
        }
        Verdict::Unknown
    }

    /// A value is served, or answered, as this revision.
    pub fn publish(&self, state: &mut State, n: Revision, value: FileId) {
        let place = usize::from(n);
        if state.file(value).content == Content::Torn {
            state.violate(Violation::TornServed);
        }
        if state.published[place].is_some_and(|other| other != value) {
            state.violate(Violation::TwoValues);
        }
        let before = state.published[place - 1];
        let after = state.published.get(place + 1).copied().flatten();
        let forks = before.is_some() && state.file(value).parent != before;
        if forks || after.is_some_and(|after| state.file(after).parent != Some(value)) {
            state.violate(Violation::Fork);
        }
        state.published[place] = Some(value);
        state.told = state.told.max(n);
    }

    /// The caller of a write is told that it was applied.
    pub fn answer_win(&self, state: &mut State, file: FileId) {
        let n = state.file(file).revision;
        if state.published[usize::from(n)].is_some_and(|other| other != file) {
            state.violate(Violation::TwoWins);
        }
        self.publish(state, n, file);
        state.files[file.index()].verdict = Verdict::Applied;
    }

    /// After a conflict nothing that the process knew is to be built upon.
    pub fn forget(&self, state: &mut State, process: usize) {
        state.processes[process].known = None;
        self.rest(state, process);
    }
}

/// Opens the highest name of a listing. It is a new known revision, not yet the head.
fn open_listed(state: &State, walk: Walk, is_head: bool) -> Step {
    match state.revision(walk.at) {
        None => Step::OpenDirectory(walk),
        Some(_) if is_head => Step::SyncSeen(opened(state, walk)),
        Some(_) => Step::Probe(opened(state, walk)),
    }
}

fn probe(state: &State, walk: Walk, way: Way) -> Step {
    if way == Way::CachedAbsence || state.revision(walk.at + 1).is_none() {
        Step::CheckLast(walk)
    } else {
        Step::Probe(opened(state, Walk { at: walk.at + 1, ..walk }))
    }
}

/// Opens `r.<at>`, which is there, and looks at its link count.
fn opened(state: &State, walk: Walk) -> Walk {
    let value = state.revision(walk.at);
    let sync_first = walk.sync_first || value.is_some_and(|file| state.link_count(file) >= 2);
    Walk { value, sync_first, ..walk }
}
