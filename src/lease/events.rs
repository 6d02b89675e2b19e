//! Events: what happened to a key between two looks at its record. Pure, for whoever watches: a command, a server.
//!
//! Changes between two looks may be merged, but what is told adds up: after the events the key is held, by the token of the
//! last `acquired`, exactly when the second look says so, and its state is at the version of the last one that names it.

use crate::model::{Done, Ended, FencingToken, How, Lease, Record, Version};
use crate::service::{Event, EventKind};

/// A look at a record.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// The record.
    pub record: &'a Record,
    /// Whether its lease is so old that it may be taken over: then nobody holds the key any more, though nobody has written
    /// that yet.
    pub lapsed: bool,
}

impl<'a> Look<'a> {
    /// The lease that is believed in.
    fn lease(self) -> Option<&'a Lease> {
        self.record.lease.as_ref().filter(|_| !self.lapsed)
    }
}

/// What happened between two looks at one key, oldest first.
#[must_use]
pub fn events(before: Look<'_>, after: Look<'_>) -> Vec<Event> {
    let mut told = Told { after: after.record, version: before.record.committed.version, events: Vec::new() };
    let seen = before.record.ended.back().map_or(FencingToken(0), |ended| ended.token);
    let mut held = before.lease().map(|lease| lease.token);
    for ended in after.record.ended.iter().filter(|ended| ended.token > seen) {
        let known = before.record.lease.as_ref().is_some_and(|lease| lease.token == ended.token);
        // One that was told as expired is over; only a late release or break of it is news.
        let late = known && held.is_none() && matches!(ended.how, How::Expired | How::TakenOver);
        if !known {
            told.say(EventKind::Acquired, ended.token, ended.at, |event| event.owner = Some(ended.owner.clone()));
        }
        told.changes_until(ended.version, ended.token);
        if !late {
            told.end(ended);
        }
        held = None;
    }
    match (after.lease(), held) {
        (Some(lease), Some(token)) if lease.token == token => {}
        (Some(lease), _) => told.acquired(lease),
        (None, Some(token)) if after.record.lease.as_ref().is_some_and(|lease| lease.token == token) => {
            told.changes_until(after.record.committed.version, token);
            told.say(EventKind::Expired, token, None, |_| {});
        }
        // Its end is forgotten by now: so many came after it, and they were told.
        (None, _) => {}
    }
    let token = after.record.lease.as_ref().map_or(after.record.token, |lease| lease.token);
    told.changes_until(after.record.committed.version, token);
    told.events
}

struct Told<'a> {
    after: &'a Record,
    version: Version,
    events: Vec<Event>,
}

impl Told<'_> {
    fn say(
        &mut self,
        kind: EventKind,
        token: FencingToken,
        at: impl Into<Option<crate::clock::UnixMillis>>,
        more: impl FnOnce(&mut Event),
    ) {
        let mut event =
            Event { kind, token, version: self.version, at: at.into(), owner: None, by: None, reason: None };
        more(&mut event);
        self.events.push(event);
    }

    fn acquired(&mut self, lease: &Lease) {
        self.say(EventKind::Acquired, lease.token, lease.since, |event| {
            event.owner = Some(lease.owner.clone());
            event.reason.clone_from(&lease.reason);
        });
    }

    fn end(&mut self, ended: &Ended) {
        let kind = match ended.how {
            How::Released | How::RolledBack => EventKind::Released,
            How::Expired | How::TakenOver => EventKind::Expired,
            How::Broken => EventKind::Broken,
        };
        self.say(kind, ended.token, ended.at, |event| {
            event.owner = Some(ended.owner.clone());
            event.by.clone_from(&ended.by);
            event.reason.clone_from(&ended.reason);
        });
    }

    /// The change that led to this committed version, when it is a new one.
    fn changes_until(&mut self, version: Version, token: FencingToken) {
        if version <= self.version {
            return;
        }
        self.version = version;
        let now = &self.after.committed;
        let removed = match now.version == version {
            true => now.state.is_none(),
            false => self.done(version).is_some_and(|done| done.etag.is_none()),
        };
        let at = (now.version == version).then_some(now.at);
        self.say(if removed { EventKind::Removed } else { EventKind::Updated }, token, at, |_| {});
    }

    fn done(&self, version: Version) -> Option<&Done> {
        self.after.done.iter().find(|done| done.version == version)
    }
}
