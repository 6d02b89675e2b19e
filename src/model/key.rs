//! Namespaces and keys: what may name a lock.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::NAME_BYTES;

/// A namespace: one segment of `[A-Za-z0-9._~:@+-]`, 1 to 128 bytes; beginning with `.` is reserved for lockd itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

/// A key inside its namespace: segments of `[A-Za-z0-9._~:@+-]` joined by `/`, 1 to 128 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    namespace: Namespace,
    name: Arc<str>,
}

/// SHA-256 of namespace and key: what paths and object names are made of, so that no text of a user reaches them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; 32]);

impl Namespace {
    /// The namespace when none is given.
    pub const DEFAULT: &str = "default";

    /// Takes a namespace exactly as written.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`] when it is not one good segment, or is reserved.
    pub fn new(text: &str) -> Result<Self> {
        check_length("namespace", text)?;
        check_segment("namespace", text, text)?;
        if text.starts_with('.') {
            return Err(invalid("namespace", text, "names that begin with `.` are reserved"));
        }
        Ok(Self(text.into()))
    }

    /// A reserved namespace of lockd's own; `name` must be a good segment.
    #[must_use]
    pub fn reserved(name: &str) -> Self {
        Self(format!(".{name}").into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl Key {
    /// Takes a key exactly as written.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`] when it is empty, too long, has an empty segment, the segments `.` or `..`, or a byte outside
    /// the allowed set.
    pub fn new(namespace: Namespace, name: &str) -> Result<Self> {
        check_length("key", name)?;
        for segment in name.split('/') {
            check_segment("key", name, segment)?;
        }
        Ok(Self { namespace, name: name.into() })
    }

    /// The key's own name, without its namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace.
    #[must_use]
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The hash that names it in stores. A NUL separates the parts: it is in neither.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        let mut hash = Sha256::new();
        hash.update(self.namespace.as_str());
        hash.update([0]);
        hash.update(self.name.as_bytes());
        KeyHash(hash.finalize().into())
    }
}

impl KeyHash {
    /// 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Reads what [`KeyHash::hex`] made.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes)).filter(|hash| hash.hex() == text)
    }
}

fn check_length(what: &str, text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::new(ErrorKind::InvalidKey, format!("the {what} is empty"))
            .with_hint("give it a name, such as backup/db"));
    }
    if text.len() > NAME_BYTES {
        let message = format!("the {what} has {} bytes, {NAME_BYTES} are allowed", text.len());
        return Err(Error::new(ErrorKind::InvalidKey, message).with_hint("shorten it, or use a hash of it"));
    }
    Ok(())
}

fn check_segment(what: &str, whole: &str, segment: &str) -> Result<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._~:@+-".contains(&b);
    match segment {
        "" => Err(invalid(what, whole, "an empty segment")),
        "." | ".." => Err(invalid(what, whole, "the segments `.` and `..` are not allowed")),
        s if !s.bytes().all(allowed) => Err(invalid(what, whole, "allowed are letters, digits and . _ ~ : @ + -")),
        _ => Ok(()),
    }
}

fn invalid(what: &str, text: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidKey, format!("{what} {text:?} is malformed")).with_hint(why)
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}//{}", self.namespace, self.name)
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Result<Key> {
        Key::new(Namespace::default(), name)
    }

    #[test]
    fn good_names_are_kept_as_written() {
        for name in ["a", "backup/db", "A.b_c~d:e@f+g-h", "...", "x/.hidden", &"k".repeat(NAME_BYTES)] {
            assert_eq!(key(name).unwrap().name(), name);
        }
    }

    #[test]
    fn bad_names_are_refused() {
        let long = "k".repeat(NAME_BYTES + 1);
        for name in
            ["", "/", "a/", "/a", "a//b", ".", "..", "../x", "a/./b", "a b", "a\0b", "ä", "a%2fb", "a\nb", &long]
        {
            assert_eq!(key(name).unwrap_err().kind(), ErrorKind::InvalidKey, "{name:?}");
        }
        for name in ["", ".lockd", "a/b", "..", "a b"] {
            assert_eq!(Namespace::new(name).unwrap_err().kind(), ErrorKind::InvalidKey, "{name:?}");
        }
    }

    #[test]
    fn the_hash_separates_namespace_and_key() {
        let at = |ns: &str, name: &str| Key::new(Namespace::new(ns).unwrap(), name).unwrap().hash();
        assert_ne!(at("ab", "c"), at("a", "bc"));
        assert_ne!(at("a", "b"), at("a", "B"));
        assert_eq!(KeyHash::from_hex(&at("a", "b").hex()), Some(at("a", "b")));
        assert_eq!(KeyHash::from_hex("zz"), None);
    }
}
