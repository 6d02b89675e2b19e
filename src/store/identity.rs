//! Who a store is: what `store.json` says, wherever it is kept.

use serde::{Deserialize, Serialize};

use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind, Result};

/// The newest format of a store that this lockd knows.
pub const FORMAT: u32 = 1;

/// How a store keeps its records. Each kind refuses the other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By themselves, as files or objects.
    Plain,
    /// In an embedded key-value store: `lsm://`.
    Lsm,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Plain, Self::Lsm];

    /// What its identity says.
    const fn word(self) -> &'static str {
        match self {
            Self::Plain => "store",
            Self::Lsm => "lsm store",
        }
    }

    /// The scheme of a URL under which it is opened.
    const fn scheme(self) -> &'static str {
        match self {
            Self::Plain => "disk://",
            Self::Lsm => "lsm://",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct File {
    /// Says what this file is.
    lockd: String,
    format: u32,
    id: String,
    #[serde(default)]
    epoch: u32,
}

/// A store's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Random, made once.
    pub id: String,
    /// Raised after a restore.
    pub epoch: u32,
    /// How it keeps its records.
    pub kind: Kind,
}

impl Identity {
    /// That of a new store.
    #[must_use]
    pub fn of(kind: Kind, entropy: &dyn Entropy) -> Self {
        Self { id: hex::encode(entropy.bytes::<16>()), epoch: 0, kind }
    }

    /// Reads the `store.json` of a store of this kind.
    ///
    /// # Errors
    /// [`ErrorKind::StoreMissing`] when it is not lockd's or another kind of store's, [`ErrorKind::TooNew`] when a newer lockd
    /// made it.
    pub fn parse_as(kind: Kind, bytes: &[u8]) -> Result<Self> {
        let file: File = serde_json::from_slice(bytes).map_err(|e| foreign(&format!("its store.json says: {e}")))?;
        if let Some(other) = Kind::ALL.into_iter().find(|other| *other != kind && file.lockd == other.word()) {
            let message = format!("there is a store of another kind: write {} before its path", other.scheme());
            return Err(Error::new(ErrorKind::StoreMissing, message));
        }
        if file.lockd != kind.word() || file.id.is_empty() {
            return Err(foreign("its store.json is not lockd's"));
        }
        if file.format > FORMAT {
            let message = format!("the store has format {}, this lockd knows {FORMAT}", file.format);
            return Err(Error::new(ErrorKind::TooNew, message).with_hint("upgrade lockd on this host"));
        }
        Ok(Self { id: file.id, epoch: file.epoch, kind })
    }

    /// A `store.json` that says this.
    ///
    /// # Errors
    /// `Internal`, when it cannot be written as JSON.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let lockd = self.kind.word().to_owned();
        let file = File { lockd, format: FORMAT, id: self.id.clone(), epoch: self.epoch };
        let mut text = serde_json::to_vec(&file).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
        text.push(b'\n');
        Ok(text)
    }

    /// Whether what is there now is this store.
    ///
    /// # Errors
    /// [`ErrorKind::StoreReplaced`] when it is not.
    pub fn check(&self, present: &Self) -> Result<()> {
        if present.id != self.id {
            return Err(replaced("another store is in its place"));
        }
        if present.epoch != self.epoch {
            return Err(replaced(&format!("its epoch went from {} to {}", self.epoch, present.epoch)));
        }
        Ok(())
    }
}

/// The store is not the one that this process knew.
#[must_use]
pub fn replaced(what: &str) -> Error {
    Error::new(ErrorKind::StoreReplaced, format!("the store is not the one that this process opened: {what}"))
        .with_hint("put the store back, or start lockd again to use what is there now; nothing was written")
}

/// What is there belongs to somebody else.
#[must_use]
pub fn foreign(why: &str) -> Error {
    Error::new(ErrorKind::StoreMissing, format!("this is not a lockd store: {why}"))
        .with_hint("choose another place; lockd takes only its own or an empty one")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::KernelEntropy;

    #[test]
    fn it_is_read_back_and_compared() {
        let new = || Identity::of(Kind::Plain, &KernelEntropy);
        let parse = |bytes: &[u8]| Identity::parse_as(Kind::Plain, bytes);
        let one = new();
        let back = parse(&one.encode().unwrap()).unwrap();
        one.check(&back).unwrap();
        for other in [new(), Identity { epoch: 1, ..one.clone() }] {
            assert_eq!(one.check(&other).unwrap_err().kind(), ErrorKind::StoreReplaced);
        }
        for text in ["", "{}", r#"{"lockd":"other","format":1,"id":"x"}"#, r#"{"lockd":"store","format":1,"id":""}"#] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().kind(), ErrorKind::StoreMissing, "{text}");
        }
        let lsm = Identity::of(Kind::Lsm, &KernelEntropy).encode().unwrap();
        assert!(Identity::parse_as(Kind::Lsm, &lsm).is_ok());
        for (kind, bytes, says) in
            [(Kind::Plain, &lsm, "write lsm://"), (Kind::Lsm, &one.encode().unwrap(), "write disk://")]
        {
            let refused = Identity::parse_as(kind, bytes).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::StoreMissing);
            assert!(refused.message().contains(says), "{refused}");
        }
        let newer = br#"{"lockd":"store","format":2,"id":"x"}"#;
        assert_eq!(parse(newer).unwrap_err().kind(), ErrorKind::TooNew);
    }
}
