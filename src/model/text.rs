//! Texts for people: who holds a lease, and why.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{OWNER_BYTES, REASON_BYTES};

macro_rules! bounded_text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes any text without NUL up to the limit. It is data: whoever prints it escapes it.
            ///
            /// # Errors
            /// [`ErrorKind::Usage`] when it is empty, too long or holds a NUL.
            pub fn new(text: &str) -> Result<Self> {
                if text.is_empty() || text.len() > $max || text.contains('\0') {
                    let message = format!("the {} has {} bytes", $what, text.len());
                    return Err(Error::new(ErrorKind::Usage, message).with_hint(format!("1 to {} bytes without NUL are allowed", $max)));
                }
                Ok(Self(text.into()))
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
                write!(f, "{:?}", self.0)
            }
        }
    };
}

bounded_text!(
    /// Who holds a lease, for people: at most 256 bytes.
    Owner,
    "owner",
    OWNER_BYTES
);
bounded_text!(
    /// Why a lease is held or was broken, for people: at most 1,024 bytes.
    Reason,
    "reason",
    REASON_BYTES
);
