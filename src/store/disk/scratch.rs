//! A directory for a run of checks, inside the one that is checked, and gone afterwards.

use std::io::ErrorKind as E;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::limits::SCRATCH_TRIES;

/// What such a directory's name begins with. A store is made beside it as if it were not there.
pub const PREFIX: &str = "verify.";
/// Between two attempts to remove one in which somebody still writes.
const PAUSE: Duration = Duration::from_millis(50);

/// Makes it, for the group too where the group shares the directory around it. One that is there already is taken.
///
/// # Errors
/// Those of the file system.
pub fn make(dir: &Path) -> Result<()> {
    let parent = dir.parent().and_then(|parent| std::fs::metadata(parent).ok());
    let shared = parent.is_some_and(|meta| meta.mode() & 0o020 != 0);
    match std::fs::DirBuilder::new().mode(if shared { 0o770 } else { 0o700 }).create(dir) {
        Ok(()) => {}
        Err(e) if e.kind() == E::AlreadyExists => return Ok(()),
        Err(e) => return Err(Error::io("make a directory in it", &e)),
    }
    if shared {
        // The umask may have taken the group's bits. A set-group-id bit was inherited and stays.
        let mode = std::fs::metadata(dir).map_or(0o770, |meta| meta.mode() & 0o7777 | 0o770);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(dir, mode).map_err(|e| Error::io("open the directory for the group", &e))?;
    }
    Ok(())
}

/// Removes it with all that is in it. Tidying that began before may still make a name meanwhile, and on NFS a file that is still
/// open leaves one: so it is tried for a while.
///
/// # Errors
/// The last one.
pub async fn remove(dir: &Path, clock: &dyn Clock) -> Result<()> {
    let mut last = None;
    for _ in 0..SCRATCH_TRIES {
        let path = dir.to_owned();
        let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(path)).await;
        match removed.unwrap_or_else(|e| Err(std::io::Error::other(e))) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == E::NotFound && !dir.exists() => return Ok(()),
            Err(e) => last = Some(e),
        }
        clock.sleep(PAUSE).await;
    }
    let error = last.unwrap_or_else(|| std::io::Error::other("it comes back"));
    Err(Error::io(format!("remove {}", dir.display()), &error).with_hint("remove it by hand"))
}
