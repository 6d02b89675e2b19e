//! Publishing a revision, and the verdict when it is not plain.
//!
//! The order of the steps is the protocol: content synced, then the floor read, then `link`, then the directory synced, then the
//! answer. The temporary file is the right to publish: who removes it takes that right away.

use bytes::Bytes;

use super::etag::{Digest, digest, etag, parse};
use super::fs::{Errno, Fs};
use super::head::{damaged, linked_twice, read, went_back};
use super::identity::link_error;
use super::layout::{FLOOR, Place, revision};
use super::{Shared, floor, io_error, prune, room};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{PRUNE_OVERDUE, RECORD_BYTES, RESERVE_TRIES};
use crate::model::KeyHash;
use crate::mutants::{Mutant, on};
use crate::store::{Etag, Precondition, PutError};

/// A put that was applied.
#[derive(Debug)]
pub struct Won {
    /// The new value's etag.
    pub etag: Etag,
    /// Whether the key's directory should be tidied now.
    pub tidy: bool,
}

/// What a put is about to publish.
struct Next<'a> {
    key: KeyHash,
    place: Place,
    n: u64,
    value: &'a Bytes,
    digest: Digest,
}

/// What is known before anything is written.
enum Base<D> {
    /// The revision can be published in this directory; the flag: a temporary name was left behind; the length of the base.
    Free(D, bool, usize),
    /// The precondition does not hold.
    Taken,
    /// An earlier send of the same bytes was applied.
    Ours,
}

/// Puts a value.
///
/// # Errors
/// See [`PutError`].
pub async fn put<F: Fs>(s: &Shared<F>, key: KeyHash, value: &Bytes, when: &Precondition) -> Result<Won, PutError> {
    if value.len() > RECORD_BYTES {
        let message = format!("a record of {} bytes, {RECORD_BYTES} are allowed", value.len());
        return Err(PutError::Failed(Error::new(ErrorKind::Internal, message)));
    }
    let matched = match when {
        Precondition::Absent => None,
        Precondition::Matches(tag) => Some(parse(tag).ok_or(PutError::Conflict)?),
    };
    let n = matched.map_or(0, |(n, _)| n).checked_add(1).ok_or(PutError::Conflict)?;
    let next = Next { key, place: Place::records(key), n, value, digest: digest(value) };
    let base = match matched {
        None => first(s, &next).await,
        Some(base) => later(s, &next, base).await,
    };
    let mut won = Won { etag: etag(n, next.digest), tidy: n.is_multiple_of(floor::STEP) };
    match base.map_err(PutError::Failed)? {
        Base::Taken => return Err(PutError::Conflict),
        Base::Ours => applied_before(s, &next).await.map_err(PutError::Unknown)?,
        Base::Free(dir, left_behind, before) => {
            won.tidy |= left_behind;
            let floor = publish_with_room(s, &next, &dir, before).await?;
            if n.saturating_sub(floor) > PRUNE_OVERDUE {
                // Only processes that end at once were here: they leave no time for tidying after the answer.
                won.tidy = prune::pass(s, key).await.is_err();
            }
        }
    }
    s.known.note(key, (n, next.digest));
    Ok(won)
}

/// Before the first revision: the directories and the floor, durable, whoever made them.
async fn first<F: Fs>(s: &Shared<F>, next: &Next<'_>) -> Result<Base<F::Dir>> {
    // Before the look: what this process learns meanwhile is no proof that something vanished.
    let mut seen = s.known.get(next.key);
    if let Some(dir) = s.open(&next.place).await? {
        if let Some(there) = read(s, &dir, &next.place, 1).await? {
            return Ok(if there.bytes == *next.value { Base::Ours } else { Base::Taken });
        }
        if floor::read(&s.fs, &dir, &next.place.path()).await?.is_some_and(|floor| floor >= 1) {
            return Ok(Base::Taken);
        }
    }
    if on(Mutant::SeenAfterLook) {
        seen = s.known.get(next.key);
    }
    if seen.is_some() {
        return Err(went_back(0, seen));
    }
    let root = s.root().await?;
    let dir = s.durable.directories(&s.fs, root, &next.place).await?;
    s.durable.floor(&s.fs, &dir, &next.place.path()).await?;
    Ok(Base::Free(dir, false, 0))
}

