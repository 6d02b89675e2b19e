//! A lease as the record holds it, and what is remembered of those that ended.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{FencingToken, LeaseId, Owner, Reason, Ttl, TxnId, Unknown, Version};
use crate::clock::{BootTime, UnixMillis};

/// The present lease of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Its id, made by the holder.
    pub id: LeaseId,
    /// Its fencing token.
    pub token: FencingToken,
    /// Its transaction.
    pub txn: TxnId,
    /// How long it lives after its last renewal; never falls within one lease.
    pub ttl: Ttl,
    /// Who holds it, for people.
    pub owner: Owner,
    /// What for, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// From where, for people.
    #[serde(default)]
    pub holder: Holder,
    /// When it was granted, for people.
    pub since: UnixMillis,
    /// When it was last renewed, for people.
    pub renewed: UnixMillis,
    /// The boot clock of the machine that wrote the present beat, where that can be evidence of age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Stamp>,
    /// Fields of later versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Where a holder runs. For messages, never evidence: `acquire` exits at once and its lease lives on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Process id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// User name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// First word of the command, or all of it when that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// The boot clock as the writer of a grant or renewal read it before the write. Evidence of age only for a reader with the
/// same boot id, when both are in the initial time namespace and see an allow-listed local file system; writers that are
/// not so placed leave none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The writer's boot id.
    pub boot_id: Arc<str>,
    /// Its boot clock.
    pub boot: BootTime,
}

/// A lease that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Its id: never granted again.
    pub id: LeaseId,
    /// Its token.
    pub token: FencingToken,
    /// How it ended.
    pub how: How,
    /// The committed version when it ended.
    pub version: Version,
    /// Whether a staged change was dropped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub discarded: bool,
    /// Its TTL: after a break its holder may go on for so long. Absent in records of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    /// Who held it, for people.
    pub owner: Owner,
    /// When it ended, for people.
    pub at: UnixMillis,
    /// Who broke it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Owner>,
    /// Why it was broken, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Fields of later versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// How a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Its holder gave it back.
    Released,
    /// Its holder gave it back and asked for its staged change to be dropped.
    RolledBack,
    /// Nobody renewed it, and that was recorded.
    Expired,
    /// Nobody renewed it, and another took the key.
    TakenOver,
    /// An operator broke it.
    Broken,
}

/// Left by a waiter elsewhere that waited 2 s, so that a server does not pass the key on within itself for ever.
/// Grants to others leave it; the waiter's own grant takes it away, and so must who reserves the key for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knock {
    /// The lease id that the waiter asks for.
    pub waiter: LeaseId,
    /// Fields of later versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// A free key that is kept for one waiter for a short time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// The lease id that it is kept for.
    pub waiter: LeaseId,
    /// Fields of later versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}
