//! Streams as a client reads them, in whatever pieces they come: events of a watch, the lines behind a lease for update.

use lockd::error::ErrorKind;
use lockd::http::wire::{EndReader, EventReader, sse};
use lockd::limits::EVENT_BYTES;
use lockd::service::Watched;

use super::pieces;
use lockd::clock::UnixMillis;

/// Two sizes of pieces, then what comes.
pub fn run(data: &[u8]) {
    let Some((sizes, bytes)) = data.split_at_checked(2) else { return };
    let (at_once, cut) = (events(&[bytes]), events(&pieces(bytes, sizes)));
    assert_eq!(cut, at_once, "in pieces");
    assert_eq!(end(&pieces(bytes, sizes)), end(&[bytes]), "in pieces");
}

/// What was told up to the first error, and its kind.
fn events(pieces: &[&[u8]]) -> (Vec<Watched>, Option<ErrorKind>) {
    let (mut reader, mut seen) = (EventReader::default(), Vec::new());
    for watched in pieces.iter().flat_map(|piece| reader.read(piece)) {
        match watched {
            Ok(watched) => {
                comes_back(&watched);
                seen.push(watched);
            }
            Err(e) => return (seen, Some(e.kind())),
        }
    }
    (seen, None)
}

/// What was understood can be told on, and is understood as the same.
fn comes_back(watched: &Watched) {
    let sent = sse(watched, UnixMillis(0)).unwrap();
    let mut reader = EventReader::default();
    let read: Vec<Watched> = reader.read(&sent).into_iter().map(|one| one.expect("an event")).collect();
    assert!(sent.len() > EVENT_BYTES || read == [watched.clone()], "{watched:?} comes back as {read:?}");
}

fn end(pieces: &[&[u8]]) -> Option<String> {
    let mut reader = EndReader::default();
    pieces.iter().find_map(|piece| match reader.read(piece) {
        Ok(end) => end.map(|end| format!("{end:?}")),
        Err(e) => Some(format!("{:?}", e.kind())),
    })
}
