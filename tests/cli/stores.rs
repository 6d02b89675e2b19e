//! Where a command acts: stores that are there, missing, closed or something else.

use std::os::unix::fs::PermissionsExt;

use super::lab::{Lab, Ran, is_root, ran};

fn mode(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn at(lab: &Lab, url: &str) -> Ran {
    lab.feed(&["update", "k", "--store", url], "1")
}

#[test]
fn a_missing_store_is_made_once_and_said_so() {
    let lab = Lab::new();
    let ran = lab.run(["status", "k"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.err.starts_with(&format!("lockd: new store at {} (", lab.path("state/lockd").display())),
        "{}",
        ran.err
    );
    assert!(ran.err.trim_end().ends_with("this host only)"), "{}", ran.err);
    assert_eq!(lab.run(["status", "k"]).err, "");
}

#[test]
fn the_parents_of_the_embedded_default_are_made() {
    let lab = Lab::new();
    let home = lab.path("home");
    let ran = ran(lab.lockd().args(["status", "k"]).env("XDG_STATE_HOME", home.join("a/b")));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(home.join("a/b/lockd").is_dir());
    // Elsewhere the parent must exist: it is more likely a typing error.
    let ran = at(&lab, &format!("disk://{}", home.join("no/such").display()));
    assert_eq!(ran.code, 78, "{}", ran.err);
    assert!(!home.join("no").exists());
}

#[test]
fn no_create_makes_nothing() {
    let lab = Lab::new();
    for env in [None, Some(("LOCKD_NO_CREATE", "true"))] {
        let mut command = lab.lockd();
        command.args(["status", "k"]).args(env.is_none().then_some("--no-create")).envs(env);
        let ran = ran(&mut command);
        assert_eq!(ran.code, 78, "{}", ran.err);
        assert!(!lab.path("state/lockd").exists());
    }
}

#[test]
fn what_is_no_store_is_refused() {
    let lab = Lab::new();
    let file = lab.file("file", "hello");
    let ran = at(&lab, &format!("disk://{}", file.display()));
    assert_eq!(ran.code, 78, "{}", ran.err);
    assert!(ran.err.contains("file"), "{}", ran.err);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "hello");
    let other = lab.path("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("mine.txt"), "hello").unwrap();
    let ran = at(&lab, &format!("disk://{}", other.display()));
    assert_eq!(ran.code, 78, "a directory with somebody's files: {}", ran.err);
    assert_eq!(std::fs::read_dir(&other).unwrap().count(), 1);
    for (url, says) in [
        ("mem://", "one process"),
        ("lsm://relative/path", "not absolute"),
        ("gs://b/p", "not offered"),
        ("s3:///p", "names no bucket"),
        ("azure://a", "names no container"),
        ("disk://relative/path", "not absolute"),
        ("disk:///a/../b", "`..`"),
        ("/plain/path", "disk:// before the path"),
        ("ftp://x/", "help stores"),
    ] {
        let ran = at(&lab, url);
        assert_eq!(ran.code, 64, "{url}: {}", ran.err);
        assert!(ran.err.contains(says), "{url}: {}", ran.err);
    }
    let ran = lab.run(["acquire", "k", "--store", "lsm:///x"]);
    assert_eq!(ran.code, 64);
    assert!(ran.err.contains("lockd serve"), "{}", ran.err);
}

#[test]
fn a_store_that_is_closed_to_us_is_77() {
    let lab = Lab::new();
    for name in ["home", "state", "run", "work"] {
        mode(&lab.path(name), 0o777);
    }
    mode(&lab.path("run"), 0o755);
    let status = |lab: &Lab| ran(lab.as_nobody().args(["status", "k"]));
    let update = |lab: &Lab| ran(lab.as_nobody().args(["update", "k"]).write_stdin("1"));
    assert_eq!(update(&lab).code, 0, "a user of no rights has a store of its own");
    let store = lab.path("state/lockd");
    let open = std::fs::metadata(&store).unwrap().permissions().mode();

    mode(&store, 0o000);
    for ran in [status(&lab), update(&lab)] {
        assert_eq!(ran.code, 77, "{}", ran.err);
        assert!(ran.err.contains("state/lockd"), "{}", ran.err);
    }
    mode(&store, open);
    mode(&lab.path("state"), 0o555);
    std::fs::rename(&store, lab.path("moved")).unwrap_or_else(|e| assert!(!is_root(), "{e}"));
    if is_root() {
        let ran = update(&lab);
        assert_eq!(ran.code, 77, "nothing may be made in a directory that is read-only to us: {}", ran.err);
    }
    mode(&lab.path("state"), 0o777);
}

#[test]
fn a_key_directory_that_cannot_be_written_is_an_error_and_no_answer() {
    let lab = Lab::new();
    for name in ["home", "state", "work"] {
        mode(&lab.path(name), 0o777);
    }
    let update = |lab: &Lab| ran(lab.as_nobody().args(["update", "k"]).write_stdin("1"));
    assert_eq!(update(&lab).code, 0);
    let list = |dir: &std::path::Path| -> Vec<std::path::PathBuf> {
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect()
    };
    let (mut open, mut all) = (vec![lab.path("state/lockd")], Vec::new());
    while let Some(dir) = open.pop() {
        open.extend(list(&dir));
        all.push(dir);
    }
    for dir in &all {
        mode(dir, 0o555);
    }
    let ran = update(&lab);
    assert_eq!(ran.code, 77, "{}", ran.err);
    for dir in &all {
        mode(dir, 0o755);
    }
    assert_eq!(update(&lab).code, 0);
}

/// Another directory would be taken without a word, and two jobs that think they share a lock would not.
#[test]
fn a_directory_that_is_not_text_is_refused_and_not_passed_over() {
    use std::os::unix::ffi::OsStrExt;
    let lab = Lab::new();
    let odd = std::ffi::OsStr::from_bytes(b"/tmp/n\xff");
    for name in ["XDG_STATE_HOME", "XDG_CONFIG_HOME"] {
        let refused = ran(lab.lockd().args(["status", "k"]).env(name, odd));
        assert_eq!(refused.code, 78, "{name}: {}", refused.err);
        assert!(refused.err.contains(&format!("{name} is not UTF-8")), "{}", refused.err);
    }
}

#[cfg(feature = "lsm")]
mod lsm {
    use std::io::BufRead;
    use std::process::Stdio;

    use super::*;

    /// Each command opens it, does its work, and leaves it to the next.
    #[test]
    fn an_lsm_store_works_while_nobody_else_has_it() {
        let lab = Lab::new();
        let url = format!("lsm://{}", lab.path("home").join("tree").display());
        let ran = at(&lab, &url);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(
            ran.err.starts_with("lockd: new store at ") && ran.err.contains("one process at a time"),
            "{}",
            ran.err
        );
        // Also a state that does not ride in its record.
        let large = format!("\"{}\"", "x".repeat(100_000));
        let ran = lab.feed(&["update", "large", "--store", &url], large.as_str());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        assert_eq!(lab.run(["get", "k", "--store", &url]).out, "1\n");
        assert_eq!(lab.run(["get", "large", "--store", &url]).out, large + "\n");
        assert_eq!(lab.run(["list", "--store", &url]).code, 0);
        let lock = std::fs::read_to_string(lab.path("home").join("tree/lock")).unwrap();
        assert_eq!(lock, "closed\n", "every command closes it");
    }

    #[test]
    fn who_has_an_lsm_store_is_told_to_others() {
        let lab = Lab::new();
        let url = format!("lsm://{}", lab.path("home").join("tree").display());
        let mut watch = lab.plain();
        let mut watch =
            watch.args(["watch", "k", "--store", &url]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (mut line, mut out) = (String::new(), std::io::BufReader::new(watch.stdout.take().unwrap()));
        out.read_line(&mut line).unwrap();
        let ran = lab.run(["get", "k", "--store", &url]);
        watch.kill().unwrap();
        watch.wait().unwrap();
        assert_eq!(ran.code, 69, "{}", ran.err);
        let who = format!("process {} has it open", watch.id());
        assert!(ran.err.contains(&who) && ran.err.contains("--server"), "{}", ran.err);
        // The kernel gave it back.
        assert_eq!(at(&lab, &url).code, 0);
    }
}
