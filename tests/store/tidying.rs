//! What accumulates and what does not; and directories as if on a network.

use std::time::Duration;

use lockd::entropy::KernelEntropy;
use lockd::model::{BlobId, FencingToken};
use lockd::store::conformance::{Outcome, run_all};
use lockd::store::disk::{floor, prune};
use lockd::store::{Facts, Precondition, RecordStore, Store};

use super::spy::spied;
use super::{CLOCK, entropy, key, new_store, open_dir, place, value};

fn names(path: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn in_memory_if_possible() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

#[tokio::test]
async fn ten_thousand_puts_leave_a_handful_of_files() {
    let dir = in_memory_if_possible();
    let store = open_dir(&dir.path().join("s")).await.unwrap().store;
    let k = key("a");
    let mut when = Precondition::Absent;
    let mut most = 0;
    for n in 1..=10_000 {
        when = Precondition::Matches(store.records.put(&k, value(&k), when).await.unwrap());
        if n % 100 == 0 {
            most = most.max(names(&place(&dir, &k)).len());
        }
    }
    // Tidying may lag behind on a busy machine, but never further than where a put does it first.
    assert!(most <= 64 + 2 * 8 + 8, "{most} files");
}

#[tokio::test]
async fn processes_that_end_at_once_prune_too() {
    let dir = in_memory_if_possible();
    open_dir(&dir.path().join("s")).await.unwrap();
    let k = key("a");
    let mut when = Precondition::Absent;
    for _ in 0..300 {
        let (disk, plan) = spied(&dir.path().join("s"), false).await;
        plan.ends_at_once();
        when = Precondition::Matches(disk.put(&k, value(&k), when).await.unwrap());
        let left = names(&place(&dir, &k)).len();
        assert!(left <= 64 + 8 + 2, "{left} files");
    }
}

#[tokio::test]
async fn the_floor_never_goes_back() {
    let (dir, store) = new_store().await;
    let k = key("a");
    store.records.put(&k, value(&k), Precondition::Absent).await.unwrap();
    let path = place(&dir, &k);
    let (disk, _plan) = spied(&dir.path().join("s"), false).await;
    let s = disk.shared();
    let place = lockd::store::disk::layout::Place::records(k.hash());
    let open = s.open(&place).await.unwrap().unwrap();
    for (to, len) in [(8, 1), (24, 3), (16, 3), (8, 3), (32, 4), (32, 4)] {
        floor::raise(&s.fs, &s.durable, &open, "x", to).await.unwrap();
        assert_eq!(std::fs::metadata(path.join("floor")).unwrap().len(), len, "raised to {to}");
        assert_eq!(floor::read(&s.fs, &open, "x").await.unwrap(), Some(len * 8));
    }
}

/// A writer that was killed leaves its `t`; once the head has passed it, it goes.
#[tokio::test]
async fn what_a_killed_writer_left_is_swept() {
    let (dir, store) = new_store().await;
    let k = key("a");
    let etag = store.records.put(&k, value(&k), Precondition::Absent).await.unwrap();
    let path = place(&dir, &k);
    std::fs::write(path.join("t.2.dead.0"), "x").unwrap();
    std::fs::hard_link(path.join("r.1"), path.join("t.1.dead.0")).unwrap();
    let (disk, _plan) = spied(&dir.path().join("s"), false).await;
    prune::pass(disk.shared(), k.hash()).await.unwrap();
    assert!(!path.join("t.1.dead.0").exists() && path.join("t.2.dead.0").exists());
    store.records.put(&k, value(&k), Precondition::Matches(etag)).await.unwrap();
    prune::pass(disk.shared(), k.hash()).await.unwrap();
    assert!(!path.join("t.2.dead.0").exists());
}

/// A reader that knows an old revision finds the head although all between was pruned.
#[tokio::test]
async fn a_reader_left_far_behind_finds_the_head() {
    let (dir, store) = new_store().await;
    let k = key("a");
    let first = store.records.put(&k, value(&k), Precondition::Absent).await.unwrap();
    let (behind, _plan) = spied(&dir.path().join("s"), false).await;
    assert_eq!(behind.get(&k).await.unwrap().unwrap().etag, first);
    let mut etag = first.clone();
    for _ in 0..40 {
        etag = store.records.put(&k, value(&k), Precondition::Matches(etag)).await.unwrap();
    }
    let (pruner, _plan) = spied(&dir.path().join("s"), false).await;
    prune::pass(pruner.shared(), k.hash()).await.unwrap();
    assert!(!place(&dir, &k).join("r.2").exists());
    assert_eq!(behind.get(&k).await.unwrap().unwrap().etag, etag);
    assert!(behind.put(&k, value(&k), Precondition::Matches(first)).await.is_err());
}

/// A killed blob writer's file is listed under its id, cannot be read, and is deleted under it.
#[tokio::test]
async fn what_a_killed_blob_writer_left_is_garbage_like_any_other() {
    let (dir, store) = new_store().await;
    let id = BlobId::random(key("a").hash(), FencingToken(3), &*entropy());
    let hash = id.key().hex();
    let path = dir.path().join("s/blobs").join(&hash[..2]).join(&hash);
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join(format!("t.{}", id.name())), "half").unwrap();
    std::fs::write(path.join("foreign"), "x").unwrap();
    assert!(store.blobs.read(&id, 0..9).await.unwrap().is_none());
    assert_eq!(store.blobs.list(id.key()).await.unwrap(), std::slice::from_ref(&id));
    store.blobs.delete(&id).await.unwrap();
    assert_eq!(names(&path), ["foreign"]);
}

