//! Opening: what is made, what is refused, and with which kind of error.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lockd::error::ErrorKind;
use lockd::store::Precondition;
use lockd::store::open::{OpenOptions, StoreUrl, open};

use super::{key, open_dir, options, value};
use crate::support::left_out;

async fn refused(path: &Path) -> (ErrorKind, String) {
    let error = open_dir(path).await.unwrap_err();
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn a_missing_directory_is_made_once_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new");
    let first = open_dir(&path).await.unwrap();
    let again = open_dir(&path).await.unwrap();
    assert!(first.created && !again.created);
    assert_eq!(first.store.facts.id, again.store.facts.id);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o700);
    let mut names: Vec<_> = fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["reserve", "store.json"]);
    assert_eq!(first.store.facts.url, format!("disk://{}", path.display()));
}

#[tokio::test]
async fn many_openers_at_once_agree_on_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new");
    let opened = futures_util::future::join_all((0..16).map(|_| open_dir(&path))).await;
    let opened: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
    assert_eq!(opened.iter().filter(|o| o.created).count(), 1);
    assert!(opened.iter().all(|o| o.store.facts.id == opened[0].store.facts.id));
}

#[tokio::test]
async fn nothing_is_made_when_that_was_not_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_owned(), dir.path().join("new")] {
        let options = OpenOptions { create: false, ..options() };
        let error = open(&StoreUrl::Disk(path).to_text(), options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreMissing, "{error}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert_eq!(refused(&dir.path().join("a/b")).await.0, ErrorKind::StoreMissing);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_is_not_lockds_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("file"), "x").unwrap();
    fs::create_dir(at("foreign")).unwrap();
    fs::write(at("foreign/x"), "x").unwrap();
    fs::create_dir_all(at("headless/records")).unwrap();
    fs::create_dir(at("everyone")).unwrap();
    fs::set_permissions(at("everyone"), fs::Permissions::from_mode(0o1777)).unwrap();
    for (name, text) in
        [("torn", "{\"lockd\":\"sto"), ("other", "{\"format\":1,\"id\":\"x\",\"lockd\":\"no\"}"), ("empty", "")]
    {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("store.json"), text).unwrap();
    }
    for name in ["file", "file/below", "foreign", "headless", "everyone", "torn", "other", "empty"] {
        let (kind, text) = refused(&at(name)).await;
        assert_eq!(kind, ErrorKind::StoreMissing, "{name}: {text}");
        assert!(text.contains("; "), "no advice: {text}");
    }
    assert_eq!(fs::read_dir(at("foreign")).unwrap().count(), 1);
}

#[tokio::test]
async fn an_empty_file_system_can_be_a_store() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    assert!(open_dir(dir.path()).await.unwrap().created);
}

#[tokio::test]
async fn a_newer_store_is_refused_as_too_new() {
    let dir = tempfile::tempdir().unwrap();
    let text = "{\"lockd\":\"store\",\"format\":2,\"id\":\"x\",\"epoch\":0,\"more\":1}";
    fs::write(dir.path().join("store.json"), text).unwrap();
    assert_eq!(refused(dir.path()).await.0, ErrorKind::TooNew);
}

#[tokio::test]
async fn nothing_is_made_below_a_mount_point_that_is_not_mounted() {
    let dir = tempfile::tempdir().unwrap();
    let point = dir.path().join("a mount");
    fs::create_dir(&point).unwrap();
    let fstab = dir.path().join("fstab");
    let escaped = point.display().to_string().replace(' ', "\\040");
    fs::write(&fstab, format!("# x\n/dev/a / ext4 defaults 0 1\nsrv:/x\t{escaped}\tnfs defaults 0 0\n")).unwrap();
    for path in [point.clone(), point.join("store")] {
        let options = OpenOptions { fstab: fstab.clone(), ..options() };
        let error = open(&StoreUrl::Disk(path).to_text(), options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreMissing);
        assert!(error.to_string().contains("not mounted"), "{error}");
    }
    assert_eq!(fs::read_dir(&point).unwrap().count(), 0);
    // Beside it all is well, and a store that is there already is used.
    open_dir(&point).await.unwrap();
    let options = OpenOptions { fstab, ..options() };
    open(&StoreUrl::Disk(point).to_text(), options).await.unwrap();
}

