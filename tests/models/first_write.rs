//! The first write of a key: who makes its directories and its `floor`, and who makes them durable
//! (ARCHITECTURE.md, "Disk and NFS", first write).
//!
//! The store's root stands. In it goes a namespace, in that the key's directory, and in that `floor`, `t.*` and `r.1`.
//! Writers and readers are interleaved at every system call; a process ends anywhere, so that another finds half of the
//! directories made; a power loss keeps, for every name apart, any value that it had since its directory was last synced,
//! and nothing below a lost directory.

use super::directory::state::{Content, Entry, FileId, Set};
use super::{FirstOnly, assert_caught, assert_clean};
use stateright::{Model, Property};

mutations! {
    /// A directory is synced only by the process that made something in it.
    OnlyTheMakerSyncs,
    /// Directories above the key's own are not synced.
    ParentsNotSynced,
    /// Directories are synced after `link`, before the answer.
    ParentsSyncedAfterLink,
    /// `floor` is not synced.
    FloorNotSynced,
    /// `floor` is made after the directories were synced.
    FloorMadeLate,
}

const FILES: usize = 4;
const PROCESSES: usize = 3;
/// What stands for "a directory, or `floor`, of this name".
const MADE: Option<FileId> = Some(FileId(0));

/// The directories, from the key's own up to the root.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Directory {
    Key,
    Namespace,
    Root,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Step {
    Idle,
    MakeNamespace,
    MakeKey,
    MakeFloor,
    SyncFloor,
    SyncDirectory(Directory),
    CreateTemp,
    SyncTemp(FileId),
    Link(FileId),
    SyncLink(FileId),
    SyncLate(FileId, Directory),
    Answer(FileId),
    UnlinkTemp(FileId),
    SyncSeen(FileId),
    Serve(FileId),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Process {
    step: Step,
    made_namespace: bool,
    made_key: bool,
}

const NEW: Process = Process { step: Step::Idle, made_namespace: false, made_key: false };

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct State {
    namespace: Entry,
    key: Entry,
    floor: Entry,
    floor_content: Content,
    temps: [Entry; FILES],
    contents: [Content; FILES],
    made: u8,
    first: Entry,
    /// What was answered or served as revision 1.
    told: Option<FileId>,
    two_told: bool,
    processes: [Process; PROCESSES],
    crashes_left: u8,
    power_losses_left: u8,
}

#[derive(Clone, PartialEq, Debug)]
enum Action {
    Run { process: usize, step: Step },
    Crash { process: usize },
    PowerLoss { namespace: bool, key: bool, floor: bool, temps: Set, first: Option<FileId> },
}

struct World {
    writers: usize,
    readers: usize,
    files: u8,
    crashes: u8,
    power_losses: u8,
    mutation: Option<Mutation>,
    first_only: FirstOnly,
}

impl State {
    fn sync(&mut self, directory: Directory) {
        match directory {
            Directory::Root => self.namespace.sync(),
            Directory::Namespace => self.key.sync(),
            Directory::Key => {
                self.floor.sync();
                self.first.sync();
                self.temps.iter_mut().for_each(Entry::sync);
            }
        }
    }

    fn tell(&mut self, file: FileId) {
        self.two_told |= self.told.is_some_and(|told| told != file) || self.contents[file.index()] == Content::Torn;
        self.told = Some(file);
    }
}

impl World {
    fn new(writers: usize, readers: usize) -> World {
        World {
            writers,
            readers,
            files: 3,
            crashes: 1,
            power_losses: 1,
            mutation: None,
            first_only: FirstOnly::default(),
        }
    }

    fn without(&self, rule: Mutation) -> bool {
        self.mutation == Some(rule)
    }

    fn run(&self, state: &mut State, process: usize) {
        let step = state.processes[process].step;
        let next = match step {
            Step::Idle => match state.first.now {
                Some(file) if state.temps[file.index()].now.is_some() => Step::SyncSeen(file),
                Some(file) => Step::Serve(file),
                None => Step::MakeNamespace,
            },
            Step::MakeNamespace => {
                state.processes[process].made_namespace = state.namespace.now.is_none();
                state.namespace.set(MADE);
                Step::MakeKey
            }
            Step::MakeKey => {
                state.processes[process].made_key = state.key.now.is_none();
                state.key.set(MADE);
                if self.without(Mutation::FloorMadeLate) {
                    Step::SyncDirectory(Directory::Key)
                } else {
                    Step::MakeFloor
                }
            }
            Step::MakeFloor => {
                state.floor.set(MADE);
                Step::SyncFloor
            }
            Step::SyncFloor => {
                if !self.without(Mutation::FloorNotSynced) {
                    state.floor_content = Content::Synced;
                }
                if self.without(Mutation::FloorMadeLate) {
                    Step::CreateTemp
                } else {
                    Step::SyncDirectory(Directory::Key)
                }
            }
            Step::SyncDirectory(directory) => self.sync_up(state, process, directory),
            Step::CreateTemp if state.made >= self.files => Step::Idle,
            Step::CreateTemp => {
                let file = FileId(state.made);
                state.made += 1;
                state.temps[file.index()].set(Some(file));
                Step::SyncTemp(file)
            }
            Step::SyncTemp(file) => {
                state.contents[file.index()] = Content::Synced;
                Step::Link(file)
            }
            Step::Link(file) if state.first.now.is_some() => Step::UnlinkTemp(file),
            Step::Link(file) => {
                state.first.set(Some(file));
                Step::SyncLink(file)
            }
            Step::SyncLink(file) => {
                state.sync(Directory::Key);
                if self.without(Mutation::ParentsSyncedAfterLink) {
                    Step::SyncLate(file, Directory::Namespace)
                } else {
                    Step::Answer(file)
                }
            }
            Step::SyncLate(file, directory) => {
                state.sync(directory);
                if directory == Directory::Namespace {
                    Step::SyncLate(file, Directory::Root)
                } else {
                    Step::Answer(file)
                }
            }
            Step::Answer(file) => {
                state.tell(file);
                Step::UnlinkTemp(file)
            }
            Step::UnlinkTemp(file) => {
                state.temps[file.index()].set(None);
                Step::Idle
            }
            Step::SyncSeen(file) => {
                state.sync(Directory::Key);
                Step::Serve(file)
            }
            Step::Serve(file) => {
                state.tell(file);
                Step::Idle
            }
        };
        state.processes[process].step = next;
        if next == Step::Idle {
            state.processes[process] = NEW;
        }
    }

    /// Syncs a directory and goes on with the one above.
    fn sync_up(&self, state: &mut State, process: usize, directory: Directory) -> Step {
        let Process { made_namespace, made_key, .. } = state.processes[process];
        let only_own = self.without(Mutation::OnlyTheMakerSyncs);
        let no_parents = self.without(Mutation::ParentsNotSynced) || self.without(Mutation::ParentsSyncedAfterLink);
        let skip = match directory {
            Directory::Key => false,
            Directory::Namespace => no_parents || only_own && !made_key,
            Directory::Root => no_parents || only_own && !made_namespace,
        };
        if !skip {
            state.sync(directory);
        }
        match directory {
            Directory::Key => Step::SyncDirectory(Directory::Namespace),
            Directory::Namespace => Step::SyncDirectory(Directory::Root),
            Directory::Root if self.without(Mutation::FloorMadeLate) => Step::MakeFloor,
            Directory::Root => Step::CreateTemp,
        }
    }

    fn power_losses(&self, state: &State, actions: &mut Vec<Action>) {
        for namespace in state.namespace.survivors() {
            for key in state.key.survivors().filter(|key| key.is_none() || namespace.is_some()) {
                if key.is_none() {
                    let (namespace, temps) = (namespace.is_some(), Set::default());
                    actions.push(Action::PowerLoss { namespace, key: false, floor: false, temps, first: None });
                    continue;
                }
                for floor in state.floor.survivors() {
                    for first in state.first.survivors() {
                        actions.extend(self.surviving_temps(state).into_iter().map(|temps| Action::PowerLoss {
                            namespace: true,
                            key: true,
                            floor: floor.is_some(),
                            temps,
                            first,
                        }));
                    }
                }
            }
        }
    }

    fn surviving_temps(&self, state: &State) -> Vec<Set> {
        let mut kept = vec![Set::default()];
        for file in 0..state.made {
            let branch = |temps: Set| {
                state.temps[usize::from(file)].survivors().map(move |survivor| {
                    let mut temps = temps;
                    if survivor.is_some() {
                        temps.insert(file);
                    }
                    temps
                })
            };
            kept = kept.into_iter().flat_map(branch).collect();
        }
        kept
    }

    fn lose_power(&self, state: &mut State, action: Action) {
        let Action::PowerLoss { namespace, key, floor, temps, first } = action else {
            return;
        };
        state.power_losses_left -= 1;
        state.namespace.set(MADE.filter(|_| namespace));
        state.key.set(MADE.filter(|_| key));
        state.floor.set(MADE.filter(|_| floor));
        state.first.set(first);
        for file in (0..state.made).map(FileId) {
            state.temps[file.index()].set(temps.contains(file.0).then_some(file));
            tear(&mut state.contents[file.index()]);
        }
        tear(&mut state.floor_content);
        if !floor {
            state.floor_content = Content::Unsynced;
        }
        for directory in [Directory::Key, Directory::Namespace, Directory::Root] {
            state.sync(directory);
        }
        state.processes = [NEW; PROCESSES];
    }
}

fn tear(content: &mut Content) {
    if *content == Content::Unsynced {
        *content = Content::Torn;
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            namespace: Entry::NEVER,
            key: Entry::NEVER,
            floor: Entry::NEVER,
            floor_content: Content::Unsynced,
            temps: [Entry::NEVER; FILES],
            contents: [Content::Unsynced; FILES],
            made: 0,
            first: Entry::NEVER,
            told: None,
            two_told: false,
            processes: [NEW; PROCESSES],
            crashes_left: self.crashes,
            power_losses_left: self.power_losses,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for process in 0..self.writers + self.readers {
            let step = state.processes[process].step;
            let can_begin = state.first.now.is_some() || process < self.writers && state.made < self.files;
            if step != Step::Idle || can_begin {
                actions.push(Action::Run { process, step });
            }
            if step != Step::Idle && state.crashes_left > 0 {
                actions.push(Action::Crash { process });
            }
        }
        if state.power_losses_left > 0 {
            self.power_losses(state, actions);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        match action {
            Action::Run { process, .. } => self.run(&mut state, process),
            Action::Crash { process } => {
                state.crashes_left -= 1;
                state.processes[process] = NEW;
            }
            loss => self.lose_power(&mut state, loss),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<World>> {
        vec![
            Property::always("what was answered as r.1 is never lost", |w: &World, s: &State| {
                w.first_only.judge(s.told.is_none() || s.first.now == s.told)
            }),
            Property::always("one value is answered as r.1", |w: &World, s: &State| w.first_only.judge(!s.two_told)),
            Property::always("where r.1 stands, an intact floor stands", |w: &World, s: &State| {
                let intact = s.floor.now.is_some() && s.floor_content != Content::Torn;
                w.first_only.judge(s.first.now.is_none() || intact)
            }),
        ]
    }
}

#[test]
fn the_first_write_is_durable() {
    assert_clean("first write: WWR", World { power_losses: 2, ..World::new(2, 1) }, 1);
    assert_clean("first write: WW", World { files: 4, crashes: 2, power_losses: 2, ..World::new(2, 0) }, 1);
    assert_clean("first write: WWW", World { power_losses: 0, ..World::new(3, 0) }, 1);
}

#[test]
fn every_mutation_is_caught() {
    const LOST: &str = "what was answered as r.1 is never lost";
    const FLOOR: &str = "where r.1 stands, an intact floor stands";
    for mutation in Mutation::ALL {
        let (readers, expected) = match mutation {
            Mutation::OnlyTheMakerSyncs | Mutation::ParentsNotSynced => (0, [LOST]),
            Mutation::ParentsSyncedAfterLink => (1, [LOST]),
            Mutation::FloorNotSynced | Mutation::FloorMadeLate => (0, [FLOOR]),
        };
        let world = World { mutation: Some(*mutation), ..World::new(2, readers) };
        assert_caught(&format!("first write, {mutation:?}"), world, &expected);
    }
}
