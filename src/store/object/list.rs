//! Listing: names tell keys and blobs, so that nothing has to be read.

use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;

use super::refusal::Act;
use super::{Objects, Service};
use crate::error::Result;
use crate::limits::OBJECT_TRANSFER;
use crate::model::{Key, Namespace};
use crate::store::Cursor;

/// The keys of a namespace after a cursor, in the order of their names.
pub fn records<'a>(
    objects: &'a Objects,
    namespace: &'a Namespace,
    after: Option<&Cursor>,
) -> BoxStream<'a, Result<(Key, Cursor)>> {
    let after = after.map(|cursor| cursor.0.clone());
    let found = objects.listed(&objects.names.records(namespace), after.as_deref());
    found
        .filter_map(move |found| {
            let item = match found {
                Ok(path) if after.as_deref().is_some_and(|after| path.as_ref() <= after) => None,
                // What is not a record's name was not made by lockd.
                Ok(path) => objects.names.key(namespace, &path).map(|key| Ok((key, Cursor(path.as_ref().to_owned())))),
                Err(e) => Some(Err(e)),
            };
            std::future::ready(item)
        })
        .boxed()
}

impl Objects {
    /// The objects below a prefix. S3 begins after `after`; Azure's emulator cannot, so there who asks leaves out what is before.
    pub(super) fn listed<'a>(&'a self, prefix: &Path, after: Option<&str>) -> BoxStream<'a, Result<Path>> {
        let all = &self.clients.patient;
        let metas = match after.map(Path::parse) {
            Some(Ok(after)) if self.asked.service == Service::S3 => all.list_with_offset(Some(prefix), &after),
            _ => all.list(Some(prefix)),
        };
        stream::unfold(Some(metas), move |metas| async move {
            let mut metas: BoxStream<'static, object_store::Result<ObjectMeta>> = metas?;
            let (next, _) = self.ask(Act::List, OBJECT_TRANSFER, async { metas.next().await.transpose() }).await;
            match next {
                Ok(Some(meta)) => Some((Ok(meta.location), Some(metas))),
                Ok(None) => None,
                // Nothing more can come.
                Err(e) => Some((Err(e), None)),
            }
        })
        .boxed()
    }
}
