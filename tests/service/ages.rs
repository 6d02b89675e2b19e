//! When a takeover may be tried: each source of age, and what is no evidence.

use std::time::Duration;

use lockd::engine::Options;
use lockd::error::ErrorKind;
use lockd::service::{LeaseService, Wait};

use crate::support::world::{TTL, World, ask, key, proof};

fn takeover() -> Duration {
    lockd::limits::takeover_age(TTL)
}

#[tokio::test(start_paused = true)]
async fn a_fresh_process_must_watch_where_nothing_else_is_evidence() {
    let w = World::memory();
    w.engine().acquire(ask("k", Wait::No)).await.unwrap();
    w.pass(TTL * 10).await;
    let fresh = w.engine();
    assert_eq!(fresh.acquire(ask("k", Wait::No)).await.unwrap_err().kind(), ErrorKind::Busy);
    w.pass(takeover()).await;
    assert!(fresh.acquire(ask("k", Wait::No)).await.unwrap().taken_over);
}

#[tokio::test(start_paused = true)]
async fn a_stamp_of_this_boot_is_evidence_and_another_boots_is_not() {
    let mut w = World::memory();
    w.store.facts.stamps = true;
    w.engine().acquire(ask("k", Wait::No)).await.unwrap();
    w.pass(takeover() - Duration::from_millis(1)).await;
    assert_eq!(w.engine().acquire(ask("k", Wait::No)).await.unwrap_err().kind(), ErrorKind::Busy);
    w.pass(Duration::from_millis(2)).await;
    for other in [Some("boot-b"), None] {
        let elsewhere = w.engine_at(w.clock.of_boot(other), Options::default());
        assert_eq!(elsewhere.acquire(ask("k", Wait::No)).await.unwrap_err().kind(), ErrorKind::Busy, "{other:?}");
    }
    assert!(w.engine().acquire(ask("k", Wait::No)).await.unwrap().taken_over);
}

#[tokio::test(start_paused = true)]
async fn a_stamp_counts_only_on_a_store_where_it_means_something() {
    let mut w = World::memory();
    w.store.facts.stamps = true;
    w.engine().acquire(ask("k", Wait::No)).await.unwrap();
    w.pass(TTL * 10).await;
    w.store.facts.stamps = false;
    assert_eq!(w.engine().acquire(ask("k", Wait::No)).await.unwrap_err().kind(), ErrorKind::Busy);
}

#[tokio::test(start_paused = true)]
async fn short_commands_build_on_what_earlier_ones_saw() {
    let w = World::memory();
    let dir = tempfile::tempdir().unwrap();
    let notes = || Options { notes: Some(dir.path().join("lockd")), ..Options::default() };
    let holder = w.engine();
    let held = holder.acquire(ask("k", Wait::No)).await.unwrap();
    let command = || w.engine_at(w.clock.clone(), notes());
    let tries = |engine: lockd::engine::Engine| async move { engine.acquire(ask("k", Wait::No)).await };
    assert_eq!(tries(command()).await.unwrap_err().kind(), ErrorKind::Busy);
    w.pass(takeover() / 2).await;
    holder.keepalive(&key("k"), &proof(&held), held.ttl).await.unwrap();
    w.pass(takeover() / 2 + Duration::from_secs(1)).await;
    assert_eq!(tries(command()).await.unwrap_err().kind(), ErrorKind::Busy, "the renewal made the note void");
    w.pass(takeover()).await;
    let rebooted = w.engine_at(w.clock.of_boot(Some("boot-b")), notes());
    assert_eq!(tries(rebooted).await.unwrap_err().kind(), ErrorKind::Busy, "void after a reboot");
    w.pass(takeover()).await;
    assert!(tries(w.engine_at(w.clock.of_boot(Some("boot-b")), notes())).await.unwrap().taken_over);
}

#[tokio::test(start_paused = true)]
async fn notes_that_others_could_write_are_not_believed() {
    use std::os::unix::fs::PermissionsExt;
    let w = World::memory();
    let dir = tempfile::tempdir().unwrap();
    let notes = || Options { notes: Some(dir.path().to_owned()), ..Options::default() };
    w.engine().acquire(ask("k", Wait::No)).await.unwrap();
    w.engine_at(w.clock.clone(), notes()).acquire(ask("k", Wait::No)).await.unwrap_err();
    let seen = dir.path().join("seen").join(&w.store.facts.id);
    std::fs::set_permissions(&seen, std::fs::Permissions::from_mode(0o777)).unwrap();
    w.pass(takeover()).await;
    let e = w.engine_at(w.clock.clone(), notes()).acquire(ask("k", Wait::No)).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Busy);
    std::fs::set_permissions(&seen, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(w.engine_at(w.clock.clone(), notes()).acquire(ask("k", Wait::No)).await.unwrap().taken_over);
}
