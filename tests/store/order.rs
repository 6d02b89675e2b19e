//! The order of system calls, which is the protocol.

use lockd::store::disk::prune;
use lockd::store::{Precondition, RecordStore};

use super::spy::{Fault, spied};
use super::{key, new_store, place, value};

/// One step a line, without what only finds the way to the key's directory.
fn short(steps: Vec<String>) -> Vec<String> {
    let way = ["open root", "stat store.json", "open records"];
    steps.into_iter().filter(|step| !way.iter().any(|w| step.starts_with(w))).collect()
}

#[tokio::test]
async fn a_later_put_syncs_reads_the_floor_links_syncs_and_tidies() {
    let (dir, store) = new_store().await;
    let k = key("a");
    let etag = store.records.put(&k, value(&k), Precondition::Absent).await.unwrap();
    let (disk, plan) = spied(&dir.path().join("s"), false).await;
    disk.put(&k, value(&k), Precondition::Matches(etag)).await.unwrap();
    let steps = plan.steps();
    let hash = k.hash().hex();
    assert_eq!(
        steps[..3],
        ["open root".to_owned(), "stat store.json".to_owned(), format!("open records/{}/KEY", &hash[..2])]
    );
    let wanted = [
        "read r.1",
        "read r.2",
        "create t.2",
        "write t.2",
        "sync t.2",
        "stat floor",
        "link t.2 r.2",
        "sync dir",
        "unlink t.2",
    ];
    assert_eq!(short(steps), wanted);
}

#[tokio::test]
async fn a_first_put_makes_every_name_above_it_durable_before_it_links() {
    let (dir, _store) = new_store().await;
    let (disk, plan) = spied(&dir.path().join("s"), false).await;
    let k = key("a");
    let fan = k.hash().hex()[..2].to_owned();
    disk.put(&k, value(&k), Precondition::Absent).await.unwrap();
    let steps = short(plan.steps());
    let from = steps.iter().position(|step| step == "mkdir records").unwrap();
    let wanted = [
        "mkdir records",
        "sync dir",
        &format!("mkdir {fan}"),
        "sync dir",
        &format!("open {fan}"),
        "mkdir KEY",
        "sync dir",
        "open KEY",
        "open-or-create floor",
        "sync floor",
        "sync dir",
        "create t.1",
        "write t.1",
        "sync t.1",
        "stat floor",
        "link t.1 r.1",
        "sync dir",
        "unlink t.1",
    ];
    assert_eq!(steps[from..], wanted);
}

/// Directories and a floor that a crashed writer left are synced again: it may have come to making them only.
#[tokio::test]
async fn a_first_put_syncs_what_others_made() {
    let (dir, _store) = new_store().await;
    let k = key("a");
    let place = place(&dir, &k);
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("floor"), "").unwrap();
    let (disk, plan) = spied(&dir.path().join("s"), false).await;
    disk.put(&k, value(&k), Precondition::Absent).await.unwrap();
    let steps = plan.steps();
    let link = steps.iter().position(|step| step.starts_with("link")).unwrap();
    assert_eq!(steps[..link].iter().filter(|step| *step == "sync dir").count(), 4, "{steps:?}");
    assert_eq!(steps[..link].iter().filter(|step| *step == "sync floor").count(), 1, "{steps:?}");
}

#[tokio::test]
async fn a_get_from_a_known_revision_probes_and_reads_the_floor_last() {
    let (dir, store) = new_store().await;
    let k = key("a");
    store.records.put(&k, value(&k), Precondition::Absent).await.unwrap();
    let (disk, plan) = spied(&dir.path().join("s"), false).await;
    disk.get(&k).await.unwrap().unwrap();
    assert_eq!(short(plan.steps()), ["list", "read r.1", "read r.2", "stat floor"]);
    disk.get(&k).await.unwrap().unwrap();
    assert_eq!(short(plan.steps()), ["read r.1", "read r.2", "stat floor"]);
}

#[tokio::test]
async fn who_meets_two_links_syncs_before_serving_or_building_on_it() {
    let (dir, store) = new_store().await;
    let k = key("a");
    let etag = store.records.put(&k, value(&k), Precondition::Absent).await.unwrap();
    let place = place(&dir, &k);
    std::fs::hard_link(place.join("r.1"), place.join("t.1.x")).unwrap();
    let (disk, plan) = spied(&dir.path().join("s"), false).await;
    plan.ends_at_once();
    disk.get(&k).await.unwrap().unwrap();
    assert_eq!(short(plan.steps()), ["list", "read r.1", "read r.2", "stat floor", "sync dir"]);
    disk.put(&k, value(&k), Precondition::Matches(etag)).await.unwrap();
    let steps = short(plan.steps());
    assert_eq!(steps[..4], ["read r.1", "read r.2", "sync dir", "create t.2"]);
    let (disk, plan) = spied(&dir.path().join("s"), false).await;
    std::fs::hard_link(place.join("r.2"), place.join("t.2.x")).unwrap();
    plan.fail("sync dir", 0, Fault::Refused(lockd::store::disk::fs::Errno::IO));
    disk.get(&k).await.unwrap_err();
    disk.get(&k).await.unwrap_err();
}

