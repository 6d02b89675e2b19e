//! The command that a guard watches, from its start until no process of it is left.

use std::os::fd::OwnedFd;
use std::time::Duration;

use lockd::clock::BootTime;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::family::{self, Process};
use super::schedule::Schedule;
use super::wire::{Cause, Leftovers, Status};

/// First and longest pause between two looks while work is being ended: not every end of a descendant is announced.
const LOOK_FIRST: Duration = Duration::from_millis(1);
const LOOK_MAX: Duration = Duration::from_millis(50);

/// A command and what it started.
pub struct Work {
    /// The command's process, which leads its group. Until the end its status is only looked at, so that its id, and with
    /// it the group's, cannot pass to a stranger while signals are sent there.
    leader: Pid,
    /// Until the command's program runs: where the child says that it could not become it.
    starting: Option<OwnedFd>,
    /// Signals to pass on once it runs.
    held_back: Vec<Signal>,
    /// How the leader ended.
    status: Option<Status>,
    /// Whether its status has been taken away.
    taken: bool,
    schedule: Schedule,
    ending: Option<Ending>,
}

/// Work that is being ended.
struct Ending {
    cause: Cause,
    scope: Scope,
    term: BootTime,
    kill: Option<BootTime>,
    pause: Duration,
}

/// What is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// The command's own process group: it ended by itself, and what left the group is a daemon.
    Group,
    /// The command and all its descendants.
    All,
}

/// What became of the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The program runs, in this process.
    Started(i32),
    /// It does not: the error number. Nothing is left.
    NotStarted(i32),
    /// The command was stopped, by this signal.
    Stopped(i32),
    /// The command ended.
    Exited(Status),
    /// Nothing is left.
    Gone(Cause),
    /// This cannot be ended.
    Stuck(Cause, Leftovers),
}

impl Work {
    /// Watches a child that was just forked and tells through `starting` why it could not become its program.
    pub const fn new(leader: Pid, starting: OwnedFd, schedule: Schedule) -> Self {
        Self {
            leader,
            starting: Some(starting),
            held_back: Vec::new(),
            status: None,
            taken: false,
            schedule,
            ending: None,
        }
    }

    /// The command's process group.
    pub const fn group(&self) -> Pid {
        self.leader
    }

    /// To be polled: becomes readable when the program runs or could not be run.
    pub const fn starting(&self) -> Option<&OwnedFd> {
        self.starting.as_ref()
    }

    /// The lease was renewed.
    pub fn extend(&mut self, deadline: BootTime) {
        self.schedule.extend(deadline);
    }

    /// Passes a signal on to the command's group; one that comes before the program runs is kept until then, because the
    /// child still ignores what its guard ignores.
    pub fn pass_on(&mut self, signal: Signal) {
        if self.starting.is_some() {
            self.held_back.push(signal);
        } else {
            self.signal_group(signal);
        }
    }

    /// Ends the command and all its descendants, unless it is being ended already.
    pub fn end(&mut self, cause: Cause, now: BootTime) {
        if self.ending.is_none() {
            self.begin(cause, Scope::All, now);
        }
    }

    /// Looks at what happened and does what is due. Call it again at the time that comes back, or when a child changes state.
    pub fn step(&mut self, now: BootTime) -> (Vec<Event>, BootTime) {
        let mut events = Vec::new();
        if let Some(event) = self.look_at_start() {
            let over = matches!(event, Event::NotStarted(_));
            events.push(event);
            if over {
                return (events, now);
            }
        }
        events.extend(self.look_at_leader());
        if matches!(events.last(), Some(Event::Exited(_))) && self.ending.is_none() {
            self.begin(Cause::Exit, Scope::Group, now);
        }
        if self.ending.is_none() && now >= self.schedule.end_at() {
            self.begin(Cause::Deadline, Scope::All, now);
        }
        let wake = match self.carry_on(now) {
            Ok(wake) => wake,
            Err(event) => {
                events.push(event);
                now
            }
        };
        (events, wake)
    }

    fn look_at_start(&mut self) -> Option<Event> {
        let mut errno = [0; 4];
        let read = rustix::io::read(self.starting.as_ref()?, &mut errno);
        if read == Err(Errno::AGAIN) || read == Err(Errno::INTR) {
            return None;
        }
        self.starting = None;
        if read == Ok(errno.len()) {
            // It wrote its last words and is ending; now it is certain that it does, and soon.
            let _ended = rustix::process::kill_process(self.leader, Signal::KILL);
            let _status = rustix::process::waitid(WaitId::Pid(self.leader), WaitIdOptions::EXITED);
            return Some(Event::NotStarted(i32::from_ne_bytes(errno)));
        }
        for signal in std::mem::take(&mut self.held_back) {
            self.signal_group(signal);
        }
        Some(Event::Started(self.leader.as_raw_nonzero().get()))
    }

    fn look_at_leader(&mut self) -> Option<Event> {
        if self.status.is_some() || self.starting.is_some() {
            return None;
        }
        let leader = WaitId::Pid(self.leader);
        if let Ok(Some(end)) = family::wait(leader.clone(), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            let code = end.exit_status().and_then(|code| u8::try_from(code).ok());
            let status = code.map_or_else(|| Status::Signal(end.terminating_signal().unwrap_or(0)), Status::Code);
            self.status = Some(status);
            return Some(Event::Exited(status));
        }
        let stop = family::wait(leader, WaitIdOptions::STOPPED).ok()??;
        Some(Event::Stopped(stop.stopping_signal()?))
    }

