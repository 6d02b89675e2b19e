//! Ids: opaque text made by a caller or drawn from the kernel's generator.

use std::fmt;
use std::sync::Arc;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::ID_BYTES;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes an id exactly as written: 1 to 128 printable ASCII bytes without blanks.
            ///
            /// # Errors
            /// [`ErrorKind::Usage`] otherwise.
            pub fn new(text: &str) -> Result<Self> {
                check($what, text)?;
                Ok(Self(text.into()))
            }

            /// Draws a new one: 96 random bits as 20 characters, the form that xids have.
            #[must_use]
            pub fn random(entropy: &dyn Entropy) -> Self {
                Self(base32hex(&entropy.bytes()).into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                Self::new(&text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// One lease, made by whoever asks for it, so that a retried acquire finds its own lease.
    LeaseId,
    "lease id"
);
text_id!(
    /// One state-changing request: a retry with the same id gets the same answer.
    RequestId,
    "request id"
);
text_id!(
    /// The transaction of a lease: changes made in it are staged until release.
    TxnId,
    "transaction id"
);

/// One write of a record: 128 bits from the kernel's generator, new for every write, so that every record body is unique
/// and a writer can find out whether its write arrived.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct WriteId([u8; 16]);

impl WriteId {
    /// Draws a new one.
    #[must_use]
    pub fn random(entropy: &dyn Entropy) -> Self {
        Self(entropy.bytes())
    }

    /// An id of the caller's choosing, for tests and models.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn hex(self) -> String {
        self.digits().map(char::from).iter().collect()
    }

    /// The same in ASCII. Every record has 33 of these: worth more than `hex::encode`, which goes character by character.
    pub(super) fn digits(self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        }
        text
    }

    /// Reads what [`WriteId::hex`] made.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digit = |c: u8| match c {
            b'0'..=b'9' => Some(c - b'0'),
            b'a'..=b'f' => Some(c - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; 16];
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
        if pairs.len() != bytes.len() {
            return None;
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }
}

/// Without a string between, since every record has 33 of these.
impl<'de> Deserialize<'de> for WriteId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Hex;
        impl Visitor<'_> for Hex {
            type Value = WriteId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a write id of 32 hexadecimal digits")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<WriteId, E> {
                WriteId::from_hex(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        from.deserialize_str(Hex)
    }
}

impl From<WriteId> for String {
    fn from(id: WriteId) -> Self {
        id.hex()
    }
}

impl fmt::Debug for WriteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

fn check(what: &str, text: &str) -> Result<()> {
    if text.is_empty() || text.len() > ID_BYTES || !text.bytes().all(|b| b.is_ascii_graphic()) {
        let message = format!("the {what} is not 1 to {ID_BYTES} printable ASCII characters");
        return Err(Error::new(ErrorKind::Usage, message).with_hint("pass it as lockd gave it"));
    }
    Ok(())
}

/// Lower-case base32hex (RFC 4648, section 7) without padding: 12 bytes make 20 characters.
fn base32hex(bytes: &[u8; 12]) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    // 96 bits are padded with 4 zero bits at the end to make 20 groups of 5.
    let bits = bytes.iter().fold(0u128, |acc, b| acc << 8 | u128::from(*b)) << 4;
    (0..20).rev().map(|i| char::from(DIGITS[(bits >> (i * 5) & 31) as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_look_like_xids() {
        // The example of the xid format: these 12 bytes are written so.
        let bytes = [0x4d, 0x88, 0xe1, 0x5b, 0x60, 0xf4, 0x86, 0xe4, 0x28, 0x41, 0x2d, 0xc9];
        assert_eq!(base32hex(&bytes), "9m4e2mr0ui3e8a215n4g");
    }

    #[test]
    fn ids_are_checked() {
        for text in ["", "a b", "a\n", "ä", &"x".repeat(ID_BYTES + 1)] {
            assert!(LeaseId::new(text).is_err(), "{text:?}");
        }
        assert_eq!(WriteId::from_hex("00"), None);
        assert_eq!(WriteId::from_hex(&"AB".repeat(16)), None);
        assert_eq!(WriteId::from_hex(&"ab".repeat(16)), Some(WriteId([0xab; 16])));
    }
}
