//! Blobs are the directory store's, in the same directory. Only their room is looked after: they must not use up what the records
//! need.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;

use super::committer::Tree;
use super::lost;
use super::tree::FjallTree;
use crate::error::Result;
use crate::model::{BlobId, KeyHash};
use crate::store::disk::Disk;
use crate::store::disk::real::RealFs;
use crate::store::{BlobStore, ByteStream};

/// See the module.
#[derive(Debug)]
pub struct LsmBlobs {
    tree: Arc<FjallTree>,
    disk: Disk<RealFs>,
}

impl LsmBlobs {
    /// Blobs beside a tree.
    pub const fn new(tree: Arc<FjallTree>, disk: Disk<RealFs>) -> Self {
        Self { tree, disk }
    }
}

#[async_trait]
impl BlobStore for LsmBlobs {
    async fn write(&self, id: &BlobId, body: ByteStream) -> Result<()> {
        let tree = Arc::clone(&self.tree);
        let room = tokio::task::spawn_blocking(move || tree.check()).await.unwrap_or_else(|_| Err(lost()))?;
        room.check_growth()?;
        self.disk.write(id, body).await
    }

    async fn read(&self, id: &BlobId, range: Range<u64>) -> Result<Option<ByteStream>> {
        self.disk.read(id, range).await
    }

    async fn delete(&self, id: &BlobId) -> Result<()> {
        self.disk.delete(id).await
    }

    async fn list(&self, key: KeyHash) -> Result<Vec<BlobId>> {
        self.disk.list(key).await
    }

    fn lists_are_dear(&self) -> bool {
        true
    }
}
