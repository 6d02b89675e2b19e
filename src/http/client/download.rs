//! The body of an answer.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt};
use sha2::{Digest, Sha256};

use super::{Failure, Reply};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::http::wire::{not_understood, state_headers_from};
use crate::limits::{ANSWER_BYTES, ANSWER_PATIENCE};
use crate::model::StateEtag;
use crate::service::{ByteStream, State};

/// The whole body of an answer that is one document.
pub async fn collect(clock: &dyn Clock, mut body: ByteStream) -> Result<Bytes, Failure> {
    let broken = |why: String| Failure { sent: true, why };
    let mut all = BytesMut::new();
    loop {
        let until = clock.boot() + ANSWER_PATIENCE;
        match clock.timeout_at(until, body.next()).await {
            Some(Some(Ok(chunk))) => all.extend_from_slice(&chunk),
            Some(Some(Err(e))) => return Err(broken(e.message().to_owned())),
            Some(None) => return Ok(all.freeze()),
            None => return Err(broken("its answer broke off".to_owned())),
        }
        if all.len() > ANSWER_BYTES {
            return Err(broken(format!("its answer has more than {ANSWER_BYTES} bytes")));
        }
    }
}

/// A state that comes: length and hash are checked on the way.
pub fn state(reply: Reply, clock: Arc<dyn Clock>) -> Result<State> {
    let (version, etag) = state_headers_from(&reply.headers)?;
    let len = reply.headers.get(http::header::CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse().ok());
    let Some(len) = len else { return Err(not_understood(format_args!("a state without its length"))) };
    let body = checked(reply.body, etag.clone(), len, clock);
    Ok(State { version, etag, len, body })
}

/// One that is on its way.
struct Arriving {
    body: ByteStream,
    hash: Sha256,
    left: u64,
    etag: StateEtag,
    clock: Arc<dyn Clock>,
}

pub(super) fn checked(body: ByteStream, etag: StateEtag, len: u64, clock: Arc<dyn Clock>) -> ByteStream {
    let arriving = Arriving { body, hash: Sha256::new(), left: len, etag, clock };
    stream::unfold(Some(arriving), |arriving| async {
        let mut arriving = arriving?;
        match arriving.next().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(arriving))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

impl Arriving {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let until = self.clock.boot() + ANSWER_PATIENCE;
        match self.clock.timeout_at(until, self.body.next()).await {
            Some(Some(chunk)) => {
                let chunk = chunk.map_err(|e| cut_off(e.message()))?;
                self.hash.update(&chunk);
                self.left = self.left.checked_sub(chunk.len() as u64).ok_or_else(|| cut_off("it is too long"))?;
                Ok(Some(chunk))
            }
            Some(None) if self.left > 0 => Err(cut_off("the connection ended")),
            Some(None) if StateEtag::from_digest(&self.hash.finalize_reset().into()) != self.etag => {
                Err(Error::new(ErrorKind::Corrupt, "the state that came is not the one that was sent")
                    .with_hint("read it again; if that does not help, look for what changes it on the way"))
            }
            Some(None) => Ok(None),
            None => Err(cut_off("nothing came any more")),
        }
    }
}

fn cut_off(why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the state did not come whole: {why}")).with_hint("read it again")
}
