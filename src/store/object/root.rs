//! Opening a store in a bucket or container.

use std::sync::Arc;

use futures_util::StreamExt;

use super::identity::Known;
use super::names::Names;
use super::refusal::{Access, Asked};
use super::{Clients, Objects};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::TTL_MIN_OBJECTS;
use crate::store::identity::Identity;
use crate::store::open::{OpenOptions, Opened};
use crate::store::{Credential, Facts, Store};

/// Opens the store below a prefix, and makes it where there is none: that is one object.
///
/// # Errors
/// See [`crate::store::open::open`].
pub async fn open(
    (clients, asked): (Clients, Asked),
    prefix: &str,
    url: String,
    options: OpenOptions,
) -> Result<Opened> {
    let about = format!("{} at {}", asked.service.name(), asked.endpoint);
    let credential = match &asked.access {
        Access::Sas(sas) => Credential { ends: sas.expires, lacks: sas.lacks() },
        Access::AccessKey | Access::SharedKey | Access::Identity => Credential::default(),
    };
    let mine = Identity::new(&*options.entropy);
    let now = options.clock.boot();
    let mut objects = Objects {
        clients,
        asked,
        names: Names::below(prefix),
        identity: Known::now(mine.clone(), now),
        clock: Arc::clone(&options.clock),
        entropy: Arc::clone(&options.entropy),
    };
    let (identity, created) = match objects.present().await? {
        Some(identity) => (identity, false),
        None if !options.create => return Err(none_here(&objects)),
        None => made(&objects, mine).await?,
    };
    let facts = Facts {
        url,
        id: identity.id.clone(),
        epoch: identity.epoch,
        stamps: false,
        ttl_min: TTL_MIN_OBJECTS,
        about,
        credential,
    };
    objects.identity = Known::now(identity, now);
    let objects = Arc::new(objects);
    Ok(Opened { store: Store { records: objects.clone(), blobs: objects, facts }, created })
}

async fn made(objects: &Objects, mine: Identity) -> Result<(Identity, bool)> {
    for path in objects.names.contents() {
        if let Some(found) = objects.listed(&path, None).next().await {
            let message = format!("there is no store: it has {}, but store.json is gone", found?);
            return Err(
                Error::new(ErrorKind::StoreMissing, message).with_hint("restore store.json, or use another prefix")
            );
        }
    }
    objects.make(&mine).await?;
    let there = objects.present().await?.ok_or_else(|| {
        Error::new(ErrorKind::Config, format!("{objects}: store.json was written and is not there"))
            .with_hint("the service does not read what was written: it cannot hold locks")
    })?;
    let created = there.id == mine.id;
    Ok((there, created))
}

fn none_here(objects: &Objects) -> Error {
    Error::new(ErrorKind::StoreMissing, format!("there is no store in {objects}"))
        .with_hint("check the prefix; it is made at first use, unless --no-create forbids it")
}
