//! Breaking, listing, watching, fencing and editing, on every store.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use lockd::client::edit::edit;
use lockd::clock::Clock;
use lockd::error::ErrorKind;
use lockd::json::edit::Edit;
use lockd::limits::{STATE_BYTES, takeover_age};
use lockd::model::{FencingToken, How, Key, Namespace, Owner, Reason, Version};
use lockd::service::{
    BreakRequest, Broke, ChangeRequest, Event, EventKind, Expected, FenceRequest, LeaseService, ListRequest, Wait,
    Watched,
};

use crate::support::world::{self, TTL, World, ask, body, change, committed, key, proof, staged};

#[tokio::test(start_paused = true)]
async fn on_memory() {
    all(|| std::future::ready(World::memory())).await;
}

#[tokio::test(start_paused = true)]
async fn on_a_directory() {
    all(World::disk).await;
}

#[cfg(feature = "lsm")]
#[tokio::test(start_paused = true)]
async fn on_an_embedded_store() {
    all(World::lsm).await;
}

/// The list.
pub async fn all<F: Future<Output = World>>(make: impl Fn() -> F) {
    a_broken_lease_is_over(make().await).await;
    a_break_names_its_lease(make().await).await;
    what_is_left_of_a_broken_lease_is_told(make().await).await;
    no_holder_believes_longer_than_is_told(make().await).await;
    a_broken_lease_loses_what_it_staged(make().await).await;
    keys_are_listed(make().await).await;
    events_are_watched(make().await).await;
    a_lease_that_lapses_is_told_as_expired(make().await).await;
    marks_only_rise(make().await).await;
    edits_meet_each_other(make().await).await;
    edits_are_all_or_none(make().await).await;
}

fn breaking(name: &str) -> BreakRequest {
    let (by, reason) = (Owner::new("ops@db1").unwrap(), Reason::new("it hangs").unwrap());
    BreakRequest { key: key(name), lease_id: None, by, reason }
}

async fn a_broken_lease_is_over(w: World) {
    let (a, b) = (w.engine(), w.engine());
    assert_eq!(b.break_lease(breaking("k")).await.unwrap(), Broke::Free, "a key never used");
    let held = a.acquire(ask("k", Wait::No)).await.unwrap();
    a.update(change("k", proof(&held)), Expected::default(), body("1")).await.unwrap();
    let Broke::Broken { lease_id, token, .. } = b.break_lease(breaking("k")).await.unwrap() else {
        panic!("it was held")
    };
    assert_eq!((lease_id, token), (held.lease_id.clone(), held.token));
    for e in [
        a.keepalive(&key("k"), &proof(&held), held.ttl).await.unwrap_err(),
        a.update(change("k", proof(&held)), Expected::default(), body("2")).await.unwrap_err(),
        a.get(&key("k"), Some(&proof(&held))).await.err().unwrap(),
    ] {
        assert_eq!(e.kind(), ErrorKind::LeaseBroken);
        assert!(e.message().contains("broken by ops@db1: it hangs"), "{e}");
    }
    let known = b.describe(&key("k")).await.unwrap();
    assert!(known.held.is_none() && known.token > held.token, "the token moves on");
    let ended = &known.ended[0];
    assert_eq!((ended.how, ended.by.as_ref().unwrap().as_str()), (How::Broken, "ops@db1"));
    assert_eq!(ended.reason.as_ref().unwrap().as_str(), "it hangs");
    assert_eq!(committed(&a, "k").await.unwrap(), "1");
    assert_eq!(b.break_lease(breaking("k")).await.unwrap(), Broke::Free);
    let next = a.acquire(ask("k", Wait::No)).await.unwrap();
    assert!(next.token > known.token);
}

async fn a_break_names_its_lease(w: World) {
    let engine = w.engine();
    let held = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let named = |id: &lockd::model::LeaseId| BreakRequest { lease_id: Some(id.clone()), ..breaking("k") };
    let e = engine.break_lease(named(&world::lease_id())).await.unwrap_err();
    assert_eq!((e.kind(), e.kind().exit_code()), (ErrorKind::LeaseMismatch, 82));
    assert_eq!(e.details().busy.as_ref().unwrap().lease_id, held.lease_id);
    let first = engine.break_lease(named(&held.lease_id)).await.unwrap();
    let next = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let again = engine.break_lease(named(&held.lease_id)).await.unwrap();
    assert!(matches!((&first, &again), (Broke::Broken { token: a, .. }, Broke::Broken { token: b, .. }) if a == b));
    assert_eq!(
        engine.keepalive(&key("k"), &proof(&next), next.ttl).await.unwrap().ttl,
        next.ttl,
        "the next one stands"
    );
    engine.release(&key("k"), &next.lease_id, Some(&proof(&next)), false).await.unwrap();
    assert_eq!(engine.break_lease(named(&next.lease_id)).await.unwrap(), Broke::Free, "it ended by itself");
}

