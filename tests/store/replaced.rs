//! A store that is not the same any more under a running process: refused, and never made again.

use std::fs;
use std::path::Path;

use futures_util::StreamExt;
use lockd::error::ErrorKind;
use lockd::model::{BlobId, FencingToken, Namespace};
use lockd::store::{Etag, Precondition, PutError, Store};

use super::{entropy, key, new_store, open_dir, place, value};

/// Every operation says `store_replaced`, and nothing appears in the directory.
async fn refused(store: &Store, root: &Path, etag: &Etag, context: &str) {
    let before = tree(root);
    let k = key("a");
    let replaced = |kind| assert_eq!(kind, ErrorKind::StoreReplaced, "{context}");
    replaced(store.records.get(&k).await.unwrap_err().kind());
    for when in [Precondition::Absent, Precondition::Matches(etag.clone())] {
        let when_absent = when == Precondition::Absent;
        match store.records.put(&k, value(&k), when).await {
            Err(PutError::Failed(e)) => replaced(e.kind()),
            // A key that is there in some form is there.
            Err(PutError::Conflict) if when_absent && place_of(root).join("r.1").exists() => {}
            other => panic!("{context}: {other:?}"),
        }
    }
    replaced(store.records.changed(&k, Some(etag)).await.unwrap_err().kind());
    assert_eq!(tree(root), before, "{context}");
}

/// Also those that know nothing of the key.
async fn refused_whole(store: &Store, root: &Path, etag: &Etag, context: &str) {
    refused(store, root, etag, context).await;
    let before = tree(root);
    let other = key("never/seen");
    assert!(store.records.get(&other).await.is_err(), "{context}");
    assert!(store.records.put(&other, value(&other), Precondition::Absent).await.is_err(), "{context}");
    let listed: Vec<_> = store.records.list(&Namespace::default(), None).collect().await;
    assert!(listed.len() == 1 && listed[0].is_err(), "{context}");
    let id = BlobId::random(other.hash(), FencingToken(1), &*entropy());
    assert!(store.blobs.write(&id, futures_util::stream::empty().boxed()).await.is_err(), "{context}");
    assert!(store.blobs.read(&id, 0..1).await.is_err() && store.blobs.list(other.hash()).await.is_err(), "{context}");
    assert_eq!(tree(root), before, "{context}");
}

fn place_of(root: &Path) -> std::path::PathBuf {
    let hash = key("a").hash().hex();
    root.join("records").join(&hash[..2]).join(hash)
}

fn tree(root: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let mut all: Vec<String> = entries
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            let mut below = if path.is_dir() { tree(&path) } else { Vec::new() };
            below.push(path.display().to_string());
            below
        })
        .collect();
    all.sort();
    all
}

/// A store with three revisions of a key.
async fn with_three() -> (tempfile::TempDir, Store, Etag) {
    let (dir, store) = new_store().await;
    let k = key("a");
    let mut etag = store.records.put(&k, value(&k), Precondition::Absent).await.unwrap();
    for _ in 0..2 {
        etag = store.records.put(&k, value(&k), Precondition::Matches(etag)).await.unwrap();
    }
    (dir, store, etag)
}

#[tokio::test]
async fn its_directory_is_gone_or_made_again() {
    let (dir, store, etag) = with_three().await;
    let root = dir.path().join("s");
    fs::remove_dir_all(&root).unwrap();
    refused_whole(&store, &root, &etag, "gone").await;
    fs::create_dir(&root).unwrap();
    refused_whole(&store, &root, &etag, "empty").await;
    let new = open_dir(&root).await.unwrap();
    assert!(new.created);
    refused_whole(&store, &root, &etag, "another store").await;
    // The other store is whole for those who open it.
    let k = key("a");
    new.store.records.put(&k, value(&k), Precondition::Absent).await.unwrap();
    refused_whole(&store, &root, &etag, "another store with the key").await;
}

#[tokio::test]
async fn it_was_moved_away() {
    let (dir, store, etag) = with_three().await;
    let root = dir.path().join("s");
    fs::rename(&root, dir.path().join("elsewhere")).unwrap();
    open_dir(&root).await.unwrap();
    refused_whole(&store, &root, &etag, "another store").await;
    fs::remove_dir_all(&root).unwrap();
    fs::rename(dir.path().join("elsewhere"), &root).unwrap();
    assert_eq!(store.records.get(&key("a")).await.unwrap().unwrap().etag, etag);
}

