//! Waiting: order of arrival, places, hand-overs in one write, grants that must be confirmed, and waiters elsewhere.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockd::engine::{Engine, Options};
use lockd::error::{ErrorKind, Result};
use lockd::limits::{
    KNOCK_AFTER, KNOCKED_GRANTS, KNOCKED_PATIENCE, PLACE_KEPT, RESERVED_FOR, confirm_within, takeover_age,
};
use lockd::model::{LeaseId, Record};
use lockd::service::{AcquireRequest, Grant, LeaseService, Wait};
use tokio::task::JoinHandle;

use crate::support::faulty::{Counts, Fault, Faulty};
use crate::support::world::{TTL, World, ask, key, options, proof};

const LONG: Wait = Wait::For(Duration::from_secs(600));
const MOMENT: Duration = Duration::from_millis(1);

fn server(w: &World) -> Engine {
    w.engine_at(w.clock.clone(), Options { serves: true, ..Options::default() })
}

/// A memory store whose requests are counted.
fn counted() -> (World, Arc<Faulty>) {
    let mut world = World::memory();
    let faulty = Faulty::wrap(&mut world.store);
    (world, faulty)
}

fn confirming() -> AcquireRequest {
    AcquireRequest { confirm: true, ..ask("k", LONG) }
}

type Asking = JoinHandle<Result<Grant>>;

/// Asks, and returns when the request has a place.
async fn asking(w: &World, engine: &Engine, request: AcquireRequest) -> Asking {
    let engine = engine.clone();
    let asking = tokio::spawn(async move { engine.acquire(request).await });
    w.pass(MOMENT).await;
    asking
}

async fn release(engine: &Engine, lease: &Grant) {
    engine.release(&key("k"), &lease.lease_id, Some(&proof(lease)), false).await.unwrap();
}

async fn waiters(engine: &Engine) -> u64 {
    engine.describe(&key("k")).await.unwrap().waiters.unwrap()
}