async fn what_is_left_of_a_broken_lease_is_told(w: World) {
    let (a, b) = (w.engine(), w.engine());
    let full = takeover_age(TTL);
    let over_in = async |seconds: u64| {
        let held = a.acquire(ask("k", Wait::No)).await.unwrap();
        b.describe(&key("k")).await.unwrap();
        w.pass(Duration::from_secs(seconds)).await;
        let Broke::Broken { over_in, .. } = b.break_lease(breaking("k")).await.unwrap() else { panic!("it was held") };
        (over_in, held)
    };
    let (left, held) = over_in(10).await;
    assert_eq!(left, full - Duration::from_secs(10), "counted from when its last sign of life was seen");
    // Repeated: nobody remembers its age, so it is counted from now.
    let again = BreakRequest { lease_id: Some(held.lease_id), ..breaking("k") };
    w.pass(Duration::from_secs(5)).await;
    let Broke::Broken { over_in: left, .. } = b.break_lease(again).await.unwrap() else { panic!("it was broken") };
    assert_eq!(left, full);
    let (left, _) = over_in(300).await;
    assert_eq!(left, Duration::ZERO);
}

/// Holders that renew themselves, broken at all moments between two renewals, by somebody who has watched them or not: what
/// is told covers what they believe, and they hear of it at their next renewal.
async fn no_holder_believes_longer_than_is_told(w: World) {
    let (a, b) = (w.engine(), w.engine());
    for (i, millis) in (0..24u64).map(|i| (i, 250 + i * 1_337)) {
        let mut lease = w.client(&a).acquire(world::options("k", Some(Duration::ZERO)), |_| {}).await.unwrap();
        match i % 3 {
            // Nobody renews it.
            0 => {}
            _ => lease.keep_alive(),
        }
        if i % 2 == 0 {
            b.describe(&key("k")).await.unwrap();
        }
        w.pass(Duration::from_millis(millis)).await;
        let Broke::Broken { over_in, .. } = b.break_lease(breaking("k")).await.unwrap() else { panic!("it was held") };
        let (now, believed) = (w.clock.boot(), lease.deadline());
        assert!(believed <= now + over_in, "{millis} ms: believed until {believed:?}, told {now:?} + {over_in:?}");
        if i % 3 != 0 {
            let why = lease.lost().await;
            assert_eq!(why.kind(), ErrorKind::LeaseBroken, "{why}");
            let heard = w.clock.boot().since(now);
            assert!(heard <= TTL / 3 + Duration::from_secs(1), "heard after {heard:?}");
        }
        lease.detach();
    }
}

async fn a_broken_lease_loses_what_it_staged(w: World) {
    let engine = w.engine();
    let held = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let large = format!("\"{}\"", "x".repeat(100_000));
    engine.update(change("k", staged(&held)), Expected::default(), body(large)).await.unwrap();
    engine.break_lease(breaking("k")).await.unwrap();
    engine.close().await;
    assert!(committed(&engine, "k").await.is_none());
    assert!(w.store.blobs.list(key("k").hash()).await.unwrap().is_empty(), "its blob is collected");
    let e = engine.release(&key("k"), &held.lease_id, Some(&staged(&held)), false).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::StagedDiscarded);
}

async fn keys_are_listed(w: World) {
    let engine = w.engine();
    let mut wanted = BTreeSet::new();
    for n in 0..150 {
        let name = format!("a/{n}");
        let held = engine.acquire(ask(&name, Wait::No)).await.unwrap();
        if n % 3 != 0 {
            engine.release(&key(&name), &held.lease_id, Some(&proof(&held)), false).await.unwrap();
        }
        wanted.insert((name, n % 3 == 0));
    }
    engine.acquire(ask("b", Wait::No)).await.unwrap();
    let elsewhere = Key::new(Namespace::new("other").unwrap(), "a/x").unwrap();
    engine.acquire(lockd::service::AcquireRequest { key: elsewhere, ..ask("a/x", Wait::No) }).await.unwrap();
    let fence = FenceRequest { resource: key("a/resource"), token: FencingToken(3), key: None };
    engine.fence_admit(fence).await.unwrap();
    let found = async |request: ListRequest| -> Vec<(String, bool)> {
        let items = engine.list(&request).map(|item| item.unwrap().known);
        items.map(|known| (known.key.name().to_owned(), known.held.is_some())).collect().await
    };
    let a = ListRequest { prefix: "a/".to_owned(), ..ListRequest::default() };
    let all = found(a.clone()).await;
    assert_eq!((all.len(), all.into_iter().collect::<BTreeSet<_>>()), (wanted.len(), wanted.clone()));
    let held = found(ListRequest { held: true, ..a.clone() }).await;
    assert_eq!(held.len(), 50);
    assert_eq!(found(ListRequest { prefix: "none".to_owned(), ..ListRequest::default() }).await, []);
    // By cursor, a few at a time: each key once.
    let (mut after, mut seen) = (None, vec![]);
    loop {
        let request = ListRequest { after: after.clone(), ..a.clone() };
        let some: Vec<_> = engine.list(&request).take(7).map(Result::unwrap).collect().await;
        let Some(last) = some.last() else { break };
        after = Some(last.cursor.clone());
        seen.extend(some.into_iter().map(|listed| listed.known.key.name().to_owned()));
    }
    assert_eq!((seen.len(), seen.into_iter().collect::<BTreeSet<_>>().len()), (150, 150));
}

