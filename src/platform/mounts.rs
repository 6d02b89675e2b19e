//! Mounts: which file system a path is on, and what `fstab(5)` expects to be mounted.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One line of `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The mount's id.
    pub id: u64,
    /// Where it is mounted.
    pub point: PathBuf,
    /// The file system's type: `ext4`, `nfs4`.
    pub kind: String,
    /// What is mounted: a device, `server:/export`.
    pub source: String,
    /// Options of the mount and of the file system, each `name` or `name=value`.
    pub options: Vec<String>,
}

impl Mount {
    /// Whether an option is set, with or without a value.
    #[must_use]
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option || o.split_once('=').is_some_and(|(name, _)| name == option))
    }

    /// Whether other hosts, or something that the kernel cannot see, may write to it too.
    #[must_use]
    pub fn is_network(&self) -> bool {
        !self.is_local()
    }

    /// Whether it is on the list of file systems that only one running kernel writes to. An overlay counts: the kernel takes
    /// no network file system and no FUSE as its upper layer (`overlayfs.rst`, "Upper and Lower").
    #[must_use]
    pub fn is_local(&self) -> bool {
        const LOCAL: &[&str] =
            &["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "bcachefs", "zfs", "tmpfs", "ramfs", "overlay"];
        LOCAL.contains(&self.kind.as_str())
    }

    /// Whether it is NFS.
    #[must_use]
    pub fn is_nfs(&self) -> bool {
        matches!(self.kind.as_str(), "nfs" | "nfs4")
    }

    /// Whether what is written there is gone after a loss of power, whatever is synced.
    #[must_use]
    pub fn is_volatile(&self) -> bool {
        matches!(self.kind.as_str(), "tmpfs" | "ramfs") || (self.kind == "overlay" && self.has("volatile"))
    }
}

/// The mounts that this process sees.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn mounts() -> io::Result<Vec<Mount>> {
    Ok(std::fs::read("/proc/self/mountinfo")?.split(|b| *b == b'\n').filter_map(mount).collect())
}

/// The mount that holds `path` (absolute, without symbolic links): by the id that the kernel gives, else the last one mounted
/// on the longest prefix.
#[must_use]
pub fn mount_of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
    let id = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok().filter(|s| s.stx_mask & 0x1000 != 0);
    let by_id = id.and_then(|s| mounts.iter().find(|mount| mount.id == s.stx_mnt_id));
    by_id.or_else(|| {
        let above = mounts.iter().filter(|mount| path.starts_with(&mount.point));
        above.max_by_key(|mount| mount.point.components().count())
    })
}

/// The mount point in `fstab` that `path` lies at or below and that is not mounted.
#[must_use]
pub fn missing_mount(fstab: &[u8], mounts: &[Mount], path: &Path) -> Option<PathBuf> {
    fstab.split(|b| *b == b'\n').filter_map(mount_point).find(|point| {
        let real = std::fs::canonicalize(point).unwrap_or_else(|_| point.clone());
        path.starts_with(&real) && real != Path::new("/") && !mounts.iter().any(|mount| mount.point == real)
    })
}

/// The mount point of a line of `fstab(5)`; `None` for comments, swap and the like.
fn mount_point(line: &[u8]) -> Option<PathBuf> {
    let mut fields = fields(line);
    let first = fields.next()?;
    let point = PathBuf::from(unescaped(fields.next()?));
    (!first.starts_with(b"#") && point.is_absolute()).then_some(point)
}

fn mount(line: &[u8]) -> Option<Mount> {
    let text = |bytes: &[u8]| unescaped(bytes).to_string_lossy().into_owned();
    let mut left = fields(line);
    let id = text(left.next()?).parse().ok()?;
    let point = PathBuf::from(unescaped(left.nth(3)?));
    let own = left.next()?;
    // Optional fields end at a lone hyphen.
    let mut right = left.skip_while(|field| *field != b"-").skip(1);
    let (kind, source) = (text(right.next()?), text(right.next()?));
    let options = [own, right.next().unwrap_or_default()];
    let options = options.iter().flat_map(|o| o.split(|b| *b == b',')).map(text).collect();
    Some(Mount { id, point, kind, source, options })
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| *b == b' ' || *b == b'\t').filter(|field| !field.is_empty())
}

/// Blank, tab, newline and backslash are written as a backslash and three octal digits (`getmntent(3)`).
fn unescaped(field: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(field.len());
    let mut at = 0;
    while at < field.len() {
        match octal(&field[at..]) {
            Some(byte) => (out.push(byte), at += 4).1,
            None => (out.push(field[at]), at += 1).1,
        }
    }
    OsString::from_vec(out)
}

fn octal(bytes: &[u8]) -> Option<u8> {
    let digits = bytes.strip_prefix(b"\\")?.get(..3)?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mountinfo_is_read() {
        let line = br"36 35 98:0 /mnt1 /mnt\0402 rw,noatime master:1 shared:2 - nfs4 srv:/x rw,nocto,local_lock=none";
        let mount = mount(line).unwrap();
        assert_eq!((mount.id, mount.kind.as_str(), mount.source.as_str()), (36, "nfs4", "srv:/x"));
        assert_eq!(mount.point, Path::new("/mnt 2"));
        assert!(mount.has("nocto") && mount.has("noatime") && mount.has("local_lock") && !mount.has("soft"));
        assert!(mount.is_nfs() && !mount.is_local());
    }

    #[test]
    fn the_root_is_mounted_somewhere() {
        let mounts = mounts().unwrap();
        assert!(mount_of(&mounts, Path::new("/")).is_some());
    }

    #[test]
    fn what_fstab_expects_and_is_not_mounted_is_found() {
        let fstab =
            b"# c\n/dev/x / ext4 defaults 0 1\nnone none swap sw 0 0\nsrv:/x /nowhere/nfs\\040x nfs noauto 0 0\n";
        let mounts = mounts().unwrap();
        let missing = |path: &str| missing_mount(fstab, &mounts, Path::new(path));
        assert_eq!(missing("/nowhere/nfs x/store"), Some(PathBuf::from("/nowhere/nfs x")));
        assert_eq!(missing("/nowhere/nfs x"), Some(PathBuf::from("/nowhere/nfs x")));
        assert_eq!(missing("/nowhere/nfs"), None);
        assert_eq!(missing("/var/lib"), None);
    }
}
