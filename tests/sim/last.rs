//! The end of a run: what must be true once the faults have stopped.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lockd::client::AcquireOptions;
use lockd::limits::TTL_MIN;
use lockd::model::TxnId;
use lockd::service::{AcquireRequest, Guards, Wait};

use super::actor::Actor;
use super::rng::{Rng, SimEntropy};
use super::world::Shared;

/// A client that is gone before its grant comes: its engine gives the lease back.
pub async fn vanish(actor: &Actor, key: usize) {
    let id = Actor::draw_id(&mut actor.world().rng.fork());
    actor.world().acquire_begins(key, &id);
    actor.world().acquire_left_open(key, &id);
    let options = actor.options(key, id.clone(), Duration::from_secs(10), None);
    // Long enough to send the put, too short for its answer.
    for micros in [300, 700, 1_500, 2_500, 4_000, 6_000] {
        let until = actor.now() + Duration::from_micros(micros);
        drop(actor.clock().timeout_at(until, actor.client.service().acquire(request(&options))).await);
        actor.pass(Duration::from_millis(500)).await;
        let held = actor.world().history.keys[key].holds(&id);
        actor.world().ensure(!held, "a grant whose client has gone is given back", || format!("{id:?}"));
    }
}

/// A grant that its client never saw is gone once the client has given it up.
pub async fn abandon(actor: &Actor, key: usize) {
    let id = Actor::draw_id(&mut actor.world().rng.fork());
    actor.world().acquire_begins(key, &id);
    actor.world().acquire_left_open(key, &id);
    actor.world().release_left_open(key, &id);
    let options = actor.options(key, id.clone(), Duration::from_secs(10), None);
    let granted = actor.client.service().acquire(request(&options)).await.is_ok();
    let released = actor.client.abandon(&options.key, &id).await;
    let held = actor.world().history.keys[key].holds(&id);
    actor.world().ensure(granted && released.is_some() && !held, "who gives an acquire up gives it back", || {
        format!("{id:?}: {granted} {released:?}")
    });
}

/// The machine was paused: its holder renews at once.
pub async fn paused(actor: &Actor, key: usize) {
    let id = Actor::draw_id(&mut actor.world().rng.fork());
    let call = actor.world().acquire_begins(key, &id);
    let options = actor.options(key, id.clone(), Duration::from_secs(30), None);
    let mut lease = match actor.client.acquire(options, |_| ()).await {
        Ok(lease) => lease,
        Err(e) => return actor.not_acquired(call, &id, &e),
    };
    actor.world().acquired(call, &id, lease.token.0);
    lease.keep_alive();
    actor.pass(Duration::from_secs(2)).await;
    let jumped = actor.world().now();
    actor.boot.wall.fetch_add(5_000, Ordering::Relaxed);
    actor.pass(Duration::from_millis(2_500)).await;
    let beat = actor.world().history.keys[key].grants.get(&id).map_or(0, |grant| grant.last_beat);
    actor.world().ensure(beat >= jumped, "who was paused renews at once", || format!("{id:?}"));
    let call = actor.world().release_begins(key, &id);
    let result = lease.release().await;
    actor.world().release_ends(call, &id, Some(&result));
}

/// Takes a key and never renews; with `writes` it writes until it is refused.
pub async fn hold(actor: &Actor, key: usize, writes: bool) {
    let mut rng = actor.world().rng.fork();
    let id = Actor::draw_id(&mut actor.world().rng.fork());
    let call = actor.world().acquire_begins(key, &id);
    let options = actor.options(key, id.clone(), TTL_MIN, None);
    let lease = match actor.client.acquire(options, |_| ()).await {
        Ok(lease) => lease,
        Err(e) => return actor.not_acquired(call, &id, &e),
    };
    actor.world().acquired(call, &id, lease.token.0);
    let proof = lease.proof();
    lease.detach();
    while writes && actor.update(&mut rng, key, &proof, Guards::default()).await.is_ok() {
        actor.pass(Duration::from_millis(400)).await;
    }
}

fn request(o: &AcquireOptions) -> AcquireRequest {
    AcquireRequest {
        key: o.key.clone(),
        lease_id: o.lease_id.clone(),
        txn: TxnId::random(&SimEntropy::new(Rng::new(9))),
        ttl: o.ttl,
        owner: o.owner.clone(),
        reason: None,
        holder: o.holder.clone(),
        if_not_exists: false,
        wait: Wait::No,
        confirm: false,
    }
}

/// Takes a key as anybody would, writes, gives it back and collects.
pub async fn take(actor: &Actor, key: usize) -> Option<()> {
    let mut rng = actor.world().rng.fork();
    let id = Actor::draw_id(&mut actor.world().rng.fork());
    let call = actor.world().acquire_begins(key, &id);
    let options = actor.options(key, id.clone(), Duration::from_secs(10), None);
    let lease = match actor.client.acquire(options, |_| ()).await {
        Ok(lease) => lease,
        Err(e) => {
            actor.not_acquired(call, &id, &e);
            return None;
        }
    };
    actor.world().acquired(call, &id, lease.token.0);
    let proof = lease.proof();
    actor.update(&mut rng, key, &proof, Guards::default()).await.ok()?;
    actor.read(key).await;
    let call = actor.world().release_begins(key, &id);
    let result = lease.release().await;
    actor.world().release_ends(call, &id, Some(&result));
    actor.engine.close().await;
    result.ok().map(drop)
}

impl Shared {
    /// No blob is left that the record does not name.
    pub fn nothing_left_over(&mut self, key: usize) {
        let known = &self.history.keys[key];
        let hash = known.key.hash();
        let orphans: Vec<_> = self
            .blobs
            .there
            .keys()
            .filter(|id| id.key() == hash && !known.head.blobs().any(|named| named == *id))
            .cloned()
            .collect();
        self.ensure(orphans.is_empty(), "orphan blobs are gone in the end", || format!("{orphans:?}"));
    }

    /// Ends the world: what is under way never arrives.
    pub fn drop_events(&mut self) {
        self.events_mut().clear();
    }
}
