//! A stream that goes on while what came of it is used: what is costly in it (reading, hashing) is done on another processor.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::error::{Error, ErrorKind};
use crate::limits::{CHUNKS_AHEAD, STREAMS_AHEAD};
use crate::store::ByteStream;

/// What lets [`STREAMS_AHEAD`] streams of an engine go ahead at a time. The others come as they are asked for: many slow readers
/// together must not keep in memory what none of them takes.
#[derive(Debug)]
pub(super) struct Ahead(Arc<Semaphore>);

impl Default for Ahead {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS_AHEAD)))
    }
}

impl Ahead {
    /// The same stream, worked off in a task of its own where there is room: until it is dropped or at its end.
    pub(super) fn of(&self, body: ByteStream) -> ByteStream {
        match Arc::clone(&self.0).try_acquire_owned() {
            Ok(room) => ahead(body, room),
            Err(_full) => body,
        }
    }
}

/// Goes at most [`CHUNKS_AHEAD`] chunks ahead. The task ends with what is returned.
fn ahead(mut body: ByteStream, room: OwnedSemaphorePermit) -> ByteStream {
    let (came, chunks) = mpsc::channel(CHUNKS_AHEAD);
    let mut task = JoinSet::new();
    task.spawn(async move {
        while let Some(chunk) = body.next().await {
            if came.send(chunk).await.is_err() {
                return;
            }
        }
    });
    // Its room goes with it, not with the task: what the task has read to its end waits here yet.
    stream::unfold((chunks, task, room), |(mut chunks, mut task, room)| async {
        if let Some(chunk) = chunks.recv().await {
            return Some((chunk, (chunks, task, room)));
        }
        // A task that broke down has not come to the end, which must not look as if it had.
        let broken = task.join_next().await?.err()?;
        let error = Error::new(ErrorKind::Internal, format!("the state was not read to its end: {broken}"));
        Some((Err(error), (chunks, task, room)))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
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

    /// Lets all tasks do what they can.
    async fn turns() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn all_chunks_come_in_order_and_only_a_few_ahead() {
        let (made, body) = counted(20);
        let mut body = Ahead::default().of(body);
        assert_eq!(body.next().await.unwrap().unwrap(), "0");
        turns().await;
        // Those that wait, the one that was taken, and one that waits for room.
        assert_eq!(made.load(Ordering::SeqCst), CHUNKS_AHEAD + 2);
        let rest: Vec<_> = body.map(|chunk| chunk.unwrap()).collect().await;
        assert_eq!(rest, (1..20).map(|n| n.to_string()).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn the_task_ends_with_the_stream() {
        let (made, body) = counted(20);
        let waits = stream::pending().boxed();
        let mut body = Ahead::default().of(body.chain(waits).boxed());
        body.next().await;
        drop(body);
        turns().await;
        assert!(made.load(Ordering::SeqCst) <= CHUNKS_AHEAD + 2);
        assert_eq!(Arc::strong_count(&made), 1, "the stream is dropped");
    }

    #[tokio::test]
    async fn a_stream_that_breaks_down_does_not_look_whole() {
        let (_, body) = counted(2);
        let breaks = stream::once(async { panic!("on purpose") });
        let all: Vec<_> = Ahead::default().of(body.chain(breaks).boxed()).collect().await;
        assert_eq!(all.len(), 3);
        assert_eq!(all[2].as_ref().unwrap_err().kind(), ErrorKind::Internal);
    }

    /// What waits in vain is not read: 1,000 readers that do not read would hold a chunk and those ahead of it each.
    #[tokio::test]
    async fn where_too_many_go_ahead_the_others_come_as_they_are_asked_for() {
        let rooms = Ahead::default();
        let mut many: Vec<_> = (0..STREAMS_AHEAD).map(|_| rooms.of(counted(1).1)).collect();
        // Read to their ends, and nobody took it.
        turns().await;
        let (made, body) = counted(20);
        let mut body = rooms.of(body);
        body.next().await.unwrap().unwrap();
        turns().await;
        assert_eq!(made.load(Ordering::SeqCst), 1);
        // Room is given back.
        drop(many.pop());
        let (made, body) = counted(20);
        let _body = rooms.of(body);
        turns().await;
        assert_eq!(made.load(Ordering::SeqCst), CHUNKS_AHEAD + 1);
    }
}
