//! Blobs: written in parts, given up half-way, read, listed and deleted.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use lockd::clock::Clock;
use lockd::error::{Error, ErrorKind, Result};
use lockd::model::{BlobId, FencingToken};
use lockd::store::BlobStore;

use super::super::rng::Rng;
use super::actor::Actor;
use super::claims::Call;
use super::counters::Counter as C;

#[derive(Default)]
pub struct Objects {
    all: BTreeMap<BlobId, Object>,
}

struct Object {
    key: usize,
    bytes: Bytes,
    acked: bool,
    /// Somebody began to delete it.
    doomed: bool,
}

pub async fn work(actor: &Actor, rng: &mut Rng, key: usize) {
    match rng.below(5) {
        0 | 1 => write(actor, rng, key).await,
        2 => list(actor, key).await,
        n => {
            let ids: Vec<BlobId> = actor.world().objects.all.keys().cloned().collect();
            if ids.is_empty() {
                return;
            }
            let id = rng.pick(&ids);
            if n == 3 { read(actor, &id).await } else { delete(actor, &id).await }
        }
    }
}

async fn write(actor: &Actor, rng: &mut Rng, key: usize) {
    let hash = actor.world().truth.keys[key].hash;
    let id = BlobId::random(hash, FencingToken(1), &*actor.entropy);
    let bytes: Bytes = (0..rng.below(3_000)).map(|n| n as u8 | 1).collect::<Vec<_>>().into();
    let breaks_off = rng.chance(1_000);
    let patience = rng.chance(1_000).then(|| rng.below(20));
    let call = {
        let mut w = actor.world();
        let object = Object { key, bytes: bytes.clone(), acked: false, doomed: false };
        w.objects.all.insert(id.clone(), object);
        w.call(actor.proc, key)
    };
    let mut chunks: Vec<Result<Bytes>> = bytes.chunks(900).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    if breaks_off {
        chunks.push(Err(Error::new(ErrorKind::Usage, "broken off")));
    }
    let writing = actor.disk.write(&id, stream::iter(chunks).boxed());
    let result = match patience {
        Some(steps) => {
            let clock: &dyn Clock = &*actor.clock;
            let until = clock.boot() + Duration::from_nanos(actor.world().mix.unit * steps);
            clock.timeout_at(until, writing).await
        }
        None => Some(writing.await),
    };
    let mut w = actor.world();
    match result {
        Some(Ok(())) => {
            w.count(C::BlobWritten);
            if let Some(object) = w.objects.all.get_mut(&id) {
                object.acked = true;
            }
        }
        // Whoever deletes it takes the right to publish away.
        Some(Err(e)) if !breaks_off && !w.objects.all[&id].doomed => w.plausible(&call, "write blob", &e),
        _ => w.count(C::BlobGivenUp),
    }
}

async fn read(actor: &Actor, id: &BlobId) {
    let (call, wanted) = {
        let w = actor.world();
        let object = &w.objects.all[id];
        (w.call(actor.proc, object.key), object.acked && !object.doomed)
    };
    let mut body = match actor.disk.read(id, 0..u64::MAX).await {
        Ok(Some(body)) => body,
        Ok(None) => {
            let mut w = actor.world();
            let lost = wanted && !w.objects.all[id].doomed && !w.excused(&call);
            return w.ensure(!lost, "a blob that was written can be read", || id.to_string());
        }
        Err(e) => return actor.world().plausible(&call, "read blob", &e),
    };
    let mut all = Vec::new();
    while let Some(chunk) = body.next().await {
        match chunk {
            Ok(chunk) => all.extend_from_slice(&chunk),
            Err(e) => return broke_off(actor, &call, &e),
        }
    }
    let mut w = actor.world();
    let whole = w.objects.all[id].bytes == all;
    w.count(C::BlobRead);
    w.ensure(whole, "a blob is read whole or not at all", || format!("{id}: {} bytes", all.len()));
}

/// Damage is never explained; a file that is gone from its server is.
fn broke_off(actor: &Actor, call: &Call, e: &Error) {
    let mut w = actor.world();
    let gone = w.mix.network && e.kind() != ErrorKind::Corrupt;
    if !gone {
        w.plausible(call, "read blob", e);
    }
}

async fn delete(actor: &Actor, id: &BlobId) {
    let call = {
        let mut w = actor.world();
        let Some(object) = w.objects.all.get_mut(id) else { return };
        object.doomed = true;
        let key = object.key;
        w.call(actor.proc, key)
    };
    match actor.disk.delete(id).await {
        Ok(()) => actor.count(C::BlobDeleted),
        Err(e) => actor.world().plausible(&call, "delete blob", &e),
    }
}

async fn list(actor: &Actor, key: usize) {
    let (call, hash, wanted) = {
        let w = actor.world();
        let wanted = w.objects.all.iter().filter(|(_, one)| one.key == key && one.acked && !one.doomed);
        (w.call(actor.proc, key), w.truth.keys[key].hash, wanted.map(|(id, _)| id.clone()).collect::<Vec<_>>())
    };
    match BlobStore::list(&actor.disk, hash).await {
        Ok(found) => {
            let mut w = actor.world();
            let missing = wanted.iter().find(|id| !found.contains(id) && !w.objects.all[id].doomed).cloned();
            let excused = w.excused(&call);
            w.ensure(missing.is_none() || excused, "a listing has every blob", || format!("{missing:?}"));
        }
        Err(e) => actor.world().plausible(&call, "list blobs", &e),
    }
}

/// After the faults: every blob that was written is there, and every one can be deleted.
pub async fn heal(actor: &Actor) {
    let ids: Vec<BlobId> = actor.world().objects.all.keys().cloned().collect();
    for id in &ids {
        read(actor, id).await;
        delete(actor, id).await;
    }
    let keys: Vec<_> = actor.world().truth.keys.iter().filter(|key| key.plain).map(|key| key.hash).collect();
    for hash in keys {
        let left = BlobStore::list(&actor.disk, hash).await;
        let none = matches!(&left, Ok(left) if left.is_empty());
        actor.world().ensure(none, "no blob is left over", || format!("{left:?}"));
    }
}
