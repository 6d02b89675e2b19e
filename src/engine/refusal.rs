//! Refusals of the machine, in words: what happened, to what, and what to do next.

use std::time::Duration;

use crate::clock::UnixMillis;
use crate::error::{Details, Error, ErrorKind as K};
use crate::lease::Refusal;
use crate::limits::takeover_age;
use crate::model::{Ended, How, Key, Lease, StateEtag, Version};
use crate::service::Busy;

/// Who holds it, for messages.
pub(super) fn busy(lease: &Lease, age: Duration) -> Busy {
    Busy {
        lease_id: lease.id.clone(),
        token: lease.token,
        owner: lease.owner.clone(),
        reason: lease.reason.clone(),
        holder: lease.holder.clone(),
        since: lease.since,
        ttl: lease.ttl,
        frees_in: takeover_age(lease.ttl.duration()).saturating_sub(age),
        place: None,
    }
}

pub(super) fn to_error(key: &Key, refusal: Refusal, age: Duration, now: UnixMillis) -> Error {
    match refusal {
        Refusal::Busy(lease) => held(key, &lease, age, now),
        Refusal::Reserved(_) => Error::new(K::Busy, format!("{key} is kept for another waiter for a moment"))
            .with_hint("wait for it, or try again"),
        Refusal::AlreadyExists => Error::new(K::AlreadyExists, format!("{key} has been used before"))
            .with_hint("leave out if-not-exists to take it all the same"),
        Refusal::LeaseEnded(how) => Error::new(K::LeaseEnded, format!("this lease of {key} is over: {}", past(how)))
            .with_hint("acquire again with a new lease id"),
        Refusal::LeaseRequired => Error::new(K::LeaseRequired, format!("{key} is not held by this lease"))
            .with_hint("it was lost or never granted; acquire the key again"),
        Refusal::LeaseExpired => {
            Error::new(K::LeaseExpired, format!("the lease of {key} was not renewed in time and is over"))
                .with_hint("acquire the key again")
        }
        // Another's key: the code that clients of the Go service take for that, and repeat their handshake on.
        Refusal::LeasePassedOn => {
            let message = format!("the lease of {key} was not renewed in time, and the key is held by another one");
            Error::new(K::LeaseRequired, message).with_hint("acquire the key again")
        }
        Refusal::LeaseReleased => Error::new(K::LeaseRequired, format!("the lease of {key} was given back before"))
            .with_hint("acquire the key again"),
        Refusal::LeaseBroken => Error::new(K::LeaseBroken, format!("the lease of {key} was broken by an operator"))
            .with_hint(format!("`lockd status {key}` tells more")),
        Refusal::FencingMismatch(token) => Error::new(
            K::FencingMismatch,
            format!("the fencing token shown for {key} is not the lease's, which is {token}"),
        )
        .with_hint("pass the token that came with this lease id"),
        Refusal::MissingTxn => {
            Error::new(K::MissingTxn, format!("{key} has a staged change and no transaction was named"))
                .with_hint("pass the lease's transaction id, or roll back")
        }
        Refusal::TxnMismatch => {
            Error::new(K::TxnMismatch, format!("the transaction is not that of the lease of {key}"))
                .with_hint("pass the transaction id that came with the lease")
        }
        Refusal::VersionConflict(version, etag) => conflict(K::VersionConflict, key, version, etag),
        Refusal::EtagMismatch(version, etag) => conflict(K::EtagMismatch, key, version, etag),
        Refusal::RequestIdReused => {
            Error::new(K::RequestIdReused, format!("this request id changed {key} before, to something else"))
                .with_hint("use a new request id for a new change")
        }
        Refusal::StagedDiscarded(how) => {
            let message = format!("the staged change of {key} was dropped before its release came: {}", past(how));
            Error::new(K::StagedDiscarded, message).with_hint("acquire the key again and repeat the change")
        }
        Refusal::ForeignBlob => {
            Error::new(K::LeaseRequired, format!("the state of {key} was sent under another lease"))
                .with_hint("acquire the key again and repeat the change")
        }
        Refusal::Exhausted => Error::new(K::Internal, format!("{key} has used up its tokens, versions or beats"))
            .with_hint("no key lives that long by use; its record is damaged: restore it from a backup"),
        Refusal::Stale(mark) => stale(&format!("{mark} was admitted to {key}")),
        Refusal::NotExpired => {
            Error::new(K::Busy, format!("the lease of {key} is not old enough to be called expired"))
        }
    }
}

/// An effect that is fenced off; `by` says by what.
pub(super) fn stale(by: &str) -> Error {
    Error::new(K::StaleToken, format!("the token is stale: {by} before"))
        .with_hint("its lease was lost to another; the effect must not happen")
}

/// Who broke a lease, and why: the old holder's error says it.
pub(super) fn broken(key: &Key, ended: &Ended) -> Error {
    let said = |text: &str| -> String {
        text.chars().flat_map(|c| if plain(c) { vec![c] } else { c.escape_unicode().collect() }).collect()
    };
    let by = ended.by.as_ref().map_or_else(|| "an operator".to_owned(), |by| said(by.as_str()));
    let why = ended.reason.as_ref().map_or_else(String::new, |reason| format!(": {}", said(reason.as_str())));
    Error::new(K::LeaseBroken, format!("the lease of {key} was broken by {by}{why}"))
        .with_hint(format!("`lockd status {key}` tells more"))
}

/// Whether a character of somebody's text may stand in a message as it is: nothing that moves the cursor or turns the text.
fn plain(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

fn held(key: &Key, lease: &Lease, age: Duration, now: UnixMillis) -> Error {
    let held_for = Duration::from_secs(now.0.saturating_sub(lease.since.0) / 1_000);
    let owner = lease.owner.as_str().escape_debug();
    let message = format!("{key} is held by {owner} for {held_for:?}");
    let details = Details { busy: Some(Box::new(busy(lease, age))), ..Details::default() };
    Error::new(K::Busy, message).with_hint(format!("`lockd status {key}` tells more")).with_details(details)
}

fn conflict(kind: K, key: &Key, version: Version, etag: Option<StateEtag>) -> Error {
    let message = format!("the state of {key} is not the expected one: it is at version {version}");
    let details =
        Details { current_version: Some(version), current_etag: etag.map(|etag| etag.to_string()), busy: None };
    Error::new(kind, message).with_hint("read it again and repeat the change on what is there").with_details(details)
}

const fn past(how: How) -> &'static str {
    match how {
        How::Released => "it was given back",
        How::RolledBack => "it was given back and rolled back",
        How::Expired => "it was not renewed in time",
        How::TakenOver => "it was not renewed in time and another took the key",
        How::Broken => "an operator broke it",
    }
}
