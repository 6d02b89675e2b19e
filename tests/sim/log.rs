//! The history of a run: what processes asked and were told, and what the store wrote.

use std::sync::{Arc, Mutex};

use lockd::model::{How, Record};

use super::counters::Counter as C;
use super::world::{ProcId, Shared};
use crate::history::{self, Event, Log, What, Wrote};

/// The history as one process adds to it.
pub struct SimLog {
    pub world: Arc<Mutex<Shared>>,
    pub proc: ProcId,
}

impl Log for SimLog {
    fn number(&self) -> u64 {
        let mut w = self.world.lock().unwrap();
        w.calls += 1;
        w.calls
    }

    fn note(&self, call: u64, key: &str, what: What) {
        let mut w = self.world.lock().unwrap();
        let at = w.now();
        let by = format!("p{}", self.proc.0);
        w.told.push(Event { run: None, at, by, call, key: key.to_owned(), what });
    }
}

impl Shared {
    pub fn tell_write(&mut self, proc: ProcId, before: &Record, next: &Record) {
        let request = next.done.back().filter(|done| before.done.back() != Some(done)).map(|done| done.id.to_string());
        // Only servers end a lease of which no call tells.
        let expired = before.lease.as_ref().filter(|_| self.mix.remote).map(|lease| &lease.id).filter(|id| {
            let goes_on = next.lease.as_ref().is_some_and(|lease| lease.id == **id);
            !goes_on && next.ended(id).is_some_and(|ended| ended.how == How::Expired)
        });
        let wrote = Wrote {
            write: next.write_id.map(lockd::model::WriteId::hex).unwrap_or_default(),
            before: next.recent.back().map(|(id, _)| id.hex()),
            revision: next.revision,
            token: next.token.0,
            lease: next.lease.as_ref().map(|lease| lease.id.to_string()),
            committed: next.committed.version.0,
            last: next.last_version.0,
            request,
            expired: expired.map(ToString::to_string),
        };
        let (at, by) = (self.now(), format!("p{}", proc.0));
        let what = What::Wrote(wrote);
        self.told.push(Event { run: None, at, by, call: next.revision, key: next.key.name().to_owned(), what });
    }

    /// The history as a whole: another look at the same run.
    pub fn check_history(&mut self) {
        let told = std::mem::take(&mut self.told);
        match history::check(&told) {
            Ok(figures) => {
                self.counters.add_many(C::Calls, figures.calls);
                self.counters.add_many(C::Undecided, figures.undecided);
            }
            Err(why) => self.broken("the history is linearizable", why),
        }
        self.told = told;
    }
}
