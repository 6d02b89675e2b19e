//! Checks of the blob store.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream;

use super::{Scratch, Seen, ensure, said};
use crate::error::{Error, ErrorKind};
use crate::limits::CHUNK_BYTES;
use crate::model::{BlobId, FencingToken, KeyHash};
use crate::store::ByteStream;

/// Two chunks and a bit.
const LEN: usize = 2 * CHUNK_BYTES + 1_234;

fn body(s: &Scratch<'_>) -> Bytes {
    let seed: [u8; 32] = s.entropy.bytes();
    (0..LEN).map(|i| seed[i % 32] ^ (i / 32) as u8).collect()
}

fn stream_of(body: &Bytes) -> ByteStream {
    let body = body.clone();
    let chunks = (0..body.len().div_ceil(CHUNK_BYTES)).map(move |i| {
        let start = i * CHUNK_BYTES;
        Ok(body.slice(start..body.len().min(start + CHUNK_BYTES)))
    });
    stream::iter(chunks).boxed()
}

fn new_id(s: &Scratch<'_>, token: u64) -> Result<BlobId, String> {
    Ok(BlobId::random(hash(s)?, FencingToken(token), s.entropy))
}

fn hash(s: &Scratch<'_>) -> Result<KeyHash, String> {
    Ok(s.key("blob")?.hash())
}

async fn read(s: &Scratch<'_>, id: &BlobId, range: Range<u64>) -> Result<Option<Bytes>, String> {
    let Some(mut stream) = s.store.blobs.read(id, range).await.map_err(said)? else { return Ok(None) };
    let mut all = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(said)?;
        ensure(chunk.len() <= CHUNK_BYTES, || format!("a chunk has {} bytes", chunk.len()))?;
        all.extend_from_slice(&chunk);
    }
    Ok(Some(all.freeze()))
}

async fn gone(s: &Scratch<'_>, id: &BlobId, what: &str) -> Result<(), String> {
    ensure(s.store.blobs.read(id, 0..u64::MAX).await.map_err(said)?.is_none(), || format!("{what} can be read"))
}

pub(super) async fn round_trip(s: &Scratch<'_>) -> Seen {
    let (id, body) = (new_id(s, 1)?, body(s));
    gone(s, &id, "a blob that was never written").await?;
    s.store.blobs.write(&id, stream_of(&body)).await.map_err(said)?;
    let chunk = CHUNK_BYTES as u64;
    let len = LEN as u64;
    for range in [0..u64::MAX, 0..len, 0..0, 1..2, chunk - 1..chunk + 1, 5..len - 5, len - 1..len, len..len + 9] {
        let slice = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(LEN);
        let wanted = body.slice(slice(range.start)..slice(range.end));
        let got = read(s, &id, range.clone()).await?.ok_or("a blob that was written is absent")?;
        ensure(got == wanted, || format!("bytes {range:?} differ from what was written"))?;
    }
    let again = s.store.blobs.write(&id, stream_of(&Bytes::from_static(b"other"))).await;
    ensure(again.is_err(), || "an id was written twice".to_owned())?;
    let got = read(s, &id, 0..u64::MAX).await?;
    ensure(got == Some(body), || "a second write changed or removed the blob".to_owned())?;
    s.store.blobs.delete(&id).await.map_err(said)?;
    Ok(format!("{LEN} bytes streamed and read back"))
}

pub(super) async fn invisible(s: &Scratch<'_>) -> Seen {
    let (id, body) = (new_id(s, 1)?, body(s));
    let (blobs, wanted, probe) = (s.store.blobs.clone(), body.clone(), id.clone());
    // The body itself looks at the store, between its chunks.
    let spied = stream_of(&body).then(move |chunk| {
        let (blobs, probe) = (blobs.clone(), probe.clone());
        async move {
            match blobs.read(&probe, 0..u64::MAX).await? {
                None => chunk,
                Some(_) => Err(Error::new(ErrorKind::Internal, "an incomplete blob can be read")),
            }
        }
    });
    s.store.blobs.write(&id, spied.boxed()).await.map_err(said)?;
    let got = read(s, &id, 0..u64::MAX).await?;
    ensure(got == Some(wanted), || "a complete blob cannot be read".to_owned())?;
    s.store.blobs.delete(&id).await.map_err(said)?;
    Ok("nothing could be read before the write was complete".to_owned())
}

pub(super) async fn dropped(s: &Scratch<'_>) -> Seen {
    let (id, body) = (new_id(s, 1)?, body(s));
    let endless = stream_of(&body).chain(stream::pending()).boxed();
    let until = s.clock.boot() + std::time::Duration::from_millis(300);
    let ended = s.clock.timeout_at(until, s.store.blobs.write(&id, endless)).await;
    ensure(ended.is_none(), || "a write ended before its body".to_owned())?;
    gone(s, &id, "a blob whose write was dropped").await?;
    s.store.blobs.delete(&id).await.map_err(said)?;
    Ok("a dropped write left nothing".to_owned())
}

pub(super) async fn failed(s: &Scratch<'_>) -> Seen {
    let (id, body) = (new_id(s, 1)?, body(s));
    let broken = stream::once(async { Err(Error::new(ErrorKind::Io, "the body broke off")) });
    let ended = s.store.blobs.write(&id, stream_of(&body).chain(broken).boxed()).await;
    let kind = ended.as_ref().err().map(Error::kind);
    ensure(kind == Some(ErrorKind::Io), || "the body's error was not returned".to_owned())?;
    gone(s, &id, "a blob whose body broke off").await?;
    s.store.blobs.delete(&id).await.map_err(said)?;
    Ok("a failed write left nothing".to_owned())
}

pub(super) async fn deleted(s: &Scratch<'_>) -> Seen {
    let (id, body) = (new_id(s, 1)?, body(s));
    s.store.blobs.delete(&id).await.map_err(said)?;
    s.store.blobs.write(&id, stream_of(&body)).await.map_err(said)?;
    for _ in 0..2 {
        s.store.blobs.delete(&id).await.map_err(said)?;
        gone(s, &id, "a deleted blob").await?;
    }
    Ok("deleted twice and before it was there".to_owned())
}

pub(super) async fn listed(s: &Scratch<'_>) -> Seen {
    let hash = hash(s)?;
    let list = async || s.store.blobs.list(hash).await.map_err(said);
    ensure(list().await?.is_empty(), || "a key without blobs has some".to_owned())?;
    let mut wanted = vec![new_id(s, 1)?, new_id(s, 1)?, new_id(s, 7)?];
    for id in &wanted {
        s.store.blobs.write(id, stream_of(&Bytes::from_static(b"x"))).await.map_err(said)?;
    }
    wanted.sort();
    let mut got = list().await?;
    got.sort();
    ensure(got == wanted, || format!("3 blobs were written, {} are listed", got.len()))?;
    while let Some(id) = wanted.pop() {
        s.store.blobs.delete(&id).await.map_err(said)?;
        let mut got = list().await?;
        got.sort();
        ensure(got == wanted, || {
            format!("one blob was deleted, and {} of {} others are left", got.len(), wanted.len())
        })?;
    }
    ensure(list().await?.is_empty(), || "deleted blobs are listed".to_owned())?;
    Ok("3 blobs, listed and gone".to_owned())
}
