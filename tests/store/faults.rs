//! Verdicts: what a put says when a step goes wrong, and what is true then.

use lockd::model::{BlobId, FencingToken, Key, Namespace};
use lockd::store::disk::Disk;
use lockd::store::disk::fs::Errno;
use lockd::store::{BlobStore, Etag, Precondition, PutError, RecordStore};

use super::spy::{Fault, Spy, spied};
use super::{entropy, key, new_store, place, value};

/// A store with revision 1 of a key, and a spied handle on it.
async fn with_one() -> (tempfile::TempDir, Key, Etag, Disk<Spy>, std::sync::Arc<super::spy::Plan>) {
    let (dir, store) = new_store().await;
    let k = key("a");
    let etag = store.records.put(&k, value(&k), Precondition::Absent).await.unwrap();
    let (disk, plan) = spied(&dir.path().join("s"), false).await;
    (dir, k, etag, disk, plan)
}

/// What another process reads.
async fn truth(dir: &tempfile::TempDir, k: &Key) -> Option<bytes::Bytes> {
    let other = super::open_dir(&dir.path().join("s")).await.unwrap().store;
    other.records.get(k).await.unwrap().map(|tagged| tagged.value)
}

fn kind(outcome: &Result<Etag, PutError>) -> String {
    match outcome {
        Ok(_) => "win".to_owned(),
        Err(PutError::Conflict) => "conflict".to_owned(),
        Err(PutError::Unknown(e)) => format!("unknown {:?}", e.kind()),
        Err(PutError::Failed(e)) => format!("failed {:?}", e.kind()),
    }
}

#[tokio::test]
async fn link_succeeded_and_its_answer_was_lost() {
    for error in [Errno::IO, Errno::EXIST, Errno::TIMEDOUT] {
        let (dir, k, etag, disk, plan) = with_one().await;
        let v = value(&k);
        plan.fail("link", 0, Fault::Hidden(error));
        let outcome = disk.put(&k, v.clone(), Precondition::Matches(etag)).await;
        assert_eq!((kind(&outcome).as_str(), plan.all_came()), ("win", true), "{error:?}");
        assert_eq!(truth(&dir, &k).await, Some(v));
        let steps = plan.steps();
        let from = steps.iter().position(|step| step.starts_with("link")).unwrap();
        let look: Vec<_> =
            steps[from + 1..].iter().filter(|s| !s.starts_with("open") && *s != "stat store.json").collect();
        assert_eq!(look, ["sync dir", "unlink t.2", "read r.2", "sync dir"]);
    }
}

#[tokio::test]
async fn link_failed_and_nothing_is_there() {
    let (dir, k, etag, disk, plan) = with_one().await;
    plan.fail("link", 0, Fault::Refused(Errno::IO));
    let before = truth(&dir, &k).await;
    let outcome = disk.put(&k, value(&k), Precondition::Matches(etag.clone())).await;
    assert_eq!(kind(&outcome), "failed Io");
    assert_eq!(truth(&dir, &k).await, before);
    assert_eq!(kind(&disk.put(&k, value(&k), Precondition::Matches(etag)).await), "win");
}

#[tokio::test]
async fn no_hard_links_is_said_with_what_to_use_instead() {
    let (_dir, k, etag, disk, plan) = with_one().await;
    plan.fail("link", 0, Fault::Refused(Errno::PERM));
    let Err(PutError::Failed(e)) = disk.put(&k, value(&k), Precondition::Matches(etag)).await else {
        panic!("no failure")
    };
    assert!(e.to_string().contains("lsm://") && e.to_string().contains("lockd serve"), "{e}");
}

#[tokio::test]
async fn another_was_faster() {
    let (dir, k, etag, disk, plan) = with_one().await;
    let theirs = place(&dir, &k).join("r.2");
    plan.before("link", move |_| std::fs::write(theirs, "theirs").unwrap());
    let outcome = disk.put(&k, value(&k), Precondition::Matches(etag)).await;
    assert_eq!((kind(&outcome).as_str(), plan.all_came()), ("conflict", true));
    assert_eq!(truth(&dir, &k).await.unwrap(), "theirs");
    assert!(plan.steps().contains(&"unlink t.2".to_owned()));
}

