//! Keepalive, release, break.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::acquire::{given, ttl};
use super::{Seconds, key, millis, namespace, not_understood, unix_after};
use crate::clock::UnixMillis;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{FencingToken, How, Key, LeaseId, Owner, Reason, Ttl, Version};
use crate::service::{BreakRequest, Broke, Released, Renewed};

/// Asks for a lease to be extended; the proof is in the headers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepaliveBody {
    /// The namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The key.
    pub key: String,
    /// The lease.
    pub lease_id: String,
    /// The TTL from now on; it never falls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<Seconds>,
    /// Its transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub txn_id: Option<String>,
}

impl KeepaliveBody {
    /// Of what a client asks for.
    #[must_use]
    pub fn new(key: &Key, lease_id: &LeaseId, ttl: Ttl) -> Self {
        Self {
            namespace: Some(key.namespace().to_string()),
            key: key.name().to_owned(),
            lease_id: lease_id.to_string(),
            ttl_seconds: Some(ttl.duration().into()),
            txn_id: None,
        }
    }

    /// The key.
    ///
    /// # Errors
    /// `InvalidKey`.
    pub fn key(&self) -> Result<Key> {
        key(namespace(self.namespace.as_deref())?, &self.key)
    }

    /// The TTL that is given, at most `max`.
    #[must_use]
    pub fn ttl(&self, max: Ttl) -> Ttl {
        ttl(self.ttl_seconds, max)
    }
}

/// A lease was extended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepaliveReply {
    /// When it ends without renewal, in seconds.
    pub expires_at_unix: u64,
    /// How much is left of it.
    pub expires_in_ms: u64,
    /// Its TTL.
    pub ttl_ms: Ttl,
}

impl KeepaliveReply {
    /// Of a renewal, answered at `now`.
    #[must_use]
    pub fn new(renewed: Renewed, now: UnixMillis) -> Self {
        Self {
            expires_at_unix: unix_after(now, renewed.left),
            expires_in_ms: millis(renewed.left),
            ttl_ms: renewed.ttl,
        }
    }

    /// The renewal that it stands for.
    #[must_use]
    pub const fn into_renewed(self) -> Renewed {
        Renewed { ttl: self.ttl_ms, left: Duration::from_millis(self.expires_in_ms) }
    }
}

/// Gives a lease back; the token may stand in the headers, the id alone is proof enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseBody {
    /// The namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The key.
    pub key: String,
    /// The lease.
    pub lease_id: String,
    /// Its transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub txn_id: Option<String>,
    /// Drop what is staged instead of committing it.
    #[serde(default)]
    pub rollback: bool,
    /// The run under this lease succeeded, and began at this time, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded_unix_ms: Option<u64>,
}

impl ReleaseBody {
    /// Of what a client asks for.
    #[must_use]
    pub fn new(key: &Key, lease_id: &LeaseId, rollback: bool, succeeded: Option<UnixMillis>) -> Self {
        Self {
            namespace: Some(key.namespace().to_string()),
            key: key.name().to_owned(),
            lease_id: lease_id.to_string(),
            txn_id: None,
            rollback,
            succeeded_unix_ms: succeeded.map(|at| at.0),
        }
    }

    /// The key.
    ///
    /// # Errors
    /// `InvalidKey`.
    pub fn key(&self) -> Result<Key> {
        key(namespace(self.namespace.as_deref())?, &self.key)
    }
}

/// What a release found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseReply {
    /// Always true: the lease is not the caller's any more.
    pub released: bool,
    /// `released`, `already_gone` or `fenced`.
    pub outcome: String,
    /// The committed version, when it was released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_version: Option<u64>,
    /// How it had ended, when it was gone and that is remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<How>,
}

impl ReleaseReply {
    /// Of what a service found.
    #[must_use]
    pub fn new(released: Released) -> Self {
        let (outcome, committed_version, how) = match released {
            Released::Released { version } => ("released", Some(version.0), None),
            Released::AlreadyGone { how } => ("already_gone", None, how),
            Released::Fenced => ("fenced", None, None),
        };
        Self { released: true, outcome: outcome.to_owned(), committed_version, how }
    }

