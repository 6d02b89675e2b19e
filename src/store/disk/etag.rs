//! Etags: the revision, and a hash of the content, so that a key of another store with the same number never matches.

use sha2::{Digest as _, Sha256};

use crate::store::Etag;

/// The first half of a SHA-256: record bodies are unique, so this names one.
pub type Digest = [u8; 16];

/// Of a revision's content.
#[must_use]
pub fn digest(bytes: &[u8]) -> Digest {
    let full: [u8; 32] = Sha256::digest(bytes).into();
    let mut half = [0; 16];
    half.copy_from_slice(&full[..16]);
    half
}

/// The etag of a revision.
#[must_use]
pub fn etag(n: u64, digest: Digest) -> Etag {
    Etag(format!("{n}-{}", hex::encode(digest)).into())
}

/// Reads what [`etag`] made; `None` for anything else, which then matches nothing.
#[must_use]
pub fn parse(tag: &Etag) -> Option<(u64, Digest)> {
    let (n, hash) = tag.0.split_once('-')?;
    let mut digest = [0; 16];
    hex::decode_to_slice(hash, &mut digest).ok()?;
    let n = n.parse().ok().filter(|n| *n > 0)?;
    Some((n, digest)).filter(|_| etag(n, digest) == *tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_etags_are_read() {
        let tag = etag(41, digest(b"x"));
        assert_eq!(parse(&tag), Some((41, digest(b"x"))));
        for text in ["", "41", "0-00", "041-2d711642b726b04401627ca9fbac32f5", "41-XX"] {
            assert_eq!(parse(&Etag(text.into())), None, "{text:?}");
        }
        assert_ne!(etag(1, digest(b"a")), etag(1, digest(b"b")));
    }
}
