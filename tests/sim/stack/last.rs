//! The end of a run: what servers owe to clients that are gone, or say nothing.

use std::time::Duration;

use futures_util::future::join;
use lockd::model::{LeaseId, TxnId};
use lockd::service::{AcquireRequest, Grant, Wait};

use crate::sim::actor::Actor;
use crate::sim::rng::SimEntropy;

const TTL: Duration = Duration::from_secs(10);

/// An acquire that waits, as it is sent.
fn waiting(actor: &Actor, key: usize, id: &LeaseId, confirm: bool) -> AcquireRequest {
    let o = actor.options(key, id.clone(), TTL, None);
    let txn = TxnId::random(&SimEntropy::new(actor.world().rng.fork()));
    AcquireRequest {
        key: o.key,
        lease_id: o.lease_id,
        txn,
        ttl: o.ttl,
        owner: o.owner,
        reason: None,
        holder: o.holder,
        if_not_exists: false,
        wait: Wait::For(Duration::from_secs(20)),
        confirm,
    }
}

/// Somebody who may be granted the key, and may not be heard of again.
fn comes(actor: &Actor, key: usize) -> LeaseId {
    let id = Actor::draw_id(&mut actor.world().rng.fork());
    actor.world().acquire_begins(key, &id);
    actor.world().acquire_left_open(key, &id);
    id
}

/// Holds the key for a while, and gives it back.
async fn held(actor: &Actor, key: usize, meanwhile: impl Future<Output = ()>) {
    let id = Actor::draw_id(&mut actor.world().rng.fork());
    let call = actor.world().acquire_begins(key, &id);
    match actor.client.acquire(actor.options(key, id.clone(), TTL, None), |_| ()).await {
        Err(e) => actor.not_acquired(call, &id, &e),
        Ok(lease) => {
            actor.world().acquired(call, &id, lease.token.0);
            meanwhile.await;
            let call = actor.world().release_begins(key, &id);
            let result = lease.release().await;
            actor.world().release_ends(call, &id, Some(&result));
        }
    }
}

/// A waiter closes its connection; then the key becomes free.
pub async fn vanished(actor: &Actor, key: usize) {
    let id = comes(actor, key);
    held(actor, key, async {
        let asked = actor.client.service().acquire(waiting(actor, key, &id, false));
        drop(actor.clock().timeout_at(actor.now() + Duration::from_millis(500), asked).await);
        actor.pass(Duration::from_millis(300)).await;
    })
    .await;
    actor.pass(Duration::from_secs(1)).await;
    let granted = actor.world().history.keys[key].grants.contains_key(&id);
    actor.world().ensure(!granted, "a waiter that has gone is granted nothing", || format!("{id:?}"));
}

/// A waiter is granted the key, and never says that it knows.
pub async fn unconfirmed(actor: &Actor, key: usize) {
    let id = comes(actor, key);
    let request = waiting(actor, key, &id, true);
    let holds = held(actor, key, actor.pass(Duration::from_secs(1)));
    let waits = async {
        actor.pass(Duration::from_millis(500)).await;
        actor.client.service().acquire(request).await
    };
    let ((), granted) = join(holds, waits).await;
    let within = granted.ok().and_then(|grant: Grant| grant.confirm_within);
    actor.world().ensure(within.is_some(), "a grant that waited is to be confirmed", || format!("{id:?}"));
    actor.pass(within.unwrap_or_default() + Duration::from_secs(1)).await;
    let kept = actor.world().history.keys[key].holds(&id);
    actor.world().ensure(!kept, "an unconfirmed grant is taken back", || format!("{id:?}"));
}
