//! What the protocol asks of a file system, tried by one process in a directory of the checks' own: each reports what it saw.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind as E, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::examine::{self, Answer, Question};
use super::identity::NO_HARD_LINKS;
use super::scratch;
use crate::clock::Clock;
use crate::error::Error;
use crate::limits::CLOCK_OFF;
use crate::platform::mounts::Mount;
use crate::store::conformance::{Flaw, NOT_A_STORE, Report};

const NO_SYNC: &str = "look at the kernel's log and the disk: what is written there may be lost";

/// Looks at a place and then tries what stores need of its file system, on a thread that may block. Run it to its end: dropped, it
/// may still make the directory of the checks.
pub async fn place(question: Question, clock: Arc<dyn Clock>) -> Answer {
    let looked = tokio::task::spawn_blocking(move || {
        let mut answer = examine::look(&question);
        if let Some(dir) = &answer.scratch {
            let own = dir.join(&question.own);
            match scratch::make(&own) {
                Ok(()) => answer.reports.extend(all(&own, answer.mount.as_ref(), &*clock)),
                Err(e) => answer.reports.push(Report::from_seen("writable", Err(e.into()), NOT_A_STORE)),
            }
        }
        answer
    });
    looked.await.unwrap_or_else(|_| {
        let cut_short = Report::fail("directory", "looking at it was cut short", "run it again");
        Answer { reports: vec![cut_short], ..Answer::default() }
    })
}

/// Every check, in the directory `dir`.
#[must_use]
pub fn all(dir: &Path, mount: Option<&Mount>, clock: &dyn Clock) -> Vec<Report> {
    let mut reports = vec![
        Report::from_seen("fsync", fsync(dir), NO_SYNC).of("R1"),
        Report::from_seen("exclusive-create", exclusive_create(dir), NOT_A_STORE).of("R2"),
        hard_links(dir),
        Report::from_seen("atomic-link", atomic_link(dir), NOT_A_STORE).of("R2"),
    ];
    if mount.is_none_or(Mount::is_network) {
        reports.push(server_clock(dir, clock));
    }
    reports
}

fn new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// A file with this content, synced.
pub(super) fn make(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = new(path)?;
    file.write_all(content)?;
    file.sync_data()
}

/// What cannot be done is an error, and says nothing of the rule that is tried.
fn step<T>(what: &str, result: io::Result<T>) -> Result<T, Flaw> {
    result.map_err(|e| Error::io(what, &e).into())
}

/// A sync that fails is what is looked for.
fn sync(what: &str, result: io::Result<()>) -> Result<(), Flaw> {
    result.map_err(|e| format!("{what}: {e}").into())
}

fn fsync(dir: &Path) -> Result<String, Flaw> {
    let path = dir.join("fsync");
    let mut file = step("make a file", new(&path))?;
    for _ in 0..3 {
        step("write to a file", file.write_all(&[b'x'; 8_192]))?;
        sync("fdatasync of a file", file.sync_data())?;
        sync("fsync of a file", file.sync_all())?;
        sync("fsync of a directory", File::open(dir).and_then(|dir| dir.sync_all()))?;
    }
    let len = step("look at a file", std::fs::metadata(&path))?.len();
    if len != 3 * 8_192 {
        return Err(format!("a file has {len} bytes after 24576 were written and synced").into());
    }
    step("remove a file", std::fs::remove_file(&path))?;
    Ok("files and directories can be synced; whether that survives a loss of power shows only then".to_owned())
}

fn exclusive_create(dir: &Path) -> Result<String, Flaw> {
    let path = dir.join("exclusive");
    step("make a file", make(&path, b"first"))?;
    match new(&path) {
        Err(e) if e.kind() == E::AlreadyExists => {}
        Err(e) => return Err(format!("making a file that is there already: {e}").into()),
        Ok(_) => return Err("a file that is there already was made a second time".into()),
    }
    let content = step("read a file", std::fs::read(&path))?;
    if content != b"first" {
        return Err("a refused create changed the file".into());
    }
    step("remove a file", std::fs::remove_file(&path))?;
    Ok("a name is made once".to_owned())
}

fn hard_links(dir: &Path) -> Report {
    const ID: &str = "hard-links";
    let (one, two) = (dir.join("one"), dir.join("two"));
    let linked = make(&one, b"linked").and_then(|()| std::fs::hard_link(&one, &two));
    match linked {
        Ok(()) => {}
        Err(e) if is_unsupported(&e) => {
            return Report::fail(ID, "the file system has no hard links", NO_HARD_LINKS).of("R2");
        }
        Err(e) => return Report::fail(ID, format!("make a hard link: {e}"), NO_HARD_LINKS).of("R2"),
    }
    let inode = |path: &Path| std::fs::metadata(path).map(|meta| meta.ino()).ok();
    let same = inode(&one).is_some() && inode(&one) == inode(&two);
    let gone = std::fs::remove_file(&one);
    match std::fs::read(&two) {
        Ok(content) if same && gone.is_ok() && content == b"linked" => {
            let _left = std::fs::remove_file(&two);
            Report::ok(ID, "a file can have two names").of("R2")
        }
        _ => Report::fail(ID, "a hard link is not the same file", NO_HARD_LINKS).of("R2"),
    }
}

fn is_unsupported(e: &io::Error) -> bool {
    [Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS].iter().any(|errno| e.raw_os_error() == Some(errno.raw_os_error()))
}

fn atomic_link(dir: &Path) -> Result<String, Flaw> {
    let (first, second, name) = (dir.join("first"), dir.join("second"), dir.join("linked"));
    step("make a file", make(&first, b"first").and_then(|()| make(&second, b"second")))?;
    step("make a hard link", std::fs::hard_link(&first, &name))?;
    match std::fs::hard_link(&second, &name) {
        Err(e) if e.kind() == E::AlreadyExists => {}
        Err(e) => return Err(format!("linking to a name that is taken: {e}").into()),
        Ok(()) => return Err("a name that is taken was linked to another file".into()),
    }
    if step("read a file", std::fs::read(&name))? != b"first" {
        return Err("a refused link changed the file".into());
    }
    for path in [first, second, name] {
        step("remove a file", std::fs::remove_file(path))?;
    }
    Ok("a name that is taken stays".to_owned())
}

/// The clock of the file server, by the time that it gives to a new file.
fn server_clock(dir: &Path, clock: &dyn Clock) -> Report {
    const ID: &str = "clock";
    let path = dir.join("clock");
    let before = clock.wall().0;
    let read = make(&path, b"tick").and_then(|()| std::fs::metadata(&path));
    let here = before.midpoint(clock.wall().0);
    let _left = std::fs::remove_file(&path);
    let Ok(meta) = read else {
        return Report::fail(ID, "the time of a file cannot be read", "look at the file system's log");
    };
    let there =
        u64::try_from(meta.mtime()).unwrap_or(0) * 1_000 + u64::try_from(meta.mtime_nsec()).unwrap_or(0) / 1_000_000;
    let off = Duration::from_millis(here.abs_diff(there));
    let side = if there < here { "behind" } else { "ahead of" };
    let saw = format!("the file server's clock is {} ms {side} this host's", off.as_millis());
    if off > CLOCK_OFF {
        return Report::warn(ID, saw, "set the clocks: leases are safe, but a takeover after a crash may come late");
    }
    Report::ok(ID, saw)
}
