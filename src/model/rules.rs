//! What is true of every record: the rules that can be seen in one record alone.
//!
//! A record that breaks one was not made by these rules: it is refused as corrupt when read, never guessed, and never
//! written, because nobody could read it again. What a single step may change is in [`crate::lease::invariants`].

use std::fmt;

use super::{BlobId, Body, FencingToken, How, Lease, Record, StateRef, Versioned};
use crate::limits::{DONE_REQUESTS, ENDED_LEASES, NUMBER_MAX, RECENT_WRITES};

/// A rule that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Broken(pub &'static str);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Broken {}

impl Broken {
    /// Shorthand: the rule named by `rule` is broken unless `holds`.
    pub(crate) fn unless(holds: bool, rule: &'static str) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self(rule)) }
    }
}

use Broken as B;

/// Checks every rule that one record alone can keep or break.
///
/// # Errors
/// The first rule that is broken.
pub fn check(record: &Record) -> Result<(), Broken> {
    numbers(record)?;
    present_lease(record)?;
    versions(record)?;
    states(record)?;
    blobs(record)?;
    recent(record)?;
    done(record)?;
    ended(record)
}

/// Numbers stay within [`NUMBER_MAX`]; a token is never below its epoch; only a record that was never written has no id.
fn numbers(r: &Record) -> Result<(), B> {
    let largest = r.token.0.max(r.fence.0).max(r.beat).max(r.revision).max(r.last_version.0);
    B::unless(largest <= NUMBER_MAX, "a number is too large")?;
    B::unless(r.token >= FencingToken::floor(r.epoch), "the token is below its epoch")?;
    B::unless(r.last_success.is_none() || r.token.0 > 0, "a run succeeded before the first grant")?;
    B::unless((r.revision == 0) == r.write_id.is_none(), "a written record has a revision and a write id")
}

/// The present lease has the highest token, which only a grant gives out, with a beat. What is staged belongs to it. A key is
/// kept for a waiter only while it is free.
fn present_lease(r: &Record) -> Result<(), B> {
    B::unless((r.token == FencingToken(0)) == (r.beat == 0), "token and beat begin with the first grant")?;
    let Some(lease) = &r.lease else { return B::unless(r.staged.is_none(), "something is staged without a lease") };
    B::unless(lease.token == r.token && lease.token.0 > 0, "the lease's token is not the highest")?;
    B::unless(r.reserved.is_none(), "the key is held and reserved")
}

/// committed < staged <= last version. The first change needs a lease, so a token.
fn versions(r: &Record) -> Result<(), B> {
    B::unless(r.committed.version <= r.last_version, "the committed version was never given out")?;
    B::unless(r.last_version.0 == 0 || r.token.0 > 0, "a state was changed before the first grant")?;
    B::unless(r.committed.version.0 > 0 || r.committed.state.is_none(), "there is a state without a version")?;
    let Some(staged) = &r.staged else { return Ok(()) };
    B::unless(staged.version <= r.last_version, "the staged version was never given out")?;
    B::unless(staged.version > r.committed.version, "the staged change is not newer than the committed one")
}

/// A state's ETag is a SHA-256, and an inline state is as long as it says.
fn states(r: &Record) -> Result<(), B> {
    let all = [Some(&r.committed), r.staged.as_ref()].into_iter().flatten();
    for state in all.filter_map(|versioned| versioned.state.as_ref()) {
        B::unless(is_sha256(state), "an ETag is not a SHA-256")?;
        if let Body::Inline(bytes) = &state.body {
            B::unless(bytes.len() as u64 == state.len, "an inline state has another length")?;
        }
    }
    Ok(())
}

