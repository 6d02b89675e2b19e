//! Blobs: written under a temporary name, synced, then linked to their own. What a killed writer left is listed and deleted under
//! the id in its name, so that garbage collection judges it by its token like any other blob.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::try_join;
use futures_util::stream::{self, StreamExt};

use super::fs::{Errno, Fs};
use super::identity::link_error;
use super::layout::{self, Place};
use super::{Disk, Shared, io_error};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{CHUNK_BYTES, WRITE_BACK_BYTES};
use crate::model::{BlobId, KeyHash};
use crate::mutants::{Mutant, on};
use crate::store::ByteStream;

/// A blob being written.
struct Draft<F: Fs> {
    shared: Arc<Shared<F>>,
    place: Place,
    id: BlobId,
    dir: F::Dir,
    file: F::File,
    linked: AtomicBool,
    given_up: AtomicBool,
}

/// Takes the blob back when dropped, unless it was kept. A step of the write may still be running then: whichever of the two
/// comes last removes the name.
struct Guard<F: Fs>(Option<Arc<Draft<F>>>);

impl<F: Fs> Drop for Guard<F> {
    fn drop(&mut self) {
        let Some(draft) = self.0.take() else { return };
        draft.given_up.store(true, Ordering::SeqCst);
        let shared = Arc::clone(&draft.shared);
        shared.fs.detach(async move { draft.take_back().await });
    }
}

impl<F: Fs> Draft<F> {
    /// What cannot be removed is collected with the key's garbage.
    async fn take_back(&self) {
        let _left = self.shared.fs.unlink(&self.dir, &layout::blob_temp(&self.id)).await;
        if self.linked.load(Ordering::SeqCst) {
            let _left = self.shared.fs.unlink(&self.dir, &self.id.name()).await;
        }
    }

    /// Makes the blob durable and visible.
    async fn finish(&self) -> Result<()> {
        let (fs, path, temp) = (&self.shared.fs, self.place.path(), layout::blob_temp(&self.id));
        if !on(Mutant::BlobNotSynced) {
            fs.sync_data(&self.file).await.map_err(|e| io_error(format!("sync {path}/{temp}"), e))?;
        }
        // By path again: an upload takes long enough for the store to be replaced.
        let dir =
            self.shared.open(&self.place).await?.ok_or_else(|| super::identity::replaced("a directory is gone"))?;
        if let Err(e) = fs.link(&dir, &temp, &self.id.name()).await {
            self.check_link(&dir, e).await?;
        }
        self.linked.store(true, Ordering::SeqCst);
        if self.given_up.load(Ordering::SeqCst) {
            self.take_back().await;
            return Err(Error::new(ErrorKind::Internal, "the write was given up"));
        }
        self.shared.durable.sync_dir(fs, &dir, &path).await?;
        // Harmless where it stays: deleted with the blob.
        let _left = fs.unlink(&dir, &temp).await;
        Ok(())
    }

    /// On NFS an error of `link` may hide success: then the name is our file.
    async fn check_link(&self, dir: &F::Dir, error: Errno) -> Result<()> {
        let name = self.id.name();
        let ours = self.shared.fs.file_stat(&self.file).await;
        let there = self.shared.fs.stat(dir, &name).await;
        match (ours, there) {
            (Ok(ours), Ok(there)) if ours.inode == there.inode => Ok(()),
            _ => Err(link_error(&format!("publish {}/{name}", self.place.path()), error)),
        }
    }
}

/// Writes a blob.
///
/// # Errors
/// Those of `body` and of the file system; then nothing is left that can be read.
pub async fn write<F: Fs>(disk: &Disk<F>, id: &BlobId, mut body: ByteStream) -> Result<()> {
    let wanted = id.clone();
    let mut guard = disk.run(move |s| begin(s, wanted)).await?;
    let Some(draft) = guard.0.as_ref().map(Arc::clone) else { return Ok(()) };
    let (mut offset, mut next) = (0, body.next().await);
    while let Some(chunk) = next {
        let chunk = chunk?;
        let (draft, at) = (Arc::clone(&draft), offset);
        offset += chunk.len() as u64;
        let written = disk.run(move |s| async move { append(&s, &draft, &chunk, at).await });
        // The next chunk is scanned and hashed meanwhile.
        ((), next) = try_join(written, body.next().map(Ok)).await?;
    }
    disk.run(move |_| async move { draft.finish().await }).await?;
    guard.0 = None;
    Ok(())
}

