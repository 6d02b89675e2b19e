//! The simulated blob store: writes that fail, land late or in part; deletes that come late; stale lists.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use lockd::error::{Error, ErrorKind, Result};
use lockd::limits::CHUNK_BYTES;
use lockd::model::{BlobId, KeyHash};
use lockd::store::{BlobStore, ByteStream};
use tokio::sync::oneshot;

use super::counters::Counter as C;
use super::records::no_answer;
use super::time::{MILLI, SECOND};
use super::world::{ProcId, Shared};

#[derive(Default)]
pub struct Blobs {
    pub there: BTreeMap<BlobId, Bytes>,
    /// Every blob ever written, and by whom.
    pub ever: BTreeMap<BlobId, ProcId>,
}

/// The blobs as one process sees them.
pub struct SimBlobs {
    pub world: Arc<Mutex<Shared>>,
    pub proc: ProcId,
}

impl fmt::Debug for SimBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blobs seen by {:?}", self.proc)
    }
}

#[async_trait]
impl BlobStore for SimBlobs {
    async fn write(&self, id: &BlobId, mut body: ByteStream) -> Result<()> {
        let mut all = Vec::new();
        while let Some(chunk) = body.next().await {
            all.extend_from_slice(&chunk?);
        }
        let (to, answer) = oneshot::channel();
        self.world.lock().unwrap().start_blob(self.proc, id.clone(), all.into(), to);
        answer.await.unwrap_or_else(|_| Err(no_answer()))
    }

    async fn read(&self, id: &BlobId, range: Range<u64>) -> Result<Option<ByteStream>> {
        let (to, answer) = oneshot::channel();
        let wanted = id.clone();
        self.world.lock().unwrap().start_blob_read(self.proc, wanted, to);
        let Some((all, breaks_off)) = answer.await.unwrap_or_else(|_| Err(no_answer()))? else { return Ok(None) };
        let clamp = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(all.len());
        let wanted = all.slice(clamp(range.start)..clamp(range.end));
        let chunks: Vec<Bytes> = wanted.chunks(CHUNK_BYTES.min(9_000)).map(Bytes::copy_from_slice).collect();
        let whole = stream::iter(chunks.into_iter().map(Ok));
        Ok(Some(match breaks_off {
            true => whole.take(1).chain(stream::iter([Err(no_answer())])).boxed(),
            false => whole.boxed(),
        }))
    }

    async fn delete(&self, id: &BlobId) -> Result<()> {
        let (to, answer) = oneshot::channel();
        self.world.lock().unwrap().start_delete(self.proc, id.clone(), to);
        answer.await.unwrap_or_else(|_| Err(no_answer()))
    }

    async fn list(&self, key: KeyHash) -> Result<Vec<BlobId>> {
        let (to, answer) = oneshot::channel();
        self.world.lock().unwrap().start_list(self.proc, key, to);
        answer.await.unwrap_or_else(|_| Err(no_answer()))
    }
}

impl Shared {
    fn start_blob(&mut self, proc: ProcId, id: BlobId, bytes: Bytes, to: oneshot::Sender<Result<()>>) {
        let mut course = self.course();
        if self.fault(self.mix.blob_fault, C::BlobFault) {
            let nothing_is_left = self.rng.chance(4_000);
            let lands = self.rng.chance(5_000).then(|| course.there + self.rng.below(self.mix.latest()));
            self.at(course.gives_up, move |w| w.answer(proc, to, Err(no_answer())));
            if !nothing_is_left {
                self.at(lands.unwrap_or(course.there), move |w| w.blob_lands(proc, id, bytes));
            }
            return;
        }
        if !self.gets_out(proc) {
            self.at(course.gives_up, move |w| w.answer(proc, to, Err(no_answer())));
            return;
        }
        // A large body takes its time.
        let longest = if self.calm { 10 * MILLI } else { self.mix.timeout.min(2 * SECOND) };
        let sending = self.rng.below(longest);
        (course.there, course.back) = (course.there + sending, course.back + sending);
        self.at(course.there, move |w| {
            w.blob_lands(proc, id, bytes);
            w.reply(proc, course, to, Ok(()), || Err(no_answer()));
        });
    }

