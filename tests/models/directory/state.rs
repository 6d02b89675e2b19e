//! What the directory holds, what each process is about to do, and what has been told to whom.

/// Room for temporary files: one for every send of every write, never reused.
pub const FILES: usize = 8;
/// Room for revisions; place 0 is unused.
pub const REVISIONS: usize = 9;
/// Room for processes.
pub const PROCESSES: usize = 4;

/// The number of a record revision: the `42` of `r.42`.
pub type Revision = u8;

/// One temporary file, and with it one send of one write: the write id of what it holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FileId(pub u8);

impl FileId {
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A set of small numbers: files or revisions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Set(u16);

impl Set {
    pub fn contains(self, member: u8) -> bool {
        self.0 >> member & 1 == 1
    }
    pub fn insert(&mut self, member: u8) {
        self.0 |= 1 << member;
    }
    pub fn remove(&mut self, member: u8) {
        self.0 &= !(1 << member);
    }
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
    pub fn members(self) -> impl Iterator<Item = u8> {
        (0..16).filter(move |member| self.contains(*member))
    }
}

/// One name in the directory: what it links to now, and everything that it linked to since the directory was last
/// synced. A power loss keeps any one of these.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Entry {
    pub now: Option<FileId>,
    since_sync: Set,
}

/// The member of `since_sync` that stands for "no such name".
const ABSENT: u8 = 15;

impl Entry {
    pub const NEVER: Entry = Entry { now: None, since_sync: Set(1 << ABSENT) };

    pub fn set(&mut self, now: Option<FileId>) {
        self.now = now;
        self.since_sync.insert(now.map_or(ABSENT, |file| file.0));
    }
    pub fn sync(&mut self) {
        self.since_sync = Set::default();
        self.set(self.now);
    }
    /// What a power loss may leave under this name.
    pub fn survivors(&self) -> impl Iterator<Item = Option<FileId>> + use<> {
        self.since_sync.members().map(|member| (member != ABSENT).then_some(FileId(member)))
    }
}

/// What a file holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Content {
    /// Created, or written and not yet synced: torn by a power loss.
    Unsynced,
    Synced,
    Torn,
}

/// What the writer of a file told its caller.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    Open,
    Applied,
    NotApplied,
    /// The ring of write ids does not reach back far enough.
    Unknown,
}

/// One temporary file, whether or not any name still links to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct File {
    /// The revision that it is meant to become.
    pub revision: Revision,
    /// The value it was computed from; the ring of write ids in it follows these.
    pub parent: Option<FileId>,
    pub content: Content,
    pub verdict: Verdict,
}

impl File {
    pub const NEVER: File = File { revision: 0, parent: None, content: Content::Unsynced, verdict: Verdict::Open };
}

/// The length of `floor`, in revisions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Floor {
    pub written: Revision,
    pub synced: Revision,
}

/// Why a process looks for the head.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Purpose {
    /// To serve it.
    Read,
    /// To build the next revision on it.
    Base,
    /// To find the write id of this file in its ring.
    Ring(FileId),
}

/// A search for the head under way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Walk {
    pub purpose: Purpose,
    /// The highest revision known to it (0: none yet), and what it held.
    pub at: Revision,
    pub value: Option<FileId>,
    /// Link count 2 was met on the way.
    pub sync_first: bool,
    /// The highest revision that anybody had answered or served when the search began.
    pub told_before: Revision,
}

/// The next system call of a process. Writes go through the states of "Head" first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Step {
    Idle,
    // Head.
    OpenDirectory(Walk),
    ReadName { walk: Walk, place: Revision },
    OpenListed(Walk),
    Probe(Walk),
    CheckLast(Walk),
    SyncSeen(Walk),
    UseHead(Walk),
    // Write.
    Create { at: Revision, value: FileId },
    WriteAndSync(FileId),
    ReadFloor(FileId),
    Link(FileId),
    LinkByHandle(FileId),
    ReadFloorLate(FileId),
    SyncWin(FileId),
    AnswerWin(FileId),
    UnlinkWon(FileId),
    UnlinkGivenUp(FileId),
    // Verdict.
    SyncFailed(FileId),
    UnlinkFailed(FileId),
    FloorFirst(FileId),
    Look(FileId),
    FloorAfterLook(FileId),
    // Prune, with the new floor.
    SyncBeforePrune(Revision),
    RaiseFloor(Revision),
    AppendToFloor(Revision),
    SyncFloor(Revision),
    RaiseFloorLate { floor: Revision, temps: Set, revisions: Set },
    ListAll(Revision),
    UnlinkTemps { temps: Set, revisions: Set },
    ListAgain { revisions: Set },
    UnlinkRevisions(Set),
    // Sweep, with the head that was seen.
    SyncBeforeSweep(Revision),
    UnlinkSwept(Revision),
}

