//! Records: one object each.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{GetOptions, PutPayload};

use super::refusal::Act;
use super::{Objects, list};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{OBJECT_POLL_FIRST, OBJECT_POLL_MAX, OBJECT_READ, OBJECT_REQUEST, OBJECT_TRIES, RECORD_BYTES};
use crate::model::{Key, Namespace};
use crate::store::{Cursor, Etag, Precondition, PutError, RecordStore, Tagged};

/// What a look at an object found.
pub(super) enum Look {
    /// Nothing there.
    Absent,
    /// The same as before.
    Same,
    /// A value.
    Value(Tagged),
}

impl Objects {
    /// Reads a small object, trying again while the service is in trouble. With `unless` it is not sent when it is that one.
    pub(super) async fn look(&self, path: &Path, unless: Option<&Etag>) -> Result<Look> {
        let until = self.clock().boot() + OBJECT_READ;
        let mut tried = 0;
        loop {
            match self.look_once(path, unless).await {
                Err(e)
                    if e.kind() == ErrorKind::Unavailable
                        && tried + 1 < OBJECT_TRIES
                        && self.clock().boot() < until => {}
                looked => return looked,
            }
            tried += 1;
            self.pause(tried).await;
        }
    }

    async fn look_once(&self, path: &Path, unless: Option<&Etag>) -> Result<Look> {
        let options = GetOptions { if_none_match: unless.map(|etag| etag.0.to_string()), ..GetOptions::default() };
        let reading = async {
            let got = self.clients.strict.get_opts(path, options).await?;
            let (etag, size) = (got.meta.e_tag.clone(), got.meta.size);
            // A record that is too large is none of ours, and not worth reading.
            let bytes = if size > RECORD_BYTES as u64 { Bytes::new() } else { got.bytes().await? };
            Ok((etag, size, bytes))
        };
        let (done, seen) = self.ask(Act::Read, OBJECT_REQUEST, reading).await;
        match (done, seen.status) {
            (Ok((None, ..)), _) => Err(Error::new(ErrorKind::Config, format!("{self} gives no ETag"))
                .with_hint("lockd needs writes with If-Match; use another service")),
            (Ok((_, size, _)), _) if size > RECORD_BYTES as u64 => {
                Err(Error::new(ErrorKind::Corrupt, format!("{path} has {size} bytes: it was not written by lockd"))
                    .with_hint("look at it, and move it out of the store"))
            }
            (Ok((Some(etag), _, value)), _) => {
                let etag = Etag(etag.into());
                if unless == Some(&etag) {
                    return Ok(Look::Same);
                }
                Ok(Look::Value(Tagged { value, etag, store_age: seen.age() }))
            }
            (Err(_), Some(304)) => Ok(Look::Same),
            (Err(_), Some(404)) if ["NoSuchKey", "BlobNotFound"].contains(&seen.code.as_str()) => Ok(Look::Absent),
            (Err(e), _) => Err(e),
        }
    }
}

#[async_trait]
impl RecordStore for Objects {
    async fn get(&self, key: &Key) -> Result<Option<Tagged>> {
        let path = self.names.record(key);
        let (looked, known) = join(self.look(&path, None), self.verify()).await;
        known?;
        match looked.map_err(|e| e.context(key))? {
            Look::Value(tagged) => Ok(Some(tagged)),
            Look::Absent | Look::Same => Ok(None),
        }
    }

    async fn put(&self, key: &Key, value: Bytes, when: Precondition) -> Result<Etag, PutError> {
        let put = self.put_object(&self.names.record(key), &PutPayload::from(value), &when, OBJECT_REQUEST).await;
        put.map_err(|e| match e {
            PutError::Conflict => PutError::Conflict,
            PutError::Unknown(e) => PutError::Unknown(e.context(key)),
            PutError::Failed(e) => PutError::Failed(e.context(key)),
        })
    }

    fn list<'a>(&'a self, namespace: &'a Namespace, after: Option<&Cursor>) -> BoxStream<'a, Result<(Key, Cursor)>> {
        list::records(self, namespace, after)
    }

    /// By looking again and again: each look is a request, so the pauses grow.
    async fn changed(&self, key: &Key, seen: Option<&Etag>) -> Result<()> {
        let path = self.names.record(key);
        let mut pause = OBJECT_POLL_FIRST;
        loop {
            match self.look(&path, seen).await.map_err(|e| e.context(key))? {
                Look::Same => {}
                Look::Absent if seen.is_none() => {}
                Look::Absent | Look::Value(_) => return Ok(()),
            }
            // Many who wait for one key do not all ask at once.
            let jitter = self.entropy.below(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX) / 4);
            self.clock().sleep(pause + std::time::Duration::from_millis(jitter)).await;
            pause = (pause * 3 / 2).min(OBJECT_POLL_MAX);
        }
    }
}
