//! Finding the head: the highest published revision, from any host, while others publish and prune.

use super::Shared;
use super::etag::{Digest, digest};
use super::floor;
use super::fs::{Errno, Fs, Whole};
use super::identity::replaced;
use super::io_error;
use super::known::Seen;
use super::layout::{Entry, FLOOR, Place, revision};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{HEAD_TRIES, RECORD_BYTES};
use crate::model::KeyHash;
use crate::mutants::{Mutant, on};

/// The head of a key.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its revision.
    pub n: u64,
    /// Its content and attributes.
    pub whole: Whole,
    /// The hash of the content.
    pub digest: Digest,
}

/// The head, durable, or `None` when there never was a revision.
///
/// # Errors
/// [`ErrorKind::StoreReplaced`] when less is there than this process has seen; [`ErrorKind::Corrupt`] when a part is missing.
pub async fn find<F: Fs>(s: &Shared<F>, key: KeyHash) -> Result<Option<Head>> {
    let place = Place::records(key);
    let seen = s.known.get(key);
    let mut from = seen.map(|(n, _)| n);
    let mut missed = None;
    for _ in 0..HEAD_TRIES {
        let Some(dir) = s.open(&place).await? else {
            return if seen.is_some() { Err(went_back(0, seen)) } else { Ok(None) };
        };
        let start = match from.take() {
            Some(n) => n,
            None => highest(s, &dir, &place).await?,
        };
        if seen.is_none()
            && on(Mutant::ListingIsHead)
            && let Some(whole) = read(s, &dir, &place, start).await?
        {
            return found(s, key, start, whole, seen).map(Some);
        }
        match probe(s, &dir, &place, start).await? {
            Probe::Passed => {}
            Probe::Never if seen.is_none() => return Ok(None),
            Probe::Never => return Err(went_back(0, seen)),
            Probe::Gone if seen.is_some_and(|(n, _)| n == start) => return Err(went_back(start, seen)),
            // On NFS a listing may name what a lookup still denies, from before; not if the directory is opened after that.
            Probe::Gone if missed != Some(start) && !on(Mutant::DeniedIsVanished) => missed = Some(start),
            Probe::Gone => return Err(damaged(&place, &format!("{} vanished", revision(start)))),
            Probe::Found(n, whole) => return found(s, key, n, whole, seen).map(Some),
        }
    }
    let message = format!("{} changes faster than it can be read", place.path());
    Err(Error::new(ErrorKind::Unavailable, message).with_hint("try again"))
}

enum Probe {
    /// The floor is past what was found: list.
    Passed,
    /// There is no revision, and nothing was pruned.
    Never,
    /// The revision to start from is not there, and was not pruned.
    Gone,
    /// The head.
    Found(u64, Whole),
}

/// From a known revision (0: none) opens the next ones until one is absent; then the floor tells whether that absence is the end.
async fn probe<F: Fs>(s: &Shared<F>, dir: &F::Dir, place: &Place, start: u64) -> Result<Probe> {
    let mut n = start;
    let mut unsynced = false;
    let mut last = if start == 0 { None } else { read(s, dir, place, start).await? };
    unsynced |= last.as_ref().is_some_and(linked_twice);
    while let Some(next) = read(s, dir, place, n.saturating_add(1)).await? {
        unsynced |= linked_twice(&next);
        n += 1;
        last = Some(next);
    }
    let floor = floor::read(&s.fs, dir, &place.path()).await?;
    if floor.is_some_and(|floor| floor > n) && !on(Mutant::HeadFloorUnchecked) {
        return Ok(Probe::Passed);
    }
    let Some(whole) = last else {
        return Ok(if start == 0 { Probe::Never } else { Probe::Gone });
    };
    if floor.is_none() {
        return Err(damaged(place, &format!("{FLOOR} is missing")));
    }
    if unsynced && !on(Mutant::TwoLinksServed) {
        // Its writer may not have come to that yet, and after a loss of power another value could take its place.
        s.durable.sync_dir(&s.fs, dir, &place.path()).await?;
    }
    Ok(Probe::Found(n, whole))
}

fn found<F: Fs>(s: &Shared<F>, key: KeyHash, n: u64, whole: Whole, seen: Option<Seen>) -> Result<Head> {
    let digest = digest(&whole.bytes);
    if seen.is_some_and(|(known, content)| n < known || (n == known && content != digest)) {
        return Err(went_back(n, seen));
    }
    s.known.note(key, (n, digest));
    Ok(Head { n, whole, digest })
}

/// Reads one revision; `None` when it is absent.
///
/// # Errors
/// Anything but its absence.
pub async fn read<F: Fs>(s: &Shared<F>, dir: &F::Dir, place: &Place, n: u64) -> Result<Option<Whole>> {
    let name = revision(n);
    match s.fs.read(dir, &name, RECORD_BYTES).await {
        Ok(whole) => Ok(Some(whole)),
        Err(Errno::NOENT) => Ok(None),
        Err(_) if on(Mutant::ErrorIsAbsent) => Ok(None),
        Err(e) => Err(io_error(format!("read {}/{name}", place.path()), e)),
    }
}

/// Whether the writer has not yet removed its temporary name: then it may not have synced the directory either.
#[must_use]
pub const fn linked_twice(whole: &Whole) -> bool {
    whole.stat.links > 1
}

/// The highest revision in a listing; 0 when there is none. Not atomic, so no more than a hint.
async fn highest<F: Fs>(s: &Shared<F>, dir: &F::Dir, place: &Place) -> Result<u64> {
    let names = s.fs.list(dir).await.map_err(|e| io_error(format!("list {}", place.path()), e))?;
    let revisions = names.iter().filter_map(|name| match Entry::parse(name) {
        Entry::Revision(n) => Some(n),
        _ => None,
    });
    Ok(revisions.max().unwrap_or(0))
}

/// The highest revision in a listing, neither opened nor durable: no more than a mutant asks for.
///
/// # Errors
/// When the directory cannot be listed.
pub async fn listed<F: Fs>(s: &Shared<F>, place: &Place) -> Result<Option<u64>> {
    let Some(dir) = s.open(place).await? else { return Ok(None) };
    Ok(Some(highest(s, &dir, place).await?).filter(|n| *n > 0))
}

/// A revision, or the whole key, that this process has seen is not there any more, or another one is.
pub fn went_back(n: u64, seen: Option<Seen>) -> Error {
    let known = seen.map_or(0, |(known, _)| known);
    replaced(&match n {
        0 => format!("a key that had revision {known} is gone"),
        _ => format!("a key that had revision {known} has another revision {n}"),
    })
}

/// The key's directory lacks what it must have.
pub fn damaged(place: &Place, what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{} is damaged: {what}", place.path()))
        .with_hint("restore it from a backup, or move the directory away by hand; lockd never guesses")
}