#[tokio::test]
async fn a_group_shares_a_store_whose_directory_it_may_write() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o2770)).unwrap();
    let store = open_dir(dir.path()).await.unwrap().store;
    let k = key("a");
    store.records.put(&k, value(&k), Precondition::Absent).await.unwrap();
    let hash = k.hash().hex();
    let place = dir.path().join("records").join(&hash[..2]).join(&hash);
    for (path, mode) in [(place.clone(), 0o2770), (place.join("floor"), 0o660), (place.join("r.1"), 0o660)] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, mode, "{}", path.display());
    }
}

#[tokio::test]
async fn a_tmpfs_is_said_to_be_not_durable() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
        return left_out("a store on tmpfs", "/dev/shm cannot be written");
    };
    let facts = open_dir(&dir.path().join("s")).await.unwrap().store.facts;
    assert_eq!(facts.about, "tmpfs, not durable");
}

/// Runs a script as root in a mount namespace of its own; `None` where that is not possible.
fn in_namespace(script: &str, dir: &Path) -> Option<std::process::Output> {
    let mut unshare = std::process::Command::new("unshare");
    let probe = unshare.args(["--mount", "--map-root-user", "true"]).output().ok()?;
    probe.status.success().then(|| {
        let mut unshare = std::process::Command::new("unshare");
        unshare.args(["--mount", "--map-root-user", "sh", "-euc", script]).env("DIR", dir);
        unshare.env("SELF", std::env::current_exe().unwrap()).output().unwrap()
    })
}

/// Does nothing in an ordinary run: puts into the store that the environment names and prints what came of it.
#[tokio::test]
async fn worker_that_puts() {
    let Some(path) = std::env::var_os("LOCKD_TEST_PUT_DIRECTORY") else { return };
    let store = match open_dir(Path::new(&path)).await {
        Ok(opened) => opened.store,
        Err(e) => return println!("open {:?}: {e}", e.kind()),
    };
    println!("about {}", store.facts.about);
    let k = key("a");
    let mut when = Precondition::Absent;
    // Larger than the file system of the test can take.
    let puts = std::env::var("LOCKD_TEST_PUTS").map_or(5_000, |puts| puts.parse().unwrap());
    for n in 1..=puts {
        match store.records.put(&k, vec![7; 64 * 1024].into(), when).await {
            Ok(etag) => when = Precondition::Matches(etag),
            Err(e) => return println!("put {n}: {e:?}; then {:?}", store.records.get(&k).await.map(|v| v.is_some())),
        }
        if puts > 1 {
            std::fs::write(Path::new(&path).join(format!("ballast.{n}")), vec![1; 64 * 1024]).ok();
        }
    }
}

#[test]
fn a_read_only_file_system_is_not_permitted() {
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs none $DIR; chmod 700 $DIR; export LOCKD_TEST_PUT_DIRECTORY=$DIR LOCKD_TEST_PUTS=1; \
        $SELF store::opening::worker_that_puts --exact --nocapture; mount -o remount,bind,ro $DIR; \
        $SELF store::opening::worker_that_puts --exact --nocapture";
    let Some(out) = in_namespace(script, dir.path()) else {
        return left_out("a read-only file system", "no mount namespaces here");
    };
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(text.contains("open NotPermitted"), "{text}{}", String::from_utf8_lossy(&out.stderr));
    assert!(text.contains("read-only"), "{text}");
}

#[test]
fn a_full_file_system_fails_puts_and_stays_readable() {
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=2m none $DIR; chmod 700 $DIR; \
        LOCKD_TEST_PUT_DIRECTORY=$DIR $SELF store::opening::worker_that_puts --exact --nocapture";
    let Some(out) = in_namespace(script, dir.path()) else {
        return left_out("a full file system", "no mount namespaces here");
    };
    let text = String::from_utf8_lossy(&out.stdout);
    let told = text.contains("Failed(Error { kind: StoreFull") && text.contains("then Ok(true)");
    assert!(told, "{text}{}", String::from_utf8_lossy(&out.stderr));
    assert!(text.contains("about tmpfs, not durable"), "{text}");
}