async fn with_revisions(n: u64) -> (tempfile::TempDir, lockd::model::Key) {
    let (dir, _store) = new_store().await;
    let (disk, plan) = spied(&dir.path().join("s"), false).await;
    plan.ends_at_once();
    let k = key("a");
    let mut when = Precondition::Absent;
    for _ in 0..n {
        when = Precondition::Matches(disk.put(&k, value(&k), when).await.unwrap());
    }
    (dir, k)
}

#[tokio::test]
async fn pruning_syncs_raises_and_syncs_the_floor_then_removes_ts_then_rs() {
    let (dir, k) = with_revisions(20).await;
    let place = place(&dir, &k);
    for name in ["t.3.x", "t.9.x", "t.20.x", "t.21.x", ".nfs01"] {
        std::fs::write(place.join(name), "x").unwrap();
    }
    let (disk, plan) = spied(&dir.path().join("s"), false).await;
    prune::pass(disk.shared(), k.hash()).await.unwrap();
    let steps = short(plan.steps());
    let from = steps.iter().position(|step| step == "sync dir").unwrap();
    assert_eq!(steps[from..from + 5], ["sync dir", "open-or-create floor", "write floor", "sync floor", "list"]);
    let (ts, rs) = steps[from + 5..].split_at(4);
    let mut ts = ts.to_vec();
    ts.sort();
    assert_eq!(ts, ["unlink .nfs01", "unlink t.20", "unlink t.3", "unlink t.9"]);
    assert_eq!(rs.len(), 8, "{rs:?}");
    assert!((1..=8).all(|n| rs.contains(&format!("unlink r.{n}"))), "{rs:?}");
    assert!(place.join("t.21.x").exists(), "the right to publish above the head was taken away");
    assert_eq!(std::fs::metadata(place.join("floor")).unwrap().len(), 1);
    // Again: the floor stands there already, and is synced all the same.
    prune::pass(disk.shared(), k.hash()).await.unwrap();
    assert!(plan.steps().contains(&"sync floor".to_owned()));
}

#[tokio::test]
async fn a_t_that_cannot_be_removed_keeps_every_r() {
    let (dir, k) = with_revisions(20).await;
    let place = place(&dir, &k);
    std::fs::write(place.join("t.3.x"), "x").unwrap();
    let (disk, plan) = spied(&dir.path().join("s"), false).await;
    plan.fail("unlink t.3", 0, Fault::Refused(lockd::store::disk::fs::Errno::BUSY));
    prune::pass(disk.shared(), k.hash()).await.unwrap_err();
    assert!((1..=20).all(|n| place.join(format!("r.{n}")).exists()));
}

#[tokio::test]
async fn on_a_network_what_a_second_listing_shows_keeps_every_r() {
    for name in [".nfs02", "t.8.late"] {
        let (dir, k) = with_revisions(20).await;
        let place = place(&dir, &k);
        std::fs::write(place.join("t.3.x"), "x").unwrap();
        let (disk, plan) = spied(&dir.path().join("s"), true).await;
        let late = place.join(name);
        // While the first t is removed the client renames it, or a slow writer comes.
        plan.before("unlink t.3", move |_| std::fs::write(late, "x").unwrap());
        prune::pass(disk.shared(), k.hash()).await.unwrap_err();
        assert!(plan.all_came());
        assert!((1..=20).all(|n| place.join(format!("r.{n}")).exists()), "{name}");
    }
}

#[tokio::test]
async fn a_failed_sync_of_the_floor_keeps_every_r_and_ends_the_use_of_the_store() {
    let (dir, k) = with_revisions(20).await;
    let (disk, plan) = spied(&dir.path().join("s"), false).await;
    plan.fail("sync floor", 0, Fault::Refused(lockd::store::disk::fs::Errno::IO));
    prune::pass(disk.shared(), k.hash()).await.unwrap_err();
    prune::pass(disk.shared(), k.hash()).await.unwrap_err();
    disk.get(&k).await.unwrap_err();
    assert!((1..=20).all(|n| place(&dir, &k).join(format!("r.{n}")).exists()));
}

/// On NFS a full disk is told by the sync: no reason to give the store up, and nothing is removed until a later sync succeeds.
#[tokio::test]
async fn a_floor_that_finds_no_room_keeps_every_r_until_there_is_some() {
    use lockd::store::disk::fs::Errno;
    for full in [Errno::NOSPC, Errno::DQUOT] {
        let (dir, k) = with_revisions(20).await;
        let (disk, plan) = spied(&dir.path().join("s"), false).await;
        plan.fail("sync floor", 0, Fault::Refused(full));
        prune::pass(disk.shared(), k.hash()).await.unwrap_err();
        assert!((1..=20).all(|n| place(&dir, &k).join(format!("r.{n}")).exists()), "{full}");
        disk.get(&k).await.unwrap().unwrap();
        plan.steps();
        prune::pass(disk.shared(), k.hash()).await.unwrap();
        let steps = plan.steps();
        let at = |step: &str| steps.iter().position(|s| s.starts_with(step)).unwrap();
        assert!(at("write floor") < at("sync floor") && at("sync floor") < at("unlink r."), "{steps:?}");
        assert!(!place(&dir, &k).join("r.8").exists() && place(&dir, &k).join("r.9").exists(), "{full}");
    }
}
