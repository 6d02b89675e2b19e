//! Which operations fail, and how.

use rustix::io::Errno;

/// What is asked of the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    Create,
    MakeDir,
    Write,
    SyncFile,
    SyncDir,
    Link,
    Unlink,
    Open,
    Read,
    List,
}

impl Op {
    /// Whether it changes what is there or what is durable: a crash point.
    pub const fn mutates(self) -> bool {
        !matches!(self, Self::Open | Self::Read | Self::List)
    }
}

/// How an operation goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Not done. A failed sync gives up what was unsynced.
    Refused(Errno),
    /// Done, but the answer says otherwise: the reply was lost and the repetition failed.
    ReplyLost(Errno),
    /// A write takes half of what it was given.
    Short,
}

/// From the `nth` operation of a kind (from 1) so many fail.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub op: Op,
    pub nth: u64,
    pub times: u64,
    pub how: How,
}

/// The faults that are set, and how often each struck.
#[derive(Debug, Default)]
pub struct Faults {
    set: Vec<(Fault, u64)>,
    struck: u64,
}

impl Faults {
    pub fn set(&mut self, fault: Fault) {
        self.set.push((fault, 0));
    }

    /// Forgets all; how many operations were struck since the last time.
    pub fn clear(&mut self) -> u64 {
        self.set.clear();
        std::mem::take(&mut self.struck)
    }

    /// What happens to this operation.
    pub fn strike(&mut self, op: Op) -> Option<How> {
        let mut how = None;
        for (fault, count) in self.set.iter_mut().filter(|(fault, _)| fault.op == op) {
            *count += 1;
            if how.is_none() && (fault.nth..fault.nth.saturating_add(fault.times)).contains(count) {
                how = Some(fault.how);
            }
        }
        self.struck += u64::from(how.is_some());
        how
    }
}
