//! The floor: the length of a file, times 8, is the number up to which revisions are pruned. A length only grows, so that a
//! slow pruner never takes back what a fast one did.

use super::durable::Durable;
use super::fs::{Errno, Fs};
use super::io_error;
use super::layout::FLOOR;
use crate::error::Result;
use crate::mutants::{Mutant, on};

/// Revisions for each byte of the file, and how many stay behind the head.
pub const STEP: u64 = 8;

/// The floor, from a fresh open. `None` when there is no such file.
///
/// # Errors
/// Anything but its absence.
pub async fn read<F: Fs>(fs: &F, dir: &F::Dir, path: &str) -> Result<Option<u64>> {
    match fs.stat(dir, FLOOR).await {
        Ok(stat) => Ok(Some(stat.len.saturating_mul(STEP))),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(io_error(format!("read {path}/{FLOOR}"), e)),
    }
}

/// The highest floor that a head allows: a multiple of 8, at least 8 below it; 0 when there is none.
#[must_use]
pub const fn target(head: u64) -> u64 {
    head.saturating_sub(STEP) / STEP * STEP
}

/// Raises the floor to `to` (a multiple of 8, not 0) and makes it durable, even where it stood there already: another may have
/// written it and not yet synced. One byte at a fixed offset can only lengthen the file.
///
/// # Errors
/// When it cannot be written or synced. A failed sync ends the use of the store, but for one that found no room (NFS tells of a full
/// disk only then): the pass ends with nothing removed, and the next one writes the byte anew before it syncs, so that its sync
/// speaks for that byte and not for the one that was given up.
pub async fn raise<F: Fs>(fs: &F, durable: &Durable, dir: &F::Dir, path: &str, to: u64) -> Result<()> {
    let what = format!("raise {path}/{FLOOR}");
    // Made before the first revision, so this never makes it.
    let file = fs.open_or_create(dir, FLOOR).await.map_err(|e| io_error(&what, e))?;
    fs.write_at(&file, b".", to / STEP - 1).await.map_err(|e| io_error(&what, e))?;
    if on(Mutant::FloorReplaced) {
        let len = fs.file_stat(&file).await.map_or(0, |stat| stat.len);
        let _cut = fs.give_room(dir, FLOOR, len.saturating_sub(to / STEP)).await;
    }
    if on(Mutant::FloorNotSynced) {
        return Ok(());
    }
    fs.sync_file(&file).await.map_err(|e| match e {
        Errno::NOSPC | Errno::DQUOT => io_error(&what, e),
        _ => durable.failed(&what, e),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_revisions_stay() {
        for head in 0..1000 {
            let to = target(head);
            assert!(to.is_multiple_of(STEP) && (to == 0 || to + STEP <= head), "{head}: {to}");
        }
        assert_eq!((target(15), target(16), target(23), target(24)), (0, 8, 8, 16));
    }
}
