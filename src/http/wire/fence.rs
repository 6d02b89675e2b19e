//! The receiver's half of fencing.

use serde::{Deserialize, Serialize};

use super::{key, namespace};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::NUMBER_MAX;
use crate::model::FencingToken;
use crate::service::{Fence, FenceRequest};

/// Asks for an effect to be admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FenceBody {
    /// The namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The resource.
    pub resource: String,
    /// The token that came with the effect.
    pub token: u64,
    /// Also compare with the token of this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The same as the query of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceQuery {
    /// The namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The resource.
    pub resource: String,
    /// The token that came with the effect.
    #[serde(default)]
    pub token: u64,
    /// Also compare with the token of this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl FenceBody {
    /// Of what a client asks for.
    ///
    /// # Errors
    /// `Usage` when key and resource are not in one namespace: the wire has one for both.
    pub fn new(request: &FenceRequest) -> Result<Self> {
        let space = request.resource.namespace();
        if request.key.as_ref().is_some_and(|key| key.namespace() != space) {
            return Err(Error::new(ErrorKind::Usage, "the resource and the key are in different namespaces")
                .with_hint("name both in one namespace"));
        }
        Ok(Self {
            namespace: Some(space.to_string()),
            resource: request.resource.name().to_owned(),
            token: request.token.0,
            key: request.key.as_ref().map(|key| key.name().to_owned()),
        })
    }

    /// What a service is asked for.
    ///
    /// # Errors
    /// `InvalidKey`; `Usage` for a token that is none.
    pub fn request(&self) -> Result<FenceRequest> {
        if self.token > NUMBER_MAX {
            return Err(Error::new(ErrorKind::Usage, "the token is larger than any fencing token"));
        }
        let space = namespace(self.namespace.as_deref())?;
        Ok(FenceRequest {
            resource: key(space.clone(), &self.resource)?,
            token: FencingToken(self.token),
            key: self.key.as_deref().map(|name| key(space, name)).transpose()?,
        })
    }
}

impl From<FenceBody> for FenceQuery {
    fn from(body: FenceBody) -> Self {
        let FenceBody { namespace, resource, token, key } = body;
        Self { namespace, resource, token, key }
    }
}

impl From<FenceQuery> for FenceBody {
    fn from(query: FenceQuery) -> Self {
        let FenceQuery { namespace, resource, token, key } = query;
        Self { namespace, resource, token, key }
    }
}

/// What a token is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceReply {
    /// The highest token admitted to the resource; zero when none was.
    pub mark: FencingToken,
    /// The highest token of the key, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<FencingToken>,
    /// Whether an effect with the token asked about is fenced off.
    pub stale: bool,
}

impl FenceReply {
    /// Of what a service found for a token.
    #[must_use]
    pub fn new(fence: Fence, token: FencingToken) -> Self {
        Self { mark: fence.mark, key: fence.key, stale: fence.is_stale(token) }
    }

    /// What was found.
    #[must_use]
    pub const fn into_fence(self) -> Fence {
        Fence { mark: self.mark, key: self.key }
    }
}
