//! What happens to processes and hosts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::counters::Counter as C;
use super::run::Run;
use super::time::{Nanos, SECOND};
use super::world::{Cut, ProcId, Shared, Todo};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Pause,
    Crash,
    Cut,
    Stall,
    Reboot,
    Wall,
    Jump,
}

impl Kind {
    pub const ALL: [Self; 7] = [Self::Pause, Self::Crash, Self::Cut, Self::Stall, Self::Reboot, Self::Wall, Self::Jump];

    fn every(self, w: &Shared) -> Nanos {
        match self {
            Self::Pause => w.mix.pause_every,
            Self::Crash => w.mix.crash_every,
            Self::Cut => w.mix.cut_every,
            Self::Stall => w.mix.stall_every,
            Self::Reboot => w.mix.reboot_every,
            Self::Wall => w.mix.wall_every,
            Self::Jump => w.mix.jump_every,
        }
    }

    /// The next time that it happens, where it does at all.
    pub fn plan(self, w: &mut Shared) {
        let every = self.every(w);
        if every > 0 && !w.calm {
            let wait = w.rng.between(1, 2 * every);
            w.after(wait, move |w| w.todo.push(Todo::Chaos(self)));
        }
    }
}

impl Run {
    pub fn chaos(&mut self, kind: Kind) {
        if self.world().calm {
            return;
        }
        match kind {
            Kind::Pause => self.pause(),
            Kind::Crash => {
                if let Some(proc) = self.any_proc() {
                    self.world().count(C::Crash);
                    self.crash(proc);
                }
            }
            Kind::Cut => self.cut(),
            Kind::Stall => {
                let mut w = self.world();
                let longest = w.mix.longest_trouble;
                let until = w.now() + w.rng.below(longest);
                w.stalled_until = w.stalled_until.max(until);
                w.count(C::Stall);
            }
            Kind::Reboot => self.reboot(),
            Kind::Wall => {
                let mut w = self.world();
                let hosts = w.boots.len() as u64;
                let host = usize::try_from(w.rng.below(hosts)).unwrap();
                let boot = Arc::clone(&w.boots[host]);
                let most = w.rng.pick(&[3_000, 60_000, 7_200_000]);
                let step = i64::try_from(w.rng.below(2 * most)).unwrap() - i64::try_from(most).unwrap();
                boot.wall.fetch_add(step, Ordering::Relaxed);
                w.count(C::WallStep);
            }
            Kind::Jump => {
                let mut w = self.world();
                w.store_clock_jump = w.rng.below(595 * SECOND);
                if w.mix.store_clock {
                    w.count(C::StoreClockJump);
                }
            }
        }
        kind.plan(&mut self.world());
    }

    fn any_proc(&self) -> Option<ProcId> {
        let alive: Vec<ProcId> = self.procs.keys().copied().collect();
        let mut w = self.world();
        (!alive.is_empty()).then(|| w.rng.pick(&alive))
    }

    fn pause(&mut self) {
        let Some(proc) = self.any_proc() else { return };
        let mut w = self.world.lock().unwrap();
        let longest = w.mix.longest_trouble;
        let until = w.now() + w.rng.below(longest);
        w.count(C::Pause);
        w.at(until, move |w| w.todo.push(Todo::Resume(proc)));
        w.say(|| format!("{proc:?} is paused"));
        drop(w);
        if let Some(one) = self.procs.get_mut(&proc) {
            one.paused_until = Some(one.paused_until.map_or(until, |known| known.max(until)));
        }
    }

    fn cut(&mut self) {
        let mut w = self.world();
        let hosts = w.cuts.len() as u64;
        let host = usize::try_from(w.rng.below(hosts)).unwrap();
        let cut = w.rng.pick(&[
            Cut { requests: true, replies: true },
            Cut { requests: true, replies: false },
            Cut { requests: false, replies: true },
        ]);
        w.count(if cut.requests && cut.replies { C::Partition } else { C::HalfPartition });
        w.cuts[host] = cut;
        let longest = w.mix.longest_trouble;
        let until = w.rng.below(longest);
        w.say(|| format!("host {host} is cut off: {cut:?}"));
        w.after(until, move |w| w.cuts[host] = Cut::default());
    }

    /// A crash takes all tasks and all memory of a process; what it sent is under way.
    pub fn crash(&mut self, proc: ProcId) {
        let Some(gone) = self.procs.remove(&proc) else { return };
        let (host, script) = (gone.host, gone.script);
        {
            let mut w = self.world();
            w.say(|| format!("{proc:?} crashes"));
            w.disbelieve_all(proc);
            w.history.publishing.retain(|(at, _)| *at != proc);
        }
        self.bury(gone);
        let mut w = self.world.lock().unwrap();
        let ttl = u64::try_from(w.mix.ttl.as_nanos()).unwrap();
        let wait = w.rng.below(ttl);
        match script {
            Some(script) => {
                drop(w);
                self.command_over(script);
            }
            None => w.after(wait, move |w| w.todo.push(Todo::Start(host))),
        }
    }

    fn reboot(&mut self) {
        let host = {
            let mut w = self.world();
            let hosts = w.boots.len() as u64;
            w.count(C::Reboot);
            usize::try_from(w.rng.below(hosts)).unwrap()
        };
        let there: Vec<ProcId> = self.procs.iter().filter(|(_, one)| one.host == host).map(|(id, _)| *id).collect();
        {
            let mut w = self.world();
            w.say(|| format!("host {host} reboots"));
            w.disbelieve_boot(host);
        }
        self.world().boot(host);
        for script in self.scripts.iter_mut().filter(|script| script.host == host) {
            script.held = None;
            // What a command had printed is gone with the shell that would have read it.
            *script.output.lock().unwrap() = None;
        }
        for proc in there {
            self.crash(proc);
        }
    }
}