    /// What was found.
    ///
    /// # Errors
    /// `Internal` for an outcome that this version does not know.
    pub fn into_released(self) -> Result<Released> {
        match (self.outcome.as_str(), self.committed_version) {
            ("released", Some(version)) => Ok(Released::Released { version: Version(version) }),
            ("already_gone", _) => Ok(Released::AlreadyGone { how: self.how }),
            ("fenced", _) => Ok(Released::Fenced),
            (outcome, _) => Err(not_understood(format_args!("a release with the outcome {outcome:?}"))),
        }
    }
}

/// Ends a lease by force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakBody {
    /// The namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The key.
    pub key: String,
    /// Only this lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_id: Option<String>,
    /// Why.
    pub reason: String,
    /// Who breaks it; without it, whom the server takes the caller for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Answer only when its holder has stopped by its own rules.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drain: bool,
}

impl BreakBody {
    /// Of what a client asks for.
    #[must_use]
    pub fn new(request: &BreakRequest) -> Self {
        Self {
            namespace: Some(request.key.namespace().to_string()),
            key: request.key.name().to_owned(),
            lease_id: request.lease_id.as_ref().map(ToString::to_string),
            reason: request.reason.to_string(),
            by: Some(request.by.to_string()),
            drain: false,
        }
    }

    /// What a service is asked for; `caller` is whom the server takes the caller for.
    ///
    /// # Errors
    /// `InvalidKey`, `Usage` for what is malformed.
    pub fn request(self, caller: Owner) -> Result<BreakRequest> {
        Ok(BreakRequest {
            key: key(namespace(self.namespace.as_deref())?, &self.key)?,
            lease_id: given(self.lease_id).map(|id| LeaseId::new(&id)).transpose()?,
            by: given(self.by).map_or(Ok(caller), |by| Owner::new(&by))?,
            reason: Reason::new(&self.reason)?,
        })
    }
}

/// What a break found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakReply {
    /// Whether a lease was ended by force.
    pub broken: bool,
    /// The lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_id: Option<LeaseId>,
    /// Its token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fencing_token: Option<FencingToken>,
    /// Who held it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// After so long its holder has stopped by its own rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_in_ms: Option<u64>,
}

impl BreakReply {
    /// Of what a service found.
    #[must_use]
    pub fn new(broke: &Broke) -> Self {
        match broke {
            Broke::Free => Self::default(),
            Broke::Broken { lease_id, token, owner, over_in } => Self {
                broken: true,
                lease_id: Some(lease_id.clone()),
                fencing_token: Some(*token),
                owner: Some(owner.clone()),
                // Rounded up: who waits for it must not begin too early.
                over_in_ms: Some(millis(*over_in + Duration::from_micros(999))),
            },
        }
    }

    /// What was found.
    ///
    /// # Errors
    /// `Internal` when parts are missing.
    pub fn into_broke(self) -> Result<Broke> {
        match (self.broken, self.lease_id, self.fencing_token, self.owner, self.over_in_ms) {
            (false, ..) => Ok(Broke::Free),
            (true, Some(lease_id), Some(token), Some(owner), Some(over_in)) => {
                Ok(Broke::Broken { lease_id, token, owner, over_in: Duration::from_millis(over_in) })
            }
            _ => Err(not_understood(format_args!("a break without the lease that it broke"))),
        }
    }
}

/// The lease id of a body and that of the headers name the same lease.
///
/// # Errors
/// `Usage` otherwise.
pub fn same_lease(body: &str, headers: Option<&LeaseId>) -> Result<LeaseId> {
    let id = LeaseId::new(body)?;
    if headers.is_some_and(|header| *header != id) {
        return Err(Error::new(ErrorKind::Usage, "the lease id of the body is not that of the headers")
            .with_hint("send the one that the acquire answered"));
    }
    Ok(id)
}
