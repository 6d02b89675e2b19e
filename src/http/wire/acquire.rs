//! Acquire.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Seconds, key_on_acquire, millis, named_on_acquire, namespace, unix_after};
use crate::clock::UnixMillis;
use crate::entropy::Entropy;
use crate::error::Result;
use crate::limits::{TTL_MAX, TTL_MIN, WAIT_MAX, WAIT_POLL};
use crate::model::{FencingToken, Holder, Key, LeaseId, Owner, Reason, StateEtag, Ttl, TxnId, Version};
use crate::service::{AcquireRequest, Grant, Wait};

/// Asks for a lease.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcquireBody {
    /// The namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The key; without it the server makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Who asks.
    #[serde(default)]
    pub owner: String,
    /// How long it lives without renewal; absent or not above zero: 30 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<Seconds>,
    /// Below zero: do not wait; zero or absent: for ever; else at most so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_seconds: Option<Seconds>,
    /// Refuse when the key has a record at all.
    #[serde(default)]
    pub if_not_exists: bool,
    /// The transaction, made by the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub txn_id: Option<String>,
    /// The lease id, made by the caller: repeating the request finds its own lease, and its place in the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_id: Option<String>,
    /// A grant that waited is provisional until the first keepalive.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirm: bool,
    /// What for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Origin>,
}

/// From where a lease is asked for; as [`Holder`], with no other fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Process id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// User name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

impl From<Origin> for Holder {
    fn from(from: Origin) -> Self {
        Self { host: from.host, pid: from.pid, user: from.user, command: from.command }
    }
}

impl From<&Holder> for Origin {
    fn from(holder: &Holder) -> Self {
        let Holder { host, pid, user, command } = holder.clone();
        Self { host, pid, user, command }
    }
}

/// What a server needs for what a caller did not bring: ids are drawn only then.
#[derive(Clone, Copy, Debug)]
pub struct MadeHere<'a> {
    /// Where ids come from.
    pub entropy: &'a dyn Entropy,
    /// The time that the name of a key begins with.
    pub now: UnixMillis,
    /// The longest TTL that the server gives.
    pub max_ttl: Ttl,
}

impl AcquireBody {
    /// Of what a client asks for.
    #[must_use]
    pub fn new(request: &AcquireRequest) -> Self {
        Self {
            namespace: Some(request.key.namespace().to_string()),
            key: Some(named_on_acquire(&request.key)),
            owner: request.owner.to_string(),
            ttl_seconds: Some(request.ttl.duration().into()),
            block_seconds: Some(match request.wait {
                Wait::For(d) if !d.is_zero() => d.max(Duration::from_millis(1)).into(),
                Wait::No | Wait::For(_) => Seconds::NONE,
            }),
            if_not_exists: request.if_not_exists,
            txn_id: Some(request.txn.to_string()),
            lease_id: Some(request.lease_id.to_string()),
            confirm: request.confirm,
            reason: request.reason.as_ref().map(ToString::to_string),
            holder: Some(Origin::from(&request.holder)),
        }
    }

    /// Whether it has a lease id of its own: an empty one is none.
    #[must_use]
    pub fn polls(&self) -> bool {
        self.lease_id.as_ref().is_some_and(|id| !id.is_empty())
    }

    /// How long it may wait in this call: one with a lease id polls, and one without waits for as long as it asked.
    #[must_use]
    pub fn wait(&self) -> Wait {
        let longest = if self.polls() { WAIT_POLL } else { WAIT_MAX };
        match self.block_seconds {
            Some(block) if block.0 < 0.0 => Wait::No,
            Some(block) => Wait::For(block.duration().map_or(longest, |d| d.min(longest))),
            None => Wait::For(longest),
        }
    }

