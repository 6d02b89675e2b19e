//! Short commands: each a process of its own, with a fresh engine, as a script runs them one after the other.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockd::clock::BootTime;
use lockd::error::ErrorKind;
use lockd::model::{FencingToken, LeaseId};
use lockd::service::{Guards, Proof};

use super::actor::Actor;
use super::counters::Counter as C;
use super::rng::Rng;

/// What a script runs next.
#[derive(Clone, Debug)]
pub enum Command {
    Acquire { id: LeaseId, ttl: Duration, wait: Option<Duration> },
    Keepalive(Held),
    Update(Held),
    Release { id: LeaseId, held: Option<Held> },
    Get,
}

/// A lease in the hands of a script.
#[derive(Clone, Debug)]
pub struct Held {
    pub id: LeaseId,
    pub token: FencingToken,
    pub ttl: Duration,
}

impl Held {
    fn proof(&self) -> Proof {
        Proof { lease_id: self.id.clone(), token: self.token, txn: None }
    }
}

/// What it printed; nothing when it was killed.
#[derive(Clone, Debug)]
pub enum Printed {
    Granted(Held, BootTime),
    Renewed(BootTime),
    Busy,
    Lost,
    Done,
    Failed,
}

/// A script: the same key again and again.
#[derive(Debug)]
pub struct Script {
    pub host: usize,
    pub key: usize,
    pub rng: Rng,
    pub held: Option<Held>,
    /// An acquire that was killed: its id is repeated or released.
    pub doubt: Option<LeaseId>,
    pub running: Option<Command>,
    pub output: Arc<Mutex<Option<Printed>>>,
}

impl Script {
    pub fn new(host: usize, key: usize, rng: Rng) -> Self {
        Self { host, key, rng, held: None, doubt: None, running: None, output: Arc::default() }
    }

    /// What comes next.
    pub fn next(&mut self, ttl: Duration, stopping: bool) -> Option<Command> {
        let r = &mut self.rng;
        if let Some(held) = &self.held {
            let held = held.clone();
            let id = held.id.clone();
            return Some(match if stopping { 9 } else { r.below(10) } {
                0..=4 => Command::Keepalive(held),
                5 | 6 => Command::Update(held),
                7 => Command::Get,
                _ => Command::Release { id, held: Some(held) },
            });
        }
        if let Some(id) = self.doubt.take() {
            return Some(match stopping || r.chance(5_000) {
                true => Command::Release { id, held: None },
                false => Command::Acquire { id, ttl, wait: Some(Duration::ZERO) },
            });
        }
        if stopping {
            return None;
        }
        Some(match r.below(5) {
            0 => Command::Get,
            n => {
                let wait = if n == 1 { r.upto(ttl * 2) } else { Duration::ZERO };
                Command::Acquire { id: Actor::draw_id(r), ttl, wait: Some(wait) }
            }
        })
    }
}

/// One command from start to exit.
pub async fn run(actor: Actor, mut rng: Rng, key: usize, command: Command, output: Arc<Mutex<Option<Printed>>>) {
    let printed = match command {
        Command::Acquire { id, ttl, wait } => acquire(&actor, key, &id, ttl, wait).await,
        Command::Keepalive(held) => match actor.keepalive(key, &held.proof(), asked(&mut rng, held.ttl)).await {
            Ok(deadline) => Printed::Renewed(deadline),
            Err(e) if e.kind().exit_code() == 80 => Printed::Lost,
            Err(_) => Printed::Failed,
        },
        Command::Update(held) => match actor.update(&mut rng, key, &held.proof(), Guards::default()).await {
            Ok(_) => Printed::Done,
            Err(_) => Printed::Failed,
        },
        Command::Release { id, held } => {
            let proof = held.map(|held| held.proof());
            match actor.release(key, &id, proof.as_ref(), proof.is_none()).await {
                Ok(_) => Printed::Done,
                Err(_) => Printed::Failed,
            }
        }
        Command::Get => {
            actor.read(key).await;
            Printed::Done
        }
    };
    // Printed before the exit: whoever reads it may use it while the command is still collecting.
    *output.lock().unwrap() = Some(printed);
    actor.engine.close().await;
}

/// Sometimes less than before is asked for.
fn asked(rng: &mut Rng, ttl: Duration) -> Duration {
    if rng.chance(2_000) { (ttl / 2).max(lockd::limits::TTL_MIN) } else { ttl }
}

async fn acquire(actor: &Actor, key: usize, id: &LeaseId, ttl: Duration, wait: Option<Duration>) -> Printed {
    let call = {
        let mut w = actor.world();
        if w.history.keys[key].holds(id) {
            w.count(C::AcquireReplayed);
        }
        w.release_begins(key, id);
        w.acquire_begins(key, id)
    };
    match actor.client.acquire(actor.options(key, id.clone(), ttl, wait), |_| ()).await {
        Ok(lease) => {
            let held = Held { id: id.clone(), token: lease.token, ttl };
            let deadline = lease.deadline();
            actor.world().acquired(call, id, lease.token.0);
            actor.world().release_not_needed(key, id);
            lease.detach();
            Printed::Granted(held, deadline)
        }
        Err(e) => {
            actor.world().release_left_open(key, id);
            actor.not_acquired(call, id, &e);
            match e.kind() {
                ErrorKind::Busy | ErrorKind::LeaseEnded => Printed::Busy,
                _ => Printed::Failed,
            }
        }
    }
}