/// Writes a chunk; each time that enough has come together the disk begins with it, so that the sync at the end has little left.
async fn append<F: Fs>(s: &Shared<F>, draft: &Draft<F>, chunk: &Bytes, at: u64) -> Result<()> {
    s.fs.write_at(&draft.file, chunk, at).await.map_err(|e| io_error(format!("write blob {}", draft.id), e))?;
    let (before, now) = (at / WRITE_BACK_BYTES, (at + chunk.len() as u64) / WRITE_BACK_BYTES);
    if now > before {
        s.fs.write_back(&draft.file, before * WRITE_BACK_BYTES, (now - before) * WRITE_BACK_BYTES);
    }
    Ok(())
}

async fn begin<F: Fs>(shared: Arc<Shared<F>>, id: BlobId) -> Result<Guard<F>> {
    let place = Place::blobs(id.key());
    // Also where the directory is there: who made it may have been killed before its name was durable.
    let root = shared.root().await?;
    let dir = shared.durable.directories(&shared.fs, root, &place).await?;
    let temp = layout::blob_temp(&id);
    let file = shared.fs.create(&dir, &temp).await;
    let file = file.map_err(|e| io_error(format!("make {}/{temp}", place.path()), e))?;
    let (linked, given_up) = Default::default();
    Ok(Guard(Some(Arc::new(Draft { shared, place, id, dir, file, linked, given_up }))))
}

/// Reads a range of a blob, each chunk as it is asked for.
///
/// # Errors
/// Those of the file system; the stream has them too.
pub async fn read<F: Fs>(disk: &Disk<F>, id: &BlobId, range: Range<u64>) -> Result<Option<ByteStream>> {
    let wanted = id.clone();
    let Some((file, len)) = disk.run(move |s| async move { open(&s, &wanted).await }).await? else { return Ok(None) };
    let (disk, id, file, end) = (disk.clone(), id.clone(), Arc::new(file), range.end.min(len));
    let chunks = stream::iter((range.start..end).step_by(CHUNK_BYTES)).then(move |at| {
        let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        let (disk, id, file) = (disk.clone(), id.clone(), Arc::clone(&file));
        async move { disk.run(move |s| async move { read_whole(&s, &file, &id, at, len).await }).await }
    });
    Ok(Some(chunks.boxed()))
}

async fn read_whole<F: Fs>(s: &Shared<F>, file: &F::File, id: &BlobId, at: u64, len: usize) -> Result<Bytes> {
    let chunk = s.fs.read_at(file, at, len).await.map_err(|e| io_error(format!("read blob {id}"), e))?;
    if chunk.len() < len {
        let end = at + chunk.len() as u64;
        return Err(Error::new(ErrorKind::Corrupt, format!("blob {id} ends early, at byte {end}")));
    }
    Ok(chunk)
}

async fn open<F: Fs>(s: &Shared<F>, id: &BlobId) -> Result<Option<(F::File, u64)>> {
    let Some(dir) = s.open(&Place::blobs(id.key())).await? else { return Ok(None) };
    match s.fs.open(&dir, &id.name()).await {
        Ok(file) => {
            let stat = s.fs.file_stat(&file).await.map_err(|e| io_error(format!("read blob {id}"), e))?;
            Ok(Some((file, stat.len)))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(io_error(format!("open blob {id}"), e)),
    }
}

/// Deletes a blob, complete or not.
///
/// # Errors
/// Anything but its absence.
pub async fn delete<F: Fs>(s: &Shared<F>, id: &BlobId) -> Result<()> {
    let Some(dir) = s.open(&Place::blobs(id.key())).await? else { return Ok(()) };
    // The temporary name first: without it nothing can bring the other one back.
    for name in [layout::blob_temp(id), id.name()] {
        match s.fs.unlink(&dir, &name).await {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(e) => return Err(io_error(format!("delete blob {id}"), e)),
        }
    }
    Ok(())
}

/// The blobs of a key, those that were never completed included.
///
/// # Errors
/// When the directory cannot be read.
pub async fn list<F: Fs>(s: &Shared<F>, key: KeyHash) -> Result<Vec<BlobId>> {
    let place = Place::blobs(key);
    let Some(dir) = s.open(&place).await? else { return Ok(Vec::new()) };
    let names = s.fs.list(&dir).await.map_err(|e| io_error(format!("list {}", place.path()), e))?;
    let ids: BTreeSet<BlobId> = names.iter().filter_map(|name| layout::blob(key, name)).collect();
    Ok(ids.into_iter().collect())
}
