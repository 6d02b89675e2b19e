//! States: scanned, hashed and bounded on the way in, inside the record when small, else in a blob; checked on the way out.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use sha2::{Digest, Sha256};

use super::{Engine, changed, check_proof};
use crate::error::{Error, ErrorKind, Result};
use crate::json::Scanner;
use crate::lease::{self, Change, Request, step};
use crate::limits::{CHUNK_BYTES, INLINE_BYTES, READ_RESTARTS};
use crate::model::{BlobId, Body, Key, Record, StateEtag, StateRef, Versioned};
use crate::mutants::{Mutant, on};
use crate::service::{ChangeRequest, Changed, Expected, Proof, State};
use crate::store::ByteStream;

impl Engine {
    pub(super) async fn write_state(
        &self,
        request: ChangeRequest,
        expected: Expected,
        body: ByteStream,
    ) -> Result<Changed> {
        let mut intake = Intake::new(body, expected);
        let mut first = intake.gather(INLINE_BYTES + 1).await?;
        // What a record has inside stays in memory with it.
        first.shrink_to_fit();
        let state = match intake.ended() {
            true if first.len() <= INLINE_BYTES => StateRef::inline(first.into()),
            _ => self.upload(&request, first.into(), intake).await?,
        };
        let blob = state.blob().cloned();
        let (key, update) = self.update_of(request, Change::Put(state));
        match self.ask(&key, Request::Update(update)).await {
            Ok(answer) => {
                let mut nameless = answer.replaced;
                // A replayed request keeps the blob of its first time; this one was not published and never will be.
                nameless.extend(blob.filter(|blob| !answer.record.blobs().any(|named| named == blob)));
                self.delete_soon(nameless);
                changed(answer.outcome)
            }
            Err(error) => {
                match blob {
                    Some(blob) if error.kind() == ErrorKind::OutcomeUnknown && !on(Mutant::DeleteAfterUnknown) => {
                        self.shared.may_litter(blob.key());
                    }
                    blob => self.delete_soon(blob.into_iter().collect()),
                }
                Err(error)
            }
        }
    }

    /// Streams a large state into a blob of its own. The lease and the guards are looked at before, so that nothing large is
    /// sent in vain; the step that publishes it decides.
    async fn upload(&self, request: &ChangeRequest, first: Bytes, intake: Intake) -> Result<StateRef> {
        self.would_refuse(request).await?;
        let id = BlobId::random(request.key.hash(), request.proof.token, &*self.shared.entropy);
        self.shared.may_litter(request.key.hash());
        let sum = Arc::clone(&intake.sum);
        let body = stream::once(async { Ok(first) }).chain(self.shared.ahead.of(intake.into_stream())).boxed();
        self.shared.store.blobs.write(&id, body).await.map_err(|e| of_the_store(&request.key, e))?;
        let Some((etag, len)) = sum.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Err(Error::new(ErrorKind::Internal, format!("blob {id} was stored before it was read to its end")));
        };
        Ok(StateRef { etag, len, body: Body::Blob(id) })
    }

    pub(super) async fn would_refuse(&self, request: &ChangeRequest) -> Result<()> {
        let (record, _) = self.shared.read(&request.key).await?;
        if record.done.iter().any(|done| done.id == request.request_id) {
            return Ok(());
        }
        let (_, update) = self.update_of(request.clone(), Change::Put(StateRef::inline(Bytes::new())));
        let answer = step(&record, &Request::Update(update), self.shared.ages.age(&record)).answer;
        answer.map(|_| ()).map_err(|refusal| self.refused(&record, refusal))
    }

    pub(super) async fn edit_remembered(&self, request: &ChangeRequest) -> Result<Option<Changed>> {
        let Some(edits) = &request.edits else { return Ok(None) };
        let (record, _) = self.shared.read(&request.key).await?;
        match lease::edited_before(&record, &request.request_id, edits) {
            Ok(outcome) => outcome.map(changed).transpose(),
            Err(refusal) => Err(self.refused(&record, refusal)),
        }
    }

    fn refused(&self, record: &Record, refusal: lease::Refusal) -> Error {
        super::refusal::to_error(&record.key, refusal, self.shared.ages.age(record), self.shared.clock.wall())
    }

    pub(super) async fn read_state(&self, key: &Key, proof: Option<&Proof>) -> Result<Option<State>> {
        for _ in 0..READ_RESTARTS {
            let (record, _) = self.shared.read(key).await?;
            let seen = match proof {
                Some(proof) => {
                    check_proof(&record, proof, &*self.shared.clock)?;
                    record.visible()
                }
                None => &record.committed,
            };
            let Some(state) = &seen.state else { return Ok(None) };
            // A blob that is gone was replaced after the record was read: the record says by what.
            if let Some(body) = self.open_body(&record, seen, state).await? {
                return Ok(Some(State { version: seen.version, etag: state.etag.clone(), len: state.len, body }));
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            format!("the state of {key} was replaced each time before it could be read"),
        )
        .with_hint("try again"))
    }

    async fn open_body(&self, record: &Record, seen: &Versioned, state: &StateRef) -> Result<Option<ByteStream>> {
        match &state.body {
            Body::Inline(bytes) => {
                let bytes = bytes.clone();
                Ok(Some(checked(record, seen.version.0, state, stream::once(async { Ok(bytes) }).boxed())))
            }
            Body::Blob(id) => {
                let body = self.shared.store.blobs.read(id, 0..state.len).await?;
                let ahead = &self.shared.ahead;
                // Read and hashed in a task each: on a cold disk either takes as long as the other.
                Ok(body.map(|body| ahead.of(checked(record, seen.version.0, state, ahead.of(body)))))
            }
        }
    }
}

