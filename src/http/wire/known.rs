//! What is known of keys: holders, descriptions, listings.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::{ErrorBody, Subject, millis, not_understood, unix_after};
use crate::clock::UnixMillis;
use crate::error::Result;
use crate::model::{
    Ended, FencingToken, Holder, How, Key, LeaseId, Namespace, Owner, Reason, StateEtag, Ttl, Unknown, Version,
};
use crate::service::{Busy, Cursor, Description, ListRequest, Listed};

/// Who holds a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HolderBody {
    /// The lease.
    pub lease_id: LeaseId,
    /// Its token.
    pub fencing_token: FencingToken,
    /// Who holds it.
    pub owner: Owner,
    /// What for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// From where: `host`, `pid`, `user`, `command`.
    #[serde(flatten)]
    pub from: Holder,
    /// Since when, by the holder's wall clock, in milliseconds.
    pub since_unix_ms: u64,
    /// Its TTL.
    pub ttl_ms: Ttl,
    /// Upper bound of the time until another may take it over if nobody renews.
    pub frees_in_ms: u64,
    /// Our place in the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u64>,
}

impl HolderBody {
    /// Of what a service knows.
    #[must_use]
    pub fn new(busy: &Busy) -> Self {
        Self {
            lease_id: busy.lease_id.clone(),
            fencing_token: busy.token,
            owner: busy.owner.clone(),
            reason: busy.reason.clone(),
            from: busy.holder.clone(),
            since_unix_ms: busy.since.0,
            ttl_ms: busy.ttl,
            frees_in_ms: millis(busy.frees_in),
            place: busy.place,
        }
    }

    /// The same for people and commands.
    #[must_use]
    pub fn into_busy(self) -> Busy {
        Busy {
            lease_id: self.lease_id,
            token: self.fencing_token,
            owner: self.owner,
            reason: self.reason,
            holder: self.from,
            since: UnixMillis(self.since_unix_ms),
            ttl: self.ttl_ms,
            frees_in: Duration::from_millis(self.frees_in_ms),
            place: self.place,
        }
    }
}

/// How a lease ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndedBody {
    /// The lease.
    pub lease_id: LeaseId,
    /// Its token.
    pub fencing_token: FencingToken,
    /// How.
    pub how: How,
    /// The committed version when it ended.
    pub version: Version,
    /// Whether a staged change was dropped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub discarded: bool,
    /// Its TTL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<Ttl>,
    /// Who held it.
    pub owner: Owner,
    /// When it ended, in milliseconds.
    pub at_unix_ms: u64,
    /// Who broke it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Owner>,
    /// Why it was broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

impl EndedBody {
    fn new(ended: &Ended) -> Self {
        Self {
            lease_id: ended.id.clone(),
            fencing_token: ended.token,
            how: ended.how,
            version: ended.version,
            discarded: ended.discarded,
            ttl_ms: ended.ttl,
            owner: ended.owner.clone(),
            at_unix_ms: ended.at.0,
            by: ended.by.clone(),
            reason: ended.reason.clone(),
        }
    }

    fn into_ended(self) -> Ended {
        Ended {
            id: self.lease_id,
            token: self.fencing_token,
            how: self.how,
            version: self.version,
            discarded: self.discarded,
            ttl: self.ttl_ms,
            owner: self.owner,
            at: UnixMillis(self.at_unix_ms),
            by: self.by,
            reason: self.reason,
            unknown: Unknown::new(),
        }
    }
}

/// What is known of a key: the answer of describe, the items of a listing, the first event of a watch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DescribeReply {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub key: String,
    /// Who holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The present lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_id: Option<LeaseId>,
    /// When another may take it over if nobody renews, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_unix: Option<u64>,
    /// The version of the committed state; zero for a key never used.
    pub version: u64,
    /// Its ETag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_etag: Option<StateEtag>,
    /// When it was written, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at_unix: Option<u64>,
    /// The same in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at_unix_ms: Option<u64>,
    /// Always empty; other clients read it.
    #[serde(default)]
    pub metadata: Metadata,
    /// All that is known of the holder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<HolderBody>,
    /// How many wait, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiters: Option<u64>,
    /// The highest fencing token given out.
    pub fencing_token: FencingToken,
    /// The length of the state.
    pub state_bytes: u64,
    /// How the last leases ended, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<EndedBody>,
    /// When the last run that succeeded began, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_unix_ms: Option<u64>,
}

/// An object that is always empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {}

