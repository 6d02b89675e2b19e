//! Blobs: one object each, written by one request while small, else in parts.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, PutPayload};

use super::names::Names;
use super::refusal::Act;
use super::upload::{self, Part};
use super::{Objects, http};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{CHUNK_BYTES, OBJECT_REQUEST, OBJECT_TRANSFER, OBJECT_TRIES};
use crate::model::{BlobId, KeyHash};
use crate::store::{BlobStore, ByteStream, Precondition, PutError};

#[async_trait]
impl BlobStore for Objects {
    async fn write(&self, id: &BlobId, mut body: ByteStream) -> Result<()> {
        let path = self.names.blob(id);
        match Part::gather(&mut body).await? {
            part if part.is_last => self.write_small(id, &path, part.payload).await,
            part => upload::parts(self, &path, part, body).await,
        }
    }

    async fn read(&self, id: &BlobId, range: Range<u64>) -> Result<Option<ByteStream>> {
        let path = self.names.blob(id);
        let begin = range.start;
        let options = match range {
            Range { start, end } if start >= end => GetOptions { head: true, ..GetOptions::default() },
            Range { start: 0, end: u64::MAX } => GetOptions::default(),
            Range { start, end: u64::MAX } => ranged(GetRange::Offset(start)),
            range => ranged(GetRange::Bounded(range)),
        };
        let nothing = options.head;
        let (done, seen) = self.ask(Act::Read, OBJECT_TRANSFER, self.clients.patient.get_opts(&path, options)).await;
        match (done, seen.status) {
            (Ok(_), _) if nothing => Ok(Some(stream::empty().boxed())),
            (Ok(got), _) => Ok(Some(self.body(id, got.into_stream()))),
            // Past the end of a blob that is there.
            (Err(_), Some(416)) => Ok(Some(stream::empty().boxed())),
            (Err(_), Some(404)) if absent(&seen, nothing) => Ok(None),
            // Azurite answers with a range that ends before it begins; the crate takes that for an error.
            (Err(e), Some(206)) => match self.blob_len(&path).await {
                Some(len) if begin >= len => Ok(Some(stream::empty().boxed())),
                _ => Err(e.context(id)),
            },
            (Err(e), _) => Err(e.context(id)),
        }
    }

    async fn delete(&self, id: &BlobId) -> Result<()> {
        self.delete_object(&self.names.blob(id)).await.map_err(|e| e.context(id))
    }

    async fn list(&self, key: KeyHash) -> Result<Vec<BlobId>> {
        let mut found = self.listed(&self.names.blobs(key), None);
        let mut ids = Vec::new();
        while let Some(path) = found.next().await {
            ids.extend(Names::blob_id(key, &path?));
        }
        Ok(ids)
    }

    fn lists_are_dear(&self) -> bool {
        true
    }
}

/// Answers to HEAD have no body, and so no code with S3.
fn absent(seen: &http::Seen, head: bool) -> bool {
    ["NoSuchKey", "BlobNotFound"].contains(&seen.code.as_str()) || (head && seen.code.is_empty())
}

fn ranged(range: GetRange) -> GetOptions {
    GetOptions { range: Some(range), ..GetOptions::default() }
}

impl Objects {
    async fn blob_len(&self, path: &Path) -> Option<u64> {
        let head = GetOptions { head: true, ..GetOptions::default() };
        let (got, _) = self.ask(Act::Read, OBJECT_REQUEST, self.clients.patient.get_opts(path, head)).await;
        got.ok().map(|got| got.meta.size)
    }

    /// Writes a blob in one request. Nobody else has its id: what is there after a try of unknown outcome is its own.
    async fn write_small(&self, id: &BlobId, path: &Path, body: PutPayload) -> Result<()> {
        let mut in_doubt = false;
        let mut tried = 0;
        loop {
            let error = match self.put_object(path, &body, &Precondition::Absent, OBJECT_TRANSFER).await {
                Ok(_) => return Ok(()),
                Err(PutError::Conflict) if in_doubt => return Ok(()),
                Err(PutError::Conflict) => {
                    return Err(Error::new(ErrorKind::Internal, format!("blob {id} was written before")));
                }
                Err(PutError::Unknown(e)) => {
                    in_doubt = true;
                    e
                }
                Err(PutError::Failed(e)) if e.kind() == ErrorKind::Unavailable => e,
                Err(PutError::Failed(e)) => return Err(e.context(id)),
            };
            tried += 1;
            if tried >= OBJECT_TRIES {
                return Err(error.context(id));
            }
            self.pause(tried).await;
        }
    }

    /// A body on its way down, in chunks of at most [`CHUNK_BYTES`].
    fn body(&self, id: &BlobId, body: BoxStream<'static, object_store::Result<Bytes>>) -> ByteStream {
        let (clock, asked) = (std::sync::Arc::clone(&self.clock), self.asked.clone());
        let id = id.to_string();
        stream::unfold(Some((body, Bytes::new())), move |state| {
            let (clock, asked, id) = (std::sync::Arc::clone(&clock), asked.clone(), id.clone());
            async move {
                let (mut body, mut rest) = state?;
                while rest.is_empty() {
                    let (next, seen) = http::witnessed(&*clock, OBJECT_TRANSFER, body.next()).await;
                    rest = match next {
                        Some(Some(Ok(bytes))) => bytes,
                        Some(None) => return None,
                        Some(Some(Err(e))) => {
                            return Some((Err(asked.refused(Act::Read, &seen, Some(&e)).context(&id)), None));
                        }
                        None => return Some((Err(asked.refused(Act::Read, &seen, None).context(&id)), None)),
                    };
                }
                let chunk = rest.split_to(rest.len().min(CHUNK_BYTES));
                Some((Ok(chunk), Some((body, rest))))
            }
        })
        .boxed()
    }
}
