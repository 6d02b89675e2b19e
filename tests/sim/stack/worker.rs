//! A worker that takes leases for update: one request is the lease.

use std::time::Duration;

use lockd::client::UpdateLease;
use lockd::model::StateEtag;
use lockd::service::{Guards, OnDisconnect};

use crate::sim::actor::Actor;
use crate::sim::beliefs::Source;
use crate::sim::rng::Rng;

pub async fn work(actor: Actor, mut rng: Rng) {
    loop {
        let (stopping, think, keys, ttl) = {
            let w = actor.world();
            (w.stopping, w.mix.think, w.mix.keys, w.mix.ttl)
        };
        if stopping {
            return;
        }
        actor.pass(rng.upto(think)).await;
        let key = usize::try_from(rng.below(keys as u64)).unwrap();
        let wait = rng.pick(&[Duration::ZERO, ttl * 2, ttl * 6]);
        if let Some(lease) = acquire(&actor, &mut rng, key, wait).await {
            held(&actor, &mut rng, key, lease).await;
        }
    }
}

async fn acquire(actor: &Actor, rng: &mut Rng, key: usize, wait: Duration) -> Option<UpdateLease> {
    let (id, ttl) = (Actor::draw_id(rng), actor.world().mix.ttl);
    let options = actor.options(key, id.clone(), ttl, Some(wait));
    let call = actor.world().acquire_begins(key, &id);
    actor.world().release_left_open(key, &id);
    match actor.client.acquire_for_update(options, OnDisconnect::Expire, |_| ()).await {
        Ok(lease) => {
            actor.world().acquired(call, &lease.id, lease.token.0);
            Some(lease)
        }
        Err(e) => {
            actor.not_acquired(call, &id, &e);
            None
        }
    }
}

async fn held(actor: &Actor, rng: &mut Rng, key: usize, mut lease: UpdateLease) {
    let watch = lease.watch();
    actor.world().believe(Some(actor.proc), &actor.boot, key, &lease.id, lease.deadline(), Source::Watch(watch));
    lease.keep_alive();
    let (proof, think) = (lease.proof(), actor.world().mix.think);
    if let Ok(Some(bytes)) = lease.take_bytes().await {
        let same = lease.etag.as_ref() == Some(&StateEtag::of(&bytes));
        actor.world().ensure(same, "what is read has its hash", || format!("{:?}", lease.etag));
    }
    for _ in 0..rng.below(4) {
        actor.pass(rng.upto(think)).await;
        let _refused_when_lost = actor.update(rng, key, &proof, Guards::default()).await;
    }
    if rng.chance(2_000) {
        drop(lease);
        return;
    }
    let id = lease.id.clone();
    let call = actor.world().release_begins(key, &id);
    let result = lease.release().await;
    actor.world().release_ends(call, &id, Some(&result));
}