fn told(watched: &Watched) -> (EventKind, FencingToken, Version) {
    let Watched::Event(Event { kind, token, version, .. }) = watched else { panic!("an event: {watched:?}") };
    (*kind, *token, *version)
}

async fn events_are_watched(w: World) {
    let (a, b) = (w.engine(), w.engine());
    let name = key("k");
    let mut watch = b.watch(&name);
    let first = watch.next().await.unwrap().unwrap();
    assert!(matches!(&first, Watched::Present(known) if known.held.is_none() && known.version == Version(0)));
    let mut next = async || told(&watch.next().await.unwrap().unwrap());
    let held = a.acquire(ask("k", Wait::No)).await.unwrap();
    assert_eq!(next().await, (EventKind::Acquired, held.token, Version(0)));
    let new = a.update(change("k", proof(&held)), Expected::default(), body("1")).await.unwrap();
    assert_eq!(next().await, (EventKind::Updated, held.token, new.version));
    let gone = a.remove(change("k", proof(&held))).await.unwrap();
    assert_eq!(next().await, (EventKind::Removed, held.token, gone.version));
    a.release(&name, &held.lease_id, Some(&proof(&held)), false).await.unwrap();
    assert_eq!(next().await, (EventKind::Released, held.token, gone.version));
    // Two leases between two looks are told one after the other.
    let mut tokens = vec![];
    for _ in 0..2 {
        let held = a.acquire(ask("k", Wait::No)).await.unwrap();
        a.update(change("k", proof(&held)), Expected::default(), body("2")).await.unwrap();
        a.break_lease(breaking("k")).await.unwrap();
        tokens.push(held.token);
    }
    for token in tokens {
        for kind in [EventKind::Acquired, EventKind::Updated, EventKind::Broken] {
            let (heard, of, _) = next().await;
            assert_eq!((heard, of), (kind, token));
        }
    }
}

async fn a_lease_that_lapses_is_told_as_expired(w: World) {
    let (a, b) = (w.engine(), w.engine());
    let name = key("k");
    let held = a.acquire(ask("k", Wait::No)).await.unwrap();
    let mut watch = b.watch(&name);
    watch.next().await.unwrap().unwrap();
    let began = w.clock.boot();
    assert_eq!(told(&watch.next().await.unwrap().unwrap()), (EventKind::Expired, held.token, Version(0)));
    let waited = w.clock.boot().since(began);
    assert!((takeover_age(TTL)..takeover_age(TTL) + Duration::from_secs(1)).contains(&waited), "{waited:?}");
    assert_eq!(a.describe(&name).await.unwrap().held.unwrap().token, held.token, "watching writes nothing");
    a.keepalive(&name, &proof(&held), held.ttl).await.unwrap();
    let again = told(&watch.next().await.unwrap().unwrap());
    assert_eq!(again, (EventKind::Acquired, held.token, Version(0)), "its holder goes on after all");
    let next = b.acquire(ask("k", Wait::For(TTL * 2))).await.unwrap();
    assert_eq!(told(&watch.next().await.unwrap().unwrap()), (EventKind::Expired, held.token, Version(0)));
    assert_eq!(told(&watch.next().await.unwrap().unwrap()), (EventKind::Acquired, next.token, Version(0)));
}

