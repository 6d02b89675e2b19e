//! The state of a key in the hands of the holder of its lease.

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Lease;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::CHANGE_REPEATS;
use crate::model::{Key, RequestId};
use crate::service::{ChangeRequest, Changed, Expected, Guards, Released, State};

impl Lease {
    /// The state as a stream, with its version, ETag and length; `None` when there is none.
    ///
    /// # Errors
    /// That it is not ours any more, or could not be read. An error inside the stream means that the state is not whole.
    pub async fn get(&self) -> Result<Option<State>> {
        self.client.service.get(&self.key, Some(&self.proof())).await
    }

    /// The state, whole: at most 100 MiB.
    ///
    /// # Errors
    /// As [`Lease::get`].
    pub async fn get_bytes(&self) -> Result<Option<Bytes>> {
        let Some(state) = self.get().await? else { return Ok(None) };
        whole(state).await.map(Some)
    }

    /// The state, read as a `T`.
    ///
    /// # Errors
    /// As [`Lease::get`]; `InvalidState` when it is no `T`.
    pub async fn load<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        let Some(bytes) = self.get_bytes().await? else { return Ok(None) };
        read_as(&self.key, &bytes).map(Some)
    }
}

impl<S> Lease<S> {
    /// Replaces the state by one JSON value that comes as a stream, at constant memory. It is committed when this returns. A
    /// stream can be sent only once: after `OutcomeUnknown` see what is there before sending another one.
    ///
    /// # Errors
    /// `InvalidState`, `TooLarge`; that the lease is not ours any more; `OutcomeUnknown` when it may have been applied.
    pub async fn update(&mut self, body: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Result<Changed> {
        let request = self.change();
        let changed = self.client.service.update(request, Expected::default(), body.boxed()).await;
        self.noted(changed)
    }

    /// The same with bytes. While nobody can say what became of it, it is sent again with the same ids, some times.
    ///
    /// # Errors
    /// As [`Lease::update`].
    pub async fn update_bytes(&mut self, bytes: impl Into<Bytes>) -> Result<Changed> {
        let (request, bytes) = (self.change(), bytes.into());
        let mut tried = 1;
        loop {
            let whole = bytes.clone();
            let body = stream::once(async { Ok(whole) }).boxed();
            match self.client.service.update(request.clone(), Expected::default(), body).await {
                Err(e) if is_in_doubt(&e) && tried < CHANGE_REPEATS => tried += 1,
                changed => return self.noted(changed),
            }
        }
    }

    /// The same with a value that is written as JSON.
    ///
    /// # Errors
    /// As [`Lease::update`]; `InvalidState` when it cannot be written.
    pub async fn save<T: Serialize>(&mut self, value: &T) -> Result<Changed> {
        let bytes = serde_json::to_vec(value).map_err(|e| {
            Error::new(ErrorKind::InvalidState, format!("the new state of {} is not JSON: {e}", self.key))
                .with_hint("the keys of maps must be strings")
        })?;
        self.update_bytes(bytes).await
    }

    /// Removes the state. Version and token live on.
    ///
    /// # Errors
    /// As [`Lease::update`].
    pub async fn remove(&mut self) -> Result<Changed> {
        let request = self.change();
        let mut tried = 1;
        loop {
            match self.client.service.remove(request.clone()).await {
                Err(e) if is_in_doubt(&e) && tried < CHANGE_REPEATS => tried += 1,
                changed => return self.noted(changed),
            }
        }
    }

    /// Gives the lease back where that can be, and says nothing of it. Where it cannot, it runs out by itself.
    pub async fn close(self) {
        let _runs_out_by_itself = self.release().await;
    }

    fn change(&self) -> ChangeRequest {
        let request_id = RequestId::random(&*self.client.entropy);
        let (key, proof) = (self.key.clone(), self.proof());
        ChangeRequest { key, proof, request_id, guards: Guards::default(), edits: None }
    }

    /// The fields follow what was changed.
    fn noted(&mut self, changed: Result<Changed>) -> Result<Changed> {
        let changed = changed?;
        (self.version, self.etag) = (changed.version, changed.etag.clone());
        Ok(changed)
    }
}

/// A state, whole.
pub(super) async fn whole(mut state: State) -> Result<Bytes> {
    let mut all = BytesMut::with_capacity(usize::try_from(state.len).unwrap_or(0));
    while let Some(chunk) = state.body.next().await {
        all.extend_from_slice(&chunk?);
    }
    Ok(all.freeze())
}

/// A state, read as a `T`.
pub(super) fn read_as<T: DeserializeOwned>(key: &Key, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| {
        Error::new(ErrorKind::InvalidState, format!("the state of {key} has another form: {e}"))
            .with_hint(format!("see what it is with get_bytes or `lockd get {key}`"))
    })
}

/// The same change may be sent again while its outcome is unknown: by its request id it is applied once.
fn is_in_doubt(e: &Error) -> bool {
    e.kind() == ErrorKind::OutcomeUnknown
}

/// [`Lease::get`] as a function.
///
/// # Errors
/// As the method.
pub async fn get(lease: &Lease) -> Result<Option<State>> {
    lease.get().await
}

/// [`Lease::update`] as a function.
///
/// # Errors
/// As the method.
pub async fn update<S>(
    lease: &mut Lease<S>,
    body: impl Stream<Item = Result<Bytes>> + Send + 'static,
) -> Result<Changed> {
    lease.update(body).await
}

/// [`Lease::release`] as a function.
///
/// # Errors
/// As the method.
pub async fn release<S>(lease: Lease<S>) -> Result<Released> {
    lease.release().await
}
