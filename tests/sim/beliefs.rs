//! Who believes to hold what, until when: two that both run never both may.

use lockd::client::Belief;
use lockd::clock::BootTime;
use lockd::limits::{confirm_from_memory, holder_belief};
use lockd::model::LeaseId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

use super::time::{Boot, Nanos};
use super::world::{ProcId, Shared};

#[derive(Default)]
pub struct Beliefs {
    all: Vec<Believer>,
}

/// A holder.
struct Believer {
    /// The process, or none for a script of short commands.
    proc: Option<ProcId>,
    boot: Arc<Boot>,
    key: usize,
    lease: LeaseId,
    source: Source,
    /// The belief ends before this true time.
    until: Nanos,
    deadline: BootTime,
    fresh: bool,
}

/// Where the deadline comes from.
pub enum Source {
    /// A lease that is followed; ends when it is lost or its holder gave it back.
    Watch(watch::Receiver<Belief>),
    /// What an earlier command said.
    Said,
}

impl Shared {
    /// Somebody holds a lease from now on, by what it was told.
    pub fn believe(
        &mut self,
        proc: Option<ProcId>,
        boot: &Arc<Boot>,
        key: usize,
        lease: &LeaseId,
        deadline: BootTime,
        source: Source,
    ) {
        self.disbelieve(proc, lease);
        let until = boot.reaches(deadline);
        let believer =
            Believer { proc, boot: Arc::clone(boot), key, lease: lease.clone(), source, until, deadline, fresh: true };
        self.beliefs.all.push(believer);
        self.check_beliefs(proc);
    }

    /// The holder has stopped, and knows it.
    pub fn disbelieve(&mut self, proc: Option<ProcId>, lease: &LeaseId) {
        self.beliefs.all.retain(|one| one.proc != proc || one.lease != *lease);
    }

    /// A process is gone with all that it believed.
    pub fn disbelieve_all(&mut self, proc: ProcId) {
        self.beliefs.all.retain(|one| one.proc != Some(proc));
    }

    /// Scripts end with their host.
    pub fn disbelieve_boot(&mut self, host: usize) {
        self.beliefs.all.retain(|one| one.boot.host != host);
    }

    /// After a process ran: its beliefs that are new or were extended stand against all others.
    pub fn check_beliefs(&mut self, proc: Option<ProcId>) {
        let now = self.now();
        let mut extended = Vec::new();
        for (n, one) in self.beliefs.all.iter_mut().enumerate() {
            if one.proc != proc {
                continue;
            }
            if let Source::Watch(watch) = &one.source {
                let (deadline, lost) = {
                    let belief = watch.borrow();
                    (belief.deadline, belief.lost.is_some())
                };
                if lost {
                    one.until = 0;
                } else if deadline != one.deadline {
                    one.deadline = deadline;
                    one.until = one.boot.reaches(deadline);
                    one.fresh = true;
                }
            }
            if std::mem::take(&mut one.fresh) && one.until > now {
                extended.push(n);
            }
        }
        for n in extended {
            self.alone(n, now);
            self.counted_from_before_the_send(n);
        }
        self.beliefs.all.retain(|one| one.until > 0);
    }

    /// A belief ends a margin before the TTL that its last sign of life began, on the holder's own clock.
    fn counted_from_before_the_send(&mut self, n: usize) {
        let mine = &self.beliefs.all[n];
        let Some(grant) = self.history.keys[mine.key].grants.get(&mine.lease) else { return };
        if grant.last_beat < mine.boot.born {
            return;
        }
        // A grant may be confirmed from memory: then only what is left is cut by a hundredth, and not what had passed; and that is told
        // by the clock of the server, which may be slower by a hundredth than the holder's.
        let passed = if self.mix.serves { confirm_from_memory(grant.ttl) / 50 } else { Duration::ZERO };
        let latest = mine.boot.read(grant.last_beat) + holder_belief(grant.ttl, grant.ttl) + passed;
        let what = format!("{:?} believes until {:?}, at the most {latest:?}", mine.lease, mine.deadline);
        self.ensure(self.beliefs.all[n].deadline <= latest, "a holder counts from before its send", || what);
    }

    fn alone(&mut self, n: usize, now: Nanos) {
        let mine = &self.beliefs.all[n];
        let other = self
            .beliefs
            .all
            .iter()
            .enumerate()
            .find(|(other, one)| *other != n && one.key == mine.key && one.lease != mine.lease && one.until > now);
        if let Some((_, other)) = other {
            let what = format!(
                "{:?} of {:?} until {:.3} s, and {:?} of {:?} until {:.3} s",
                mine.lease,
                mine.proc,
                mine.until as f64 / 1e9,
                other.lease,
                other.proc,
                other.until as f64 / 1e9
            );
            self.broken("two running holders never both believe", what);
        }
    }
}
