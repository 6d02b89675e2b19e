//! Rules that a mount breaks on demand.

use fuser::FileType;
use rustix::io::Errno;

use super::model::{Ino, Model};
use super::{Disk, Flaw, State};

impl State {
    /// Whether this process is not to see a name.
    pub fn hides(&self, parent: Ino, name: &str, thread: u32) -> bool {
        self.flaw == Some(Flaw::NamesWithinProcess)
            && self.makers.get(&(parent, name.to_owned())).is_some_and(|maker| *maker != process(thread))
    }
}

/// A name in a listing, and what it leads to.
pub type Entry = (String, Ino, FileType);

impl Disk {
    /// What a directory's listing shows.
    pub fn listing(&self, dir: Ino, present: Vec<Entry>) -> Vec<Entry> {
        let mut state = self.state();
        match state.flaw {
            Some(Flaw::StaleListings) => state.listings.entry(dir).or_insert(present).clone(),
            _ => present,
        }
    }

    /// Before a name is made: one that is taken makes room for it, where the flaw has it so.
    pub fn make_way(&self, parent: Ino, name: &str, thread: u32) {
        let mut state = self.state();
        if !matches!(state.flaw, Some(Flaw::TakenNamesAreMadeAgain | Flaw::NamesWithinProcess)) {
            return;
        }
        state.makers.insert((parent, name.to_owned()), process(thread));
        remove(&mut state.model, parent, name).ok();
    }
}

fn remove(model: &mut Model, parent: Ino, name: &str) -> Result<(), Errno> {
    model.lookup(parent, name)?;
    model.unlink(parent, name)
}

/// The process that a thread is of (`proc_pid_status(5)`).
fn process(thread: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    group.and_then(|group| group.trim().parse().ok()).unwrap_or(thread)
}
