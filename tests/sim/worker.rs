//! Workers of a long-lived process: they take leases through the client, work under them, and give them up in every way.

use std::time::Duration;

use lockd::client::Lease;
use lockd::error::ErrorKind;
use lockd::model::{FencingToken, LeaseId, TxnId};
use lockd::service::{Guards, Proof, Released};

use super::actor::Actor;
use super::beliefs::Source;
use super::counters::Counter as C;
use super::rng::{Rng, SimEntropy};

pub async fn work(actor: Actor, mut rng: Rng) {
    loop {
        let (stopping, think, keys) = {
            let w = actor.world();
            (w.stopping, w.mix.think, w.mix.keys)
        };
        if stopping {
            return;
        }
        actor.pass(rng.upto(think)).await;
        let key = usize::try_from(rng.below(keys as u64)).unwrap();
        match rng.below(10) {
            0 => actor.read(key).await,
            1 => describe(&actor, key).await,
            2 => borrow(&actor, &mut rng, key).await,
            _ => session(&actor, &mut rng, key).await,
        }
    }
}

/// Works with a proof that another process handed on: many changes in a row, so that the record forgets what came before.
async fn borrow(actor: &Actor, rng: &mut Rng, key: usize) {
    let Some(proof) = actor.world().history.keys[key].handed.take() else { return };
    let many = rng.pick(&[1, 3, 12, 40]);
    for _ in 0..many {
        if let Err(e) = actor.update(rng, key, &proof, Guards::default()).await
            && e.kind().exit_code() == 80
        {
            return;
        }
    }
}

async fn describe(actor: &Actor, key: usize) {
    let (call, name) = actor.begin(key);
    match actor.engine.describe(&name).await {
        Ok(seen) => {
            let mut w = actor.world();
            let now = w.committed(key).0;
            let fits = (call.committed..=now).contains(&seen.version.0);
            w.ensure(fits, "reads are linearizable", || format!("{} described", seen.version));
        }
        Err(e) => actor.world().plausible("describe", &e),
    }
}

async fn session(actor: &Actor, rng: &mut Rng, key: usize) {
    let ttl = {
        let w = actor.world();
        rng.pick(&[w.mix.ttl, w.mix.ttl, w.mix.other_ttl])
    };
    let wait = match rng.below(4) {
        0 => Some(Duration::ZERO),
        1 => Some(rng.upto(ttl * 4)),
        _ => Some(ttl * 8),
    };
    let id = Actor::draw_id(rng);
    let patience = rng.chance(1_500).then(|| rng.upto(ttl * 2));
    let Some(lease) = acquire(actor, key, &id, ttl, wait, patience, rng.chance(2_000)).await else { return };
    held(actor, rng, key, lease).await;
}

/// A lease, or nothing when it could not be had in time; then it is abandoned.
async fn acquire(
    actor: &Actor,
    key: usize,
    id: &LeaseId,
    ttl: Duration,
    wait: Option<Duration>,
    patience: Option<Duration>,
    silently: bool,
) -> Option<Lease> {
    let options = actor.options(key, id.clone(), ttl, wait);
    let call = actor.world().acquire_begins(key, id);
    // What the client does about an answer that it does not have is its own affair: it may release.
    actor.world().release_begins(key, id);
    let mut waited = false;
    let asking = actor.client.acquire(options, |_| waited = true);
    let result = match patience {
        None => asking.await,
        Some(patience) => match actor.clock().timeout_at(actor.now() + patience, asking).await {
            Some(result) => result,
            None => {
                actor.world().acquire_left_open(key, id);
                actor.world().release_left_open(key, id);
                actor.count(C::Abandoned);
                let (name, proc) = (actor.key(key), actor.proc);
                if silently {
                    return None;
                }
                let released = actor.client.abandon(&name, id).await;
                actor.world().say(|| format!("{proc:?} abandoned {id:?}: {released:?}"));
                return None;
            }
        },
    };
    match result {
        Ok(lease) => {
            let mut w = actor.world();
            w.acquired(call, &lease.id, lease.token.0);
            w.release_not_needed(key, id);
            w.starts_fresh(key, id, lease.deadline().since(actor.now()), lease.ttl.duration());
            if waited {
                w.count(C::WaitedGrant);
            }
            drop(w);
            Some(lease)
        }
        Err(e) => {
            actor.world().release_left_open(key, id);
            actor.not_acquired(call, id, &e);
            None
        }
    }
}

