//! The versions that a client knows of the states under its leases.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::limits::CLIENT_VERSIONS;
use crate::model::{LeaseId, Version};

/// The version that was last seen under each lease.
#[derive(Debug, Default)]
pub struct Versions(Mutex<HashMap<LeaseId, Version>>);

impl Versions {
    /// What was seen.
    pub fn of(&self, lease: &LeaseId) -> Option<Version> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(lease).copied()
    }

    /// Something newer was seen. When there are too many, all are forgotten: they can be read again.
    pub fn saw(&self, lease: &LeaseId, version: Version) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CLIENT_VERSIONS && !known.contains_key(lease) {
            known.clear();
        }
        known.insert(lease.clone(), version);
    }

    /// The lease is over.
    pub fn forget(&self, lease: &LeaseId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(lease);
    }
}
