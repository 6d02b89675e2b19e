//! Listings, page by page, and watches.

use std::collections::VecDeque;

use futures_util::stream::{self, BoxStream, StreamExt};
use http::HeaderValue;

use super::attempts::Call;
use super::upload::Payload;
use super::{HttpClient, Reply};
use crate::error::{Error, ErrorKind, Result};
use crate::http::wire::{self, EventReader, KeyQuery, ListEntry, ListQuery, ListReply, paths};
use crate::limits::STREAM_SILENCE;
use crate::model::Key;
use crate::service::{Cursor, ListRequest, Listed, Watched};

/// A listing under way.
struct Listing<'a> {
    client: &'a HttpClient,
    query: ListQuery,
    page: VecDeque<ListEntry>,
    more: bool,
}

impl Listing<'_> {
    async fn next(&mut self) -> Option<Result<Listed>> {
        loop {
            if let Some(entry) = self.page.pop_front() {
                return Some(entry.into_listed());
            }
            if !self.more {
                return None;
            }
            if let Err(error) = self.turn().await {
                self.more = false;
                return Some(Err(error));
            }
        }
    }

    async fn turn(&mut self) -> Result<()> {
        let target = format!("{}?{}", paths::LIST, wire::write_query(&self.query)?);
        let answer = self.client.ask(&Call::read(target), &mut Payload::empty()).await?;
        let reply: ListReply = wire::read_reply(&answer)?;
        // A page that leads nowhere new would be asked for for ever.
        self.more = reply.next.is_some() && reply.next != self.query.after;
        self.query.after = reply.next;
        self.page = reply.keys.into();
        Ok(())
    }
}

/// A watch under way.
struct Watch<'a> {
    client: &'a HttpClient,
    key: &'a Key,
    reply: Option<Reply>,
    reader: EventReader,
    ready: VecDeque<Result<Watched>>,
}

impl Watch<'_> {
    async fn next(&mut self) -> Result<Watched> {
        loop {
            if let Some(watched) = self.ready.pop_front() {
                return watched;
            }
            let reply = match &mut self.reply {
                Some(reply) => reply,
                None => self.reply.insert(self.client.watch_from(self.key).await?),
            };
            let clock = &self.client.clock;
            let until = clock.boot() + STREAM_SILENCE;
            match clock.timeout_at(until, reply.body.next()).await {
                Some(Some(Ok(bytes))) => self.ready.extend(self.reader.read(&bytes)),
                Some(Some(Err(e))) => return Err(gone(self.key, e.message())),
                Some(None) => return Err(gone(self.key, "the server ended it")),
                None => return Err(gone(self.key, "the server fell silent")),
            }
        }
    }
}

impl HttpClient {
    pub(super) fn listing<'a>(&'a self, request: &'a ListRequest) -> BoxStream<'a, Result<Listed>> {
        let after: Option<&Cursor> = request.after.as_ref();
        let query = ListQuery { after: after.map(|cursor| cursor.0.clone()), ..ListQuery::new(request) };
        let listing = Listing { client: self, query, page: VecDeque::new(), more: true };
        stream::unfold(listing, |mut listing| async { listing.next().await.map(|item| (item, listing)) }).boxed()
    }

    pub(super) fn watching<'a>(&'a self, key: &'a Key) -> BoxStream<'a, Result<Watched>> {
        let watch = Watch { client: self, key, reply: None, reader: EventReader::default(), ready: VecDeque::new() };
        stream::unfold(Some(watch), |watch| async {
            let mut watch = watch?;
            match watch.next().await {
                Ok(watched) => Some((Ok(watched), Some(watch))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }

    async fn watch_from(&self, key: &Key) -> Result<Reply> {
        let mut call = Call::read(format!("{}?{}", paths::WATCH, wire::write_query(&KeyQuery::new(key))?));
        call.headers.insert(http::header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        self.open(&call, &mut Payload::empty()).await
    }
}

fn gone(key: &Key, why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the watch of {key} is over: {why}")).with_hint("watch it again")
}
