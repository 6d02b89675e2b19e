//! Acquire, read, update, release: the work under which things fail, with every answer noted in a journal.

use std::collections::BTreeMap;

use lockd::error::{Error, ErrorKind, Result};
use lockd::limits::takeover_age;
use lockd::service::{Expected, Grant, LeaseService, Proof, Released, Wait};
use serde::{Deserialize, Serialize};

use super::clock::JumpClock;
use super::journal::{Fact, Final, Journal};
use super::rng::Rng;
use crate::support::world::{TTL, all, ask, body, change, key, proof};

/// The state that is counted up.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Count {
    pub n: u64,
    pub by: String,
    pub pad: String,
}

/// A worker on an engine.
pub struct Worker<'a> {
    pub engine: &'a dyn LeaseService,
    pub journal: &'a Journal,
    pub name: &'a str,
    /// The TTL that it asks for.
    pub ttl: std::time::Duration,
}

impl Worker<'_> {
    /// One cycle on a key. False when another holds it.
    pub async fn cycle(&self, on: &str, rng: &mut Rng) -> Result<bool> {
        self.cycle_with(on, rng, true).await
    }

    /// The same; with `abandon` every tenth lease is left to run out.
    pub async fn cycle_with(&self, on: &str, rng: &mut Rng, abandon: bool) -> Result<bool> {
        let grant = match self.acquire(on).await {
            Ok(grant) => grant,
            Err(e) if e.kind() == ErrorKind::Busy => return Ok(false),
            Err(e) => return Err(e),
        };
        let by = proof(&grant);
        for _ in 0..=rng.below(2) {
            self.count_up(on, &by, rng).await?;
        }
        if rng.chance(30) {
            self.engine.keepalive(&key(on), &by, grant.ttl).await?;
        }
        if !abandon || rng.chance(90) {
            self.release(on, &by).await?;
        }
        Ok(true)
    }

    pub async fn acquire(&self, on: &str) -> Result<Grant> {
        let mut request = ask(on, Wait::No);
        request.ttl = lockd::model::Ttl::new(self.ttl).unwrap();
        let grant = self.engine.acquire(request).await?;
        self.journal.note(Fact::Granted { key: on.into(), token: grant.token.0, by: self.name.into() });
        Ok(grant)
    }

    pub async fn count_up(&self, on: &str, by: &Proof, rng: &mut Rng) -> Result<()> {
        // Every third state is too large to ride inside the record.
        let pad = if rng.chance(30) { 20_000 + rng.below(20_000) } else { rng.below(200) };
        self.count_up_padded(on, by, pad).await
    }

    pub async fn count_up_padded(&self, on: &str, by: &Proof, pad: usize) -> Result<()> {
        let n = self.read(on, Some(by)).await?.map_or(0, |(_, n)| n) + 1;
        let count = Count { n, by: self.name.into(), pad: "x".repeat(pad) };
        self.journal.note(Fact::Tried { key: on.into(), token: by.token.0, n });
        let sent = serde_json::to_vec(&count).unwrap();
        let changed = self.engine.update(change(on, by.clone()), Expected::default(), body(sent)).await?;
        self.journal.note(Fact::Updated { key: on.into(), token: by.token.0, version: changed.version.0, n });
        Ok(())
    }

    pub async fn release(&self, on: &str, by: &Proof) -> Result<()> {
        match self.engine.release(&key(on), &by.lease_id, Some(by), false).await? {
            Released::Released { .. } => {
                self.journal.note(Fact::Released { key: on.into(), token: by.token.0 });
                Ok(())
            }
            other => Err(Error::new(ErrorKind::Internal, format!("released what it held: {other:?}"))),
        }
    }

    /// Version and count.
    pub async fn read(&self, on: &str, by: Option<&Proof>) -> Result<Option<(u64, u64)>> {
        let Some(state) = self.engine.get(&key(on), by).await? else { return Ok(None) };
        let version = state.version.0;
        let bytes = all(state).await?;
        let count: Count = serde_json::from_slice(&bytes).map_err(|e| {
            Error::new(ErrorKind::Corrupt, format!("{on} reads {:?}: {e}", &bytes[..bytes.len().min(80)]))
        })?;
        self.journal.note(Fact::Seen { key: on.into(), version, n: count.n });
        Ok(Some((version, count.n)))
    }

    /// What the store says of some keys.
    pub async fn finals<'k>(&self, keys: impl IntoIterator<Item = &'k str>) -> Result<BTreeMap<String, Final>> {
        let mut finals = BTreeMap::new();
        for on in keys {
            let token = self.engine.describe(&key(on)).await?.token.0;
            let (version, n) = self.read(on, None).await?.unwrap_or_default();
            finals.insert(on.to_owned(), Final { token, version, n });
        }
        Ok(finals)
    }

    /// Takes a key over from holders that are gone, by letting their TTL pass on the clock, and works with it once.
    pub async fn take_over(&self, on: &str, clock: &JumpClock, rng: &mut Rng) -> Result<()> {
        let grant = match self.acquire(on).await {
            Err(e) if e.kind() == ErrorKind::Busy => {
                clock.advance(takeover_age(self.ttl.max(TTL)));
                self.acquire(on).await?
            }
            other => other?,
        };
        let by = proof(&grant);
        self.count_up(on, &by, rng).await?;
        self.release(on, &by).await
    }
}