    fn blob_lands(&mut self, proc: ProcId, id: BlobId, bytes: Bytes) {
        self.note("blob", proc.0 as u64, bytes.len() as u64);
        self.say(|| format!("blob {id:?} lands"));
        if self.blobs.ever.insert(id.clone(), proc).is_some() {
            self.broken("a blob id is used once", format!("{id} was written again"));
        }
        self.blobs.there.insert(id, bytes);
    }

    fn start_blob_read(&mut self, proc: ProcId, id: BlobId, to: oneshot::Sender<Result<Option<(Bytes, bool)>>>) {
        let mut course = self.course();
        // A large body takes its time.
        let longest = if self.calm { 10 * MILLI } else { self.mix.timeout.min(2 * SECOND) };
        let coming = self.rng.below(longest);
        (course.there, course.back) = (course.there + coming, course.back + coming);
        let breaks_off = self.fault(self.mix.blob_fault, C::BlobFault);
        if !self.gets_out(proc) {
            self.at(course.gives_up, move |w| w.answer(proc, to, Err(no_answer())));
            return;
        }
        let torn = self.fault(self.mix.torn_read, C::TornRead);
        self.at(course.there, move |w| {
            let found = w.blobs.there.get(&id).cloned().map(|whole| if torn { damaged(&whole) } else { whole });
            if found.is_none() {
                w.count(C::BlobGone);
            }
            w.note("read blob", proc.0 as u64, u64::from(found.is_some()));
            w.reply(proc, course, to, Ok(found.map(|bytes| (bytes, breaks_off))), || Err(no_answer()));
        });
    }

    fn start_delete(&mut self, proc: ProcId, id: BlobId, to: oneshot::Sender<Result<()>>) {
        let course = self.course();
        if self.fault(self.mix.late_delete, C::LateDelete) {
            let lands = course.there + self.rng.below(self.mix.latest());
            self.at(lands, move |w| w.delete_lands(proc, &id));
            self.at(course.gives_up, move |w| w.answer(proc, to, Err(no_answer())));
            return;
        }
        if !self.gets_out(proc) || self.fault(self.mix.blob_fault, C::BlobFault) {
            self.at(course.gives_up, move |w| w.answer(proc, to, Err(no_answer())));
            return;
        }
        self.at(course.there, move |w| {
            w.delete_lands(proc, &id);
            w.reply(proc, course, to, Ok(()), || Err(no_answer()));
        });
    }

    fn delete_lands(&mut self, proc: ProcId, id: &BlobId) {
        self.note("delete", proc.0 as u64, 0);
        self.say(|| format!("blob {id:?} is deleted by {proc:?}"));
        let named = self.history.keys.iter().any(|key| key.head.blobs().any(|named| named == id));
        self.ensure(!named, "no dangling blob", || format!("{id} was deleted and the record names it"));
        if self.blobs.there.remove(id).is_none() {
            return;
        }
        self.count(C::BlobDeleted);
        let writer = self.blobs.ever.get(id).copied();
        if writer != Some(proc)
            && self
                .history
                .publishing
                .iter()
                .any(|(at, key)| Some(*at) == writer && self.history.keys[*key].key.hash() == id.key())
        {
            self.count(C::CollectorRace);
        }
    }

    fn start_list(&mut self, proc: ProcId, key: KeyHash, to: oneshot::Sender<Result<Vec<BlobId>>>) {
        let course = self.course();
        if !self.gets_out(proc) || self.fault(self.mix.blob_fault, C::BlobFault) {
            self.at(course.gives_up, move |w| w.answer(proc, to, Err(no_answer())));
            return;
        }
        let stale = self.fault(self.mix.stale_list, C::StaleList);
        self.at(course.there, move |w| {
            // A stale list misses some that are there and has some that are gone.
            let source: Vec<BlobId> = match stale {
                true => w.blobs.ever.keys().filter(|id| id.key() == key).cloned().collect(),
                false => w.blobs.there.keys().filter(|id| id.key() == key).cloned().collect(),
            };
            let found: Vec<BlobId> = source.into_iter().filter(|_| !stale || w.rng.chance(6_000)).collect();
            w.note("list", proc.0 as u64, found.len() as u64);
            w.reply(proc, course, to, Ok(found), || Err(no_answer()));
        });
    }
}

/// The same length, other bytes.
fn damaged(whole: &Bytes) -> Bytes {
    let mut bytes = whole.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    bytes.into()
}

/// What a body that breaks off on its way in ends with.
pub fn broken_off() -> Error {
    Error::new(ErrorKind::Io, "the caller broke off")
}
