//! Opening: what is made, what is refused, who is told what; and that a store comes back as it was left.

use std::fs;
use std::path::Path;

use futures_util::StreamExt;
use lockd::error::ErrorKind;
use lockd::model::Namespace;
use lockd::store::open::{OpenOptions, StoreUrl, open};
use lockd::store::{Precondition, PutError, Store};

use super::super::{key, open_dir, options, value};
use super::{new_lsm, open_lsm, open_small};
use crate::support::left_out;

async fn refused(path: &Path) -> (ErrorKind, String) {
    let error = open_lsm(path).await.unwrap_err();
    (error.kind(), error.to_string())
}

async fn names(store: &Store) -> Vec<String> {
    let namespace = Namespace::default();
    let all = store.records.list(&namespace, None);
    all.map(|item| item.unwrap().0.name().to_owned()).collect().await
}

#[tokio::test]
async fn a_store_is_made_once_and_found_again() {
    let (dir, store) = new_lsm().await;
    let (id, path) = (store.facts.id.clone(), dir.path().join("s"));
    assert_eq!(store.facts.url, format!("lsm://{}", path.display()));
    assert!(store.facts.about.ends_with("this host only, one process at a time"), "{}", store.facts.about);
    let k = key("a");
    let etag = store.records.put(&k, value(&k), Precondition::Absent).await.unwrap();
    drop(store);
    let again = open_lsm(&path).await.unwrap();
    assert!(!again.created);
    assert_eq!(again.store.facts.id, id);
    assert_eq!(again.store.records.get(&k).await.unwrap().unwrap().etag, etag);
    // Another opening gives other names, and takes the ones of before.
    let next = again.store.records.put(&k, value(&k), Precondition::Matches(etag.clone())).await.unwrap();
    assert_ne!(next, etag);
    let mut there: Vec<_> = fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name()).collect();
    there.sort();
    assert_eq!(there, ["lock", "reserve", "store.json", "tree"]);
}

#[tokio::test]
async fn a_second_process_is_told_who_has_it() {
    let (dir, store) = new_lsm().await;
    let (kind, text) = refused(&dir.path().join("s")).await;
    assert_eq!(kind, ErrorKind::Unavailable);
    let who = format!("process {} has it open", std::process::id());
    assert!(text.contains(&who) && text.contains("lockd serve") && text.contains("--server"), "{text}");
    drop(store);
    open_lsm(&dir.path().join("s")).await.unwrap();
}

#[tokio::test]
async fn each_kind_of_store_refuses_the_other() {
    let (lsm, store) = new_lsm().await;
    drop(store);
    let error = open_dir(&lsm.path().join("s")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreMissing);
    assert!(error.to_string().contains("lsm:// before its path"), "{error}");
    let (disk, _store) = super::super::new_store().await;
    let before = fs::read_dir(disk.path().join("s")).unwrap().count();
    let (kind, text) = refused(&disk.path().join("s")).await;
    assert_eq!(kind, ErrorKind::StoreMissing);
    assert!(text.contains("disk:// before its path"), "{text}");
    assert_eq!(fs::read_dir(disk.path().join("s")).unwrap().count(), before);
}

#[tokio::test]
async fn nothing_is_made_where_that_is_not_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("foreign")).unwrap();
    fs::write(at("foreign/x"), "x").unwrap();
    fs::create_dir_all(at("headless/tree")).unwrap();
    fs::create_dir(at("empty")).unwrap();
    fs::write(at("file"), "x").unwrap();
    for name in ["foreign", "headless", "file", "no/parent"] {
        let (kind, text) = refused(&at(name)).await;
        assert_eq!(kind, ErrorKind::StoreMissing, "{name}: {text}");
    }
    for name in ["empty", "new"] {
        let options = OpenOptions { create: false, ..options() };
        let error = open(&StoreUrl::Lsm(at(name)).to_text(), options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreMissing, "{error}");
    }
    assert_eq!(fs::read_dir(at("foreign")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(at("empty")).unwrap().count(), 0);
}

