//! The tasks of keys: they stay for a while, and not long where there are many, unless they keep something for a waiter.

use std::time::Duration;

use lockd::engine::{Engine, Options};
use lockd::limits::{KEY_IDLE, KEY_IDLE_CROWDED, KEYS_KEPT};
use lockd::service::{AcquireRequest, LeaseService, Wait};

use crate::support::world::{World, ask, key, proof};

const MOMENT: Duration = Duration::from_millis(1);

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Takes these keys and gives them back.
async fn used(engine: &Engine, keys: std::ops::Range<usize>) {
    for n in keys {
        let name = format!("k/{n}");
        let lease = engine.acquire(ask(&name, Wait::No)).await.unwrap();
        engine.release(&key(&name), &lease.lease_id, Some(&proof(&lease)), false).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_tasks_of_many_keys_end_soon() {
    let second = Duration::from_secs(1);
    let w = World::memory();
    let engine = w.engine_at(w.clock.clone(), Options { serves: true, ..Options::default() });
    used(&engine, 0..5).await;
    w.pass(KEY_IDLE - second).await;
    assert_eq!(tasks(), 5);
    w.pass(2 * second).await;
    assert_eq!(tasks(), 0);
    used(&engine, 0..KEYS_KEPT + 500).await;
    // What collects after the last answer ends too.
    w.pass(MOMENT).await;
    assert_eq!(tasks(), KEYS_KEPT + 500);
    w.pass(KEY_IDLE_CROWDED + second).await;
    assert_eq!(tasks(), KEYS_KEPT);
    w.pass(KEY_IDLE).await;
    assert_eq!(tasks(), 0);
    // A key whose task has ended is the same key.
    used(&engine, 0..5).await;
}

#[tokio::test(start_paused = true)]
async fn a_place_is_kept_however_many_keys_there_are() {
    let w = World::memory();
    let engine = w.engine_at(w.clock.clone(), Options { serves: true, ..Options::default() });
    used(&engine, 0..KEYS_KEPT + 1).await;
    let holder = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let polls = AcquireRequest { wait: Wait::For(MOMENT), ..ask("k", Wait::No) };
    engine.acquire(polls.clone()).await.unwrap_err();
    w.pass(KEY_IDLE_CROWDED * 2).await;
    let asking = |request| {
        let engine = engine.clone();
        tokio::spawn(async move { engine.acquire(request).await })
    };
    let long = Wait::For(Duration::from_secs(600));
    let other = asking(ask("k", long));
    w.pass(MOMENT).await;
    let again = asking(AcquireRequest { wait: long, ..polls });
    w.pass(MOMENT).await;
    engine.release(&key("k"), &holder.lease_id, Some(&proof(&holder)), false).await.unwrap();
    w.pass(MOMENT).await;
    assert_eq!((again.is_finished(), other.is_finished()), (true, false));
}
