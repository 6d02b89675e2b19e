//! The quick checks that a server runs at its start.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lockd::error::{Error, ErrorKind};
use lockd::store::conformance::{Outcome, Report};
use lockd::store::open::StoreUrl;
use lockd::store::quick::quick;

use super::{open_dir, options};

async fn tried(path: &Path) -> Result<Vec<Report>, Error> {
    // Where the tests' directory is in memory, that is no fault here.
    quick(&StoreUrl::Disk(path.to_owned()), true, &options()).await
}

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_good_store_is_accepted_and_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    open_dir(&path).await.unwrap();
    let before = names(&path);
    let reports = tried(&path).await.unwrap();
    assert!(reports.iter().all(|report| report.outcome != Outcome::Fail), "{reports:?}");
    for id in ["mount", "fsync", "hard-links", "create-race", "blob-list"] {
        assert!(reports.iter().any(|report| report.id == id), "{id} is missing in {reports:?}");
    }
    assert_eq!(names(&path), before);
    assert!(!quick(&StoreUrl::Memory, false, &options()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_bad_place_is_78_and_says_what_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("file"), "x").unwrap();
    fs::create_dir(at("open")).unwrap();
    fs::set_permissions(at("open"), fs::Permissions::from_mode(0o777)).unwrap();
    for (name, says, hint) in [
        ("none", "directory: ", "mkdir -m 700"),
        ("file", "is a file", "name a directory"),
        ("open", "mode: 0777", "chmod o-w"),
    ] {
        let error = tried(&at(name)).await.unwrap_err();
        assert_eq!((error.kind(), error.kind().exit_code()), (ErrorKind::Config, 78), "{error}");
        assert!(error.message().contains("cannot hold locks") && error.message().contains(says), "{error}");
        assert!(error.hint().is_some_and(|told| told.contains(hint)), "{error}");
    }
    assert_eq!(names(&at("open")), Vec::<String>::new());
    assert!(!at("none").exists());
}