fn is_sha256(state: &StateRef) -> bool {
    let text = state.etag.as_str();
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The token is the fence of blobs: a blob belongs to this key, was written under a token that had been given out, a staged
/// one under the present lease's, and is named once, so that it is replaced and deleted once.
fn blobs(r: &Record) -> Result<(), B> {
    let named: Vec<&BlobId> = r.blobs().collect();
    if named.is_empty() {
        return Ok(());
    }
    let key = r.key.hash();
    B::unless(named.iter().all(|blob| blob.key() == key), "a blob belongs to another key")?;
    B::unless(
        named.iter().all(|blob| (1..=r.token.0).contains(&blob.token().0)),
        "a blob's token was never given out",
    )?;
    B::unless(unique(&named), "a blob is named twice")?;
    let staged = r.staged.as_ref().and_then(Versioned::blob);
    let own = |blob: &BlobId| r.lease.as_ref().is_some_and(|lease| lease.token == blob.token());
    B::unless(staged.is_none_or(own), "the staged blob is not the present lease's")
}

/// The memory of writes is bounded, has no gap up to the head, and never the same id twice.
fn recent(r: &Record) -> Result<(), B> {
    B::unless(r.recent.len() <= RECENT_WRITES, "too many writes are remembered")?;
    let newest_first = r.recent.iter().rev().map(|(_, revision)| *revision);
    let mut gapless =
        newest_first.scan(r.revision, |after, revision| Some(std::mem::replace(after, revision) == next(revision)));
    B::unless(gapless.all(|one| one), "the remembered writes have a gap")?;
    B::unless(r.recent.front().is_none_or(|(_, oldest)| *oldest > 0), "a remembered write has no revision")?;
    let ids: Vec<_> = r.recent.iter().map(|(id, _)| *id).chain(r.write_id).collect();
    B::unless(unique(&ids), "a write id is there twice")
}

fn next(revision: u64) -> u64 {
    revision.saturating_add(1)
}

/// The memory of changes is bounded, names each request once, and each made a newer version than the one before, under a
/// token that is not below it.
fn done(r: &Record) -> Result<(), B> {
    B::unless(r.done.len() <= DONE_REQUESTS, "too many requests are remembered")?;
    B::unless(unique(&r.done.iter().map(|done| &done.id).collect::<Vec<_>>()), "a request is remembered twice")?;
    B::unless(r.done.iter().map(|done| done.version).is_sorted_by(|a, b| a < b), "remembered versions do not rise")?;
    B::unless(r.done.iter().map(|done| done.token).is_sorted(), "tokens of remembered requests fall")?;
    B::unless(
        r.done.iter().all(|done| (1..=r.token.0).contains(&done.token.0)),
        "a remembered token was never given out",
    )?;
    let given_out = |version: u64| (1..=r.last_version.0).contains(&version);
    B::unless(r.done.iter().all(|done| given_out(done.version.0)), "a remembered version was never given out")
}

/// The memory of ended leases is bounded and names each lease once, never the present one; tokens rise from one to the next
/// and on to the present lease, and past a broken one; committed versions never fall; a commit discards nothing.
fn ended(r: &Record) -> Result<(), B> {
    B::unless(r.ended.len() <= ENDED_LEASES, "too many ended leases are remembered")?;
    B::unless(unique(&r.ended.iter().map(|ended| &ended.id).collect::<Vec<_>>()), "a lease ended twice")?;
    let present = |lease: &Lease| r.ended.iter().any(|ended| ended.id == lease.id);
    B::unless(!r.lease.as_ref().is_some_and(present), "the present lease has ended")?;
    B::unless(
        r.ended.iter().map(|ended| ended.token).is_sorted_by(|a, b| a < b),
        "tokens of ended leases do not rise",
    )?;
    B::unless(r.ended.front().is_none_or(|ended| ended.token.0 > 0), "an ended lease has no token")?;
    if let Some(last) = r.ended.back() {
        let passed = r.lease.is_some() || last.how == How::Broken;
        let fits = if passed { last.token < r.token } else { last.token == r.token };
        B::unless(fits, "the last ended lease does not fit the token")?;
        B::unless(last.version <= r.committed.version, "a lease ended at a later version")?;
    }
    B::unless(r.ended.iter().map(|ended| ended.version).is_sorted(), "committed versions of ended leases fall")?;
    let lost_commit = r.ended.iter().any(|ended| ended.discarded && ended.how == How::Released);
    B::unless(!lost_commit, "a release committed and discarded")
}

fn unique<T: PartialEq>(all: &[T]) -> bool {
    all.iter().enumerate().all(|(i, one)| !all[..i].contains(one))
}
