//! The receiver's half of fencing: each resource has a mark that only rises, in a record of its own.

use super::{Engine, refusal, unexpected};
use crate::error::{Error, ErrorKind, Result};
use crate::lease::{Admit, Outcome, Request};
use crate::limits::NUMBER_MAX;
use crate::model::{Key, Namespace};
use crate::service::{Fence, FenceRequest};

impl Engine {
    /// Raises the mark. The key's token is looked at first: it only rises, so what is stale then is stale for ever.
    pub(super) async fn admit(&self, request: FenceRequest) -> Result<Fence> {
        let fence = self.compared(&request).await?;
        if let Some(key) = fence.key.filter(|key| request.token < *key) {
            return Err(refusal::stale(&format!("{key} was given out")).context(&request.resource));
        }
        let admit = Request::Admit(Admit { token: request.token });
        match self.ask(&record_of(&request.resource)?, admit).await?.outcome {
            Outcome::Admitted => Ok(Fence { mark: request.token, ..fence }),
            other => Err(unexpected(&other)),
        }
    }

    /// What a token is compared with.
    pub(super) async fn compared(&self, request: &FenceRequest) -> Result<Fence> {
        if !(1..=NUMBER_MAX).contains(&request.token.0) {
            let message = format!("{} is no fencing token: they are from 1 to {NUMBER_MAX}", request.token);
            return Err(Error::new(ErrorKind::Usage, message).with_hint("pass the token that came with the lease"));
        }
        let key = match &request.key {
            Some(key) => Some(self.shared.read(key).await?.0.token),
            None => None,
        };
        if let (Some(name), Some(highest)) = (&request.key, key)
            && request.token > highest
        {
            let message = format!("{name} never gave out token {}: its highest is {highest}", request.token);
            return Err(Error::new(ErrorKind::Usage, message).with_hint("see where the token comes from"));
        }
        Ok(Fence { mark: self.shared.read(&record_of(&request.resource)?).await?.0.fence, key })
    }
}

/// The record of a resource: in a namespace of lockd's own, so that no key is in its way and no listing shows it.
fn record_of(resource: &Key) -> Result<Key> {
    let namespace = format!("fence:{}", resource.namespace());
    // The same rules as for others, so that the record can be named again by who lists the store.
    Namespace::new(&namespace).map_err(|e| e.context("the namespace is too long for resources"))?;
    Key::new(Namespace::reserved(&namespace), resource.name())
}
