//! What exec does when its guard was killed: the command died with the guard, and what it had started has come to exec.

use std::time::Duration;

use lockd::clock::{BootTime, Clock};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::family;
use super::wire::{Leftovers, Status};

/// Longest pause between two rounds.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// What was found.
#[derive(Debug, Default)]
pub struct Orphans {
    /// How the command ended, when that could be seen.
    pub status: Option<Status>,
    /// What could not be ended.
    pub left: Leftovers,
}

/// Kills and takes away all descendants of this process until none is left, or until the time is over. `command` is the
/// one whose status counts.
pub async fn end_all(clock: &dyn Clock, command: Option<i32>, until: BootTime) -> Orphans {
    let mut found = Orphans::default();
    let mut pause = Duration::from_millis(1);
    loop {
        let family = family::descendants();
        for process in family.iter().flatten() {
            if process.zombie {
                let status = take(process.pid);
                if Some(process.pid.as_raw_nonzero().get()) == command {
                    found.status = found.status.or(status);
                }
            } else {
                let _counted_again = process.signal(Signal::KILL);
            }
        }
        let nobody = family.as_ref().is_none_or(Vec::is_empty);
        if nobody && !family::reap_all(&WaitId::All) {
            return found;
        }
        if clock.boot() >= until {
            found.left = family.iter().flatten().filter(|p| !p.zombie).map(family::Process::leftover).collect();
            return found;
        }
        clock.sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn take(pid: Pid) -> Option<Status> {
    let end = family::wait(WaitId::Pid(pid), WaitIdOptions::EXITED).ok()??;
    let code = end.exit_status().and_then(|code| u8::try_from(code).ok());
    Some(code.map_or_else(|| Status::Signal(end.terminating_signal().unwrap_or(0)), Status::Code))
}
