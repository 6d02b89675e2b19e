//! Who descends from this process, read from `/proc`, and how to end them.

use std::collections::HashSet;
use std::fs;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};

use super::wire::Leftover;

/// A process as `/proc/PID/stat` shows it (`proc_pid_stat(5)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: Pid,
    /// Its parent's id.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Whether it has ended and waits for its parent to ask.
    pub zombie: bool,
    /// Whether it waits for an event.
    pub asleep: bool,
    /// Its name.
    pub name: String,
    /// When it started, in clock ticks since boot: with the id, it names one process for ever.
    started: u64,
    /// Where its stack, its arguments and its environment begin, drawn by lot at each exec and the same after a fork; zeros
    /// where the kernel does not show them.
    pub image: [u64; 3],
}

impl Process {
    /// For messages.
    pub fn leftover(&self) -> Leftover {
        Leftover { pid: self.pid.as_raw_nonzero().get(), name: self.name.clone() }
    }

    /// Whether the process that has this id now is this one.
    pub fn is_still_there(&self) -> bool {
        read(self.pid.as_raw_nonzero().get()).is_some_and(|now| now.started == self.started)
    }

    /// Sends a signal to this process and to no later one that got its id.
    pub fn signal(&self, signal: Signal) -> Result<(), Errno> {
        match rustix::process::pidfd_open(self.pid, PidfdFlags::empty()) {
            Ok(fd) if self.is_still_there() => rustix::process::pidfd_send_signal(&fd, signal),
            Ok(_) => Err(Errno::SRCH),
            // Linux before 5.3 has no handles for processes.
            Err(Errno::NOSYS) => rustix::process::kill_process(self.pid, signal),
            Err(e) => Err(e),
        }
    }
}

/// All descendants of this process, zombies too. `None` where `/proc` does not show this process's own world.
pub fn descendants() -> Option<Vec<Process>> {
    let me = rustix::process::getpid().as_raw_nonzero().get();
    if fs::read_link("/proc/self").ok()?.to_str()?.parse() != Ok(me) {
        return None;
    }
    Some(below(me, all().collect()))
}

/// The children of any process.
pub fn children_of(parent: Pid) -> impl Iterator<Item = Process> {
    let parent = parent.as_raw_nonzero().get();
    all().filter(move |process| process.parent == parent)
}

fn all() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| read(entry.file_name().to_str()?.parse().ok()?))
}

/// Those of `all` that descend from `ancestor`.
fn below(ancestor: i32, mut all: Vec<Process>) -> Vec<Process> {
    let mut family = HashSet::from([ancestor]);
    // A child may come before its parent in the list (ids wrap around): again until nothing is added.
    loop {
        let before = family.len();
        for process in &all {
            if family.contains(&process.parent) {
                family.insert(process.pid.as_raw_nonzero().get());
            }
        }
        if family.len() == before {
            break;
        }
    }
    all.retain(|process| family.contains(&process.parent));
    all
}

/// The ids of this single-threaded process's children. `None` where the kernel does not list them.
pub fn children() -> Option<Vec<i32>> {
    let list = fs::read_to_string(format!("/proc/self/task/{}/children", rustix::process::getpid())).ok()?;
    list.split_ascii_whitespace().map(|pid| pid.parse().ok()).collect()
}

/// The parent of a process.
pub fn parent(pid: Pid) -> Option<Pid> {
    Pid::from_raw(read(pid.as_raw_nonzero().get())?.parent)
}

/// A process by its id.
pub fn read(pid: i32) -> Option<Process> {
    // A name may hold any bytes, so the text may not be UTF-8.
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(&String::from_utf8_lossy(&stat))
}

pub(super) fn parse(stat: &str) -> Option<Process> {
    // The name stands in brackets and may hold any, so the last one counts.
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Process {
        pid: Pid::from_raw(pid.parse().ok().filter(|pid| *pid > 0)?)?,
        // A process whose first thread has ended while others run looks like a zombie but for their number.
        zombie: matches!(*fields.first()?, "Z" | "X") && fields.get(17)?.parse::<u32>().ok()? <= 1,
        asleep: *fields.first()? == "S",
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        image: [25, 45, 47].map(|at| fields.get(at).and_then(|field: &&str| field.parse().ok()).unwrap_or(0)),
        name: name.to_owned(),
    })
}

/// Takes the status of one child that has ended; whether there was one.
pub fn reap(pid: Pid) -> bool {
    wait(WaitId::Pid(pid), WaitIdOptions::EXITED).is_ok_and(|status| status.is_some())
}

/// Takes the status of every child in `which` that has ended; whether any child is left there.
pub fn reap_all(which: &WaitId<'_>) -> bool {
    loop {
        match wait(which.clone(), WaitIdOptions::EXITED) {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// `waitid(2)` that does not wait.
pub fn wait(which: WaitId<'_>, options: WaitIdOptions) -> Result<Option<rustix::process::WaitIdStatus>, Errno> {
    loop {
        match rustix::process::waitid(which.clone(), options | WaitIdOptions::NOHANG) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32) -> Process {
        parse(&format!("{pid} (a) b (c) R {parent} 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 99 0 0")).unwrap()
    }

    #[test]
    fn names_may_hold_brackets() {
        let p = process(12, 3);
        assert_eq!((p.name.as_str(), p.parent, p.group, p.started, p.zombie), ("a) b (c", 3, 7, 99, false));
        assert_eq!(parse("12 (a"), None);
    }

    #[test]
    fn the_family_is_found_in_any_order() {
        let all = [(5, 9), (9, 2), (2, 1), (3, 1), (4, 3), (7, 5)].map(|(pid, parent)| process(pid, parent));
        let mut found: Vec<_> = below(2, all.to_vec()).iter().map(|p| p.pid.as_raw_nonzero().get()).collect();
        found.sort_unstable();
        assert_eq!(found, [5, 7, 9]);
    }
}