async fn marks_only_rise(w: World) {
    let (a, b) = (w.engine(), w.engine());
    let at = |token| FenceRequest { resource: key("disk"), token: FencingToken(token), key: None };
    assert_eq!(a.fence_check(at(3)).await.unwrap().mark, FencingToken(0));
    assert_eq!(a.fence_admit(at(3)).await.unwrap().mark, FencingToken(3));
    assert_eq!(b.fence_admit(at(3)).await.unwrap().mark, FencingToken(3), "not lower than the highest");
    assert_eq!(b.fence_admit(at(7)).await.unwrap().mark, FencingToken(7));
    let e = a.fence_admit(at(6)).await.unwrap_err();
    assert_eq!((e.kind(), e.kind().exit_code()), (ErrorKind::StaleToken, 81));
    let seen = a.fence_check(at(6)).await.unwrap();
    assert!(seen.is_stale(FencingToken(6)) && !seen.is_stale(FencingToken(7)));
    for token in [0, u64::MAX] {
        assert_eq!(a.fence_admit(at(token)).await.unwrap_err().kind(), ErrorKind::Usage);
    }
    // A resource and a key of one name have nothing to do with each other.
    assert_eq!(a.describe(&key("disk")).await.unwrap().token, FencingToken(0));
    let held = a.acquire(ask("k", Wait::No)).await.unwrap();
    let with_key = |token| FenceRequest { resource: key("tape"), token, key: Some(key("k")) };
    assert_eq!(b.fence_admit(with_key(held.token)).await.unwrap().key, Some(held.token));
    let e = b.fence_admit(with_key(FencingToken(held.token.0 + 1))).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Usage, "a token that was never given out would lock everybody out");
    a.break_lease(breaking("k")).await.unwrap();
    let e = b.fence_admit(with_key(held.token)).await.unwrap_err();
    assert_eq!(
        e.kind(),
        ErrorKind::StaleToken,
        "the key's token has moved on, though the resource has seen no higher one"
    );
    let long = Key::new(Namespace::new(&"n".repeat(128)).unwrap(), "r").unwrap();
    let e = a.fence_admit(FenceRequest { resource: long, token: FencingToken(1), key: None }).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidKey);
}

fn edits(texts: &[&str]) -> Vec<Edit> {
    texts.iter().map(|text| Edit::parse(text).unwrap()).collect()
}

async fn edited(service: &dyn LeaseService, request: ChangeRequest, texts: &[&str]) -> lockd::error::Result<Version> {
    edit(service, request, &edits(texts), "now", STATE_BYTES).await.map(|changed| changed.version)
}

/// Many under one lease, each through an engine of its own: nobody's sum is lost.
async fn edits_meet_each_other(w: World) {
    let engine = w.engine();
    let held = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (engine, held) = (w.engine(), held.clone());
            tokio::spawn(async move {
                for _ in 0..5 {
                    edited(&engine, change("k", proof(&held)), &["/n++"]).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(committed(&engine, "k").await.unwrap(), r#"{"n":40}"#);
}

async fn edits_are_all_or_none(w: World) {
    let engine = w.engine();
    let held = engine.acquire(ask("k", Wait::No)).await.unwrap();
    let fresh = || change("k", proof(&held));
    assert_eq!(edited(&engine, fresh(), &["rm:/a"]).await.unwrap(), Version(0), "nothing of nothing");
    let first = edited(&engine, fresh(), &["/a=1", "/b/c=x", "time:/at=NOW"]).await.unwrap();
    let wanted = r#"{"a":1,"b":{"c":"x"},"at":"now"}"#;
    assert_eq!(committed(&engine, "k").await.unwrap(), wanted);
    let e = edited(&engine, fresh(), &["/a++", "/b/c++"]).await.unwrap_err();
    assert_eq!((e.kind(), e.kind().exit_code()), (ErrorKind::InvalidState, 65));
    assert_eq!(committed(&engine, "k").await.unwrap(), wanted);
    assert_eq!(edited(&engine, fresh(), &["/a=1"]).await.unwrap(), first, "what changes nothing makes no version");
    let mut guarded = fresh();
    guarded.guards.version = Some(Version(first.0 + 1));
    for texts in [["/a++"], ["/a=1"]] {
        let e = edited(&engine, guarded.clone(), &texts).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::VersionConflict);
    }
    guarded.guards.version = Some(first);
    let second = edited(&engine, guarded, &["/a++"]).await.unwrap();
    assert!(second > first);
    engine.remove(fresh()).await.unwrap();
    edited(&engine, fresh(), &["/-=1"]).await.unwrap();
    assert_eq!(committed(&engine, "k").await.unwrap(), "[1]");
    let large = format!("/big={}", "x".repeat(200_000));
    edited(&engine, fresh(), &["rm:/0"]).await.unwrap();
    engine.remove(fresh()).await.unwrap();
    edited(&engine, fresh(), &[&large, "/n=1"]).await.unwrap();
    edited(&engine, fresh(), &["/n++"]).await.unwrap();
    assert!(committed(&engine, "k").await.unwrap().ends_with(br#","n":2}"#), "states in blobs, too");
}