/// An error of the store names the key, which a blob's name does not show; one of the state itself stands as it is.
fn of_the_store(key: &Key, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Io | ErrorKind::StoreFull | ErrorKind::NotPermitted => error.context(format!("the state of {key}")),
        _ => error,
    }
}

/// Passes a body on while it is hashed; ends in an error unless length and hash are those that the record names.
fn checked(record: &Record, version: u64, state: &StateRef, body: ByteStream) -> ByteStream {
    let damaged = format!("the state of {} at version {version} is damaged in the store", record.key);
    let wanted = (state.etag.clone(), state.len);
    let start = (body, Sha256::new(), 0u64, false);
    stream::unfold(start, move |(mut body, mut hash, mut len, done)| {
        let (damaged, wanted) = (damaged.clone(), wanted.clone());
        async move {
            if done {
                return None;
            }
            match body.next().await {
                Some(Ok(chunk)) => {
                    hash.update(&chunk);
                    len += chunk.len() as u64;
                    Some((Ok(chunk), (body, hash, len, false)))
                }
                Some(Err(e)) => Some((Err(e), (body, hash, len, true))),
                None => {
                    let found = (StateEtag::from_digest(&hash.finalize_reset().into()), len);
                    let error = Error::new(ErrorKind::Corrupt, damaged).with_hint("restore the store from a backup");
                    (found != wanted && !on(Mutant::HashUnchecked)).then(|| (Err(error), (body, hash, len, true)))
                }
            }
        }
    })
    .boxed()
}

/// A body on its way in: the JSON scanner drops what is between the values' parts, what is stored is hashed and counted.
struct Intake {
    body: Option<ByteStream>,
    scanner: Option<Scanner>,
    expected: Expected,
    /// The length as sent.
    sent: u64,
    /// The hash as sent, where one was announced: it costs as much as all the rest.
    sent_hash: Option<Sha256>,
    /// As stored.
    stored: (Sha256, u64),
    /// Hash and length as stored, once the body was read to its end and found good.
    sum: Arc<Mutex<Option<(StateEtag, u64)>>>,
}

impl Intake {
    fn new(body: ByteStream, expected: Expected) -> Self {
        let sent_hash = expected.sha256.is_some().then(Sha256::new);
        Self {
            body: Some(body),
            scanner: Some(Scanner::default()),
            expected,
            sent: 0,
            sent_hash,
            stored: (Sha256::new(), 0),
            sum: Arc::default(),
        }
    }

    const fn ended(&self) -> bool {
        self.body.is_none()
    }

    /// The next stored bytes: `enough` at the least, less only at the end, when the whole was found good. A body comes in pieces as
    /// small as its sender and the kernel like, and each chunk costs its way to the store.
    async fn gather(&mut self, enough: usize) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        while let Some(body) = self.body.as_mut().filter(|_| out.len() < enough) {
            let Some(chunk) = body.next().await.transpose()? else {
                self.body = None;
                break;
            };
            self.sent += chunk.len() as u64;
            if let Some(hash) = &mut self.sent_hash {
                hash.update(&chunk);
            }
            // Seldom more than once: pieces are all alike.
            out.reserve(if out.is_empty() { enough + chunk.len() } else { chunk.len() });
            if let Some(scanner) = &mut self.scanner {
                scanner.feed(&chunk, &mut out)?;
            }
        }
        self.stored.0.update(&out);
        self.stored.1 += out.len() as u64;
        if self.ended() {
            self.finish()?;
        }
        Ok(out)
    }

    fn finish(&mut self) -> Result<()> {
        if let Some(scanner) = self.scanner.take() {
            scanner.finish()?;
        }
        if let Some(bytes) = self.expected.bytes
            && bytes != self.sent
        {
            let message = format!("{bytes} bytes were announced and {} came", self.sent);
            return Err(Error::new(ErrorKind::BytesMismatch, message).with_hint("send it again"));
        }
        let sent = self.sent_hash.take().map(|hash| hex::encode(hash.finalize()));
        if let (Some(sha256), Some(sent)) = (&self.expected.sha256, sent)
            && !sha256.eq_ignore_ascii_case(&sent)
        {
            let message = format!("the body's SHA-256 is {sent}, announced was another");
            return Err(Error::new(ErrorKind::Sha256Mismatch, message).with_hint("send it again"));
        }
        let sum = (StateEtag::from_digest(&self.stored.0.finalize_reset().into()), self.stored.1);
        *self.sum.lock().unwrap_or_else(PoisonError::into_inner) = Some(sum);
        Ok(())
    }

    fn into_stream(self) -> ByteStream {
        stream::unfold(Some(self), |intake| async {
            let mut intake = intake.filter(|intake| !intake.ended())?;
            match intake.gather(CHUNK_BYTES).await {
                Ok(chunk) if chunk.is_empty() => None,
                Ok(chunk) => Some((Ok(chunk.into()), Some(intake))),
                Err(e) => Some((Err(e), None)),
            }
        })
        .boxed()
    }
}
