//! Large bodies, in parts: a few are in memory at a time. What is not completed is aborted.

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::path::Path;
use object_store::{MultipartUpload, PutMultipartOptions, PutPayload};
use tokio::task::JoinSet;

use super::refusal::Act;
use super::{Objects, http};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{OBJECT_PART, OBJECT_PARTS, OBJECT_TRANSFER};
use crate::store::ByteStream;

/// A part of a body.
pub(super) struct Part {
    pub(super) payload: PutPayload,
    pub(super) is_last: bool,
}

impl Part {
    /// Reads the next part: full, unless the body ends in it.
    pub(super) async fn gather(body: &mut ByteStream) -> Result<Self> {
        let (mut chunks, mut len): (Vec<Bytes>, usize) = (Vec::new(), 0);
        while len < OBJECT_PART {
            match body.next().await {
                Some(chunk) => {
                    let chunk = chunk?;
                    len += chunk.len();
                    chunks.push(chunk);
                }
                None => return Ok(Self { payload: chunks.into_iter().collect(), is_last: true }),
            }
        }
        Ok(Self { payload: chunks.into_iter().collect(), is_last: false })
    }
}

/// An upload that was begun. Dropped before it is complete, it is aborted, so that its parts are not kept and paid for.
struct Begun(Option<Box<dyn MultipartUpload>>);

impl Drop for Begun {
    fn drop(&mut self) {
        // Without a runtime the process is ending: the bucket's lifecycle rule removes the parts.
        if let (Some(mut upload), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { upload.abort().await });
        }
    }
}

impl Begun {
    fn get(&mut self) -> Result<&mut Box<dyn MultipartUpload>> {
        self.0.as_mut().ok_or_else(|| Error::new(ErrorKind::Internal, "an upload was used after its end"))
    }

    async fn abort(mut self, objects: &Objects) {
        if let Some(mut upload) = self.0.take() {
            let _left_to_the_lifecycle_rule = http::witnessed(objects.clock(), OBJECT_TRANSFER, upload.abort()).await;
        }
    }
}

/// Writes a blob whose first part is full.
pub(super) async fn parts(objects: &Objects, path: &Path, first: Part, body: ByteStream) -> Result<()> {
    let options = PutMultipartOptions::default();
    let beginning = objects.clients.patient.put_multipart_opts(path, options);
    let upload = objects.ask(Act::Write, OBJECT_TRANSFER, beginning).await.0?;
    let mut upload = Begun(Some(upload));
    match send(objects, &mut upload, first, body).await {
        Ok(()) => {
            upload.0 = None;
            Ok(())
        }
        Err(error) => {
            upload.abort(objects).await;
            Err(error)
        }
    }
}

async fn send(objects: &Objects, upload: &mut Begun, first: Part, mut body: ByteStream) -> Result<()> {
    let mut under_way = JoinSet::new();
    let mut part = first;
    loop {
        if under_way.len() >= OBJECT_PARTS {
            arrived(&mut under_way).await?;
        }
        let (clock, asked) = (std::sync::Arc::clone(&objects.clock), objects.asked.clone());
        let sending = upload.get()?.put_part(part.payload);
        under_way.spawn(async move {
            let (done, seen) = http::witnessed(&*clock, OBJECT_TRANSFER, sending).await;
            match done {
                Some(Ok(())) => Ok(()),
                Some(Err(e)) => Err(asked.refused(Act::Write, &seen, Some(&e))),
                None => Err(asked.refused(Act::Write, &seen, None)),
            }
        });
        if part.is_last {
            break;
        }
        part = Part::gather(&mut body).await?;
        if part.is_last && part.payload.content_length() == 0 {
            break;
        }
    }
    while !under_way.is_empty() {
        arrived(&mut under_way).await?;
    }
    objects.ask(Act::Write, OBJECT_TRANSFER, upload.get()?.complete()).await.0.map(drop)
}

/// Waits for one part.
async fn arrived(under_way: &mut JoinSet<Result<()>>) -> Result<()> {
    let lost = || Error::new(ErrorKind::Internal, "the upload of a part was cut off while lockd was ending");
    under_way.join_next().await.unwrap_or(Ok(Ok(()))).unwrap_or_else(|_| Err(lost()))
}
