//! The state of a key: a JSON value inside the record, or a pointer to an immutable blob.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{FencingToken, KeyHash, Unknown, Version};
use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind, Result};

/// A state's ETag: the lower-case hexadecimal SHA-256 of its stored bytes, on every store.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StateEtag(Arc<str>);

impl StateEtag {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_digest(&Sha256::digest(bytes).into())
    }

    /// Of a finished digest.
    #[must_use]
    pub fn from_digest(digest: &[u8; 32]) -> Self {
        Self(hex::encode(digest).into())
    }

    /// One that a caller sent: blanks and quotes at both ends are ignored; it is compared, not trusted.
    #[must_use]
    pub fn from_caller(text: &str) -> Self {
        Self(text.trim_matches(|c: char| c == '"' || c.is_whitespace()).into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StateEtag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StateEtag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.get(..8).unwrap_or(&self.0))
    }
}

/// What an edit is remembered by: a SHA-256 of its expressions, lower-case hexadecimal. The same expressions are the same edit,
/// whatever state they meet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EditsHash(Arc<str>);

impl EditsHash {
    /// Of these expressions, in their order.
    #[must_use]
    pub fn of(expressions: &[String]) -> Self {
        // With its length before it no expression runs into the next one.
        let hash = expressions
            .iter()
            .fold(Sha256::new(), |hash, text| hash.chain_update((text.len() as u64).to_be_bytes()).chain_update(text));
        Self(hex::encode(hash.finalize()).into())
    }
}

/// The name of a blob: `<key hash>/<token>-<128 random bits>`, new for every attempt, never used again. The token in it is
/// the fence of garbage collection.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlobId {
    key: KeyHash,
    token: FencingToken,
    random: [u8; 16],
}

impl BlobId {
    /// A new id for a key under a token.
    #[must_use]
    pub fn random(key: KeyHash, token: FencingToken, entropy: &dyn Entropy) -> Self {
        Self { key, token, random: entropy.bytes() }
    }

    /// The key that the blob belongs to.
    #[must_use]
    pub const fn key(&self) -> KeyHash {
        self.key
    }

    /// The token under which it was written.
    #[must_use]
    pub const fn token(&self) -> FencingToken {
        self.token
    }

    /// The part after the slash: the name within its key.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.token, hex::encode(self.random))
    }

    /// Reads what [`BlobId::name`] made; `None` for anything else.
    #[must_use]
    pub fn from_name(key: KeyHash, name: &str) -> Option<Self> {
        let (token, random) = name.split_once('-')?;
        let mut bits = [0; 16];
        hex::decode_to_slice(random, &mut bits).ok()?;
        let id = Self { key, token: FencingToken(token.parse().ok()?), random: bits };
        Some(id).filter(|id| id.name() == name)
    }
}

impl TryFrom<String> for BlobId {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        let parsed = text.split_once('/').and_then(|(key, name)| Self::from_name(KeyHash::from_hex(key)?, name));
        parsed.ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("{text:?} is not a blob's name")))
    }
}

impl From<BlobId> for String {
    fn from(id: BlobId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.key.hex(), self.name())
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.token, hex::encode(&self.random[..4]))
    }
}

/// Where the bytes of a state are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Body {
    /// Inside the record.
    Inline(Bytes),
    /// In a blob of its own.
    Blob(BlobId),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(bytes) => write!(f, "inline({})", bytes.len()),
            Self::Blob(id) => write!(f, "blob({id:?})"),
        }
    }
}

/// One state: its hash, its length and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StateRef {
    /// Hash of the bytes.
    pub etag: StateEtag,
    /// Length in bytes.
    pub len: u64,
    /// The bytes, or where they are.
    pub body: Body,
}

impl StateRef {
    /// A state inside the record.
    #[must_use]
    pub fn inline(bytes: Bytes) -> Self {
        Self { etag: StateEtag::of(&bytes), len: bytes.len() as u64, body: Body::Inline(bytes) }
    }

    /// The blob, when the state is in one.
    #[must_use]
    pub const fn blob(&self) -> Option<&BlobId> {
        match &self.body {
            Body::Blob(id) => Some(id),
            Body::Inline(_) => None,
        }
    }
}

/// A state, or its absence, under the version that names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versioned {
    /// The version.
    pub version: Version,
    /// The state; `None` before the first update and after a remove.
    pub state: Option<StateRef>,
    /// When it was written, for people.
    pub at: crate::clock::UnixMillis,
    /// Fields of later versions.
    pub unknown: Unknown,
}

impl Versioned {
    /// The ETag, when there is a state.
    #[must_use]
    pub fn etag(&self) -> Option<&StateEtag> {
        self.state.as_ref().map(|state| &state.etag)
    }

    /// The blob, when the state is in one.
    #[must_use]
    pub fn blob(&self) -> Option<&BlobId> {
        self.state.as_ref().and_then(StateRef::blob)
    }
}
