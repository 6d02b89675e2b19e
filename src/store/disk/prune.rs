//! Removing old revisions behind the floor, and temporary files that can publish nothing any more.

use super::fs::{Errno, Fs};
use super::head::{find, listed};
use super::layout::{Entry, Place, revision};
use super::{Shared, floor, io_error};
use crate::error::{Error, ErrorKind, Result};
use crate::model::KeyHash;
use crate::mutants::{Mutant, on};

/// Tidies one key's directory: prunes it to the highest floor that its head allows, and sweeps what lies behind the head.
/// Any number may run at once, and one may end anywhere.
///
/// # Errors
/// Whatever ended the pass; what is left is met by the next one.
pub async fn pass<F: Fs>(s: &Shared<F>, key: KeyHash) -> Result<()> {
    let place = Place::records(key);
    let path = place.path();
    let seen = match on(Mutant::SweepWithoutSync) {
        false => find(s, key).await?.map(|head| head.n),
        true => listed(s, &place).await?,
    };
    let Some(head) = seen else { return Ok(()) };
    let Some(dir) = s.open(&place).await? else { return Ok(()) };
    // The head must not be lost once something behind it is gone.
    if !on(Mutant::SweepWithoutSync) {
        s.durable.sync_dir(&s.fs, &dir, &path).await?;
    }
    let early = if on(Mutant::ListedBeforeFloor) { Some(list(s, &dir, &path).await?) } else { None };
    let to = floor::target(head);
    if to > 0 {
        floor::raise(&s.fs, &s.durable, &dir, &path, to).await?;
    }
    let Some(dir) = s.open(&place).await? else { return Ok(()) };
    let names = match early {
        Some(early) => early,
        None => list(s, &dir, &path).await?,
    };
    for name in names.iter().filter(|name| swept(name, to, head)) {
        let removed = remove(s, &dir, &path, name).await;
        if !on(Mutant::TempLeftIgnored) {
            removed?;
        }
    }
    if to == 0 {
        return Ok(());
    }
    if s.network {
        // What this client unlinked while it was open here is now called `.nfs*` and can still be linked.
        let Some(dir) = s.open(&place).await? else { return Ok(()) };
        if let Some(name) = list(s, &dir, &path).await?.iter().find(|name| swept(name, to, to)) {
            let message = format!("{path}/{name} is still in use; pruning waits");
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
    }
    for n in names.iter().filter_map(|name| pruned(name, to)) {
        remove(s, &dir, &path, &revision(n)).await?;
    }
    Ok(())
}

/// Whether a name is a temporary file that must go: at or below the floor, where it could bring an old revision back, or at or
/// below a durable head, where it can only fail. One above the head is somebody's right to publish.
fn swept(name: &str, floor: u64, head: u64) -> bool {
    match Entry::parse(name) {
        Entry::Temp(_) if on(Mutant::TempsNotPruned) => false,
        Entry::Temp(n) => n <= floor || n <= head || on(Mutant::SweepAboveHead),
        Entry::Silly => floor > 0 && !on(Mutant::SillyIgnored),
        Entry::Revision(_) | Entry::Other => false,
    }
}

/// The revision that a name stands for, when it is at or below the floor.
fn pruned(name: &str, floor: u64) -> Option<u64> {
    match Entry::parse(name) {
        Entry::Revision(n) if n <= floor => Some(n),
        _ => None,
    }
}

async fn list<F: Fs>(s: &Shared<F>, dir: &F::Dir, path: &str) -> Result<Vec<String>> {
    s.fs.list(dir).await.map_err(|e| io_error(format!("list {path}"), e))
}

async fn remove<F: Fs>(s: &Shared<F>, dir: &F::Dir, path: &str, name: &str) -> Result<()> {
    match s.fs.unlink(dir, name).await {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(io_error(format!("remove {path}/{name}"), e)),
    }
}
