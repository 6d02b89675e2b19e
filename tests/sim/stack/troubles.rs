//! What happens to hosts and to the network between them, drawn anew for each seed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::hosts::Role;
use super::run::Stack;
use crate::sim::rng::Rng;
use crate::sim::time::{MILLI, Nanos, SECOND};
use crate::sim::world::Cut;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A client and a server, or a server and everybody, hear nothing of each other.
    Partition,
    OneWay,
    /// What is sent waits, and comes all at once.
    Hold,
    Slow,
    /// Pieces of connections are lost for ever.
    Loss,
    Kill,
    /// A host is gone without a word to anybody.
    PowerLoss,
    /// A server is restarted as it should be.
    Drain,
    /// A server and the store hear nothing of each other.
    Cut,
    Stall,
    Wall,
}

impl Trouble {
    const ALL: [Self; 11] = [
        Self::Partition,
        Self::OneWay,
        Self::Hold,
        Self::Slow,
        Self::Loss,
        Self::Kill,
        Self::PowerLoss,
        Self::Drain,
        Self::Cut,
        Self::Stall,
        Self::Wall,
    ];

    pub const fn text(self) -> &'static str {
        match self {
            Self::Partition => "fault: partition",
            Self::OneWay => "fault: partition one way",
            Self::Hold => "fault: messages held back",
            Self::Slow => "fault: slow link",
            Self::Loss => "fault: pieces of connections lost",
            Self::Kill => "fault: host killed",
            Self::PowerLoss => "fault: host gone without a word",
            Self::Drain => "fault: server restarted",
            Self::Cut => "fault: server cut off from the store",
            Self::Stall => "fault: store stalled",
            Self::Wall => "fault: wall clock stepped",
        }
    }

    /// All that a long run must have met.
    pub fn texts() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(Self::text)
    }
}

/// How often each comes, on average; zero is never.
#[derive(Clone, Debug)]
pub struct Troubles([Nanos; Trouble::ALL.len()]);

impl Troubles {
    pub fn draw(rng: &mut Rng) -> Self {
        Self(std::array::from_fn(|_| if rng.chance(4_500) { rng.between(3, 20) * SECOND } else { 0 }))
    }
}

/// What is done at some time.
#[derive(Clone, Debug)]
pub enum Act {
    Begin(Trouble),
    Repair(Vec<(usize, usize)>),
    Release((usize, usize)),
    Quicken((usize, usize)),
    NoLoss,
    Bounce(usize),
    Uncut(usize),
}

impl Stack {
    fn at(&mut self, wait: Nanos, act: Act) {
        let at = self.now() + wait;
        self.scheduled += 1;
        self.due.insert((at, self.scheduled), act);
    }

    pub fn plan_all(&mut self) {
        for trouble in Trouble::ALL {
            self.plan(trouble);
        }
    }

    fn plan(&mut self, trouble: Trouble) {
        let every = self.troubles.0[trouble as usize];
        if every > 0 {
            let wait = self.rng.between(SECOND / 2, 2 * every);
            self.at(wait, Act::Begin(trouble));
        }
    }

    /// Does what is due.
    pub fn act(&mut self) {
        self.after_drains();
        while let Some(first) = self.due.first_entry()
            && first.key().0 <= self.world.lock().unwrap().now()
        {
            match first.remove() {
                Act::Begin(trouble) if !self.world().calm => {
                    self.begin(trouble);
                    self.plan(trouble);
                }
                Act::Begin(_) => {}
                Act::Repair(pairs) => self.repair(&pairs),
                Act::Release((a, b)) => self.sim.release(self.name(a), self.name(b)),
                Act::Quicken(pair) => self.quicken(pair),
                Act::NoLoss => self.sim.set_fail_rate(0.0),
                Act::Bounce(host) => self.bounce(host),
                Act::Uncut(host) => self.world().cuts[host] = Cut::default(),
            }
        }
    }

    fn name(&self, host: usize) -> &str {
        &self.hosts[host].name
    }

    /// How long a trouble lasts.
    fn lasts(&mut self) -> Nanos {
        let longest = self.world().mix.longest_trouble;
        self.rng.between(100 * MILLI, longest.max(SECOND))
    }

    fn a_server(&mut self) -> usize {
        usize::try_from(self.rng.below(self.shape.servers as u64)).unwrap()
    }

    fn a_client(&mut self) -> usize {
        self.shape.servers + usize::try_from(self.rng.below(self.shape.clients as u64)).unwrap()
    }

    fn clients(&self) -> impl Iterator<Item = usize> + use<> {
        let (first, count) = (self.shape.servers, self.shape.clients);
        first..first + count
    }