/// Before a later revision: its base is there, is the one that the etag names, and is durable.
async fn later<F: Fs>(s: &Shared<F>, next: &Next<'_>, base: (u64, Digest)) -> Result<Base<F::Dir>> {
    let (n, wanted) = base;
    let seen = s.known.get(next.key);
    let Some(dir) = s.open(&next.place).await? else {
        return if seen.is_some() { Err(went_back(0, seen)) } else { Ok(Base::Taken) };
    };
    let Some(there) = read(s, &dir, &next.place, n).await? else {
        let pruned = floor::read(&s.fs, &dir, &next.place.path()).await?.is_some_and(|floor| floor >= n);
        let vanished = !pruned && seen.is_some_and(|(known, _)| known >= n);
        return if vanished { Err(went_back(0, seen)) } else { Ok(Base::Taken) };
    };
    let content = digest(&there.bytes);
    if content != wanted {
        let changed = seen.is_some_and(|(known, was)| known == n && was != content);
        return if changed { Err(went_back(n, seen)) } else { Ok(Base::Taken) };
    }
    // Not needed for the truth, but a put that cannot win should not cost a sync.
    if let Some(there) = read(s, &dir, &next.place, next.n).await? {
        return Ok(if there.bytes == *next.value { Base::Ours } else { Base::Taken });
    }
    let left_behind = linked_twice(&there);
    if left_behind {
        s.durable.sync_dir(&s.fs, &dir, &next.place.path()).await?;
    }
    Ok(Base::Free(dir, left_behind, there.bytes.len()))
}

async fn applied_before<F: Fs>(s: &Shared<F>, next: &Next<'_>) -> Result<()> {
    let dir = s.open(&next.place).await?.ok_or_else(|| went_back(0, Some((next.n, next.digest))))?;
    s.durable.sync_dir(&s.fs, &dir, &next.place.path()).await
}

/// Publishes; where the disk is full, also with the room that is kept for that. Each send has a name of its own and was certainly
/// not applied before the next one.
async fn publish_with_room<F: Fs>(
    s: &Shared<F>,
    next: &Next<'_>,
    dir: &F::Dir,
    before: usize,
) -> Result<u64, PutError> {
    let mut tries = 0;
    loop {
        match publish(s, next, dir).await {
            Err(PutError::Failed(e)) if e.kind() == ErrorKind::StoreFull && tries < RESERVE_TRIES => {
                if !room::may_use(next.value.len(), before) {
                    return Err(PutError::Failed(e));
                }
                tries += 1;
                room::make(s, next.key).await;
            }
            other => return other,
        }
    }
}

/// Writes and publishes; returns the floor that was read on the way.
async fn publish<F: Fs>(s: &Shared<F>, next: &Next<'_>, dir: &F::Dir) -> Result<u64, PutError> {
    let temp = s.temp_name(next.n);
    let floor = match prepare(s, next, dir, &temp).await {
        Ok(floor) if floor < next.n => floor,
        refused => {
            // Nobody has linked it and nobody will: that it may stay behind costs only room.
            let _left = s.fs.unlink(dir, &temp).await;
            return Err(refused.map_or_else(PutError::Failed, |_| PutError::Conflict));
        }
    };
    match s.fs.link(dir, &temp, &revision(next.n)).await {
        Ok(()) => {
            if !on(Mutant::NoSyncAfterLink) {
                s.durable.sync_dir(&s.fs, dir, &next.place.path()).await.map_err(PutError::Unknown)?;
            }
            // One that stays makes readers sync once more, until it is swept.
            let _left = s.fs.unlink(dir, &temp).await;
        }
        Err(e) => settle(s, next, dir, &temp, e).await?,
    }
    Ok(floor)
}

