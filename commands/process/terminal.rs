//! The terminal's foreground: who reads from it and gets its signals.

use std::fs::{File, OpenOptions};

use rustix::process::Pid;

use super::{family, sys};

/// Whether a shell looks after this process's group: without one a stop by the terminal has no effect on it (an orphaned
/// process group, `setpgid(2)`). Looks at the ancestors only: these are the ones that would.
pub fn is_a_job() -> bool {
    let of = |pid: Pid| Some((sys::session_of(Some(pid)).ok()?, sys::group_of(Some(pid)).ok()?));
    let me = rustix::process::getpid();
    let Some((session, group)) = of(me) else { return false };
    let mut at = rustix::process::getppid();
    while let Some(ancestor) = at {
        match of(ancestor) {
            Some((s, g)) if s == session && g != group => return true,
            Some((s, _)) if s == session => at = family::parent(ancestor),
            _ => return false,
        }
    }
    false
}

/// The process group of this process, unless its leader is outside of this pid namespace.
pub fn own_group() -> Option<Pid> {
    sys::group_of(None).ok().and_then(Pid::from_raw)
}

/// The controlling terminal of this process.
#[derive(Debug)]
pub struct Terminal(File);

impl Terminal {
    /// The controlling terminal, when there is one.
    pub fn controlling() -> Option<Self> {
        OpenOptions::new().read(true).write(true).open("/dev/tty").ok().map(Self)
    }

    /// Whether this process group has the foreground.
    pub fn is_ours(&self) -> bool {
        own_group().is_some_and(|group| self.belongs_to(group))
    }

    /// Whether `group` has the foreground.
    pub fn belongs_to(&self, group: Pid) -> bool {
        rustix::termios::tcgetpgrp(&self.0) == Ok(group)
    }

    /// Gives the foreground from one group to another, when the one has it. A shell may have taken it meanwhile.
    /// What this pid namespace does not show has nothing to give or take.
    pub fn pass(&self, from: Option<Pid>, to: Option<Pid>) {
        if let (Some(from), Some(to)) = (from, to)
            && self.belongs_to(from)
        {
            self.give_to(to);
        }
    }

    /// Gives the foreground to a group. SIGTTOU must be ignored: from the background this would stop the caller.
    pub fn give_to(&self, group: Pid) {
        // Refused when the terminal is gone or the group is: then nobody misses it.
        let _refused = rustix::termios::tcsetpgrp(&self.0, group);
    }
}