/// The stalled writer: all others went on, and its revision was pruned. It must not bring it back.
#[tokio::test]
async fn the_floor_passed_while_it_wrote() {
    let (dir, k, etag, disk, plan) = with_one().await;
    let floor = place(&dir, &k).join("floor");
    plan.before("stat floor", move |_| std::fs::write(floor, ".").unwrap());
    let outcome = disk.put(&k, value(&k), Precondition::Matches(etag)).await;
    assert_eq!((kind(&outcome).as_str(), plan.all_came()), ("conflict", true));
    assert!(!plan.steps().iter().any(|step| step.starts_with("link")));
    let names: Vec<_> = std::fs::read_dir(place(&dir, &k)).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

/// Published, answer lost, eight others came and the pruner with them: only the ring can say.
#[tokio::test]
async fn it_was_pruned_before_it_could_look() {
    let (dir, k, etag, disk, plan) = with_one().await;
    plan.fail("link", 0, Fault::Hidden(Errno::IO));
    let there = place(&dir, &k);
    plan.before("read r.2", |_| {});
    plan.before("read r.2", move |_| {
        std::fs::write(there.join("floor"), ".").unwrap();
        std::fs::remove_file(there.join("r.2")).unwrap();
    });
    let outcome = disk.put(&k, value(&k), Precondition::Matches(etag)).await;
    assert_eq!((kind(&outcome).as_str(), plan.all_came()), ("unknown OutcomeUnknown", true));
}

/// Another was faster, and pruned by the time of the look: certain where `link` answers for itself, not where replies get lost.
#[tokio::test]
async fn a_loser_that_was_held_up_knows_on_a_local_disk_only() {
    for (network, wanted) in [(false, "conflict"), (true, "unknown OutcomeUnknown")] {
        let (dir, k, etag, _disk, _plan) = with_one().await;
        let (disk, plan) = spied(&dir.path().join("s"), network).await;
        let there = place(&dir, &k);
        let theirs = there.join("r.2");
        plan.before("link", move |_| std::fs::write(theirs, "theirs").unwrap());
        plan.before("read r.2", move |_| {
            std::fs::write(there.join("floor"), ".").unwrap();
            std::fs::remove_file(there.join("r.2")).unwrap();
        });
        let outcome = disk.put(&k, value(&k), Precondition::Matches(etag)).await;
        assert_eq!((kind(&outcome).as_str(), plan.all_came()), (wanted, true));
    }
}

#[tokio::test]
async fn a_failed_sync_after_link_is_unknown_and_ends_the_use_of_the_store() {
    for link in [None, Some(Fault::Hidden(Errno::IO)), Some(Fault::Refused(Errno::IO))] {
        let (dir, k, etag, disk, plan) = with_one().await;
        if let Some(fault) = link {
            plan.fail("link", 0, fault);
        }
        plan.fail("sync dir", 0, Fault::Refused(Errno::IO));
        let outcome = disk.put(&k, value(&k), Precondition::Matches(etag.clone())).await;
        assert_eq!(kind(&outcome), "unknown Io");
        let refused = disk.put(&k, value(&k), Precondition::Matches(etag)).await;
        assert_eq!(kind(&refused), "failed Io");
        assert!(disk.get(&k).await.is_err());
        assert!(disk.changed(&k, None).await.is_err());
        let listed: Vec<_> =
            futures_util::StreamExt::collect(RecordStore::list(&disk, &Namespace::default(), None)).await;
        assert!(listed.len() == 1 && listed[0].is_err());
        let id = BlobId::random(k.hash(), FencingToken(1), &*entropy());
        assert!(disk.read(&id, 0..1).await.is_err() && disk.delete(&id).await.is_err());
        let body = futures_util::StreamExt::boxed(futures_util::stream::empty());
        assert!(disk.write(&id, body).await.is_err() && BlobStore::list(&disk, k.hash()).await.is_err());
        // Another process decides for itself.
        truth(&dir, &k).await.unwrap();
    }
}

#[tokio::test]
async fn a_t_that_cannot_be_removed_leaves_the_outcome_unknown() {
    let (_dir, k, etag, disk, plan) = with_one().await;
    plan.fail("link", 0, Fault::Refused(Errno::IO));
    plan.fail("unlink t.2", 0, Fault::Refused(Errno::ACCESS));
    let outcome = disk.put(&k, value(&k), Precondition::Matches(etag.clone())).await;
    assert_eq!(kind(&outcome), "unknown NotPermitted");
    // The store stays in use; only the disk's word on durability would end that.
    assert_eq!(kind(&disk.put(&k, value(&k), Precondition::Matches(etag)).await), "win");
}

#[tokio::test]
async fn a_failed_sync_of_content_is_never_tried_again_on_that_file() {
    let (_dir, k, etag, disk, plan) = with_one().await;
    plan.fail("sync t.2", 0, Fault::Refused(Errno::IO));
    assert_eq!(kind(&disk.put(&k, value(&k), Precondition::Matches(etag)).await), "failed Io");
    let steps = plan.steps();
    assert_eq!(steps.iter().filter(|step| *step == "sync t.2").count(), 1);
    assert!(!steps.iter().any(|step| step.starts_with("link")));
    assert_eq!(steps.last().unwrap(), "unlink t.2");
}

#[tokio::test]
async fn the_same_bytes_sent_again_find_themselves() {
    let (_dir, k, etag, disk, _plan) = with_one().await;
    let v = value(&k);
    let first = disk.put(&k, v.clone(), Precondition::Matches(etag.clone())).await.unwrap();
    let again = disk.put(&k, v, Precondition::Matches(etag)).await.unwrap();
    assert_eq!(first, again);
}

/// Each step in turn, each error, made or not: whatever is said is true, for another process too.
#[tokio::test]
async fn no_step_that_goes_wrong_makes_a_put_say_what_is_not_so() {
    let errors = [Errno::IO, Errno::NOSPC, Errno::ACCESS, Errno::STALE, Errno::EXIST];
    let mut said = std::collections::BTreeMap::new();
    for absent in [true, false] {
        for fault in errors.into_iter().flat_map(|e| [Fault::Refused(e), Fault::Hidden(e)]) {
            for nth in 0.. {
                let Some(outcome) = one_fault(absent, fault, nth).await else { break };
                *said.entry(outcome).or_insert(0) += 1;
            }
        }
    }
    // The faults were felt, and not all in one way.
    assert!(said.len() >= 4 && said.contains_key("win") && said.contains_key("unknown Io"), "{said:?}");
}

/// Puts with a fault at the `nth` step; what was said, or `None` when there is no such step.
async fn one_fault(absent: bool, fault: Fault, nth: usize) -> Option<String> {
    let (dir, k, etag, disk, plan) = with_one().await;
    let (k, when) = if absent { (key("b"), Precondition::Absent) } else { (k, Precondition::Matches(etag)) };
    let before = truth(&dir, &k).await;
    let v = value(&k);
    plan.fail("", nth, fault);
    let outcome = disk.put(&k, v.clone(), when.clone()).await;
    if !plan.all_came() {
        return None;
    }
    let (said, now, steps) = (kind(&outcome), truth(&dir, &k).await, plan.steps());
    let context = format!("absent {absent}, {fault:?} at {nth} = {}: {said}", steps[nth]);
    match &outcome {
        Ok(_) => {
            assert_eq!(now, Some(v.clone()), "{context}");
            // A win rests on no sync that failed; after `link` only tidying may.
            assert!(!steps[nth].starts_with("sync"), "{context}");
        }
        Err(PutError::Unknown(_)) => assert!(now == before || now == Some(v.clone()), "{context}"),
        Err(PutError::Conflict | PutError::Failed(_)) => assert_eq!(now, before, "{context}"),
    }
    let again = disk.put(&k, v.clone(), when).await;
    if steps[nth].starts_with("sync dir") || steps[nth] == "sync floor" {
        assert_eq!(kind(&again), "failed Io", "{context}");
    } else {
        assert_eq!(kind(&again), "win", "{context}");
        assert_eq!(truth(&dir, &k).await, Some(v), "{context}");
    }
    Some(said)
}
