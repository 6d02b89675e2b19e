//! The age of a record by the file server's own clock, where several hosts share one (NFS).

use std::time::Duration;

use super::fs::{Errno, Fs};
use super::head::Head;
use super::{Shared, etag};
use crate::error::Result;
use crate::limits::STORE_CLOCK_ALLOWANCE;
use crate::store::Tagged;

/// What a `get` answers. The server is asked for its time only when this host's clock says that it could matter: a wrong clock
/// here costs a takeover some time, or the server some work, and nothing else.
///
/// # Errors
/// Never for the age: without it the record is as young as can be.
pub async fn tagged<F: Fs>(s: &Shared<F>, head: Option<Head>) -> Result<Option<Tagged>> {
    let Some(head) = head else { return Ok(None) };
    let hint = Duration::from_millis(s.clock.wall().0).saturating_sub(head.whole.stat.modified);
    let store_age = if s.network && hint > STORE_CLOCK_ALLOWANCE {
        // Written before it was linked, so this is never less than the time since its writer began to send it.
        server_time(s).await.ok().map(|now| now.saturating_sub(head.whole.stat.modified))
    } else {
        None
    };
    Ok(Some(Tagged { value: head.whole.bytes, etag: etag::etag(head.n, head.digest), store_age }))
}

/// The server's time: the modification time of a file just written there.
async fn server_time<F: Fs>(s: &Shared<F>) -> Result<Duration, Errno> {
    let root = s.root().await.map_err(|_| Errno::STALE)?;
    let name = format!("probe.{}", hex::encode(s.entropy.bytes::<8>()));
    let file = s.fs.create(&root, &name).await?;
    let time = touch(s, &root, &name, file).await;
    s.fs.unlink(&root, &name).await?;
    time
}

async fn touch<F: Fs>(s: &Shared<F>, root: &F::Dir, name: &str, file: F::File) -> Result<Duration, Errno> {
    s.fs.write_at(&file, b".", 0).await?;
    s.fs.sync_file(&file).await?;
    drop(file);
    Ok(s.fs.stat(root, name).await?.modified)
}
