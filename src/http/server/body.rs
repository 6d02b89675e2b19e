//! Bodies on their way in: bounded in size, in the wait for each piece, and in time by a lowest rate.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use serde::de::DeserializeOwned;

use crate::clock::{BootTime, Clock};
use crate::error::{Error, ErrorKind, Result};
use crate::http::wire::read_request;
use crate::limits::{BODY_GRACE, BODY_RATE, CALL_BYTES, CHUNK_WAIT};
use crate::service::ByteStream;

/// A body with its limits.
struct Intake {
    body: Incoming,
    clock: Arc<dyn Clock>,
    began: BootTime,
    came: u64,
    most: u64,
}

impl Intake {
    /// The next piece must have come by then.
    fn due(&self) -> BootTime {
        let by_rate = self.began + BODY_GRACE + Duration::from_micros(self.came.saturating_mul(1_000_000) / BODY_RATE);
        by_rate.min(self.clock.boot() + CHUNK_WAIT)
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let due = self.due();
            let frame = match self.clock.timeout_at(due, self.body.frame()).await {
                None => return Err(slow()),
                Some(None) => return Ok(None),
                Some(Some(frame)) => {
                    frame.map_err(|e| Error::new(ErrorKind::Io, format!("the body ended early: {e}")))?
                }
            };
            // Trailers are not looked at.
            let Ok(chunk) = frame.into_data() else { continue };
            self.came += chunk.len() as u64;
            if self.came > self.most {
                return Err(too_large(self.most));
            }
            return Ok(Some(chunk));
        }
    }
}

fn slow() -> Error {
    Error::new(ErrorKind::Unavailable, format!("the body came slower than {BODY_RATE} bytes a second"))
        .with_hint("nothing was changed; send it again over a better line")
}

/// The answer to a body over its limit.
pub fn too_large(most: u64) -> Error {
    Error::new(ErrorKind::TooLarge, format!("the body has more than {most} bytes"))
}

/// A body as a stream, of at most so many bytes.
///
/// # Errors
/// `TooLarge`, before anything is read, when its announced length says so.
pub fn stream(body: Incoming, most: u64, clock: &Arc<dyn Clock>) -> Result<ByteStream> {
    if body.size_hint().lower() > most {
        return Err(too_large(most));
    }
    let intake = Intake { body, clock: Arc::clone(clock), began: clock.boot(), came: 0, most };
    let pieces = stream::unfold(Some(intake), |intake| async {
        let mut intake = intake?;
        match intake.next().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(intake))),
            Ok(None) => None,
            Err(e) => Some((Err(e), None)),
        }
    });
    Ok(pieces.boxed())
}

/// The document that a call takes.
///
/// # Errors
/// `Usage` when it is another one, `TooLarge`.
pub async fn document<T: DeserializeOwned>(body: Incoming, clock: &Arc<dyn Clock>) -> Result<T> {
    let mut pieces = stream(body, CALL_BYTES as u64, clock)?;
    let mut all = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        all.extend_from_slice(&piece?);
    }
    read_request(&all)
}

/// A range of bytes, first and last, as `Range` asks for one of a state of this length: `None` when it asks for none that is
/// understood, an error when it is not there.
pub fn range(header: Option<&str>, len: u64) -> Result<Option<(u64, u64)>, ()> {
    let Some((first, last)) = header.and_then(|text| text.trim().strip_prefix("bytes=")?.split_once('-')) else {
        return Ok(None);
    };
    let number = |text: &str| text.trim().parse::<u64>();
    let asked = match (number(first), number(last)) {
        (Ok(first), Ok(last)) if first <= last => (first, last.min(len.saturating_sub(1))),
        (Ok(first), Err(_)) if last.trim().is_empty() => (first, len.saturating_sub(1)),
        (Err(_), Ok(0)) if first.trim().is_empty() => return Err(()),
        (Err(_), Ok(tail)) if first.trim().is_empty() => (len.saturating_sub(tail), len.saturating_sub(1)),
        // Several ranges, or something else: all of it is a right answer.
        _ => return Ok(None),
    };
    if asked.0 >= len { Err(()) } else { Ok(Some(asked)) }
}

/// The bytes of a stream from `first` to `last`. It is read to its end, so that length and hash are checked.
pub fn part(body: ByteStream, first: u64, last: u64) -> ByteStream {
    let cut = body.scan(0u64, move |at, chunk| {
        let cut = chunk.map(|chunk| {
            let (begin, end) = (*at, *at + chunk.len() as u64);
            *at = end;
            let clamp = |n: u64| usize::try_from(n.clamp(begin, end) - begin).unwrap_or(0);
            chunk.slice(clamp(first)..clamp(last.saturating_add(1)))
        });
        std::future::ready(Some(cut))
    });
    cut.filter(|chunk| std::future::ready(chunk.as_ref().map_or(true, |chunk| !chunk.is_empty()))).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        for (header, wanted) in [
            ("bytes=0-0", Ok(Some((0, 0)))),
            ("bytes=2-", Ok(Some((2, 9)))),
            ("bytes=2-100", Ok(Some((2, 9)))),
            ("bytes=-3", Ok(Some((7, 9)))),
            ("bytes=-30", Ok(Some((0, 9)))),
            ("bytes=-0", Err(())),
            ("bytes=10-", Err(())),
            ("bytes=5-2", Ok(None)),
            ("bytes=0-1,3-4", Ok(None)),
            ("lines=0-1", Ok(None)),
        ] {
            assert_eq!(range(Some(header), 10), wanted, "{header}");
        }
        assert_eq!(range(None, 10), Ok(None));
        assert_eq!(range(Some("bytes=0-0"), 0), Err(()));
    }

    #[tokio::test]
    async fn a_part_is_cut_across_chunks() {
        for (first, last) in [(0, 9), (0, 0), (3, 4), (4, 7), (9, 9)] {
            let chunks = [&b"0123"[..], b"", b"45", b"6789"].map(|chunk| Ok(Bytes::from_static(chunk)));
            let cut: Vec<_> = part(stream::iter(chunks).boxed(), first, last).collect().await;
            let all: Vec<u8> = cut.into_iter().flat_map(|chunk| chunk.unwrap()).collect();
            assert_eq!(all, &b"0123456789"[first as usize..=last as usize]);
        }
    }
}