async fn held(actor: &Actor, rng: &mut Rng, key: usize, mut lease: Lease) {
    let watch = lease.watch();
    actor.world().believe(Some(actor.proc), &actor.boot, key, &lease.id, lease.deadline(), Source::Watch(watch));
    let renews = !rng.chance(2_500);
    if renews {
        lease.keep_alive();
    }
    let (changes, staged, think) = {
        let w = actor.world();
        (rng.below(w.mix.changes + 1), rng.chance(w.mix.staged), w.mix.think)
    };
    let proof = Proof { txn: staged.then(|| lease.txn.clone()), ..lease.proof() };
    if !staged && rng.chance(2_000) {
        actor.world().history.keys[key].handed = Some(proof.clone());
    }
    if rng.chance(800) {
        wrong_proof(actor, rng, key, &proof, &lease.txn).await;
    }
    let (mut last, mut staged_last) = (0, 0);
    let mut version = None;
    for _ in 0..changes {
        pause(actor, rng, &lease, think).await;
        if lost(actor, &lease) && rng.chance(6_000) {
            break;
        }
        if !renews && rng.chance(3_000) {
            renew(actor, key, &mut lease).await;
        }
        match rng.below(8) {
            0 => actor.read_own(key, &proof, last).await,
            1 => actor.read(key).await,
            n => {
                let guards = Guards { version: version.filter(|_| n == 2), etag: None };
                match actor.update(rng, key, &proof, guards).await {
                    Ok(changed) => {
                        (last, version) = (changed.version.0, Some(changed.version));
                        // What changed nothing staged nothing, and is answered without a write: no commit can lose it.
                        if changed.changed {
                            staged_last = last;
                        }
                    }
                    Err(e) if e.kind() == ErrorKind::OutcomeUnknown => version = None,
                    Err(_) => {}
                }
            }
        }
    }
    pause(actor, rng, &lease, think).await;
    if lost(actor, &lease) {
        let why = lease.lost().await;
        let by_deadline = why.message().contains("could not be renewed in time");
        actor.count(if by_deadline { C::LostByDeadline } else { C::LostByAnswer });
    }
    give_up(actor, rng, key, lease, &proof, staged_last).await;
}

/// A proof of which one part does not fit is refused.
async fn wrong_proof(actor: &Actor, rng: &mut Rng, key: usize, proof: &Proof, txn: &TxnId) {
    let wrong = match rng.below(3) {
        0 => Proof { token: FencingToken(proof.token.0 + 1), ..proof.clone() },
        1 => Proof { txn: Some(TxnId::random(&SimEntropy::new(rng.fork()))), ..proof.clone() },
        _ => {
            // A change past the transaction, while something is staged.
            let staged = Proof { txn: Some(txn.clone()), ..proof.clone() };
            let made = actor.update(rng, key, &staged, Guards::default()).await;
            if !made.is_ok_and(|changed| changed.changed) {
                return;
            }
            Proof { txn: None, ..proof.clone() }
        }
    };
    let result = actor.update(rng, key, &wrong, Guards::default()).await;
    let mut w = actor.world();
    w.ensure(result.is_err(), "a proof is good as a whole or not at all", || format!("{wrong:?}: {result:?}"));
    w.count(C::WrongProof);
}

/// Some time, or until the lease is lost.
async fn pause(actor: &Actor, rng: &mut Rng, lease: &Lease, most: Duration) {
    let until = actor.now() + rng.upto(most);
    match rng.chance(2_000) {
        true => drop(actor.clock().timeout_at(until, lease.lost()).await),
        false => actor.clock().sleep_until(until).await,
    }
}

