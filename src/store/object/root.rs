//! Opening a store in a bucket or container.

use std::sync::Arc;

use futures_util::StreamExt;
use object_store::PutPayload;
use object_store::path::Path;

use super::identity::Known;
use super::names::Names;
use super::records::Look;
use super::refusal::{Access, Asked};
use super::{Clients, Objects};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{OBJECT_REQUEST, TTL_MIN_OBJECTS};
use crate::store::identity::{Identity, Kind, replaced};
use crate::store::open::{OpenOptions, Opened};
use crate::store::{Credential, Facts, Precondition, PutError, Store};

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
    let mut objects = unknown((clients, asked), prefix, &options);
    let mine = objects.identity.identity.clone();
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
    objects.identity = Known::now(identity, options.clock.boot());
    let objects = Arc::new(objects);
    Ok(Opened { store: Store { records: objects.clone(), blobs: objects, facts }, created })
}

/// A store below a prefix, under a new identity until its own is known.
fn unknown((clients, asked): (Clients, Asked), prefix: &str, options: &OpenOptions) -> Objects {
    Objects {
        clients,
        asked,
        names: Names::below(prefix),
        identity: Known::now(Identity::of(Kind::Plain, &*options.entropy), options.clock.boot()),
        clock: Arc::clone(&options.clock),
        entropy: Arc::clone(&options.entropy),
    }
}

/// Removes every object below a prefix.
///
/// # Errors
/// See [`crate::store::open::remove_objects`].
pub async fn remove(service: (Clients, Asked), prefix: &str, options: &OpenOptions) -> Result<()> {
    if prefix.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "there is no prefix: the bucket may belong to others too"));
    }
    let objects = unknown(service, prefix, options);
    let mut found = objects.listed(&Path::from(prefix), None);
    while let Some(path) = found.next().await {
        objects.delete_object(&path?).await?;
    }
    Ok(())
}

/// Raises the epoch, by a write that nobody else's comes between.
///
/// # Errors
/// See [`crate::store::open::raise_epoch_of_objects`].
pub async fn raise_epoch(service: (Clients, Asked), prefix: &str, options: &OpenOptions) -> Result<(u32, u32)> {
    let objects = unknown(service, prefix, options);
    let path = objects.names.identity();
    let Look::Value(found) = objects.look(&path, None).await? else { return Err(none_here(&objects)) };
    let old = Identity::parse_as(Kind::Plain, &found.value)?;
    let too_many = || Error::new(ErrorKind::Corrupt, "its epoch cannot be raised any more");
    let new = Identity { epoch: old.epoch.checked_add(1).ok_or_else(too_many)?, ..old.clone() };
    let body = PutPayload::from(new.encode()?);
    match objects.put_object(&path, &body, &Precondition::Matches(found.etag), OBJECT_REQUEST).await {
        Ok(_) => Ok((old.epoch, new.epoch)),
        Err(PutError::Conflict) => Err(replaced("somebody else changed its store.json at the same time")),
        Err(PutError::Unknown(e) | PutError::Failed(e)) => Err(e),
    }
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