    fn begin(&mut self, trouble: Trouble) {
        self.count(trouble.text());
        let code = trouble as u64;
        self.world().note("trouble", code, self.scheduled);
        self.world().say(|| format!("{trouble:?}"));
        let (lasts, server, client) = (self.lasts(), self.a_server(), self.a_client());
        match trouble {
            Trouble::Partition => {
                let whole = self.rng.chance(3_000);
                let pairs: Vec<_> = match whole {
                    true => self.clients().map(|client| (client, server)).collect(),
                    false => vec![(client, server)],
                };
                for (a, b) in &pairs {
                    self.sim.partition(self.name(*a), self.name(*b));
                }
                self.at(lasts, Act::Repair(pairs));
            }
            Trouble::OneWay => {
                let (from, to) = if self.rng.chance(5_000) { (client, server) } else { (server, client) };
                self.sim.partition_oneway(self.name(from), self.name(to));
                self.at(lasts, Act::Repair(vec![(client, server)]));
            }
            Trouble::Hold => {
                self.sim.hold(self.name(client), self.name(server));
                self.at(lasts, Act::Release((client, server)));
            }
            Trouble::Slow => {
                let latency = Duration::from_millis(self.rng.between(50, 1_500));
                self.sim.set_link_latency(self.name(client), self.name(server), latency);
                self.at(lasts, Act::Quicken((client, server)));
            }
            Trouble::Loss => {
                let rate = self.rng.pick(&[0.002, 0.01, 0.05]);
                self.sim.set_fail_rate(rate);
                self.at(lasts, Act::NoLoss);
            }
            Trouble::Kill | Trouble::PowerLoss => {
                let host = if self.rng.chance(5_000) { server } else { client };
                self.kill(host, trouble == Trouble::PowerLoss, lasts / 2);
            }
            Trouble::Drain => {
                if let Some(life) = self.hosts[server].life() {
                    life.stop.notify_one();
                }
            }
            Trouble::Cut => {
                let (requests, replies) = self.rng.pick(&[(true, true), (true, false), (false, true)]);
                self.world().cuts[server] = Cut { requests, replies };
                self.at(lasts, Act::Uncut(server));
            }
            Trouble::Stall => {
                let mut w = self.world.lock().unwrap();
                w.stalled_until = w.stalled_until.max(w.now() + lasts / 2);
            }
            Trouble::Wall => {
                let host = if self.rng.chance(5_000) { server } else { client };
                let boot = Arc::clone(&self.world().boots[host]);
                let step = i64::try_from(self.rng.below(7_200_000)).unwrap() - 3_600_000;
                boot.wall.fetch_add(step, Ordering::Relaxed);
            }
        }
    }

    /// A host is gone, with all that it knew; it comes back after a while.
    fn kill(&mut self, host: usize, silently: bool, comes_back: Nanos) {
        if !self.down.insert(host) {
            return;
        }
        let Some(life) = self.hosts[host].life() else { return };
        if silently {
            for other in 0..self.hosts.len() {
                if other != host {
                    self.sim.partition(self.name(host), self.name(other));
                }
            }
        }
        // Its connections end in one step, in order; then its tasks are gone.
        life.kill.notify_one();
        self.step();
        self.sorted(|run| {
            let name = run.name(host).to_owned();
            run.sim.crash(name);
        });
        let mut w = self.world();
        w.say(|| format!("{} is down", self.hosts[host].name));
        w.disbelieve_all(life.proc);
        w.history.publishing.retain(|(at, _)| *at != life.proc);
        drop(w);
        self.at(comes_back, Act::Bounce(host));
    }

    fn bounce(&mut self, host: usize) {
        if !self.down.remove(&host) {
            return;
        }
        let others: Vec<_> = (0..self.hosts.len()).filter(|other| *other != host).map(|other| (host, other)).collect();
        self.repair(&others);
        if self.rng.chance(3_000) {
            self.world().boot(host);
        }
        let name = self.name(host).to_owned();
        self.sim.bounce(name);
    }

    /// Servers that have drained and ended are started again.
    fn after_drains(&mut self) {
        let ended: BTreeSet<usize> =
            self.hosts.iter().filter(|host| host.role == Role::Server).map(|h| h.index).collect();
        for host in ended {
            let is_over = self.hosts[host].life().is_some_and(|life| life.ended.load(Ordering::Relaxed));
            if is_over && !self.down.contains(&host) {
                self.kill(host, false, SECOND);
            }
        }
    }

    fn repair(&mut self, pairs: &[(usize, usize)]) {
        for (a, b) in pairs {
            self.sim.repair(self.name(*a), self.name(*b));
        }
    }

    /// As fast as links are without trouble.
    fn quicken(&mut self, (a, b): (usize, usize)) {
        let (least, most) = self.shape.latency;
        self.sim.set_link_latency(self.name(a), self.name(b), least);
        self.sim.set_link_max_message_latency(self.name(a), self.name(b), most);
    }

    /// Everything is well from now on.
    pub fn mend(&mut self) {
        self.sim.set_fail_rate(0.0);
        for client in self.clients().chain(self.hosts.len() - 2..self.hosts.len()) {
            for server in 0..self.shape.servers {
                self.sim.release(self.name(client), self.name(server));
                self.sim.repair(self.name(client), self.name(server));
                self.quicken((client, server));
            }
        }
        for host in self.down.clone() {
            self.bounce(host);
        }
    }
}