#[tokio::test]
async fn its_identity_changed() {
    let (dir, store, etag) = with_three().await;
    let root = dir.path().join("s");
    let text = fs::read_to_string(root.join("store.json")).unwrap();
    // Written again with the same content, as a restore or an editor does: the same store.
    fs::write(root.join("new"), &text).unwrap();
    fs::rename(root.join("new"), root.join("store.json")).unwrap();
    store.records.get(&key("a")).await.unwrap().unwrap();
    fs::write(root.join("store.json"), text.replace("\"epoch\":0", "\"epoch\":1")).unwrap();
    refused_whole(&store, &root, &etag, "epoch").await;
    fs::write(root.join("store.json"), text.replace("\"id\":\"", "\"id\":\"x")).unwrap();
    refused_whole(&store, &root, &etag, "id").await;
    fs::remove_file(root.join("store.json")).unwrap();
    refused_whole(&store, &root, &etag, "no store.json").await;
}

#[tokio::test]
async fn a_key_went_back_or_is_gone() {
    let (dir, store, etag) = with_three().await;
    let (root, place) = (dir.path().join("s"), place(&dir, &key("a")));
    fs::rename(place.join("r.3"), root.join("r.3")).unwrap();
    refused(&store, &root, &etag, "a lower revision").await;
    fs::write(place.join("r.3"), "another").unwrap();
    refused(&store, &root, &etag, "another content").await;
    fs::remove_dir_all(&place).unwrap();
    refused(&store, &root, &etag, "no directory").await;
    // Other keys are as they were.
    let other = key("b");
    store.records.put(&other, value(&other), Precondition::Absent).await.unwrap();
}

#[tokio::test]
async fn an_etag_of_another_store_matches_nothing() {
    let (_dir, _store, etag) = with_three().await;
    let (_other_dir, other, _) = with_three().await;
    let k = key("a");
    let outcome = other.records.put(&k, value(&k), Precondition::Matches(etag)).await;
    assert!(matches!(outcome, Err(PutError::Conflict)), "{outcome:?}");
}

#[tokio::test]
async fn damage_is_said_and_never_guessed_over() {
    let k = key("a");
    for (what, harm) in [
        ("no floor", (|place| fs::remove_file(place.join("floor")).unwrap()) as fn(&Path)),
        ("a directory in place of the head", |place| {
            fs::remove_file(place.join("r.3")).unwrap();
            fs::create_dir(place.join("r.3")).unwrap();
        }),
        ("a link out of the store", |place| {
            fs::rename(place.join("r.3"), place.join("x")).unwrap();
            std::os::unix::fs::symlink("x", place.join("r.3")).unwrap();
        }),
        ("a pipe", |place| {
            fs::remove_file(place.join("r.3")).unwrap();
            let mkfifo = std::process::Command::new("mkfifo").arg(place.join("r.3")).status().unwrap();
            assert!(mkfifo.success());
        }),
        ("far too large", |place| {
            fs::File::options().write(true).open(place.join("r.3")).unwrap().set_len(1 << 30).unwrap()
        }),
    ] {
        let (dir, _store, etag) = with_three().await;
        harm(&place(&dir, &k));
        let store = open_dir(&dir.path().join("s")).await.unwrap().store;
        let error = store.records.get(&k).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
        assert!(error.hint().is_some(), "{what}: {error}");
        let put = store.records.put(&k, value(&k), Precondition::Matches(etag)).await;
        assert!(matches!(put, Err(PutError::Failed(_))), "{what}: {put:?}");
        let keys: Vec<_> = store.records.list(&Namespace::default(), None).collect().await;
        assert!(keys.len() == 1 && keys[0].is_err(), "{what}: {keys:?}");
    }
}

/// Truncated content is handed on: its checksum is the record's own, and the record's reader refuses it.
#[tokio::test]
async fn a_truncated_record_is_refused_by_its_checksum() {
    let (dir, _store, _etag) = with_three().await;
    let k = key("a");
    let head = place(&dir, &k).join("r.3");
    let whole = fs::read(&head).unwrap();
    for len in [0, 10, whole.len() / 2, whole.len() - 1] {
        fs::write(&head, &whole[..len]).unwrap();
        let store = open_dir(&dir.path().join("s")).await.unwrap().store;
        let got = store.records.get(&k).await.unwrap().unwrap();
        assert_eq!(lockd::model::Record::decode(&k, &got.value).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
