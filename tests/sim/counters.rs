//! What was reached. A full run that did not reach all of it has failed: its checks were not put to the test.

macro_rules! counters {
    ($($name:ident => $text:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Counter { $($name,)* }

        impl Counter {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

counters! {
    Operations => "store operations",
    Writes => "record writes applied",
    LostRequest => "fault: request lost",
    LostReply => "fault: reply lost",
    Late => "fault: request lands after its sender gave up",
    LateApplied => "fault: a late request was applied",
    Duplicate => "fault: request duplicated",
    ConflictNoise => "fault: conflict without a cause",
    ConflictApplied => "fault: applied and answered as a conflict",
    UnknownNow => "fault: server error, not applied",
    UnknownApplied => "fault: server error, applied",
    Failed => "fault: refused for certain",
    GetError => "fault: read failed",
    SlowAnswer => "fault: answer late in the tail",
    CutMessage => "fault: message lost at a partition",
    BlobFault => "fault: blob operation failed",
    TornRead => "fault: blob damaged on its way",
    LateDelete => "fault: blob deleted late",
    StaleList => "fault: stale list of blobs",
    Pause => "fault: process paused",
    Crash => "fault: process crashed",
    Partition => "fault: partition, whole",
    HalfPartition => "fault: partition, one way",
    Stall => "fault: store stalled",
    Reboot => "fault: host rebooted",
    WallStep => "fault: wall clock stepped",
    StoreClockJump => "fault: store clock jumped",
    Again => "store fault: asked for another try",
    AgainGivenUp => "store fault: asked for another try until that was given up",
    RefusedInWords => "store fault: refused for certain, in its own words",
    ProvesNothing => "store fault: an answer that proves nothing, not applied",
    ProvesNothingMade => "store fault: an answer that proves nothing, applied",
    ConflictInWords => "store fault: a conflict in its own words",
    CommitFailed => "store fault: a commit failed, nothing applied",
    CommitFailedMade => "store fault: a commit failed, all applied",
    CommittedTogether => "store fault: puts committed together",
    RefusedAfterCommit => "store fault: refused after a failed commit",
    Grant => "grants",
    Takeover => "takeovers",
    HandOver => "releases that passed the key on in the same write",
    Knock => "knocks",
    Reserved => "keys kept for who had knocked",
    Unconfirmed => "grants given back by their engine",
    WaitedGrant => "grants after waiting",
    AcquireReplayed => "acquire repeated in another process",
    EndedRefused => "ended lease id refused",
    Renewal => "renewals",
    LateRenewal => "renewal after the deadline succeeded",
    LostByDeadline => "lease lost by its deadline",
    LostByAnswer => "lease lost by an answer",
    Release => "releases",
    ReleaseReplayed => "release repeated, first answer",
    Abandoned => "acquire abandoned",
    StagedCommit => "staged change committed",
    StagedDiscarded => "staged change found discarded",
    UpdateAcked => "updates acknowledged",
    UpdateReplayed => "update repeated, first answer",
    FencedWrite => "change under an ended lease refused",
    LostReplyResolved => "write applied without an answer, resolved",
    Indeterminate => "indeterminate: ring overrun",
    Silent => "indeterminate: store silent",
    Killed => "write killed",
    StampUsed => "takeover by a stamp",
    NoteUsed => "takeover by a note",
    StoreClockUsed => "takeover by the store's clock",
    Reads => "reads checked",
    BlobPublished => "blobs published",
    BlobDeleted => "blobs deleted",
    CollectorRace => "blob collected while its publisher was at work",
    DamageNoticed => "damaged blob noticed by its reader",
    WrongProof => "proof that does not fit refused",
    ReusedRefused => "request id for another change refused",
    BlobGone => "reader found its blob gone",
    Calls => "calls in histories that are linearizable",
    Undecided => "histories whose search was given up",
    HealedGrant => "grant after the faults stopped",
}

impl Counter {
    /// Whether only one kind of store does that.
    pub fn is_of_one_store(self) -> bool {
        self.text().starts_with("store fault: ")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters([u64; Counter::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; Counter::ALL.len()])
    }
}

impl Counters {
    pub const fn add(&mut self, counter: Counter) {
        self.0[counter as usize] += 1;
    }

    pub const fn add_many(&mut self, counter: Counter, n: u64) {
        self.0[counter as usize] += n;
    }

    pub const fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// All faults together.
    pub fn faults(&self) -> u64 {
        let faults = Counter::ALL.iter().filter(|counter| counter.text().starts_with("fault: "));
        faults.map(|counter| self.get(*counter)).sum()
    }

    /// What was never reached. What one kind of store does is looked for in the runs of that store.
    pub fn missing(&self) -> Vec<&'static str> {
        Counter::ALL
            .iter()
            .filter(|counter| !counter.is_of_one_store() && !matches!(counter, Counter::Undecided))
            .filter(|counter| self.get(**counter) == 0)
            .map(|counter| counter.text())
            .collect()
    }
}
