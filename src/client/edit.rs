//! Editing a state: read, edit, compare and swap, until nobody was faster.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};

use crate::error::{Error, ErrorKind, Result};
use crate::json::edit::{Edit, apply};
use crate::limits::{EDIT_REPEATS, EDIT_TRIES};
use crate::model::{Key, StateEtag, Version};
use crate::service::{ChangeRequest, Changed, Expected, LeaseService};

/// What is there.
struct Present {
    version: Version,
    etag: Option<StateEtag>,
    bytes: Option<Vec<u8>>,
}

/// Applies edits to a state, all or none, under the lease of `request`. `now` is what `NOW` stands for. A change by others in
/// between is met by reading again, unless the caller's own guards say otherwise. What changes nothing writes nothing. A request that
/// names its edits ([`ChangeRequest::edits`]) is applied once, however often it comes. State and outcome are held in memory, so that
/// a state of more than `most` bytes is refused.
///
/// # Errors
/// `TooLarge`; `RequestIdReused` when its id stood for something else; `InvalidState` when the edits do not fit what is there; those
/// of [`LeaseService::update`]. After `OutcomeUnknown` it was tried again with the same ids, and nobody can say whether the edits
/// were applied.
pub async fn edit(
    service: &dyn LeaseService,
    request: ChangeRequest,
    edits: &[Edit],
    now: &str,
    most: u64,
) -> Result<Changed> {
    if let Some(answer) = service.edited_before(&request).await? {
        return Ok(answer);
    }
    let own_guards = request.guards.version.is_some() || request.guards.etag.is_some();
    for _ in 0..EDIT_TRIES {
        let present = present(service, &request, most).await?;
        guarded(&request, &present)?;
        let new = apply(present.bytes.as_deref(), edits, now)
            .map_err(|e| e.context(format!("the state of {} at version {}", request.key, present.version)))?;
        let Some(new) = new.filter(|new| Some(new) != present.bytes.as_ref()) else {
            let bytes = present.bytes.map_or(0, |bytes| bytes.len() as u64);
            return Ok(Changed { version: present.version, etag: present.etag, bytes, changed: false });
        };
        let mut attempt = request.clone();
        attempt.guards.version = Some(present.version);
        let new = Bytes::from(new);
        let send = || {
            let body = new.clone();
            service.update(attempt.clone(), Expected::default(), stream::once(async { Ok(body) }).boxed())
        };
        match insisted(&request.key, send).await {
            // What met a conflict was certainly not applied, so the next try is the same request still.
            Err(e) if e.kind() == ErrorKind::VersionConflict && !own_guards => {}
            answer => return answer,
        }
    }
    Err(Error::new(
        ErrorKind::Unavailable,
        format!("the state of {} changed each time before it was edited", request.key),
    )
    .with_hint("it was not edited; try again later"))
}

/// The state and its version. That there is none has a version, too.
async fn present(service: &dyn LeaseService, request: &ChangeRequest, most: u64) -> Result<Present> {
    for _ in 0..EDIT_TRIES {
        if let Some(mut state) = service.get(&request.key, Some(&request.proof)).await? {
            if state.len > most {
                return Err(too_large(request, state.len, most));
            }
            let mut bytes = Vec::with_capacity(usize::try_from(state.len).unwrap_or(0));
            while let Some(chunk) = state.body.next().await {
                bytes.extend_from_slice(&chunk?);
            }
            return Ok(Present { version: state.version, etag: Some(state.etag), bytes: Some(bytes) });
        }
        let known = service.describe(&request.key).await?;
        if known.etag.is_none() {
            return Ok(Present { version: known.version, etag: None, bytes: None });
        }
    }
    Err(Error::new(ErrorKind::Unavailable, format!("the state of {} comes and goes", request.key))
        .with_hint("try again"))
}

fn too_large(request: &ChangeRequest, len: u64, most: u64) -> Error {
    let message = format!("the state of {} has {len} bytes; this edits at most {most}", request.key);
    Error::new(ErrorKind::TooLarge, message).with_hint("read it, edit that and update it whole, as `lockd edit` does")
}

/// The caller's guards, for edits that change nothing and so are never sent.
fn guarded(request: &ChangeRequest, present: &Present) -> Result<()> {
    let guards = &request.guards;
    let (kind, holds) = match (guards.version, &guards.etag) {
        (Some(version), _) if version != present.version => (ErrorKind::VersionConflict, false),
        (_, Some(etag)) if Some(etag) != present.etag.as_ref() => (ErrorKind::EtagMismatch, false),
        _ => (ErrorKind::VersionConflict, true),
    };
    if holds {
        return Ok(());
    }
    let message = format!("the state of {} is not the expected one: it is at version {}", request.key, present.version);
    let details = crate::error::Details {
        current_version: Some(present.version),
        current_etag: present.etag.as_ref().map(ToString::to_string),
        busy: None,
    };
    Err(Error::new(kind, message)
        .with_hint("read it again and repeat the change on what is there")
        .with_details(details))
}

/// Sends the same request again while nobody can say what became of it: it is applied once. A refusal speaks for its own try only,
/// never for an earlier one that is in doubt.
async fn insisted<F>(key: &Key, mut send: impl FnMut() -> F) -> Result<Changed>
where
    F: Future<Output = Result<Changed>>,
{
    let mut doubt = None;
    for _ in 0..EDIT_REPEATS {
        match send().await {
            Err(e) if doubt.is_none() && e.kind() == ErrorKind::OutcomeUnknown => doubt = Some(e),
            Err(_) if doubt.is_some() => {}
            answer => return answer,
        }
    }
    let message = doubt.map_or_else(String::new, |e| e.message().to_owned());
    Err(Error::new(ErrorKind::OutcomeUnknown, message)
        .with_hint(format!("see what `lockd get {key}` says before you repeat it: a sum would be added twice")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Namespace;

    /// What is told of a change whose tries had these answers.
    async fn told(answers: &[std::result::Result<(), ErrorKind>]) -> std::result::Result<Version, ErrorKind> {
        let key = Key::new(Namespace::default(), "k").unwrap();
        let mut answers = answers.iter().copied();
        let send = || {
            let answer = answers.next().expect("one try more than there are answers");
            let changed = Changed { version: Version(2), etag: None, bytes: 1, changed: true };
            std::future::ready(answer.map(|()| changed).map_err(|kind| Error::new(kind, "as told")))
        };
        insisted(&key, send).await.map(|changed| changed.version).map_err(|e| e.kind())
    }

    #[tokio::test]
    async fn a_refusal_of_a_later_try_says_nothing_of_one_in_doubt() {
        use ErrorKind::{LeaseExpired, OutcomeUnknown, Unavailable, VersionConflict};
        for refusal in [Unavailable, VersionConflict, LeaseExpired] {
            assert_eq!(told(&[Err(refusal)]).await, Err(refusal), "nothing was in doubt");
            let tries = [Err(OutcomeUnknown), Err(refusal), Err(refusal)];
            assert_eq!(told(&tries).await, Err(OutcomeUnknown), "the first try may have been applied");
            assert_eq!(told(&[Err(OutcomeUnknown), Err(refusal), Ok(())]).await, Ok(Version(2)));
        }
        assert_eq!(told(&[Err(OutcomeUnknown); EDIT_REPEATS as usize]).await, Err(OutcomeUnknown));
    }
}
