//! Listing keys. Directories are named by hashes, so each key's name is read from the head of its record; the order is that of
//! the hashes, and so is the cursor.

use std::collections::VecDeque;

use futures_util::stream::{self, BoxStream, StreamExt};
use serde::Deserialize;

use super::fs::{Errno, Fs};
use super::head::find;
use super::layout::RECORDS;
use super::{Disk, Shared, io_error};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Key, KeyHash, Namespace};
use crate::store::Cursor;

/// Heads read in one go.
const BATCH: usize = 32;

type Item = Result<(Key, Cursor)>;

struct Walk<'a, F: Fs> {
    disk: &'a Disk<F>,
    namespace: &'a Namespace,
    after: String,
    /// First-level directories still to come; `None` before the first step.
    fans: Option<VecDeque<String>>,
    hashes: VecDeque<KeyHash>,
    ready: VecDeque<Item>,
}

/// The keys of a namespace after a cursor. A record that cannot be read is an error among the items, and the list goes on.
pub fn list<'a, F: Fs>(disk: &'a Disk<F>, namespace: &'a Namespace, after: Option<&Cursor>) -> BoxStream<'a, Item> {
    let after = after.map_or_else(String::new, |cursor| cursor.0.clone());
    let walk = Walk { disk, namespace, after, fans: None, hashes: VecDeque::new(), ready: VecDeque::new() };
    stream::unfold(Some(walk), |walk| async move {
        let mut walk = walk?;
        match walk.next().await {
            Ok(Some(item)) => Some((item, Some(walk))),
            Ok(None) => None,
            // The directories themselves cannot be listed: nothing more can come.
            Err(e) => Some((Err(e), None)),
        }
    })
    .boxed()
}

impl<F: Fs> Walk<'_, F> {
    async fn next(&mut self) -> Result<Option<Item>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            if !self.hashes.is_empty() {
                self.read_batch().await?;
            } else if !self.next_fan().await? {
                return Ok(None);
            }
        }
    }

    async fn next_fan(&mut self) -> Result<bool> {
        if self.fans.is_none() {
            let all = self.disk.run(|s| async move { names(&s, RECORDS).await }).await?;
            let from = self.after.get(..2).unwrap_or_default();
            self.fans = Some(all.into_iter().filter(|fan| fan.len() == 2 && fan.as_str() >= from).collect());
        }
        let Some(fan) = self.fans.as_mut().and_then(VecDeque::pop_front) else { return Ok(false) };
        let all = self.disk.run(move |s| async move { names(&s, &format!("{RECORDS}/{fan}")).await }).await?;
        self.hashes =
            all.iter().filter(|hash| **hash > self.after).filter_map(|hash| KeyHash::from_hex(hash)).collect();
        Ok(true)
    }

    async fn read_batch(&mut self) -> Result<()> {
        let batch: Vec<KeyHash> = self.hashes.drain(..self.hashes.len().min(BATCH)).collect();
        let found = self.disk.run(move |s| async move {
            let mut found = Vec::with_capacity(batch.len());
            for hash in batch {
                found.push((hash, key_of(&s, hash).await));
            }
            Ok(found)
        });
        for (hash, key) in found.await? {
            match key {
                Ok(Some(key)) if key.namespace() == self.namespace => {
                    self.ready.push_back(Ok((key, Cursor(hash.hex()))))
                }
                Ok(_) => {}
                Err(e) => self.ready.push_back(Err(e)),
            }
        }
        Ok(())
    }
}

/// Sorted names in a directory below the root; none when it is not there.
async fn names<F: Fs>(s: &Shared<F>, path: &str) -> Result<Vec<String>> {
    let root = s.root().await?;
    let mut names = match s.fs.open_dir(&root, path).await {
        Ok(dir) => s.fs.list(&dir).await.map_err(|e| io_error(format!("list {path}"), e))?,
        Err(Errno::NOENT) => Vec::new(),
        Err(e) => return Err(io_error(format!("open {path}"), e)),
    };
    names.sort_unstable();
    Ok(names)
}

/// The key whose directory this is; `None` before its first revision.
async fn key_of<F: Fs>(s: &Shared<F>, hash: KeyHash) -> Result<Option<Key>> {
    let Some(head) = find(s, hash).await? else { return Ok(None) };
    let key = parse(&head.whole.bytes).filter(|key| key.hash() == hash);
    key.map(Some).ok_or_else(|| {
        let message = format!("revision {} of {} does not name its key", head.n, hash.hex());
        Error::new(ErrorKind::Corrupt, message)
            .with_hint("restore it from a backup, or move the directory away by hand")
    })
}

/// Namespace and key from an encoded record (see [`crate::model::Record`]): its second line is JSON.
fn parse(bytes: &[u8]) -> Option<Key> {
    #[derive(Deserialize)]
    struct Named {
        namespace: String,
        key: String,
    }
    let mut lines = bytes.split(|b| *b == b'\n');
    lines.next()?.strip_prefix(b"lockd-record ")?;
    let named: Named = serde_json::from_slice(lines.next()?).ok()?;
    let namespace = match named.namespace.strip_prefix('.') {
        Some(name) => Namespace::reserved(Namespace::new(name).ok()?.as_str()),
        None => Namespace::new(&named.namespace).ok()?,
    };
    Key::new(namespace, &named.key).ok()
}
