//! The store's directory on this machine: whether it may be used, whether it may be made, and what file system it is on.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags};

use super::fs::Fs;
use super::identity::{self, Identity, Kind};
use super::real::RealFs;
use super::{Disk, io_error, room};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{TTL_MIN, TTL_MIN_NETWORK};
use crate::platform::mounts::{Mount, missing_mount, mount_of, mounts};
use crate::store::open::{OpenOptions, Opened};
use crate::store::{Credential, Facts, Store};

/// A directory that may be, or become, a store.
pub(crate) struct Site {
    /// Its file system.
    pub fs: RealFs,
    /// What it is on.
    pub mount: Option<Mount>,
    root: OwnedFd,
    real: PathBuf,
    mounts: Vec<Mount>,
    /// Whether it was made just now.
    made: bool,
}

/// Opens the store in a directory, and makes it where that is wanted and safe.
///
/// # Errors
/// See [`crate::store::open::open`].
pub async fn open(path: PathBuf, url: String, options: OpenOptions) -> Result<Opened> {
    let (clock, entropy) = (Arc::clone(&options.clock), Arc::clone(&options.entropy));
    let look = move || {
        let found = futures_util::FutureExt::now_or_never(find(&path, &options));
        found.unwrap_or_else(|| Err(super::lost()))
    };
    let (site, identity, created) = tokio::task::spawn_blocking(look).await.unwrap_or_else(|_| Err(super::lost()))?;
    let facts = facts(url, &identity, site.mount.as_ref(), &*clock);
    let network = site.mount.as_ref().is_none_or(Mount::is_network);
    let disk = Arc::new(Disk::new(site.fs, identity, clock, entropy, network));
    Ok(Opened { store: Store { records: disk.clone(), blobs: disk, facts }, created })
}

async fn find(path: &Path, options: &OpenOptions) -> Result<(Site, Identity, bool)> {
    let site = Site::look(path, options).await?;
    if let Some(identity) = site.identity(Kind::Plain).await? {
        return Ok((site, identity, false));
    }
    site.check_new(Kind::Plain, options).await?;
    let (identity, created) = site.make_identity(Kind::Plain, options).await?;
    site.hold_room().await;
    Ok((site, identity, created))
}

impl Site {
    /// Finds the directory, or makes it where that is wanted and safe.
    ///
    /// # Errors
    /// See [`crate::store::open::open`].
    pub(crate) async fn look(path: &Path, options: &OpenOptions) -> Result<Self> {
        let made = exists_or_made(path, options)?;
        let real = std::fs::canonicalize(path).map_err(|e| Error::io("open the store's directory", &e))?;
        let mounts = mounts().map_err(|e| Error::io("read /proc/self/mountinfo", &e))?;
        let mount = mount_of(&mounts, &real).cloned();
        let shared = check_mode(&real)?;
        check_mount(mount.as_ref())?;
        let fs = RealFs::new(path.to_owned(), shared, mount.as_ref().is_some_and(Mount::is_local));
        let root = fs.open_root().await.map_err(|e| io_error("open the store's directory", e))?;
        Ok(Self { fs, mount, root, real, mounts, made })
    }

    /// Who the store is; `None` when there is none yet.
    ///
    /// # Errors
    /// Those of [`identity::read`]; when the directory may not be written.
    pub(crate) async fn identity(&self, kind: Kind) -> Result<Option<Identity>> {
        let there = identity::read(&self.fs, &self.root, kind).await?;
        check_writable(&self.real)?;
        Ok(there)
    }

    /// Whether a store may be made here; also makes the directory's own name durable.
    ///
    /// # Errors
    /// [`ErrorKind::StoreMissing`] when not.
    pub(crate) async fn check_new(&self, kind: Kind, options: &OpenOptions) -> Result<()> {
        if !options.create {
            return Err(none_here("the directory has no store"));
        }
        check_mounted(&self.mounts, &self.real, options)?;
        identity::check_free(&self.fs, &self.root, kind).await?;
        if self.made || identity_is_first(&self.real) {
            sync_parent(&self.real)?;
        }
        Ok(())
    }

    /// Makes a new store's reserve.
    pub(crate) async fn hold_room(&self) {
        room::hold(&self.fs, &self.root).await;
    }

    /// Makes the identity, unless another process was faster. Says whether it was made here.
    ///
    /// # Errors
    /// Those of [`identity::make`].
    pub(crate) async fn make_identity(&self, kind: Kind, options: &OpenOptions) -> Result<(Identity, bool)> {
        identity::make(&self.fs, &self.root, kind, &*options.entropy).await
    }
}

