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
    Steps => "steps on the file system",
    Put => "puts acknowledged",
    Conflict => "puts refused: conflict",
    Unknown => "puts of unknown outcome",
    Failed => "puts failed for certain",
    SentAgain => "puts sent again and found applied",
    Get => "gets answered",
    Listed => "keys listed",
    Changed => "changes waited for",
    Pruned => "prunes done",
    PruneEnded => "prunes ended by an error",
    Crash => "fault: process crashed",
    HostCrash => "fault: machine crashed",
    PowerLoss => "fault: power lost",
    Stall => "fault: a step held up for long",
    Forever => "fault: a step held up for ever",
    Pause => "fault: process stopped for a while",
    Refused => "fault: a step failed",
    Hidden => "fault: a step was made and failed",
    Torn => "fault: a file torn by a loss of power",
    ShortWrite => "fault: a write made in part",
    LateLink => "fault: a link timed out and came late",
    LateStep => "fault: a dead process's step came late",
    StaleAbsence => "fault: a lookup answered from an old view: absent",
    StaleName => "fault: a lookup answered from an old view: gone",
    Stuck => "fault: another's temporary file cannot be removed",
    FullDisk => "fault: disk full",
    LinkRefused => "link refused: the name is taken",
    LinkWithoutTemp => "link refused: the temporary file is gone",
    LinkReplyLost => "link applied, and its reply lost",
    LateLinkApplied => "link applied after its time-out",
    LateLinkVoid => "late link without effect",
    PrunedMet => "a pruned revision asked for",
    TwoLinksMet => "a revision of link count 2 met",
    FloorPast => "a writer found the floor at or past its revision",
    FloorAgain => "a floor raised to where it stood",
    SweptOthers => "another's temporary file swept",
    Silly => "a name in use renamed by its client",
    SillySwept => "a renamed name swept",
    LossBeforeSync => "power lost between link and directory sync",
    LinkLost => "an unsynced link lost with the power",
    LinkKept => "an unsynced link kept through a loss of power",
    DirectoryLost => "a key's unsynced directory lost with the power",
    OthersDirectory => "a first write met directories of others",
    Distrusted => "a process refused the store after a failed sync",
    ReserveUsed => "room given back to a record",
    StoresMade => "stores made",
    BlobWritten => "blobs written",
    BlobGivenUp => "blobs given up",
    BlobRead => "blobs read",
    BlobDeleted => "blobs deleted",
    Grant => "leases granted",
    Takeover => "leases taken over",
    Update => "states updated",
    StateRead => "states read",
    Healed => "keys read and written after the faults",
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters([u64; Counter::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; Counter::ALL.len()])
    }
}

impl Counters {
    pub const fn add(&mut self, counter: Counter, n: u64) {
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
        Counter::ALL.iter().filter(|one| one.text().starts_with("fault: ")).map(|one| self.get(*one)).sum()
    }

    pub fn missing(&self) -> Vec<&'static str> {
        Counter::ALL.iter().filter(|one| self.get(**one) == 0).map(|one| one.text()).collect()
    }
}