    fn begin(&mut self, cause: Cause, scope: Scope, now: BootTime) {
        self.signal_group(Signal::TERM);
        self.signal_group(Signal::CONT);
        if scope == Scope::All {
            for process in family::descendants().unwrap_or_default().iter().filter(|p| !self.in_group(p)) {
                let _gone = process.signal(Signal::TERM).and_then(|()| process.signal(Signal::CONT));
            }
        }
        self.ending = Some(Ending { cause, scope, term: now, kill: None, pause: LOOK_FIRST });
    }

    /// Carries an end on; `Err` when that is over.
    fn carry_on(&mut self, now: BootTime) -> Result<BootTime, Event> {
        let Some((cause, scope, term, kill)) = self.ending.as_ref().map(|e| (e.cause, e.scope, e.term, e.kill)) else {
            return Ok(self.schedule.end_at());
        };
        let kill = kill.or_else(|| (now >= self.schedule.kill_at(term)).then_some(now));
        if kill.is_some() {
            self.signal_group(Signal::KILL);
        } else if self.status.is_none() {
            return Ok(self.next_look(now, term, kill));
        }
        let left = self.left(scope);
        if self.nothing_left(scope, left.as_deref()) {
            return Err(Event::Gone(cause));
        }
        if kill.is_some_and(|kill| now >= self.schedule.stuck_at(kill)) {
            return Err(Event::Stuck(cause, left.unwrap_or_default().iter().map(Process::leftover).collect()));
        }
        if kill.is_some() && scope == Scope::All {
            for process in left.iter().flatten() {
                let _counted_again = process.signal(Signal::KILL);
            }
        }
        Ok(self.next_look(now, term, kill))
    }

    fn next_look(&mut self, now: BootTime, term: BootTime, kill: Option<BootTime>) -> BootTime {
        let due = kill.map_or_else(|| self.schedule.kill_at(term), |kill| self.schedule.stuck_at(kill));
        let Some(ending) = self.ending.as_mut() else { return due };
        ending.pause =
            if kill.is_some() && ending.kill.is_none() { LOOK_FIRST } else { (ending.pause * 2).min(LOOK_MAX) };
        ending.kill = kill;
        due.min(now + ending.pause)
    }

    /// The processes that are still to go; children that have ended are taken away on the way, but for the leader. `None`
    /// where `/proc` does not say.
    fn left(&self, scope: Scope) -> Option<Vec<Process>> {
        let leader = self.leader.as_raw_nonzero().get();
        if self.status.is_some() && family::children().is_some_and(|children| children == [leader]) {
            return Some(Vec::new());
        }
        let mut all = family::descendants()?;
        let me = rustix::process::getpid().as_raw_nonzero().get();
        for child in all.iter().filter(|p| p.zombie && p.parent == me && p.pid != self.leader) {
            family::reap(child.pid);
        }
        all.retain(|p| !p.zombie && (scope == Scope::All || self.in_group(p)));
        Some(all)
    }

    /// Whether the work is over; if so, the leader's status has been taken away, as the last act.
    fn nothing_left(&mut self, scope: Scope, left: Option<&[Process]>) -> bool {
        if self.status.is_none() || left.is_some_and(|left| !left.is_empty()) {
            return false;
        }
        if !self.taken {
            self.taken = family::reap(self.leader);
        }
        match (scope, left) {
            (Scope::Group, Some(_)) => true,
            (Scope::Group, None) => !family::reap_all(&WaitId::Pgid(Some(self.leader))),
            // Children may be left that /proc hides.
            (Scope::All, _) => !family::reap_all(&WaitId::All),
        }
    }

    fn in_group(&self, process: &Process) -> bool {
        process.group == self.leader.as_raw_nonzero().get()
    }

    fn signal_group(&self, signal: Signal) {
        let ours = || family::wait(WaitId::Pgid(Some(self.leader)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        if self.taken && ours().is_err() {
            // Nothing of ours keeps the id from a stranger any more.
            return;
        }
        let _gone = rustix::process::kill_process_group(self.leader, signal);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    /// A signal that came before the child gave the caller's signals back to itself would be ignored there and lost.
    #[test]
    fn a_signal_is_kept_until_the_program_runs() {
        let (word, tell) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&word, true).unwrap();
        let mut child = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        let schedule = Schedule::new(BootTime(u64::MAX), Duration::from_secs(5));
        let mut work = Work::new(Pid::from_child(&child), word.into(), schedule);
        work.pass_on(Signal::TERM);
        assert_eq!(work.look_at_start(), None);
        // In order: this one would have been the second.
        rustix::process::kill_process(Pid::from_child(&child), Signal::STOP).unwrap();
        let stopped =
            rustix::process::waitid(WaitId::Pid(work.group()), WaitIdOptions::STOPPED | WaitIdOptions::EXITED);
        assert!(stopped.unwrap().unwrap().stopped());
        drop(tell);
        assert_eq!(work.look_at_start(), Some(Event::Started(work.group().as_raw_nonzero().get())));
        rustix::process::kill_process(Pid::from_child(&child), Signal::CONT).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
    }
}
