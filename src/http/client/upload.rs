//! The body of a request. Small ones are kept, so that they can be sent again; large ones are sent once, as they come.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};

use super::Body;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::json::Scanner;
use crate::limits::REPEAT_BYTES;
use crate::service::ByteStream;

/// The body of a call, for as many tries as it can be sent.
pub struct Payload {
    kind: Kind,
    seen: Arc<Seen>,
}

enum Kind {
    Whole(Bytes),
    Passing(ByteStream),
}

/// What was seen of a stream that passes.
#[derive(Debug, Default)]
struct Seen {
    /// It was read to its end.
    ended: AtomicBool,
    /// Something of it was read for sending.
    began: AtomicBool,
    /// When it was last read, on the boot clock.
    at: AtomicU64,
    /// Why it ended too early.
    failed: Mutex<Option<Error>>,
}

impl Payload {
    /// No body.
    pub fn empty() -> Self {
        Self::whole(Bytes::new())
    }

    /// These bytes.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Whole(bytes.into()), seen: Arc::default() }
    }

    /// A state. It is scanned on its way, so that what is not JSON is refused here and never completely sent.
    ///
    /// # Errors
    /// `InvalidState`, `TooLarge`, and the errors of `body`, as far as it was read here.
    pub async fn state(mut body: ByteStream, clock: &Arc<dyn Clock>) -> Result<Self> {
        let mut scanned = Scanned::default();
        let mut first = Vec::new();
        while first.len() <= REPEAT_BYTES {
            let Some(chunk) = body.next().await.transpose()? else {
                scanned.finish()?;
                return Ok(Self::whole(first));
            };
            scanned.feed(&chunk)?;
            first.extend_from_slice(&chunk);
        }
        let seen = Arc::new(Seen::default());
        let rest = passing(body, scanned, Arc::clone(&seen), Arc::clone(clock));
        let began = Arc::clone(&seen);
        let first = stream::once(async move {
            began.began.store(true, Ordering::Release);
            Ok(Bytes::from(first))
        });
        Ok(Self { kind: Kind::Passing(first.chain(rest).boxed()), seen })
    }

    /// What is sent now.
    pub fn body(&mut self) -> Body<'_> {
        match &mut self.kind {
            Kind::Whole(bytes) => Body::Bytes(bytes.clone()),
            Kind::Passing(stream) => Body::Stream(stream),
        }
    }

    /// Its length, where that is known.
    pub fn len(&self) -> Option<usize> {
        match &self.kind {
            Kind::Whole(bytes) => Some(bytes.len()),
            Kind::Passing(_) => None,
        }
    }

    /// When the body was last read, on the boot clock.
    pub fn progress(&self) -> Progress {
        Progress(Arc::clone(&self.seen))
    }

    /// Whether it can be sent once more.
    pub fn can_repeat(&self) -> bool {
        matches!(self.kind, Kind::Whole(_)) || !self.seen.began.load(Ordering::Acquire)
    }

    /// Whether a server may have got all of it: an update of which a part is missing is never applied.
    pub fn was_complete(&self) -> bool {
        matches!(self.kind, Kind::Whole(_)) || self.seen.ended.load(Ordering::Acquire)
    }

    /// Why the body ended too early.
    pub fn failed(&self) -> Option<Error> {
        self.seen.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// When a body was last read.
pub struct Progress(Arc<Seen>);

impl std::ops::Deref for Progress {
    type Target = AtomicU64;
    fn deref(&self) -> &AtomicU64 {
        &self.0.at
    }
}

/// The rest of a body, scanned as it passes.
fn passing(body: ByteStream, scanned: Scanned, seen: Arc<Seen>, clock: Arc<dyn Clock>) -> ByteStream {
    stream::unfold(Some((body, scanned)), move |state| {
        let (seen, clock) = (Arc::clone(&seen), Arc::clone(&clock));
        async move {
            let (mut body, mut scanned) = state?;
            seen.began.store(true, Ordering::Release);
            seen.at.store(clock.boot().0, Ordering::Relaxed);
            let next = match body.next().await {
                Some(chunk) => chunk.and_then(|chunk| scanned.feed(&chunk).map(|()| Some(chunk))),
                None => std::mem::take(&mut scanned).finish().map(|()| None),
            };
            match next {
                Ok(Some(chunk)) => Some((Ok(chunk), Some((body, scanned)))),
                Ok(None) => {
                    seen.ended.store(true, Ordering::Release);
                    None
                }
                Err(error) => {
                    let copy = Error::new(error.kind(), error.message());
                    *seen.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    Some((Err(copy), None))
                }
            }
        }
    })
    .boxed()
}

/// The scanner of states; what it would keep is not needed here.
#[derive(Default)]
struct Scanned {
    scanner: Scanner,
    kept: Vec<u8>,
}

impl Scanned {
    fn feed(&mut self, chunk: &[u8]) -> Result<()> {
        self.kept.clear();
        Ok(self.scanner.feed(chunk, &mut self.kept)?)
    }

    fn finish(self) -> Result<()> {
        Ok(self.scanner.finish()?)
    }
}
