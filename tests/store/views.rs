//! What others do while a process looks: not taken for damage, nor for a store that was replaced.

use lockd::store::disk::etag::digest;
use lockd::store::disk::fs::Errno;
use lockd::store::{Precondition, PutError, RecordStore};

use super::spy::{Fault, spied};
use super::{key, new_store, place, value};

/// A writer looks for r.1, and while it reads the floor another task of its process sees that one of others: who looked before
/// was only slower.
#[tokio::test]
async fn what_a_process_learns_while_a_first_put_looks_is_no_proof_that_it_vanished() {
    let (dir, _store) = new_store().await;
    let k = key("a");
    let (disk, plan) = spied(&dir.path().join("s"), false).await;
    let there = place(&dir, &k);
    std::fs::create_dir_all(&there).unwrap();
    std::fs::write(there.join("floor"), "").unwrap();
    let (theirs, shared, hash) = (value(&k), disk.shared().clone(), k.hash());
    let seen = theirs.clone();
    plan.before("stat floor", move |_| {
        std::fs::write(there.join("r.1"), &seen).unwrap();
        shared.known.note(hash, (1, digest(&seen)));
    });
    let outcome = disk.put(&k, value(&k), Precondition::Absent).await;
    assert!(matches!(outcome, Err(PutError::Conflict)) && plan.all_came(), "{outcome:?}");
    assert_eq!(disk.get(&k).await.unwrap().unwrap().value, theirs);
}

/// A client of a file server lists a name that came just now, and denies it at the look-up, from what it knew before.
#[tokio::test]
async fn what_is_listed_and_denied_once_is_looked_for_anew() {
    let (dir, store) = new_store().await;
    let k = key("a");
    let first = store.records.put(&k, value(&k), Precondition::Absent).await.unwrap();
    let second = store.records.put(&k, value(&k), Precondition::Matches(first)).await.unwrap();
    let (disk, plan) = spied(&dir.path().join("s"), true).await;
    plan.fail("read r.2", 0, Fault::Refused(Errno::NOENT));
    assert_eq!(disk.get(&k).await.unwrap().unwrap().etag, second);
    assert!(plan.all_came());
    // Denied again after the directory was opened anew, it has vanished.
    let (disk, plan) = spied(&dir.path().join("s"), true).await;
    for _ in 0..2 {
        plan.fail("read r.2", 0, Fault::Refused(Errno::NOENT));
    }
    let error = disk.get(&k).await.unwrap_err();
    assert!(error.to_string().contains("r.2 vanished"), "{error}");
}