fn lost(actor: &Actor, lease: &Lease) -> bool {
    lease.watch().borrow().lost.is_some() || lease.deadline() <= actor.now()
}

async fn renew(actor: &Actor, key: usize, lease: &mut Lease) {
    let (call, late) = (actor.world().call(key), lost(actor, lease));
    let deadline = lease.deadline();
    match lease.renew().await {
        Ok(()) => {
            let mut w = actor.world();
            // The renewal repeats its sends: a beat of any of them is its own.
            w.renewed(call, &lease.id);
            if late || deadline <= actor.now() {
                w.count(C::LateRenewal);
            }
        }
        Err(e) => actor.world().plausible("renew", &e),
    }
}

async fn give_up(actor: &Actor, rng: &mut Rng, key: usize, lease: Lease, proof: &Proof, last: u64) {
    let id = lease.id.clone();
    match rng.below(10) {
        0 => {
            // Nobody gives it back: it runs out. The one who detaches it stops believing.
            actor.world().disbelieve(Some(actor.proc), &id);
            lease.detach();
        }
        1 => {
            actor.world().release_left_open(key, &id);
            drop(lease);
        }
        2 => {
            // The holder forgets to stop, and asks again and again with what it has.
            actor.pass(rng.upto(Duration::from_secs(20))).await;
            if lost(actor, &lease) {
                let _fenced = actor.update(rng, key, proof, Guards::default()).await;
            }
            actor.world().release_left_open(key, &id);
            drop(lease);
        }
        _ if proof.txn.is_some() => commit(actor, rng, key, lease, proof, last).await,
        _ => {
            let call = actor.world().release_begins(key, &id);
            let result = lease.release().await;
            actor.world().release_ends(call, &id, Some(&result));
            if rng.chance(1_500) {
                let _again = actor.release(key, &id, Some(proof), false).await;
            }
            if rng.chance(500) {
                reuse(actor, rng, key, &id).await;
            }
        }
    }
}

async fn commit(actor: &Actor, rng: &mut Rng, key: usize, lease: Lease, proof: &Proof, last: u64) {
    let (id, rollback) = (lease.id.clone(), rng.chance(2_000));
    actor.world().disbelieve(Some(actor.proc), &id);
    lease.detach();
    if rng.chance(1_000) {
        // Somebody else of the same task has given it up already.
        let _dropped = actor.release(key, &id, None, true).await;
    }
    for _ in 0..3 {
        match actor.release(key, &id, Some(proof), rollback).await {
            Ok(Released::Released { version }) => {
                let kept = rollback || version.0 >= last;
                actor.world().ensure(kept, "a lost commit never looks like success", || {
                    format!("{id:?}: version {last} was staged, {version} committed")
                });
                return;
            }
            Ok(other) => {
                let forgotten = !matches!(other, Released::AlreadyGone { how: Some(_) });
                actor.world().ensure(
                    rollback || last == 0 || forgotten,
                    "a lost commit never looks like success",
                    || format!("{id:?}: version {last} was staged, and {other:?}"),
                );
                return;
            }
            Err(e) if e.kind() == ErrorKind::OutcomeUnknown => {}
            Err(_) => return,
        }
    }
}

/// A delayed duplicate of an acquire whose lease is over.
async fn reuse(actor: &Actor, rng: &mut Rng, key: usize, id: &LeaseId) {
    let ttl = actor.world().mix.ttl;
    actor.pass(rng.upto(ttl / 4)).await;
    let call = actor.world().acquire_begins(key, id);
    actor.world().acquire_left_open(key, id);
    actor.world().release_left_open(key, id);
    let options = actor.options(key, id.clone(), ttl, Some(Duration::ZERO));
    match actor.client.acquire(options, |_| ()).await {
        Ok(lease) => drop(lease),
        Err(e) => actor.not_acquired(call, id, &e),
    }
}