/// Writes the temporary file and reads the floor after it is durable.
async fn prepare<F: Fs>(s: &Shared<F>, next: &Next<'_>, dir: &F::Dir, temp: &str) -> Result<u64> {
    let path = next.place.path();
    let early = if on(Mutant::FloorReadFirst) { floor::read(&s.fs, dir, &path).await? } else { None };
    let file = s.fs.create(dir, temp).await.map_err(|e| io_error(format!("make {path}/{temp}"), e))?;
    s.fs.write_at(&file, next.value, 0).await.map_err(|e| io_error(format!("write {path}/{temp}"), e))?;
    if !on(Mutant::ContentNotSynced) {
        s.fs.sync_data(&file).await.map_err(|e| io_error(format!("sync {path}/{temp}"), e))?;
    }
    drop(file);
    let floor = if early.is_some() { early } else { floor::read(&s.fs, dir, &path).await? };
    floor.ok_or_else(|| damaged(&next.place, &format!("{FLOOR} is missing")))
}

/// `link` did not succeed, or only says so: takes the right to publish away, then looks.
async fn settle<F: Fs>(s: &Shared<F>, next: &Next<'_>, dir: &F::Dir, temp: &str, error: Errno) -> Result<(), PutError> {
    let path = next.place.path();
    if on(Mutant::LinkCountIsVerdict) {
        return match s.fs.stat(dir, temp).await {
            Ok(stat) if stat.links > 1 => Ok(()),
            _ => Err(PutError::Conflict),
        };
    }
    if !on(Mutant::NoSyncAfterFailedLink) {
        s.durable.sync_dir(&s.fs, dir, &path).await.map_err(PutError::Unknown)?;
    }
    let looked = if on(Mutant::LookBeforeUnlink) { Some(read(s, dir, &next.place, next.n).await) } else { None };
    let early = if on(Mutant::FloorReadBeforeLook) { floor::read(&s.fs, dir, &path).await.ok() } else { None };
    match s.fs.unlink(dir, temp).await {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(e) => return Err(PutError::Unknown(io_error(format!("remove {path}/{temp}"), e))),
    }
    let anew = s.open(&next.place).await.map_err(PutError::Unknown)?;
    let anew = anew.ok_or_else(|| PutError::Unknown(went_back(0, s.known.get(next.key))))?;
    let dir = if on(Mutant::OldViewTrusted) { dir } else { &anew };
    let looked = match looked {
        Some(looked) => looked,
        None => read(s, dir, &next.place, next.n).await,
    };
    match looked.map_err(PutError::Unknown)? {
        // A link that the server made late came after the sync above.
        Some(there) if there.bytes == *next.value => {
            if on(Mutant::NoSyncAfterFailedLink) {
                return Ok(());
            }
            s.durable.sync_dir(&s.fs, dir, &path).await.map_err(PutError::Unknown)
        }
        Some(_) => Err(PutError::Conflict),
        None => match floor_then(s, dir, &path, early.flatten()).await.map_err(PutError::Unknown)? {
            Some(floor) if floor < next.n => {
                Err(PutError::Failed(link_error(&format!("publish {path}/{}", revision(next.n)), error)))
            }
            // The name was taken, or the temporary file was gone, which happens only behind the head. A local kernel's word on
            // that is no lost reply: another was faster, and all that is missing is who.
            Some(_) if !s.network && matches!(error, Errno::EXIST | Errno::NOENT) => Err(PutError::Conflict),
            Some(_) if on(Mutant::AbsentIsNotApplied) => Err(PutError::Conflict),
            Some(_) => Err(PutError::Unknown(pruned(next))),
            None => Err(PutError::Unknown(damaged(&next.place, &format!("{FLOOR} is missing")))),
        },
    }
}

async fn floor_then<F: Fs>(s: &Shared<F>, dir: &F::Dir, path: &str, early: Option<u64>) -> Result<Option<u64>> {
    if early.is_some() { Ok(early) } else { floor::read(&s.fs, dir, path).await }
}

fn pruned(next: &Next<'_>) -> Error {
    let message =
        format!("revision {} of {} came and was pruned before it could be read back", next.n, next.place.path());
    Error::new(ErrorKind::OutcomeUnknown, message).with_hint("the record remembers its last writes: read it")
}
