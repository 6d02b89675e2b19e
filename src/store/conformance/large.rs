//! A large object, streamed up and read back: what a large state of a key is.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};

use super::{Flaw, Scratch, ensure, said};
use crate::limits::CHUNK_BYTES;
use crate::model::{BlobId, FencingToken};

/// How long each way took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trip {
    /// Writing, until it was durable.
    pub up: Duration,
    /// Reading all of it.
    pub down: Duration,
}

/// Streams `chunks` chunks of [`CHUNK_BYTES`] to a blob, reads them back, compares the hashes and deletes the blob. Holds one chunk
/// in memory.
///
/// # Errors
/// In words, when something fails or comes back otherwise.
pub async fn round_trip(s: &Scratch<'_>, chunks: usize) -> Result<Trip, Flaw> {
    let id = BlobId::random(s.key("large")?.hash(), FencingToken(1), s.entropy);
    let seed: [u8; 32] = s.entropy.bytes();
    let mut wanted = Sha256::new();
    (0..chunks).for_each(|n| wanted.update(chunk(seed, n)));
    let began = s.clock.boot();
    let body = stream::iter((0..chunks).map(move |n| Ok(chunk(seed, n)))).boxed();
    s.store.blobs.write(&id, body).await.map_err(said)?;
    let wrote = s.clock.boot();
    let read = hash_of(s, &id).await;
    let down = s.clock.boot().since(wrote);
    s.store.blobs.delete(&id).await.map_err(said)?;
    ensure(read? == <[u8; 32]>::from(wanted.finalize()), || "what was read back is not what was written".to_owned())?;
    Ok(Trip { up: wrote.since(began), down })
}

async fn hash_of(s: &Scratch<'_>, id: &BlobId) -> Result<[u8; 32], Flaw> {
    let mut body = s.store.blobs.read(id, 0..u64::MAX).await.map_err(said)?.ok_or("the large object is absent")?;
    let mut hash = Sha256::new();
    while let Some(chunk) = body.next().await {
        hash.update(chunk.map_err(said)?);
    }
    Ok(hash.finalize().into())
}

/// The `n`-th chunk of the body: no two are alike, and none is all of one byte.
fn chunk(seed: [u8; 32], n: usize) -> Bytes {
    let block: [u8; 32] = Sha256::new().chain_update(seed).chain_update(n.to_le_bytes()).finalize().into();
    block.repeat(CHUNK_BYTES / block.len()).into()
}
