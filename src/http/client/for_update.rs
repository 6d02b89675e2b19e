//! A lease for update as it comes from a server: the state, then lines until the lease ends.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use futures_util::{FutureExt, TryFutureExt};
use tokio::sync::{mpsc, oneshot};

use super::Reply;
use super::download::checked;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::http::wire::{EndReader, grant_from};
use crate::limits::STREAM_SILENCE;
use crate::service::{ByteStream, Following, ForUpdate, LeaseEnd, State};

/// What a server granted. The answer is read by a task of its own, which ends, and the connection with it, when the lease is
/// followed no more.
///
/// # Errors
/// `Internal` when it is not understood; the connection is closed then.
pub fn granted(reply: Reply, clock: Arc<dyn Clock>) -> Result<ForUpdate> {
    let (grant, len) = grant_from(&reply.headers)?;
    let (chunks, coming) = mpsc::channel(2);
    let (tell, end) = oneshot::channel();
    let receiving = Receiving { body: reply.body, left: len, chunks: Some(chunks), clock: Arc::clone(&clock) };
    let task = tokio::spawn(async move {
        let _followed_no_more = tell.send(receiving.run().await);
    });
    let coming = stream::unfold(coming, |mut coming| async { coming.recv().await.map(|chunk| (chunk, coming)) });
    let state = grant.etag.clone().map(|etag| State {
        version: grant.version,
        body: checked(coming.boxed(), etag.clone(), len, clock),
        etag,
        len,
    });
    let following = Following::new(end.unwrap_or_else(|_| None).boxed(), move || task.abort());
    Ok(ForUpdate { grant, state, following })
}

/// An answer that comes.
struct Receiving {
    body: ByteStream,
    /// What is to come of the state.
    left: u64,
    /// Where the state goes; nobody wants it once that is closed.
    chunks: Option<mpsc::Sender<Result<Bytes>>>,
    clock: Arc<dyn Clock>,
}

impl Receiving {
    /// Reads to the end of the lease; `None` when the connection goes before that.
    async fn run(mut self) -> Option<LeaseEnd> {
        let mut lines = EndReader::default();
        self.whole();
        loop {
            let chunk = match self.next().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return None,
                Err(error) => {
                    self.pass_on(Err(error)).await;
                    return None;
                }
            };
            let line = self.split(chunk).await;
            match lines.read(&line) {
                Ok(None) => {}
                Ok(end) => return end,
                Err(_) => return None,
            }
        }
    }

    /// The next piece, while there is one in time.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let until = self.clock.boot() + STREAM_SILENCE;
        match self.clock.timeout_at(until, self.body.next()).await {
            Some(chunk) => chunk.transpose(),
            None => Err(Error::new(ErrorKind::Unavailable, "the server fell silent")),
        }
    }

    /// Passes on what is of the state; returns what is behind it.
    async fn split(&mut self, mut chunk: Bytes) -> Bytes {
        let of_state = usize::try_from(self.left).map_or(chunk.len(), |left| left.min(chunk.len()));
        let state = chunk.split_to(of_state);
        self.left -= of_state as u64;
        if !state.is_empty() {
            self.pass_on(Ok(state)).await;
        }
        self.whole();
        chunk
    }

    async fn pass_on(&mut self, chunk: Result<Bytes>) {
        if let Some(chunks) = &self.chunks {
            let _nobody_wants_it = chunks.send(chunk).await;
        }
    }

    /// The end of the state is the end of its stream.
    fn whole(&mut self) {
        if self.left == 0 {
            self.chunks = None;
        }
    }
}
