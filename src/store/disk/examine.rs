//! Whether a directory is a place for a store: what can be told by looking, before anything is written to it but a directory of
//! the checks' own. One report for each question; whoever cannot go on after one says so.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;

use super::fs::Fs;
use super::identity::{self, Identity, Kind, own_name};
use super::layout::IDENTITY;
use super::real::RealFs;
use super::{io_error, lost, scratch};
use crate::limits::{INODES_LEAST, INODES_WANTED, ROOM_LEAST, ROOM_WANTED};
use crate::platform::mounts::{Mount, missing_mount, mount_of, mounts};
use crate::store::conformance::{Outcome, Report};

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The directory of the store.
    pub path: PathBuf,
    /// Whether lockd will make it when it is missing: then the nearest one above it is looked at.
    pub may_be_missing: bool,
    /// The file that says what ought to be mounted (`fstab(5)`).
    pub fstab: PathBuf,
    /// Whether it is accepted that everything is gone after a restart.
    pub volatile: bool,
    /// How the store keeps its records.
    pub kind: Kind,
    /// The name of the directory for the checks.
    pub scratch: String,
    /// The name of a directory in that one, for this process alone: another host may be at it too.
    pub own: String,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// In the order in which it was asked.
    pub reports: Vec<Report>,
    /// The directory for the checks, where one could be made.
    pub scratch: Option<PathBuf>,
    /// The mount, where it is known.
    pub mount: Option<Mount>,
}

/// Looks, and makes the directory for the checks.
#[must_use]
pub fn look(question: &Question) -> Answer {
    let mut answer = Answer::default();
    let mounts = mounts().unwrap_or_default();
    if let Some(point) = unmounted(question, &mounts) {
        let (saw, advice) = (
            format!("{} is in {}, but not mounted", point.display(), question.fstab.display()),
            format!("mount {}", point.display()),
        );
        answer.reports.push(Report::fail("directory", saw, advice));
        return answer;
    }
    let base = match directory(question) {
        Ok((base, report)) => {
            answer.reports.push(report);
            base
        }
        Err(report) => {
            answer.reports.push(report);
            return answer;
        }
    };
    answer.mount = std::fs::canonicalize(&base).ok().and_then(|real| mount_of(&mounts, &real).cloned());
    answer.reports.push(mount_report(answer.mount.as_ref()));
    answer.reports.push(durable(answer.mount.as_ref(), question.volatile));
    let own = base == question.path;
    if own {
        answer.reports.push(mode(&base));
        answer.reports.push(contents(&base, question.kind));
    }
    let room = room(&base);
    let full = room.iter().any(|report| report.outcome == Outcome::Fail);
    answer.reports.extend(room);
    if full {
        // What failed for want of room would say nothing.
        return answer;
    }
    let dir = base.join(&question.scratch);
    match scratch::make(&dir) {
        Err(e) => {
            let advice = e.hint().unwrap_or("look at the file system's log").to_owned();
            answer.reports.push(Report::fail("writable", e.message(), advice));
        }
        Ok(()) => {
            answer.reports.push(Report::ok("writable", "a directory can be made in it"));
            if own {
                answer.reports.push(owner(&base, &dir));
            }
            answer.scratch = Some(dir);
        }
    }
    answer
}

fn unmounted(question: &Question, mounts: &[Mount]) -> Option<PathBuf> {
    let fstab = std::fs::read(&question.fstab).ok()?;
    let base = nearest(&question.path);
    let real = std::fs::canonicalize(base).ok()?;
    let below = question.path.strip_prefix(base).unwrap_or(Path::new(""));
    missing_mount(&fstab, mounts, &if below.as_os_str().is_empty() { real } else { real.join(below) })
}

/// The nearest directory at or above a path that is there.
#[must_use]
pub fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"))
}

