//! Waiting for a change: inotify where the kernel sees every writer, polling behind it and everywhere else.

use std::sync::Arc;

use super::Disk;
use super::etag::etag;
use super::fs::Fs;
use super::head::find;
use super::layout::{Place, RECORDS};
use crate::error::Result;
use crate::limits::{POLL_FIRST, POLL_MAX, POLL_WATCHED};
use crate::model::Key;
use crate::platform::inotify::Watch;
use crate::store::Etag;

/// Returns once the key's etag is not `seen`. Cancel-safe: nothing outlives it.
///
/// # Errors
/// When the record cannot be read.
pub async fn changed<F: Fs>(disk: &Disk<F>, key: &Key, seen: Option<&Etag>) -> Result<()> {
    let clock = Arc::clone(&disk.shared().clock);
    let hash = key.hash();
    let place = Place::records(hash);
    let mut pause = POLL_FIRST;
    let mut watch: Option<(Watch, bool)> = None;
    loop {
        // The watch comes before the look, so that nothing falls between them.
        if !matches!(watch, Some((_, true))) {
            watch = nearest(&disk.shared().fs, &place);
        }
        let head = disk.run(move |s| async move { find(&s, hash).await }).await.map_err(super::about(key))?;
        if head.map(|head| etag(head.n, head.digest)).as_ref() != seen {
            return Ok(());
        }
        let Some((events, own)) = &watch else {
            clock.sleep(pause).await;
            pause = (pause * 2).min(POLL_MAX);
            continue;
        };
        // Temporary files come and go in a key's directory; a revision is news. Above it every new directory is.
        let wanted = |name: &[u8]| !own || name.starts_with(b"r.");
        let woken = clock.timeout_at(clock.boot() + POLL_WATCHED, events.appeared(wanted)).await;
        if matches!(woken, Some(Err(_))) {
            watch = None;
            clock.sleep(POLL_FIRST).await;
        }
    }
}

/// A watch on the key's directory (then `true`), or on the nearest one above it that is there.
fn nearest<F: Fs>(fs: &F, place: &Place) -> Option<(Watch, bool)> {
    if let Some(watch) = fs.watch(&place.path()) {
        return Some((watch, true));
    }
    let fan = format!("{RECORDS}/{}", place.segments[1]);
    [fan.as_str(), RECORDS, ""].iter().find_map(|path| fs.watch(path)).map(|watch| (watch, false))
}
