//! Fencing at the receiver of effects.

use crate::model::{FencingToken, Key};

/// Asks whether an effect is fenced off: the receiver's half of fencing.
#[derive(Clone, Debug)]
pub struct FenceRequest {
    /// The resource; its names are apart from those of keys.
    pub resource: Key,
    /// The token that came with the effect.
    pub token: FencingToken,
    /// Also compare with the token of this key.
    pub key: Option<Key>,
}

/// What a token is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    /// The highest token admitted to the resource; zero when none was.
    pub mark: FencingToken,
    /// The highest token of the key, where one was named.
    pub key: Option<FencingToken>,
}

impl Fence {
    /// Whether an effect with this token is fenced off.
    #[must_use]
    pub fn is_stale(&self, token: FencingToken) -> bool {
        token < self.mark || self.key.is_some_and(|key| token < key)
    }
}
