//! A stream that goes on while what came of it is used: what is costly in it (hashing) is done on another processor.

use futures_util::stream::{self, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::error::{Error, ErrorKind};
use crate::limits::CHUNKS_AHEAD;
use crate::store::ByteStream;

/// The same stream, worked off in a task of its own, at most [`CHUNKS_AHEAD`] chunks ahead. The task ends with what is returned.
pub(super) fn ahead(mut body: ByteStream) -> ByteStream {
    let (came, chunks) = mpsc::channel(CHUNKS_AHEAD);
    let mut task = JoinSet::new();
    task.spawn(async move {
        while let Some(chunk) = body.next().await {
            if came.send(chunk).await.is_err() {
                return;
            }
        }
    });
    stream::unfold((chunks, task), |(mut chunks, mut task)| async {
        if let Some(chunk) = chunks.recv().await {
            return Some((chunk, (chunks, task)));
        }
        // A task that broke down has not come to the end, which must not look as if it had.
        let broken = task.join_next().await?.err()?;
        let error = Error::new(ErrorKind::Internal, format!("the state was not read to its end: {broken}"));
        Some((Err(error), (chunks, task)))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn counted(of: usize) -> (Arc<AtomicUsize>, ByteStream) {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let chunk = move |n: usize| {
            count.store(n + 1, Ordering::SeqCst);
            Ok(Bytes::from(n.to_string()))
        };
        (made, stream::iter(0..of).map(chunk).boxed())
    }

    #[tokio::test]
    async fn all_chunks_come_in_order_and_only_a_few_ahead() {
        let (made, body) = counted(20);
        let mut body = ahead(body);
        assert_eq!(body.next().await.unwrap().unwrap(), "0");
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        // Those that wait, the one that was taken, and one that waits for room.
        assert_eq!(made.load(Ordering::SeqCst), CHUNKS_AHEAD + 2);
        let rest: Vec<_> = body.map(|chunk| chunk.unwrap()).collect().await;
        assert_eq!(rest, (1..20).map(|n| n.to_string()).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn the_task_ends_with_the_stream() {
        let (made, body) = counted(20);
        let waits = stream::pending().boxed();
        let mut body = ahead(body.chain(waits).boxed());
        body.next().await;
        drop(body);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(made.load(Ordering::SeqCst) <= CHUNKS_AHEAD + 2);
        assert_eq!(Arc::strong_count(&made), 1, "the stream is dropped");
    }

    #[tokio::test]
    async fn a_stream_that_breaks_down_does_not_look_whole() {
        let (_, body) = counted(2);
        let breaks = stream::once(async { panic!("on purpose") });
        let all: Vec<_> = ahead(body.chain(breaks).boxed()).collect().await;
        assert_eq!(all.len(), 3);
        assert_eq!(all[2].as_ref().unwrap_err().kind(), ErrorKind::Internal);
    }
}
