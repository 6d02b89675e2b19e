//! Looking at keys: one, many, and what happens to one.

use std::collections::VecDeque;

use futures_util::stream::{self, BoxStream, StreamExt};

use super::{Engine, Shared, refusal};
use crate::error::Result;
use crate::lease::{Look, events};
use crate::limits::{LIST_AHEAD, TTL_MAX, takeover_age};
use crate::model::{Key, Record};
use crate::service::{Description, ListRequest, Listed, Watched};
use crate::store::{Cursor, Etag};

impl Shared {
    /// What a record says of its key.
    pub(super) fn described(&self, record: &Record) -> Description {
        let age = self.ages.age(record);
        let committed = &record.committed;
        Description {
            key: record.key.clone(),
            held: record.lease.as_ref().map(|lease| refusal::busy(lease, age)),
            token: record.token,
            version: committed.version,
            etag: committed.etag().cloned(),
            bytes: committed.state.as_ref().map_or(0, |state| state.len),
            updated: (committed.version.0 > 0).then_some(committed.at),
            ended: record.ended.iter().rev().cloned().collect(),
            last_success: record.last_success,
            waiters: self.serves.then(|| self.waiting(&record.key)),
        }
    }
}

impl Engine {
    /// Each record is read after its key was found, several at a time; nothing is kept.
    pub(super) fn listing<'a>(&'a self, request: &'a ListRequest) -> BoxStream<'a, Result<Listed>> {
        let named = self.shared.store.records.list(&request.namespace, request.after.as_ref());
        let wanted = named.filter(|item| {
            let wanted = item.as_ref().map_or(true, |(key, _)| key.name().starts_with(&request.prefix));
            std::future::ready(wanted)
        });
        let read = wanted.map(|item| async {
            let (key, cursor) = item?;
            self.listed(key, cursor).await
        });
        let shown = read.buffered(LIST_AHEAD).filter(|item: &Result<Listed>| {
            std::future::ready(!request.held || item.as_ref().map_or(true, |listed| listed.known.held.is_some()))
        });
        shown.boxed()
    }

    async fn listed(&self, key: Key, cursor: Cursor) -> Result<Listed> {
        let (record, _) = self.shared.read(&key).await?;
        Ok(Listed { known: self.shared.described(&record), cursor })
    }

    /// The present state, then what happens.
    pub(super) fn watching<'a>(&'a self, key: &'a Key) -> BoxStream<'a, Result<Watched>> {
        let watch = Watch { engine: self, key, last: None, ready: VecDeque::new() };
        stream::unfold(Some(watch), |watch| async {
            let mut watch = watch?;
            match watch.next().await {
                Ok(watched) => Some((Ok(watched), Some(watch))),
                Err(e) => Some((Err(e), None)),
            }
        })
        .boxed()
    }
}

struct Watch<'a> {
    engine: &'a Engine,
    key: &'a Key,
    last: Option<Last>,
    ready: VecDeque<Watched>,
}

/// The last look.
struct Last {
    record: Record,
    etag: Option<Etag>,
    lapsed: bool,
}

impl Last {
    const fn look(&self) -> Look<'_> {
        Look { record: &self.record, lapsed: self.lapsed }
    }
}

impl Watch<'_> {
    async fn next(&mut self) -> Result<Watched> {
        loop {
            if let Some(watched) = self.ready.pop_front() {
                return Ok(watched);
            }
            if let Some(last) = &self.last {
                self.wait(last).await;
            }
            let now = self.look().await?;
            match self.last.replace(now).zip(self.last.as_ref()) {
                None => {
                    let record = self.last.as_ref().map(|last| self.engine.shared.described(&last.record));
                    self.ready.extend(record.map(|known| Watched::Present(Box::new(known))));
                }
                Some((before, now)) => {
                    self.ready.extend(events(before.look(), now.look()).into_iter().map(Watched::Event));
                }
            }
        }
    }

    async fn look(&self) -> Result<Last> {
        let (record, etag) = self.engine.shared.read(self.key).await?;
        let age = self.engine.shared.ages.age(&record);
        let lapsed = record.lease.as_ref().is_some_and(|lease| age >= takeover_age(lease.ttl.duration()));
        Ok(Last { record, etag, lapsed })
    }

    /// Until the record may have changed, or its lease lapses.
    async fn wait(&self, last: &Last) {
        let shared = &self.engine.shared;
        let left = match &last.record.lease {
            Some(lease) if !last.lapsed => {
                takeover_age(lease.ttl.duration()).saturating_sub(shared.ages.age(&last.record))
            }
            _ => TTL_MAX,
        };
        self.engine.wait_for_change(self.key, last.etag.as_ref(), shared.clock.boot() + left).await;
    }
}