#[tokio::test]
async fn a_failed_blob_write_removes_its_temporary_file() {
    let (dir, store) = new_store().await;
    let id = BlobId::random(key("a").hash(), FencingToken(3), &*entropy());
    let hash = id.key().hex();
    let path = dir.path().join("s/blobs").join(&hash[..2]).join(&hash);
    let (seen, body_path) = (std::sync::Arc::new(std::sync::Mutex::new(Vec::new())), path.clone());
    let told = std::sync::Arc::clone(&seen);
    let body = futures_util::stream::once(async move {
        *told.lock().unwrap() = names(&body_path);
        Err(lockd::error::Error::new(lockd::error::ErrorKind::Io, "broken off"))
    });
    store.blobs.write(&id, futures_util::StreamExt::boxed(body)).await.unwrap_err();
    assert_eq!(*seen.lock().unwrap(), [format!("t.{}", id.name())]);
    // It goes after the answer.
    let clock: &dyn lockd::clock::Clock = &CLOCK;
    let until = clock.boot() + Duration::from_secs(30);
    while !names(&path).is_empty() {
        assert!(clock.boot() < until, "{:?}", names(&path));
        clock.sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn dropped_and_finished_blob_writes_leave_no_temporary_files() {
    let (dir, store) = new_store().await;
    run_all(&store, &CLOCK, &KernelEntropy).await;
    let mut left = Vec::new();
    let mut to_see = vec![dir.path().join("s/blobs")];
    while let Some(path) = to_see.pop() {
        for name in names(&path) {
            let path = path.join(&name);
            if path.is_dir() { to_see.push(path) } else { left.push(name) }
        }
    }
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_directory_keeps_the_contract_as_if_on_a_network() {
    let (dir, store) = new_store().await;
    let (disk, _plan) = spied(&dir.path().join("s"), true).await;
    let disk = std::sync::Arc::new(disk);
    let facts: Facts = store.facts.clone();
    let reports = run_all(&Store { records: disk.clone(), blobs: disk, facts }, &CLOCK, &KernelEntropy).await;
    let failed: Vec<_> = reports.iter().filter(|report| report.outcome != Outcome::Ok).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test]
async fn the_age_by_the_servers_clock_is_asked_for_only_when_it_can_matter() {
    let (dir, store) = new_store().await;
    let k = key("a");
    store.records.put(&k, value(&k), Precondition::Absent).await.unwrap();
    let (disk, plan) = spied(&dir.path().join("s"), true).await;
    assert_eq!(disk.get(&k).await.unwrap().unwrap().store_age, None);
    assert!(!plan.steps().iter().any(|step| step.starts_with("create")));
    let hour = Duration::from_secs(3600);
    let head = std::fs::File::options().write(true).open(place(&dir, &k).join("r.1")).unwrap();
    head.set_modified(head.metadata().unwrap().modified().unwrap() - hour).unwrap();
    let age = disk.get(&k).await.unwrap().unwrap().store_age.unwrap();
    assert!(age >= hour && age < 2 * hour, "{age:?}");
    let mut left = names(&dir.path().join("s"));
    left.sort();
    assert_eq!(left, ["records", "store.json"]);
    // On a local disk the boot clock serves.
    let (local, _plan) = spied(&dir.path().join("s"), false).await;
    assert_eq!(local.get(&k).await.unwrap().unwrap().store_age, None);
}
