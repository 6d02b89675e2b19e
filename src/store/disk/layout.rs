//! Where things are below the root, and what their names say.
//!
//! ```text
//! store.json                                  who this store is
//! reserve                                     room for the records of leases, when the disk is full
//! records/<2 hex>/<key hash>/floor            its length x 8: revisions up to there are pruned
//!                            r.<n>            a published revision
//!                            t.<n>.<id>.<send>   one being written: the right to publish r.<n>
//! blobs/<2 hex>/<key hash>/<token>-<random>   a complete blob
//!                          t.<token>-<random> one being written
//! ```

use crate::model::{BlobId, KeyHash};

/// Identity of the store.
pub const IDENTITY: &str = "store.json";
/// The file whose length tells what is pruned.
pub const FLOOR: &str = "floor";
/// Room kept for the records of leases.
pub const RESERVE: &str = "reserve";
/// The directory of all records.
pub const RECORDS: &str = "records";
/// The directory of all blobs.
pub const BLOBS: &str = "blobs";

/// The directory of one key, of its records or its blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path's segments below the root.
    pub segments: [String; 3],
}

impl Place {
    /// Of a key's records.
    #[must_use]
    pub fn records(key: KeyHash) -> Self {
        Self::below(RECORDS, key)
    }

    /// Of a key's blobs.
    #[must_use]
    pub fn blobs(key: KeyHash) -> Self {
        Self::below(BLOBS, key)
    }

    fn below(top: &str, key: KeyHash) -> Self {
        let hash = key.hex();
        Self { segments: [top.to_owned(), hash[..2].to_owned(), hash] }
    }

    /// The path below the root.
    #[must_use]
    pub fn path(&self) -> String {
        self.segments.join("/")
    }
}

/// A name in a key's record directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A published revision.
    Revision(u64),
    /// A revision being written, or left by a writer that ended.
    Temp(u64),
    /// What an NFS client makes of an unlinked file that is still open there: it may be a `t` and counts as one.
    Silly,
    /// The floor, or nothing of lockd's.
    Other,
}

impl Entry {
    /// Reads a name. What begins like a `t` and has a number counts as one, whatever follows.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        if name.starts_with(".nfs") {
            return Self::Silly;
        }
        if let Some(n) = name.strip_prefix("r.").and_then(number) {
            return Self::Revision(n);
        }
        match name.strip_prefix("t.").and_then(|rest| number(rest.split('.').next()?)) {
            Some(n) => Self::Temp(n),
            None => Self::Other,
        }
    }
}

/// A number as lockd writes it: decimal, from 1, no leading zero.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|n: &u64| *n > 0 && n.to_string() == text)
}

/// The name of a published revision.
#[must_use]
pub fn revision(n: u64) -> String {
    format!("r.{n}")
}

/// The name of a revision being written.
#[must_use]
pub fn temp(n: u64, id: [u8; 16], send: u64) -> String {
    format!("t.{n}.{}.{send}", hex::encode(id))
}

/// The name of a blob being written. It holds the whole id, so that garbage collection can judge it by its token.
#[must_use]
pub fn blob_temp(id: &BlobId) -> String {
    format!("t.{}", id.name())
}

/// The blob that a name in a key's blob directory stands for, complete or not.
#[must_use]
pub fn blob(key: KeyHash, name: &str) -> Option<BlobId> {
    BlobId::from_name(key, name.strip_prefix("t.").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_they_are() {
        assert_eq!(Entry::parse(&revision(41)), Entry::Revision(41));
        assert_eq!(Entry::parse(&temp(43, [7; 16], 2)), Entry::Temp(43));
        assert_eq!(Entry::parse(".nfs0000000001"), Entry::Silly);
        assert_eq!(Entry::parse("t.43"), Entry::Temp(43));
        for name in ["floor", "r.", "r.0", "r.01", "r.+1", "r.1.2", "t.", "t.x.1", "r.18446744073709551616", "R.1", ""]
        {
            assert_eq!(Entry::parse(name), Entry::Other, "{name:?}");
        }
    }
}
