//! Garbage collection of blobs: the token is the fence.
//!
//! A blob that the record does not name may be deleted when its token is below the record's, or equal while no lease stands;
//! never when the record is missing or the blob's token is higher: somebody may be about to publish it. No grace period and no extra
//! write: `step` refuses a pointer whose token is not the present lease's, so what is collected here can never be published.
//!
//! Who ends or takes over a lease lists the key's blobs. Where lists are dear (a request in a bucket, a thread beside a tree), a release
//! does so only when there may be something to find: what is not looked for costs room, and is never in the way.

use std::sync::Arc;

use super::commit::Answer;
use super::{Engine, Shared, lock};
use crate::error::Result;
use crate::limits::{COLLECT_EVERY, LITTERED_KEYS};
use crate::model::{BlobId, Key, KeyHash, Record};
use crate::mutants::{Mutant, on};

impl Engine {
    /// Collects the key's blobs after a release, where that may find any: the record named one, this engine wrote one, or it is
    /// time again to look for what another process wrote and did not live to publish.
    pub(super) fn collect_after_release(&self, answer: &Answer) {
        let record = &answer.record;
        let named = record.blobs().next().is_some() || !answer.replaced.is_empty();
        let due = record.token.0.is_multiple_of(COLLECT_EVERY);
        if named || due || !self.shared.store.blobs.lists_are_dear() || self.shared.is_littered(record.key.hash()) {
            self.collect_soon(record);
        }
    }

    /// Collects the key's blobs after its lease has ended. Not waited for; what is left is found next time.
    pub(super) fn collect_soon(&self, record: &Record) {
        if record.revision > 0 && !on(Mutant::NobodyCollects) {
            let (shared, key) = (Arc::clone(&self.shared), record.key.clone());
            self.shared.later(async move {
                lock(&shared.littered).remove(&key.hash());
                if collect(&shared, &key).await.is_err() {
                    shared.may_litter(key.hash());
                }
            });
        }
    }

    /// Deletes blobs that are certainly not published: within a lease its engine deletes what it replaced.
    pub(super) fn delete_soon(&self, blobs: Vec<BlobId>) {
        if blobs.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        self.shared.later(async move {
            for blob in blobs {
                if shared.store.blobs.delete(&blob).await.is_err() {
                    shared.may_litter(blob.key());
                }
            }
        });
    }
}

impl Shared {
    /// A blob of this key may stay without a name: the next release here looks for it.
    pub(super) fn may_litter(&self, key: KeyHash) {
        if !self.store.blobs.lists_are_dear() {
            return;
        }
        let mut littered = lock(&self.littered);
        if littered.len() < LITTERED_KEYS {
            littered.insert(key);
        }
    }

    fn is_littered(&self, key: KeyHash) -> bool {
        lock(&self.littered).contains(&key)
    }
}

/// Deletes what the key's record, read anew, lets be deleted.
async fn collect(shared: &Shared, key: &Key) -> Result<()> {
    let found = shared.store.blobs.list(key.hash()).await?;
    if found.is_empty() {
        return Ok(());
    }
    let (record, _) = shared.read(key).await?;
    for blob in found.into_iter().filter(|blob| may_delete(&record, blob)) {
        shared.store.blobs.delete(&blob).await?;
    }
    Ok(())
}

/// See the module's rule.
fn may_delete(record: &Record, blob: &BlobId) -> bool {
    let fenced = blob.token() < record.token
        || (blob.token() == record.token && (record.lease.is_none() || on(Mutant::CollectorIgnoresLease)));
    let fenced = fenced || on(Mutant::CollectorIgnoresToken);
    record.revision > 0 && fenced && !record.blobs().any(|named| named == blob)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::KernelEntropy;
    use crate::model::{FencingToken, Namespace};

    #[test]
    fn the_token_is_the_fence() {
        let key = Key::new(Namespace::default(), "k").unwrap();
        let blob = |token| BlobId::random(key.hash(), FencingToken(token), &KernelEntropy);
        let mut record = Record::new(key.clone());
        assert!(!may_delete(&record, &blob(0)), "a missing record proves nothing");
        record.revision = 7;
        record.token = FencingToken(5);
        assert!(may_delete(&record, &blob(4)));
        assert!(may_delete(&record, &blob(5)));
        assert!(!may_delete(&record, &blob(6)));
        record.previous = Some(blob(3));
        let named = record.previous.clone().unwrap();
        assert!(!may_delete(&record, &named));
    }
}
