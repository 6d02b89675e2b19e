//! Plain data: names, ids, numbers, leases and the record. No input or output, no clock, no randomness.

mod id;
mod key;
mod lease;
mod number;
mod record;
mod rules;
mod state;
mod text;

pub use id::{LeaseId, RequestId, TxnId, WriteId};
pub use key::{Key, KeyHash, Namespace};
pub use lease::{Ended, Holder, How, Knock, Lease, Reserved, Stamp};
pub use number::{FencingToken, Ttl, Version};
pub use record::{Done, FORMAT, Record};
pub use rules::{Broken, check};
pub use state::{BlobId, Body, EditsHash, StateEtag, StateRef, Versioned};
pub use text::{Owner, Reason};

/// Fields that this version does not know: kept as they are when a record is rewritten, so that a newer lockd may add what
/// an older one may safely ignore. [`Holder`] and [`Stamp`] have none: they do not grow, later facts stand beside them.
pub type Unknown = std::collections::BTreeMap<String, serde_json::Value>;