/// Whether the directory was made here.
fn exists_or_made(path: &Path, options: &OpenOptions) -> Result<bool> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => return Ok(false),
        Ok(_) => return Err(none_here("a file is in its place")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => {
            return Err(none_here("a file is in the place of a directory above it"));
        }
        Err(e) => return Err(Error::io("look for the store's directory", &e)),
    }
    if !options.create {
        return Err(none_here("there is no such directory"));
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(none_here("there is no such directory"));
    };
    let parent = match std::fs::canonicalize(parent) {
        Ok(parent) => parent,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let message = format!("there is no such directory, and none above it: {}", parent.display());
            return Err(Error::new(ErrorKind::StoreMissing, message)
                .with_hint("make the directory above it, or mount what should be there"));
        }
        Err(e) => return Err(Error::io("look for the store's directory", &e)),
    };
    let mounts = mounts().map_err(|e| Error::io("read /proc/self/mountinfo", &e))?;
    check_mounted(&mounts, &parent.join(name), options)?;
    match std::fs::DirBuilder::new().mode(0o700).create(parent.join(name)) {
        Ok(()) => Ok(true),
        // Another process was faster.
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(Error::io("make the store's directory", &e)),
    }
}

/// Nothing is made below a mount point that ought to be mounted and is not: the store would be another one after the mount.
fn check_mounted(mounts: &[Mount], path: &Path, options: &OpenOptions) -> Result<()> {
    let fstab = match std::fs::read(&options.fstab) {
        Ok(fstab) => fstab,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io(format!("read {}", options.fstab.display()), &e)),
    };
    match missing_mount(&fstab, mounts, path) {
        None => Ok(()),
        Some(point) => {
            let message = format!("{} is in {}, but not mounted", point.display(), options.fstab.display());
            Err(Error::new(ErrorKind::StoreMissing, message).with_hint("mount it; a store is never made in its place"))
        }
    }
}

/// Whether the group shares the store. Everyone may not.
fn check_mode(path: &Path) -> Result<bool> {
    let meta = std::fs::metadata(path).map_err(|e| Error::io("open the store's directory", &e))?;
    if meta.mode() & 0o002 != 0 {
        let message = format!("everyone may write to the directory (mode {:04o})", meta.mode() & 0o7777);
        return Err(Error::new(ErrorKind::StoreMissing, message)
            .with_hint("take that away (chmod o-w), or choose a directory of lockd's own"));
    }
    Ok(meta.mode() & 0o020 != 0)
}

fn check_mount(mount: Option<&Mount>) -> Result<()> {
    match mount {
        Some(mount) if mount.is_nfs() && mount.has("nocto") => {
            let message = format!("{} is mounted with nocto, so that reads may be old", mount.point.display());
            Err(Error::new(ErrorKind::StoreMissing, message).with_hint("mount it without nocto"))
        }
        _ => Ok(()),
    }
}

fn check_writable(path: &Path) -> Result<()> {
    let wanted = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::accessat(CWD, path, wanted, AtFlags::EACCESS).map_err(|e| io_error("write to the store's directory", e))
}

/// Whether nobody can have synced the directory's own name yet: it is still empty.
fn identity_is_first(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut names| names.next().is_none())
}

/// Makes the directory's own name durable; where the parent cannot be opened, by syncing the whole file system.
fn sync_parent(path: &Path) -> Result<()> {
    let what = "sync the directory above the store";
    let Some(parent) = path.parent() else { return Ok(()) };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let synced = match rustix::fs::open(parent, flags, Mode::empty()) {
        Ok(parent) => rustix::fs::fsync(parent),
        Err(_) => rustix::fs::open(path, flags, Mode::empty()).and_then(rustix::fs::syncfs),
    };
    synced.map_err(|e| io_error(what, e))
}

fn none_here(why: &str) -> Error {
    Error::new(ErrorKind::StoreMissing, format!("there is no store: {why}")).with_hint(
        "check the path; lockd makes a store only in a missing or empty directory, and only where that is allowed",
    )
}

/// What is known of a store in a directory.
pub(crate) fn facts(url: String, identity: &Identity, mount: Option<&Mount>, clock: &dyn Clock) -> Facts {
    let local = mount.is_some_and(Mount::is_local);
    Facts {
        url,
        id: identity.id.clone(),
        epoch: identity.epoch,
        stamps: local && clock.boot_id().is_some(),
        ttl_min: if local { TTL_MIN } else { TTL_MIN_NETWORK },
        about: mount.map_or_else(|| "unknown file system".to_owned(), about),
        credential: Credential::default(),
    }
}

fn about(mount: &Mount) -> String {
    let mut text = mount.kind.clone();
    if mount.is_volatile() {
        text.push_str(", not durable");
    } else if mount.is_local() {
        text.push_str(", this host only");
    } else {
        text = format!("{} {}, may be shared by hosts", mount.kind, mount.source);
    }
    for option in ["soft", "nolock", "local_lock"].iter().filter(|o| mount.is_nfs() && mount.has(o)) {
        let none = mount.options.iter().any(|o| o == "local_lock=none");
        if *option != "local_lock" || !none {
            text = format!("{text}, {option}");
        }
    }
    text
}