fn directory(question: &Question) -> Result<(PathBuf, Report), Report> {
    let (path, id) = (&question.path, "directory");
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Ok((path.clone(), Report::ok(id, shown.to_string()))),
        Ok(_) => {
            let advice = "name a directory, or move the file away";
            Err(Report::fail(id, format!("{shown} is a file"), advice))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => {
            let advice = "name a directory, or move the file away";
            Err(Report::fail(id, format!("{shown}: a file is in the place of a directory above it"), advice))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && question.may_be_missing => {
            let base = nearest(path);
            let saw = format!("{shown} is not there yet and will be made; {} was looked at", base.display());
            Ok((base.to_owned(), Report::ok(id, saw)))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let advice = format!("mount what should be there, or make it: mkdir -m 700 {shown}");
            Err(Report::fail(id, format!("{shown} is not there"), advice))
        }
        Err(e) => Err(Report::fail(id, format!("{shown}: {e}"), "check owner and mode of the directories above it")),
    }
}

/// The file system and its mount options, as far as they matter to lockd.
fn mount_report(mount: Option<&Mount>) -> Report {
    const ID: &str = "mount";
    let Some(mount) = mount else {
        let advice = "run it where /proc is mounted, and run it with --peer when several hosts share the directory";
        return Report::warn(ID, "the file system is not known", advice);
    };
    let what = format!("{} on {}", mount.kind, mount.point.display());
    let set = |option: &str| mount.options.iter().any(|o| o == option);
    let local_lock = mount.options.iter().find(|o| o.starts_with("local_lock=") && *o != "local_lock=none");
    let barriers = set("nobarrier") || set("barrier=0");
    if mount.is_nfs() && set("nocto") {
        return Report::fail(ID, format!("{what}: nocto, so that reads may be old"), "mount it without nocto");
    }
    if barriers {
        let advice = "mount it with barriers, unless its cache is kept through a loss of power";
        return Report::warn(ID, format!("{what}: without write barriers"), advice);
    }
    if mount.is_nfs() && (set("soft") || set("softerr")) {
        let saw = format!("{what}: soft, so that a write may be reported as failed and still arrive");
        return Report::warn(ID, saw, "mount it hard; with soft more answers are `outcome unknown` (exit 83)");
    }
    if mount.is_nfs() && (set("nolock") || local_lock.is_some()) {
        let option = local_lock.map_or("nolock", String::as_str);
        let saw = format!("{what}: {option}, so that flock(1) there holds on one host only");
        return Report::warn(ID, saw, "lockd needs no file locks and is safe; do not mix it with flock(1) there");
    }
    if mount.is_local() || mount.is_nfs() {
        let hosts = if mount.is_local() { "this host only" } else { "may be shared by hosts" };
        return Report::ok(ID, format!("{what}, {hosts}"));
    }
    let advice = "trust it as far as the checks below go; where several hosts share it, run --peer on two of them";
    Report::warn(ID, format!("{what}: a file system that lockd does not know"), advice)
}

fn durable(mount: Option<&Mount>, accepted: bool) -> Report {
    const ID: &str = "durable";
    let Some(mount) = mount.filter(|mount| mount.is_volatile()) else {
        return Report::ok(ID, "on a file system that outlives a restart").of("R1");
    };
    let saw = format!("{} is memory: states are gone and tokens begin again after a restart", mount.kind);
    match accepted {
        true => Report::warn(ID, saw, "keep in it only what may be gone").of("R1"),
        false => Report::fail(ID, saw, "use a disk, or accept it with --allow-volatile").of("R1"),
    }
}

fn mode(path: &Path) -> Report {
    const ID: &str = "mode";
    let Ok(meta) = std::fs::metadata(path) else {
        return Report::fail(ID, "it cannot be looked at", "check owner and mode of the directories above it");
    };
    let mode = meta.mode() & 0o7777;
    let saw = format!("{mode:04o}, of uid {} and gid {}", meta.uid(), meta.gid());
    if mode & 0o002 != 0 {
        let advice = format!("take that away: chmod o-w {}", path.display());
        return Report::fail(ID, format!("{saw}: everyone may write to it"), advice);
    }
    if mode & 0o700 != 0o700 {
        let advice = format!("chmod u+rwx {}", path.display());
        return Report::fail(ID, format!("{saw}: its owner may not read, write and enter it"), advice);
    }
    let group = mode & 0o070;
    if group & 0o020 != 0 && group != 0o070 {
        let advice = format!("chmod g+rwx {}", path.display());
        return Report::fail(ID, format!("{saw}: its group may write, but not read or enter it"), advice);
    }
    let who = if group & 0o020 == 0 { "its owner's alone" } else { "shared with its group" };
    Report::ok(ID, format!("{saw}: {who}"))
}

/// What is made here must be of the one to whom the directory belongs, else that one could not read it.
fn owner(base: &Path, made: &Path) -> Report {
    const ID: &str = "owner";
    let (Ok(dir), Ok(made)) = (std::fs::metadata(base), std::fs::metadata(made)) else {
        return Report::fail(ID, "it cannot be looked at", "try again");
    };
    if dir.uid() == made.uid() {
        return Report::ok(ID, format!("uid {}, and so is what is made here", dir.uid()));
    }
    if dir.mode() & 0o020 != 0 && dir.gid() == made.gid() {
        return Report::ok(ID, format!("uid {}; what is made here is shared with gid {}", made.uid(), made.gid()));
    }
    let saw = format!("it belongs to uid {}, what is made here to uid {}", dir.uid(), made.uid());
    let advice = match dir.mode() & 0o020 {
        0 => format!("run lockd as uid {}, or chown {} {}", dir.uid(), made.uid(), base.display()),
        _ => format!("give what is made there to its group: chmod g+s {}", base.display()),
    };
    Report::fail(ID, saw, advice)
}

fn contents(path: &Path, kind: Kind) -> Report {
    const ID: &str = "contents";
    let names = match std::fs::read_dir(path) {
        Ok(names) => names.flatten().map(|name| name.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>(),
        Err(e) => return Report::fail(ID, format!("it cannot be listed: {e}"), "check its owner and mode"),
    };
    if names.iter().any(|name| name == IDENTITY) {
        return known(path, kind);
    }
    match names.iter().find(|name| !own_name(kind, name)) {
        None => Report::ok(ID, "no store yet"),
        Some(name) => {
            let saw = format!("no store, but other things, such as {name:?}");
            let advice =
                format!("lockd makes a store only in an empty directory: use {}", path.join("lockd").display());
            Report::warn(ID, saw, advice)
        }
    }
}

fn known(path: &Path, kind: Kind) -> Report {
    const ID: &str = "contents";
    let fs = RealFs::new(path.to_owned(), false, false);
    let read = async {
        let root = fs.open_root().await.map_err(|e| io_error("open the store's directory", e))?;
        identity::read(&fs, &root, kind).await
    };
    match read.now_or_never().unwrap_or_else(|| Err(lost())) {
        Ok(Some(Identity { id, epoch, .. })) => {
            Report::ok(ID, format!("store {}, epoch {epoch}", id.get(..8).unwrap_or(&id)))
        }
        Ok(None) => Report::fail(ID, format!("{IDENTITY} comes and goes"), "try again"),
        Err(e) => {
            let advice = e.hint().unwrap_or("restore it from a backup").to_owned();
            Report::fail(ID, e.message(), advice)
        }
    }
}

fn room(path: &Path) -> Vec<Report> {
    let Ok(stat) = rustix::fs::statvfs(path) else { return Vec::new() };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let saw = format!("{} MiB free", free >> 20);
    let advice = "make room: a full store keeps its leases and refuses new states";
    let space = graded("room", free, (ROOM_LEAST, ROOM_WANTED), saw, advice);
    // Btrfs and others make inodes as they need them, and say 0 of 0.
    if stat.f_files == 0 {
        return vec![space];
    }
    let inodes = stat.f_favail;
    let advice = "remove files, or make the file system with more inodes; a key takes about 20";
    vec![space, graded("inodes", inodes, (INODES_LEAST, INODES_WANTED), format!("{inodes} free"), advice)]
}

fn graded(id: &'static str, free: u64, (least, wanted): (u64, u64), saw: String, advice: &'static str) -> Report {
    match free {
        _ if free < least => Report::fail(id, saw, advice),
        _ if free < wanted => Report::warn(id, saw, advice),
        _ => Report::ok(id, saw),
    }
}