impl DescribeReply {
    /// Of what a service knows, at `now`.
    #[must_use]
    pub fn new(known: &Description, now: UnixMillis) -> Self {
        let held = known.held.as_ref();
        Self {
            namespace: known.key.namespace().to_string(),
            key: known.key.name().to_owned(),
            owner: held.map(|held| held.owner.clone()),
            lease_id: held.map(|held| held.lease_id.clone()),
            expires_at_unix: held.map(|held| unix_after(now, held.frees_in)),
            version: known.version.0,
            state_etag: known.etag.clone(),
            updated_at_unix: known.updated.map(|at| at.0 / 1_000),
            updated_at_unix_ms: known.updated.map(|at| at.0),
            metadata: Metadata {},
            holder: held.map(HolderBody::new),
            waiters: known.waiters,
            fencing_token: known.token,
            state_bytes: known.bytes,
            ended: known.ended.iter().map(EndedBody::new).collect(),
            last_success_unix_ms: known.last_success.map(|at| at.0),
        }
    }

    /// The same for commands.
    ///
    /// # Errors
    /// `Internal` when the names are none.
    pub fn into_description(self) -> Result<Description> {
        let named = Namespace::new(&self.namespace).and_then(|namespace| Key::new(namespace, &self.key));
        let key = named.map_err(|e| not_understood(format_args!("{}", e.message())))?;
        Ok(Description {
            key,
            held: self.holder.map(HolderBody::into_busy),
            token: self.fencing_token,
            version: Version(self.version),
            etag: self.state_etag,
            bytes: self.state_bytes,
            updated: self.updated_at_unix_ms.map(UnixMillis),
            ended: self.ended.into_iter().map(EndedBody::into_ended).collect(),
            last_success: self.last_success_unix_ms.map(UnixMillis),
            waiters: self.waiters,
        })
    }
}

/// The query of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListQuery {
    /// The namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Only keys that begin so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Where to go on: the `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many keys on a page, as far as the server agrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only keys that are held: `1`.
    #[serde(default, deserialize_with = "switch")]
    pub held: bool,
    /// Only keys that are waited for: `1`.
    #[serde(default, deserialize_with = "switch")]
    pub waiters: bool,
}

/// A switch in a query: `1` and `0`, as `public=1` has it, or in words.
fn switch<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<bool, D::Error> {
    match <Cow<'de, str>>::deserialize(from)?.as_ref() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        other => Err(serde::de::Error::custom(format!("{other:?} is neither 1 nor 0"))),
    }
}

impl ListQuery {
    /// Of a request, from its own place on.
    #[must_use]
    pub fn new(request: &ListRequest) -> Self {
        Self {
            namespace: Some(request.namespace.to_string()),
            prefix: request.prefix.clone(),
            after: request.after.as_ref().map(|cursor| cursor.0.clone()),
            limit: None,
            held: request.held,
            waiters: false,
        }
    }

    /// What a service is asked for; `limit` and `waiters` are the server's to keep.
    ///
    /// # Errors
    /// `InvalidKey` for the namespace.
    pub fn request(&self) -> Result<ListRequest> {
        Ok(ListRequest {
            namespace: super::namespace(self.namespace.as_deref())?,
            prefix: self.prefix.clone(),
            held: self.held,
            after: self.after.clone().map(Cursor),
        })
    }
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ListReply {
    /// The keys, and the records that could not be read.
    pub keys: Vec<ListEntry>,
    /// Where to go on; absent on the last page. A page ends after a key that has a cursor, or at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One key of a listing, or a record that cannot be read: the listing goes on after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListEntry {
    /// What is known of a key.
    Known {
        /// It.
        #[serde(flatten)]
        known: DescribeReply,
        /// Where to go on after it.
        cursor: String,
    },
    /// Why a record cannot be read.
    Unreadable {
        /// The error; its status is the kind's own.
        #[serde(flatten)]
        error: ErrorBody,
    },
}

impl ListEntry {
    /// Of an item of a service's listing, at `now`.
    #[must_use]
    pub fn new(item: &Result<Listed>, now: UnixMillis) -> Self {
        match item {
            Ok(listed) => {
                Self::Known { known: DescribeReply::new(&listed.known, now), cursor: listed.cursor.0.clone() }
            }
            Err(error) => Self::Unreadable { error: ErrorBody::new(error, None) },
        }
    }

    /// The item that it stands for.
    ///
    /// # Errors
    /// Why the record could not be read.
    pub fn into_listed(self) -> Result<Listed> {
        match self {
            Self::Known { known, cursor } => Ok(Listed { known: known.into_description()?, cursor: Cursor(cursor) }),
            Self::Unreadable { error } => Err(error.into_error(500, Subject::Call)),
        }
    }
}