/// A process, and on NFS its client.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Process {
    pub step: Step,
    /// The newest revision it has served, built or been told of.
    pub known: Option<(Revision, FileId)>,
    /// On NFS: the revisions that were there when this client last opened the directory, or that it made itself. Any
    /// other may be answered as absent from its cache.
    pub view: Set,
}

impl Process {
    pub const NEW: Process = Process { step: Step::Idle, known: None, view: Set(0) };
}

/// A broken rule that only the step itself shows; the others are read off the state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Violation {
    TwoValues,
    TwoWins,
    Fork,
    HeadWentBack,
    PrunedMadeAgain,
    FloorWentDown,
    TornServed,
}

/// One state of the world.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub files: [File; FILES],
    /// How many files were ever made.
    pub made: u8,
    /// The names `t.*`, by file.
    pub temps: [Entry; FILES],
    /// The names `r.*`, by revision.
    pub revisions: [Entry; REVISIONS],
    /// Files that an NFS client keeps as `.nfs*`, because it unlinked a name in use.
    pub silly: Set,
    pub floor: Floor,
    /// Files whose LINK was sent, timed out, and may still arrive.
    pub delayed: Set,
    /// What was answered or served as each revision.
    pub published: [Option<FileId>; REVISIONS],
    /// The highest revision answered or served.
    pub told: Revision,
    /// The revisions that a prune unlinked.
    pub pruned: Set,
    pub processes: [Process; PROCESSES],
    pub crashes_left: u8,
    pub power_losses_left: u8,
    pub lost_replies_left: u8,
    pub violation: Option<Violation>,
}

impl State {
    /// The highest revision that has a name; 0 if none has.
    pub fn highest(&self) -> Revision {
        (1..REVISIONS).rev().find(|n| self.revisions[*n].now.is_some()).unwrap_or(0) as Revision
    }

    pub fn revision(&self, n: Revision) -> Option<FileId> {
        self.revisions.get(usize::from(n)).and_then(|entry| entry.now)
    }

    pub fn file(&self, file: FileId) -> &File {
        &self.files[file.index()]
    }

    pub fn has_temp(&self, file: FileId) -> bool {
        self.temps[file.index()].now.is_some()
    }

    pub fn link_count(&self, file: FileId) -> usize {
        let published = self.revision(self.file(file).revision) == Some(file);
        usize::from(self.has_temp(file)) + usize::from(self.silly.contains(file.0)) + usize::from(published)
    }

    /// The names `t.<n>` with n up to `limit`.
    pub fn temps_up_to(&self, limit: Revision) -> Set {
        let mut found = Set::default();
        for file in (0..self.made).map(FileId) {
            if self.has_temp(file) && self.file(file).revision <= limit {
                found.insert(file.0);
            }
        }
        found
    }

    /// The names `r.<n>` with n up to `limit`.
    pub fn revisions_up_to(&self, limit: Revision) -> Set {
        let mut found = Set::default();
        for n in (1..REVISIONS as Revision).filter(|n| *n <= limit && self.revision(*n).is_some()) {
            found.insert(n);
        }
        found
    }

    pub fn sync_directory(&mut self) {
        self.temps.iter_mut().chain(&mut self.revisions).for_each(Entry::sync);
    }

    pub fn violate(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }

    /// Whether a file that was reported as not applied is, or was, visible.
    pub fn denied_is_visible(&self) -> bool {
        let denied = |file: &FileId| self.file(*file).verdict == Verdict::NotApplied;
        self.revisions.iter().filter_map(|entry| entry.now.as_ref()).chain(self.published.iter().flatten()).any(denied)
    }

    /// Whether the highest revision is older than, or another than, what was answered or served.
    pub fn told_is_lost(&self) -> bool {
        let highest = self.highest();
        let published = self.published[usize::from(highest)];
        highest < self.told || highest == self.told && published.is_some() && published != self.revision(highest)
    }

    /// Whether a revision was unlinked that a power loss would let a writer make again.
    pub fn pruned_without_floor(&self) -> bool {
        self.pruned.members().any(|n| self.floor.synced < n)
    }

    /// Whether nobody can find a head, or build on it, any more.
    pub fn stuck(&self) -> bool {
        let highest = self.highest();
        self.revision(highest).is_none() || self.floor.written > highest
    }

    pub fn head_is_torn(&self) -> bool {
        self.revision(self.highest()).is_some_and(|file| self.file(file).content == Content::Torn)
    }
}