    /// What a service is asked for.
    ///
    /// # Errors
    /// `InvalidKey`, `Usage` for what is malformed.
    pub fn request(self, made: MadeHere<'_>) -> Result<AcquireRequest> {
        let wait = self.wait();
        let ttl = ttl(self.ttl_seconds, made.max_ttl);
        let namespace = namespace(self.namespace.as_deref())?;
        let key = match self.key.as_deref().filter(|key| !key.trim().is_empty()) {
            Some(key) => key_on_acquire(namespace, key)?,
            None => Key::new(namespace, &uuid_v7(made.now, made.entropy))?,
        };
        Ok(AcquireRequest {
            key,
            lease_id: given(self.lease_id).map_or_else(|| Ok(LeaseId::random(made.entropy)), |id| LeaseId::new(&id))?,
            txn: given(self.txn_id).map_or_else(|| Ok(TxnId::random(made.entropy)), |id| TxnId::new(&id))?,
            ttl,
            owner: Owner::new(&self.owner)?,
            reason: given(self.reason).map(|reason| Reason::new(&reason)).transpose()?,
            holder: self.holder.map(Holder::from).unwrap_or_default(),
            if_not_exists: self.if_not_exists,
            wait,
            confirm: self.confirm,
        })
    }
}

/// A name that sorts by time (RFC 9562, section 5.7).
fn uuid_v7(now: UnixMillis, entropy: &dyn Entropy) -> String {
    let mut bytes: [u8; 16] = entropy.bytes();
    bytes[..6].copy_from_slice(&now.0.to_be_bytes()[2..]);
    bytes[6] = bytes[6] & 0x0f | 0x70;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A text that says something.
pub(super) fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// The TTL that is given to who asks for this one.
pub(super) fn ttl(asked: Option<Seconds>, max: Ttl) -> Ttl {
    let asked = asked.and_then(Seconds::duration).unwrap_or_else(|| Ttl::default().duration());
    let bounded = asked.clamp(TTL_MIN, TTL_MAX);
    Ttl::new(bounded).map_or(max, |ttl| ttl.min(max))
}

/// A lease was granted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AcquireReply {
    /// The namespace.
    pub namespace: String,
    /// The lease.
    pub lease_id: LeaseId,
    /// Its transaction.
    pub txn_id: TxnId,
    /// The key, as it is used from now on.
    pub key: String,
    /// Who holds it.
    pub owner: String,
    /// When it ends without renewal, in seconds.
    pub expires_at_unix: u64,
    /// How much is left of it.
    pub expires_in_ms: u64,
    /// The version of the state.
    pub version: u64,
    /// The ETag of the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_etag: Option<StateEtag>,
    /// The fencing token.
    pub fencing_token: FencingToken,
    /// The id of this exchange.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub correlation_id: String,
    /// The TTL as given.
    pub ttl_ms: Ttl,
    /// Whether it was taken over from a holder that had not been heard of.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken_over: bool,
    /// When the last run that succeeded began, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_unix_ms: Option<u64>,
    /// The grant is provisional: a keepalive must come within this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_within_ms: Option<u64>,
}

impl AcquireReply {
    /// Of a grant, answered at `now`.
    #[must_use]
    pub fn new(request: &AcquireRequest, grant: &Grant, now: UnixMillis, correlation_id: &str) -> Self {
        Self {
            namespace: request.key.namespace().to_string(),
            lease_id: grant.lease_id.clone(),
            txn_id: grant.txn.clone(),
            key: request.key.name().to_owned(),
            owner: request.owner.to_string(),
            expires_at_unix: unix_after(now, grant.left),
            expires_in_ms: millis(grant.left),
            version: grant.version.0,
            state_etag: grant.etag.clone(),
            fencing_token: grant.token,
            correlation_id: correlation_id.to_owned(),
            ttl_ms: grant.ttl,
            taken_over: grant.taken_over,
            last_success_unix_ms: grant.last_success.map(|at| at.0),
            confirm_within_ms: grant.confirm_within.map(millis),
        }
    }

    /// The grant that it stands for.
    #[must_use]
    pub fn into_grant(self) -> Grant {
        Grant {
            lease_id: self.lease_id,
            token: self.fencing_token,
            txn: self.txn_id,
            ttl: self.ttl_ms,
            left: Duration::from_millis(self.expires_in_ms),
            version: Version(self.version),
            etag: self.state_etag,
            taken_over: self.taken_over,
            last_success: self.last_success_unix_ms.map(UnixMillis),
            confirm_within: self.confirm_within_ms.map(Duration::from_millis),
        }
    }
}
