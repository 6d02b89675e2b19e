//! The state: queries, the headers of a read, the answers of changes.

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::headers::{ETAG, KEY_VERSION, number, put, text};
use super::known::Metadata;
use super::{key, namespace, not_understood};
use crate::error::Result;
use crate::model::{Key, StateEtag, Version};
use crate::service::Changed;

/// The query of the calls that are about one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyQuery {
    /// The key.
    pub key: String,
    /// The namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl KeyQuery {
    /// Of a key.
    #[must_use]
    pub fn new(key: &Key) -> Self {
        Self { key: key.name().to_owned(), namespace: Some(key.namespace().to_string()) }
    }

    /// The key.
    ///
    /// # Errors
    /// `InvalidKey`.
    pub fn key(&self) -> Result<Key> {
        key(namespace(self.namespace.as_deref())?, &self.key)
    }
}

/// The headers of a state that is sent.
///
/// # Errors
/// `Usage` when the ETag cannot stand in a header; those of lockd can.
pub fn state_headers(version: Version, etag: Option<&StateEtag>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(KEY_VERSION, version.0.into());
    if let Some(etag) = etag {
        put(&mut headers, ETAG, etag.as_str())?;
    }
    Ok(headers)
}

/// Version and ETag of a state that came.
///
/// # Errors
/// `Internal` when one is missing or malformed.
pub fn state_headers_from(headers: &HeaderMap) -> Result<(Version, StateEtag)> {
    let version = number(headers, &KEY_VERSION).ok().flatten();
    let etag = text(headers, &ETAG).ok().flatten();
    match (version, etag) {
        (Some(version), Some(etag)) => Ok((Version(version), StateEtag::from_caller(etag))),
        _ => Err(not_understood(format_args!("a state without its version or its ETag"))),
    }
}

/// A state was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateReply {
    /// The new version.
    pub new_version: u64,
    /// The new ETag; absent only when an edit left no state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_state_etag: Option<StateEtag>,
    /// The new length.
    pub bytes: u64,
    /// Always empty; other clients read it.
    #[serde(default)]
    pub metadata: Metadata,
}

impl UpdateReply {
    /// Of a change.
    #[must_use]
    pub fn new(changed: &Changed) -> Self {
        Self {
            new_version: changed.version.0,
            new_state_etag: changed.etag.clone(),
            bytes: changed.bytes,
            metadata: Metadata {},
        }
    }

    /// The change that it stands for.
    #[must_use]
    pub fn into_changed(self) -> Changed {
        Changed { version: Version(self.new_version), etag: self.new_state_etag, bytes: self.bytes, changed: true }
    }
}

/// A state was removed, or there was none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveReply {
    /// Whether there was one.
    pub removed: bool,
    /// The new version, when there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_version: Option<u64>,
    /// The version that holds now, in any case.
    #[serde(default)]
    pub version: u64,
}

impl RemoveReply {
    /// Of a change.
    #[must_use]
    pub fn new(changed: &Changed) -> Self {
        let version = changed.version.0;
        Self { removed: changed.changed, new_version: changed.changed.then_some(version), version }
    }

    /// The change that it stands for.
    #[must_use]
    pub fn into_changed(self) -> Changed {
        let version = Version(self.new_version.unwrap_or(self.version));
        Changed { version, etag: None, bytes: 0, changed: self.removed }
    }
}

/// Edits of a state, with the expressions of `lockd edit`; all or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MutateBody {
    /// The expressions.
    pub mutations: Vec<String>,
}