/// A maker that was killed leaves a tree without a name, or a store whose tree has no name yet.
#[tokio::test]
async fn a_maker_that_was_killed_leaves_nothing_to_stumble_over() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("a/tree.new/keyspaces")).unwrap();
    fs::write(at("a/tree.new/lock"), "").unwrap();
    assert!(open_lsm(&at("a")).await.unwrap().created);
    let (made, store) = new_lsm().await;
    let k = key("a");
    store.records.put(&k, value(&k), Precondition::Absent).await.unwrap();
    drop(store);
    let path = made.path().join("s");
    fs::rename(path.join("tree"), path.join("tree.new")).unwrap();
    let again = open_lsm(&path).await.unwrap();
    assert!(!again.created && again.store.records.get(&k).await.unwrap().is_some());
    drop(again);
    fs::remove_dir_all(path.join("tree")).unwrap();
    assert_eq!(refused(&path).await.0, ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_store_that_is_replaced_under_its_process_is_refused() {
    let (dir, store) = new_lsm().await;
    let k = key("a");
    let etag = store.records.put(&k, value(&k), Precondition::Absent).await.unwrap();
    fs::rename(dir.path().join("s"), dir.path().join("old")).unwrap();
    let other = open_lsm(&dir.path().join("s")).await.unwrap().store;
    assert_eq!(store.records.get(&k).await.unwrap_err().kind(), ErrorKind::StoreReplaced);
    match store.records.put(&k, value(&k), Precondition::Matches(etag)).await {
        Err(PutError::Failed(e)) => assert_eq!(e.kind(), ErrorKind::StoreReplaced, "{e}"),
        answer => panic!("{answer:?}"),
    }
    assert!(other.records.get(&k).await.unwrap().is_none());
}

#[tokio::test]
async fn keys_are_listed_in_order_and_no_namespace_sees_another() {
    let (dir, store) = new_lsm().await;
    drop(store);
    let store = open_small(&dir.path().join("s")).await.unwrap().store;
    let mut wanted: Vec<String> = (0..600).map(|n| format!("k{n}")).chain(["a/b".into(), "a.b".into()]).collect();
    futures_util::future::join_all(wanted.iter().map(|name| async {
        let k = key(name);
        store.records.put(&k, value(&k), Precondition::Absent).await.unwrap();
    }))
    .await;
    for name in ["defaul", "default2", "default.x"] {
        let k = lockd::model::Key::new(Namespace::new(name).unwrap(), "elsewhere").unwrap();
        store.records.put(&k, value(&k), Precondition::Absent).await.unwrap();
    }
    wanted.sort();
    assert_eq!(names(&store).await, wanted);
}

/// Changes move into files while others are made, again and again; what comes back is the last of each.
#[tokio::test]
async fn a_store_whose_changes_move_into_files_comes_back_as_it_was_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut etags: Vec<Option<lockd::store::Etag>> = vec![None; 20];
    for round in 0..5 {
        let store = open_small(&path).await.unwrap().store;
        for _ in 0..20 {
            for (n, etag) in etags.iter_mut().enumerate() {
                let k = key(&format!("k{n}"));
                let when = etag.take().map_or(Precondition::Absent, Precondition::Matches);
                let body = [value(&k).as_ref(), &[b' '; 2_000]].concat();
                *etag =
                    Some(store.records.put(&k, body.into(), when).await.unwrap_or_else(|e| panic!("{round}: {e:?}")));
            }
        }
        for (n, etag) in etags.iter().enumerate() {
            assert_eq!(store.records.get(&key(&format!("k{n}"))).await.unwrap().map(|got| got.etag), *etag);
        }
    }
}

#[tokio::test]
async fn a_file_system_that_is_not_local_is_refused() {
    use crate::faults::lossy_fs::{Caching, Disk, unavailable};
    if let Some(why) = unavailable() {
        return left_out("an lsm store on a file system that is not local", &why);
    }
    let mount = Disk::new().mount(Caching::default()).unwrap();
    let path = mount.path().join("s");
    let error = open_lsm(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreMissing);
    assert!(error.to_string().contains("local disk"), "{error}");
    let leftovers = fs::read_dir(&path).map(Iterator::count).unwrap_or(0);
    assert_eq!(leftovers, 0);
}
