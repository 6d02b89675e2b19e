//! Room for small records on a full disk: a lease must not be lost because somebody else filled the disk.
//!
//! The store keeps a file with room that it does not need. When a record finds no room and is no larger than the one before it by
//! more than a little (a renewal, a release, a takeover), its key is pruned and some of that room is given back, and the record is
//! sent again. A record that replaces another needs no room in the long run, since pruning gives as much back. A larger state is
//! refused: it is what fills disks. Once there is room again, tidying restores the file.

use super::fs::Fs;
use super::layout::RESERVE;
use super::{Shared, prune};
use crate::limits::{RESERVE_BYTES, RESERVE_GROWTH, RESERVE_SHARE, RESERVE_STEP};
use crate::model::KeyHash;

/// Whether a record may use the reserve.
#[must_use]
pub const fn may_use(record: usize, before: usize) -> bool {
    record <= before.saturating_add(RESERVE_GROWTH)
}

/// Makes room for one record of this key. Whether that helped shows when it is sent again.
pub async fn make<F: Fs>(s: &Shared<F>, key: KeyHash) {
    // Each of the two may fail for want of room itself; the other may not.
    let _pruned = prune::pass(s, key).await;
    if let Ok(root) = s.root().await {
        let _given = s.fs.give_room(&root, RESERVE, RESERVE_STEP).await;
    }
}

/// Makes the reserve, or makes it whole again, where there is plenty of room. A store without one works, until its disk is full.
pub async fn restore<F: Fs>(s: &Shared<F>) {
    if let Ok(root) = s.root().await {
        hold(&s.fs, &root).await;
    }
}

/// See [`restore`].
pub async fn hold<F: Fs>(fs: &F, root: &F::Dir) {
    let Ok(free) = fs.free(root).await else { return };
    let held = fs.stat(root, RESERVE).await.map_or(0, |stat| stat.len);
    let wanted = RESERVE_BYTES.min((free + held) / RESERVE_SHARE);
    if held < wanted {
        let _held = fs.hold_room(root, RESERVE, wanted).await;
    }
}
