//! Numbers with a meaning: tokens, versions, times to live.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{NUMBER_MAX, TTL_DEFAULT, TTL_MAX, TTL_MIN};

/// A fencing token: per key, higher with every grant and break, for ever. Zero is no token. It fits a signed 64-bit integer,
/// because that is what other languages read it into.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FencingToken(pub u64);

impl FencingToken {
    /// Whether it is no token.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.0 == 0
    }

    /// The lowest token of an epoch.
    #[must_use]
    pub fn floor(epoch: u32) -> Self {
        Self(u64::from(epoch) << 32)
    }

    /// The token of the next grant or break: max(last + 1, epoch << 32); `None` when that would pass [`NUMBER_MAX`].
    #[must_use]
    pub fn next(self, epoch: u32) -> Option<Self> {
        let next = self.0.checked_add(1)?.max(Self::floor(epoch).0);
        (next <= NUMBER_MAX).then_some(Self(next))
    }
}

/// The version of a key's state; zero is "never had one".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl Version {
    /// The version of the next change; `None` when that would pass [`NUMBER_MAX`].
    #[must_use]
    pub fn next(self) -> Option<Self> {
        let next = self.0.checked_add(1)?;
        (next <= NUMBER_MAX).then_some(Self(next))
    }
}

/// A lease's time to live, in whole milliseconds: 2 s to 24 h.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Ttl(u64);

impl Ttl {
    /// A TTL of `d`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when it is shorter than 2 s or longer than 24 h.
    pub fn new(d: Duration) -> Result<Self> {
        if !(TTL_MIN..=TTL_MAX).contains(&d) {
            let message = format!("a TTL of {}s is out of bounds", d.as_secs_f64());
            return Err(Error::new(ErrorKind::Usage, message)
                .with_hint("it may be from 2s to 24h; longer work renews it by itself"));
        }
        Ok(Self(u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
    }

    /// As a duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// Whole milliseconds.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }
}

impl Default for Ttl {
    fn default() -> Self {
        Self(TTL_DEFAULT.as_secs() * 1_000)
    }
}

impl TryFrom<u64> for Ttl {
    type Error = Error;
    fn try_from(millis: u64) -> Result<Self> {
        Self::new(Duration::from_millis(millis))
    }
}

impl From<Ttl> for u64 {
    fn from(ttl: Ttl) -> Self {
        ttl.0
    }
}

macro_rules! show_number {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
show_number!(FencingToken Version);

impl fmt::Debug for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.duration().fmt(f)
    }
}
