//! The record, what is on the wire, what each client is about to do, and what was ever promised.

/// Room for clients.
pub const CLIENTS: usize = 3;
/// Room for puts on the wire.
pub const WIRE: usize = 5;
/// Room for what a record remembers of writes, requests and leases.
pub const MEMORY: usize = 3;
/// Room for uploads.
pub const UPLOADS: usize = 4;
/// Room for tokens and for versions.
pub const NUMBERS: usize = 10;

/// A request of a client. The id of an acquire is the id of its lease, the id of an update names the state it makes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RequestId(pub u8);

/// A record write, and with it the etag of what it wrote. 0: there is no record yet.
pub type WriteId = u8;
pub type Token = u8;
pub type Version = u8;

/// A body in the blob store: `<token>-<random bits>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Blob {
    pub token: Token,
    pub upload: u8,
}

/// One state, as the record names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Change {
    pub version: Version,
    pub by: RequestId,
    pub blob: Option<Blob>,
}

/// The last few of something, newest first.
pub type Recent<T> = [Option<T>; MEMORY];

/// A state-changing request that was applied, and the token under which it was.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Done {
    pub id: RequestId,
    pub token: Token,
}

/// The one record of the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Record {
    pub write: WriteId,
    pub revision: u8,
    /// The request that wrote it; none for a kill.
    pub request: Option<RequestId>,
    pub token: Token,
    pub lease: Option<RequestId>,
    pub beat: u8,
    pub committed: Option<Change>,
    pub staged: Option<Change>,
    /// The highest version ever staged or committed.
    pub last_version: Version,
    /// Write ids before this one.
    pub recent: Recent<WriteId>,
    pub done: Recent<Done>,
    pub ended: Recent<RequestId>,
}

impl Record {
    pub const ABSENT: Record = Record {
        write: 0,
        revision: 0,
        request: None,
        token: 0,
        lease: None,
        beat: 0,
        committed: None,
        staged: None,
        last_version: 0,
        recent: [None; MEMORY],
        done: [None; MEMORY],
        ended: [None; MEMORY],
    };

    /// The uploads that it names, as a set.
    pub fn named(&self) -> u16 {
        [self.committed, self.staged]
            .into_iter()
            .flatten()
            .filter_map(|change| change.blob)
            .fold(0, |set, blob| set | 1 << blob.upload)
    }

    /// Whether it remembers that this request was applied.
    pub fn has_done(&self, id: RequestId) -> bool {
        self.done.iter().flatten().any(|done| done.id == id)
    }

    /// Whether it would remember a request applied under this token. Nothing was forgotten yet, or what it remembers
    /// goes back to before that token.
    pub fn remembers_all_of(&self, token: Token, length: usize) -> bool {
        self.done[length - 1].is_none_or(|oldest| oldest.token < token)
    }

    /// Whether it is, or remembers, this write.
    pub fn has_write(&self, write: WriteId) -> bool {
        self.write == write || self.recent.contains(&Some(write))
    }
}

/// Puts `new` in front of what is remembered, of which `length` are kept.
pub fn remember<T: Copy>(recent: &mut Recent<T>, new: T, length: usize) {
    recent.rotate_right(1);
    recent[0] = Some(new);
    recent[length..].fill(None);
}

/// A compare-and-swap under way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Put {
    pub body: Record,
    pub expected: WriteId,
    /// The lease that its request is about.
    pub lease: RequestId,
    /// The client that still waits for the reply.
    pub to: Option<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    Acquire,
    Renew,
    Update,
    Release,
    Break,
}

/// A request in its engine's commit loop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Task {
    pub kind: Kind,
    pub id: RequestId,
    /// The lease that it is about; its own for an acquire.
    pub lease: RequestId,
    /// The token of that lease, where the client knows it.
    pub token: Token,
    /// A delayed duplicate of a request: nobody waits for the answer.
    pub duplicate: bool,
    /// The state version that an update is bound to.
    pub bound: Option<Version>,
    pub blob: Option<Blob>,
    /// Ticks since the first put of this request was sent, up to the TTL.
    pub since_send: u8,
    pub sent: bool,
}

/// A put whose outcome must be found out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sent {
    pub write: WriteId,
    pub expected: WriteId,
    /// The revision that it makes if it is applied.
    pub revision: u8,
    /// The put that is to kill it.
    pub kill: Option<WriteId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reply {
    Applied,
    Conflict,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    Idle,
    /// The body of an update is on its way to the blob store.
    Uploading,
    /// A get is under way; after an unclear put it is the read-back.
    Getting {
        sent: Option<Sent>,
        since_send: u8,
    },
    /// Somebody else's lease stands: wait for it to age.
    Waiting,
    /// A put is under way.
    Putting {
        sent: Sent,
        reply: Option<Reply>,
    },
    /// The blobs are to be listed, and judged by what the record named before that.
    Listing {
        token: Token,
        held: bool,
        named: u16,
    },
    /// These uploads are being deleted.
    Deleting(u16),
}

/// How long the pair (token, beat) was seen to stand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Seen {
    pub token: Token,
    pub beat: u8,
    pub age: u8,
}

/// A client with its engine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Client {
    pub phase: Phase,
    pub task: Option<Task>,
    /// The lease that it was granted, and its token.
    pub lease: Option<(RequestId, Token)>,
    /// Ticks for which it still believes to be the holder.
    pub belief: u8,
    pub seen: Option<Seen>,
    /// The record as last read or written.
    pub base: Option<Record>,
}

impl Client {
    pub const NEW: Client = Client { phase: Phase::Idle, task: None, lease: None, belief: 0, seen: None, base: None };
}

/// A request that was made, as a delayed duplicate of it would say it again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Made {
    pub kind: Kind,
    pub id: RequestId,
    pub lease: RequestId,
    pub token: Token,
    pub bound: Option<Version>,
}

/// A broken promise that only the step itself shows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Violation {
    TokenTwice,
    TokenNotHigher,
    AppliedTwice,
    NotTheHolder,
    EndedGrantedAgain,
    VersionTwice,
}

/// What was ever promised or done; no process sees it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct History {
    pub highest_token: Token,
    pub granted: [Option<RequestId>; NUMBERS],
    pub named: [Option<RequestId>; NUMBERS],
    /// Requests applied, denied ("certainly not applied"), and leases ended, as sets.
    pub applied: u16,
    pub denied: u16,
    pub ended: u16,
    pub violation: Option<Violation>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Left {
    pub acquires: u8,
    pub renewals: u8,
    pub updates: u8,
    pub breaks: u8,
    pub collections: u8,
    pub timeouts: u8,
    pub duplicates: u8,
    pub crashes: u8,
}

/// One state of the world.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub record: Record,
    pub wire: [Option<Put>; WIRE],
    pub clients: [Client; CLIENTS],
    /// Requests that may come again.
    pub made: Recent<Made>,
    /// The token of every upload, and which of them are in the store.
    pub uploads: [Token; UPLOADS],
    pub uploaded: u8,
    pub blobs: u16,
    pub requests: u8,
    pub writes: u8,
    pub left: Left,
    pub history: History,
}

impl History {
    pub fn violate(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }
}

pub fn contains(set: u16, id: RequestId) -> bool {
    set >> id.0 & 1 == 1
}

pub fn insert(set: &mut u16, id: RequestId) {
    *set |= 1 << id.0;
}