async fn record(w: &World) -> Record {
    let stored = w.store.records.get(&key("k")).await.unwrap().unwrap();
    Record::decode(&key("k"), &stored.value).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_key_is_passed_on_in_order_of_arrival() {
    for w in [World::memory(), World::disk().await] {
        let engine = server(&w);
        let mut holder = engine.acquire(ask("k", Wait::No)).await.unwrap();
        let mut queue = Vec::new();
        for _ in 0..8 {
            queue.push(asking(&w, &engine, ask("k", LONG)).await);
        }
        assert_eq!(waiters(&engine).await, 8);
        for (i, next) in queue.into_iter().enumerate() {
            assert!(!next.is_finished());
            release(&engine, &holder).await;
            holder = next.await.unwrap().unwrap();
            assert_eq!(waiters(&engine).await, 7 - i as u64);
        }
        assert_eq!(engine.describe(&key("k")).await.unwrap().held.unwrap().lease_id, holder.lease_id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_and_the_next_grant_are_one_write() {
    let (w, faulty) = counted();
    let engine = server(&w);
    let holder = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let mut queue = Vec::new();
    for _ in 0..3 {
        queue.push(asking(&w, &engine, ask("k", LONG)).await);
    }
    w.pass(Duration::from_secs(1)).await;
    let before = record(&w).await.revision;
    let _before = faulty.counted();
    let mut holder = holder;
    for next in queue {
        release(&engine, &holder).await;
        holder = next.await.unwrap().unwrap();
    }
    assert_eq!(faulty.counted(), Counts { gets: 0, puts: 3 }, "no read and no second write");
    assert_eq!(record(&w).await.revision, before + 3);
}

#[tokio::test(start_paused = true)]
async fn a_hand_over_whose_answer_is_lost_is_one_write_still() {
    let (w, faulty) = counted();
    let engine = server(&w);
    let holder = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let next = asking(&w, &engine, ask("k", LONG)).await;
    faulty.next(&[Fault::LostReply]);
    let before = record(&w).await.revision;
    release(&engine, &holder).await;
    let next = next.await.unwrap().unwrap();
    assert_eq!(record(&w).await.revision, before + 1);
    assert_eq!(record(&w).await.lease.unwrap().token, next.token);
    // And one that certainly was not made keeps the waiter's place.
    let third = asking(&w, &engine, ask("k", LONG)).await;
    faulty.next(&[Fault::Failed(ErrorKind::StoreFull)]);
    engine.release(&key("k"), &next.lease_id, Some(&proof(&next)), false).await.unwrap_err();
    assert_eq!(waiters(&engine).await, 1);
    release(&engine, &next).await;
    third.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_has_gone_is_never_granted() {
    let (w, faulty) = counted();
    let engine = server(&w);
    let holder = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let gone = asking(&w, &engine, ask("k", LONG)).await;
    let stays = asking(&w, &engine, ask("k", LONG)).await;
    gone.abort();
    w.pass(MOMENT).await;
    assert_eq!(waiters(&engine).await, 1, "a place is given up with its call");
    let _before = faulty.counted();
    release(&engine, &holder).await;
    let granted = stays.await.unwrap().unwrap();
    assert_eq!(granted.token.0, holder.token.0 + 1, "nobody had it in between");
    assert_eq!(faulty.counted().puts, 1);
    // The last waiter goes: the release leaves the key free.
    let gone = asking(&w, &engine, ask("k", LONG)).await;
    gone.abort();
    release(&engine, &granted).await;
    assert!(engine.describe(&key("k")).await.unwrap().held.is_none());
}

#[tokio::test(start_paused = true)]
async fn who_goes_while_the_grant_is_written_gives_it_back() {
    let (w, faulty) = counted();
    let engine = server(&w);
    let holder = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let goes = asking(&w, &engine, ask("k", LONG)).await;
    let stays = asking(&w, &engine, ask("k", LONG)).await;
    // The hand-over is applied; while its outcome is looked for, the client goes.
    faulty.next(&[Fault::LostReply]);
    faulty.silence(true);
    let releasing = {
        let (engine, holder) = (engine.clone(), holder.clone());
        tokio::spawn(async move { release(&engine, &holder).await })
    };
    w.pass(Duration::from_millis(50)).await;
    goes.abort();
    w.pass(MOMENT).await;
    faulty.silence(false);
    releasing.await.unwrap();
    let granted = stays.await.unwrap().unwrap();
    assert_eq!(granted.token.0, holder.token.0 + 2);
}

#[tokio::test(start_paused = true)]
async fn nobody_goes_past_those_who_wait() {
    let w = World::memory();
    let (engine, elsewhere) = (server(&w), w.engine());
    let holder = elsewhere.acquire(ask("k", Wait::No)).await.unwrap();
    let waits = asking(&w, &engine, ask("k", LONG)).await;
    // Given back elsewhere, at the very moment when somebody asks here without waiting.
    let (released, asked) = tokio::join!(release(&elsewhere, &holder), engine.acquire(ask("k", Wait::No)));
    let () = released;
    let refused = asked.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy);
    waits.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_over_is_answered_with_the_place() {
    let w = World::memory();
    let engine = server(&w);
    let holder = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let _first = asking(&w, &engine, ask("k", LONG)).await;
    let second = asking(&w, &engine, ask("k", Wait::For(Duration::from_secs(5)))).await;
    let busy = second.await.unwrap().unwrap_err();
    let told = busy.details().busy.clone().unwrap();
    assert_eq!((busy.kind(), told.place, told.lease_id), (ErrorKind::Busy, Some(2), holder.lease_id));
}

#[tokio::test(start_paused = true)]
async fn a_place_is_kept_between_two_polls() {
    for (away, keeps) in [(PLACE_KEPT / 2, true), (PLACE_KEPT * 2, false)] {
        let w = World::memory();
        let engine = server(&w);
        let holder = engine.acquire(ask("k", Wait::No)).await.unwrap();
        let polls = AcquireRequest { wait: Wait::For(Duration::from_secs(1)), ..ask("k", LONG) };
        let first_poll = asking(&w, &engine, polls.clone()).await;
        let other = asking(&w, &engine, ask("k", LONG)).await;
        first_poll.await.unwrap().unwrap_err();
        w.pass(away).await;
        let again = asking(&w, &engine, AcquireRequest { wait: LONG, ..polls }).await;
        release(&engine, &holder).await;
        w.pass(MOMENT).await;
        assert_eq!((again.is_finished(), other.is_finished()), (keeps, !keeps), "away for {away:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_calls_for_one_lease_have_one_place() {
    let w = World::memory();
    let engine = server(&w);
    let holder = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let request = ask("k", LONG);
    let old = asking(&w, &engine, request.clone()).await;
    let other = asking(&w, &engine, ask("k", LONG)).await;
    let new = asking(&w, &engine, request).await;
    assert_eq!(old.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable, "nothing was granted to it");
    assert_eq!(waiters(&engine).await, 2);
    release(&engine, &holder).await;
    let granted = new.await.unwrap().unwrap();
    assert!(!other.is_finished());
    // A release of a lease that still waits takes it out of the queue.
    let third = ask("k", LONG);
    let waits = asking(&w, &engine, third.clone()).await;
    engine.release(&key("k"), &third.lease_id, None, true).await.unwrap();
    assert!(waits.await.unwrap().is_err());
    release(&engine, &granted).await;
    other.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_waited_stands_once_it_is_confirmed() {
    let (w, faulty) = counted();
    let engine = server(&w);
    let holder = engine.acquire(ask("k", Wait::No)).await.unwrap();
    assert_eq!(holder.confirm_within, None, "it did not wait");
    let next = asking(&w, &engine, confirming()).await;
    release(&engine, &holder).await;
    let granted = next.await.unwrap().unwrap();
    let within = granted.confirm_within.unwrap();
    assert_eq!(within, confirm_within(TTL));
    w.pass(within / 2).await;
    let _before = faulty.counted();
    let renewed = engine.keepalive(&key("k"), &proof(&granted), granted.ttl).await.unwrap();
    assert_eq!(faulty.counted(), Counts::default(), "confirmed from memory");
    assert_eq!(renewed.left, TTL - within / 2, "and what is left counts from the write");
    engine.keepalive(&key("k"), &proof(&granted), granted.ttl).await.unwrap();
    assert_eq!(faulty.counted(), Counts { gets: 0, puts: 1 }, "once only");
    w.pass(TTL / 2).await;
    assert_eq!(engine.describe(&key("k")).await.unwrap().held.unwrap().lease_id, granted.lease_id);
}

#[tokio::test(start_paused = true)]
async fn without_a_word_the_next_one_gets_it() {
    let w = World::memory();
    let engine = server(&w);
    let holder = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let silent = asking(&w, &engine, confirming()).await;
    let next = asking(&w, &engine, ask("k", LONG)).await;
    release(&engine, &holder).await;
    let silent = silent.await.unwrap().unwrap();
    w.pass(confirm_within(TTL) - MOMENT * 5).await;
    assert!(!next.is_finished());
    w.pass(MOMENT * 10).await;
    let next = next.await.unwrap().unwrap();
    let late = engine.keepalive(&key("k"), &proof(&silent), silent.ttl).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::LeaseRequired);
    // Who never said that it confirms keeps what it was given.
    assert_eq!(next.confirm_within, None);
    w.pass(TTL / 2).await;
    assert_eq!(engine.describe(&key("k")).await.unwrap().held.unwrap().lease_id, next.lease_id);
}

#[expect(clippy::disallowed_methods, reason = "the runtime's own clock, which the tests advance")]
#[tokio::test(start_paused = true)]
async fn a_broken_connection_passes_an_unconfirmed_grant_on() {
    let w = World::memory();
    let engine = server(&w);
    let holder = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let gone = asking(&w, &engine, confirming()).await;
    let next = asking(&w, &engine, confirming()).await;
    release(&engine, &holder).await;
    let gone = gone.await.unwrap().unwrap();
    engine.withdraw(&key("k"), &gone.lease_id).await;
    let next = tokio::time::timeout(MOMENT, next).await.expect("at once").unwrap().unwrap();
    engine.keepalive(&key("k"), &proof(&next), next.ttl).await.unwrap();
    // A confirmed one stays, whatever becomes of the connection.
    engine.withdraw(&key("k"), &next.lease_id).await;
    w.pass(Duration::from_secs(1)).await;
    assert_eq!(engine.describe(&key("k")).await.unwrap().held.unwrap().lease_id, next.lease_id);
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_life_elsewhere_confirms_a_grant() {
    enum By {
        RenewalElsewhere,
        Repeat,
    }
    for by in [By::RenewalElsewhere, By::Repeat] {
        let w = World::memory();
        let (engine, elsewhere) = (server(&w), server(&w));
        let holder = engine.acquire(ask("k", Wait::No)).await.unwrap();
        let request = confirming();
        let granted = asking(&w, &engine, request.clone()).await;
        let _next = asking(&w, &engine, ask("k", LONG)).await;
        release(&engine, &holder).await;
        let granted = granted.await.unwrap().unwrap();
        match by {
            By::RenewalElsewhere => {
                elsewhere.keepalive(&key("k"), &proof(&granted), granted.ttl).await.unwrap();
            }
            // The answer was lost with its connection, and the client asks again.
            By::Repeat => {
                let again = engine.acquire(request).await.unwrap();
                assert_eq!((again.token, again.confirm_within), (granted.token, None));
                engine.withdraw(&key("k"), &granted.lease_id).await;
            }
        }
        w.pass(TTL / 2).await;
        assert_eq!(engine.describe(&key("k")).await.unwrap().held.unwrap().lease_id, granted.lease_id);
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_confirms_before_any_work() {
    let w = World::memory();
    let engine = server(&w);
    let holder = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let client = w.client(&engine);
    let waiting = tokio::spawn(async move { client.acquire(options("k", None), |_| ()).await });
    w.pass(takeover_age(TTL) / 2).await;
    release(&engine, &holder).await;
    let lease = waiting.await.unwrap().unwrap();
    // Without keepalives, but for the one that confirmed it.
    w.pass(TTL / 2).await;
    assert_eq!(engine.describe(&key("k")).await.unwrap().held.unwrap().lease_id, lease.id);
}

/// Keeps a key busy within one engine: so many take it in turn, each for so long. Whoever had it is written down.
fn crowd(w: &World, engine: &Engine, size: usize, hold: Duration, log: &Log) -> Vec<JoinHandle<()>> {
    let one = |_| {
        let (w, engine, log) = (w.clone(), engine.clone(), Arc::clone(log));
        tokio::spawn(async move {
            loop {
                let held = engine.acquire(ask("k", LONG)).await.unwrap();
                log.lock().unwrap().push(held.lease_id.clone());
                w.pass(hold).await;
                release(&engine, &held).await;
            }
        })
    };
    (0..size).map(one).collect()
}

type Log = Arc<Mutex<Vec<LeaseId>>>;

fn end(tasks: Vec<JoinHandle<()>>) {
    tasks.iter().for_each(JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_elsewhere_knocks_and_gets_its_turn() {
    // Between two servers, and between a server and a command that opens the store itself.
    for serves in [true, false] {
        for hold in [Duration::from_millis(20), Duration::from_millis(300)] {
            let w = World::memory();
            let (engine, log) = (server(&w), Log::default());
            let tasks = crowd(&w, &engine, 4, hold, &log);
            w.pass(Duration::from_secs(1)).await;
            let elsewhere = w.engine_at(w.clock.clone(), Options { serves, ..Options::default() });
            let waits = asking(&w, &elsewhere, ask("k", LONG)).await;
            w.pass(KNOCK_AFTER - hold).await;
            assert!(!waits.is_finished(), "the key never was free for long");
            let before = log.lock().unwrap().len();
            w.pass(KNOCKED_PATIENCE + hold * 4).await;
            let granted = waits.await.unwrap().unwrap();
            let since = log.lock().unwrap().len() - before;
            assert!(since <= KNOCKED_GRANTS as usize + 4, "{since} grants after the knock");
            // Then the others go on at once: nothing is kept any more.
            let before = log.lock().unwrap().len();
            release(&elsewhere, &granted).await;
            w.pass(hold * 4).await;
            assert!(log.lock().unwrap().len() > before);
            end(tasks);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_kept_is_left_alone_for_a_moment_only() {
    let w = World::memory();
    let (engine, log) = (server(&w), Log::default());
    let tasks = crowd(&w, &engine, 3, Duration::from_millis(100), &log);
    w.pass(Duration::from_secs(1)).await;
    // It knocks, and its host goes down.
    let elsewhere = server(&w);
    let waits = asking(&w, &elsewhere, ask("k", LONG)).await;
    w.pass(KNOCK_AFTER).await;
    assert!(record(&w).await.knock.is_some());
    waits.abort();
    w.pass(MOMENT).await;
    w.pass(KNOCKED_PATIENCE + Duration::from_millis(200)).await;
    let kept = record(&w).await;
    assert!(kept.lease.is_none() && kept.reserved.is_some() && kept.knock.is_none(), "{kept:?}");
    let before = log.lock().unwrap().len();
    w.pass(RESERVED_FOR - Duration::from_millis(400)).await;
    assert_eq!(log.lock().unwrap().len(), before);
    w.pass(Duration::from_millis(600)).await;
    assert!(log.lock().unwrap().len() > before, "and then it goes on");
    end(tasks);
}

#[tokio::test(start_paused = true)]
async fn the_knock_of_who_has_gone_keeps_nobody_from_knocking() {
    let w = World::memory();
    let (engine, other, log) = (server(&w), server(&w), Log::default());
    // It knocks at a holder elsewhere, and goes.
    let holder = other.acquire(ask("k", Wait::No)).await.unwrap();
    let knocks = asking(&w, &engine, ask("k", LONG)).await;
    w.pass(KNOCK_AFTER + MOMENT).await;
    assert!(record(&w).await.knock.is_some());
    let tasks = crowd(&w, &engine, 4, Duration::from_millis(20), &log);
    w.pass(MOMENT).await;
    knocks.abort();
    w.pass(MOMENT).await;
    release(&other, &holder).await;
    // Its own engine passes the key on, and another comes to wait at the other one.
    let waits = asking(&w, &other, ask("k", LONG)).await;
    w.pass(KNOCKED_PATIENCE + RESERVED_FOR + KNOCK_AFTER + KNOCKED_PATIENCE + Duration::from_secs(1)).await;
    assert!(waits.is_finished(), "{:?}", record(&w).await);
    end(tasks);
}

#[tokio::test(start_paused = true)]
async fn knocks_do_not_keep_a_dead_holder_alive() {
    let w = World::memory();
    let engines: Vec<Engine> = (0..3).map(|_| server(&w)).collect();
    let dead = engines[0].acquire(ask("k", Wait::No)).await.unwrap();
    let mut waiting = Vec::new();
    for engine in &engines {
        waiting.push(asking(&w, engine, ask("k", LONG)).await);
    }
    w.pass(takeover_age(TTL) - Duration::from_millis(10)).await;
    assert!(record(&w).await.knock.is_some());
    assert!(waiting.iter().all(|one| !one.is_finished()));
    w.pass(Duration::from_millis(20)).await;
    assert_eq!(waiting.iter().filter(|one| one.is_finished()).count(), 1);
    assert_eq!(record(&w).await.token.0, dead.token.0 + 1);
}
