//! Processes with an engine on top: leases and states, checked by what callers are told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use lockd::engine::{Engine, Options};
use lockd::error::{Error, ErrorKind as K};
use lockd::limits::{INLINE_BYTES, TTL_MIN, holder_belief, takeover_age};
use lockd::model::{Holder, Key, LeaseId, Owner, RequestId, StateEtag, Ttl, TxnId};
use lockd::service::{AcquireRequest, ChangeRequest, Changed, Expected, Grant, Guards, LeaseService, Proof, Wait};
use lockd::store::{Facts, Store};

use super::super::rng::Rng;
use super::super::time::{Nanos, SECOND};
use super::actor::Actor;
use super::counters::Counter as C;
use super::world::World;

pub struct Leases {
    keys: Vec<LeaseTruth>,
}

/// What was answered for one key.
#[derive(Clone, Default)]
struct LeaseTruth {
    tokens: BTreeMap<u64, LeaseId>,
    /// Who believes to hold it, until when.
    beliefs: BTreeMap<LeaseId, Nanos>,
    token: u64,
    version: u64,
    versions: BTreeMap<u64, StateEtag>,
}

impl Leases {
    pub fn new(keys: usize) -> Self {
        Self { keys: vec![LeaseTruth::default(); keys] }
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }
}

/// A process with an engine.
pub struct Holding {
    actor: Actor,
    engine: Engine,
    rng: Rng,
}

/// What was answered before a call began.
#[derive(Clone, Copy)]
struct Before {
    key: usize,
    at: Nanos,
    token: u64,
    version: u64,
}

impl World {
    fn lease_call(&self, key: usize) -> Before {
        let known = &self.leases.keys[key];
        Before { key, at: self.now(), token: known.token, version: known.version }
    }

    fn granted(&mut self, before: Before, grant: &Grant) {
        self.count(C::Grant);
        if grant.taken_over {
            self.count(C::Takeover);
        }
        let (now, token) = (self.now(), grant.token.0);
        let known = &mut self.leases.keys[before.key];
        let twice = known.tokens.insert(token, grant.lease_id.clone()).is_some();
        known.token = known.token.max(token);
        let believer = known.beliefs.iter().find(|(id, until)| **id != grant.lease_id && **until > now);
        let believer = believer.map(|(id, until)| format!("{id:?} until {until}"));
        let until = before.at + u64::try_from(holder_belief(grant.left, grant.ttl.duration()).as_nanos()).unwrap();
        known.beliefs.insert(grant.lease_id.clone(), until);
        self.ensure(!twice, "each token is granted once", || format!("token {token}"));
        self.ensure(token > before.token, "tokens rise", || format!("{token} after {}", before.token));
        // An answer that comes past its own deadline is believed by nobody.
        self.ensure(until <= now || believer.is_none(), "one holder at a time", || format!("{believer:?} at {now}"));
    }

    fn disbelieved(&mut self, key: usize, lease: &LeaseId) {
        self.leases.keys[key].beliefs.remove(lease);
    }

    fn updated(&mut self, before: Before, changed: &Changed) {
        self.count(C::Update);
        let (version, least) = (changed.version.0, before.version);
        self.ensure(version > least, "versions rise", || format!("{version} after {least}"));
        if let Some(etag) = &changed.etag {
            self.shown(before, version, etag);
        }
    }

    /// A version was answered, with the state that it names.
    fn shown(&mut self, before: Before, version: u64, etag: &StateEtag) {
        let known = &mut self.leases.keys[before.key];
        known.version = known.version.max(version);
        let first = known.versions.entry(version).or_insert_with(|| etag.clone()).clone();
        self.ensure(first == *etag, "a version names one state", || format!("version {version}"));
    }

    fn state_read(&mut self, before: Before, state: Option<(u64, StateEtag)>) {
        self.count(C::StateRead);
        let (version, least) = (state.as_ref().map_or(0, |state| state.0), before.version);
        self.ensure(version >= least, "no state is lost", || format!("{version} after {least}"));
        if let Some((version, etag)) = state {
            self.shown(before, version, &etag);
        }
    }

    /// Errors that nothing in this simulation explains.
    fn likely(&mut self, what: &str, e: &Error) {
        let never = matches!(
            e.kind(),
            K::Internal | K::Corrupt | K::StoreReplaced | K::StoreMissing | K::TooNew | K::Usage | K::RequestIdReused
        );
        self.ensure(!never, "no error without a cause", || format!("{what}: {:?} {e}", e.kind()));
        self.say(|| format!("{what}: {:?} {e}", e.kind()));
    }
}

impl Holding {
    pub fn new(actor: Actor, rng: Rng) -> Self {
        let disk = Arc::new(actor.disk.clone());
        let facts = Facts {
            url: "disk:///simulated".into(),
            id: "sim".into(),
            epoch: 0,
            stamps: false,
            ttl_min: TTL_MIN,
            about: "simulated".into(),
            credential: lockd::store::Credential::default(),
        };
        let store = Store { records: disk.clone(), blobs: disk, facts };
        let engine = Engine::new(store, actor.clock.clone(), actor.entropy.clone(), Options::default());
        Self { actor, engine, rng }
    }

    pub async fn work(mut self) {
        loop {
            let (stopping, think, keys) = {
                let w = self.actor.world();
                (w.stopping, w.mix.think, w.leases.len())
            };
            if stopping {
                return;
            }
            let key = usize::try_from(self.rng.below(keys as u64)).unwrap();
            self.actor.pass(self.rng.below(think)).await;
            let wait = self.rng.chance(5_000).then(|| Duration::from_secs(self.rng.below(8)));
            if let Some((proof, _)) = self.acquire(key, wait).await {
                self.hold(key, proof).await;
            } else {
                self.read(key).await;
            }
        }
    }

    fn key(&self, key: usize) -> Key {
        let w = self.actor.world();
        w.truth.keys[w.mix.keys + key].key.clone()
    }

    async fn acquire(&mut self, key: usize, wait: Option<Duration>) -> Option<(Proof, Nanos)> {
        let lease_id = LeaseId::random(&*self.actor.entropy);
        let (before, ttl) = {
            let w = self.actor.world();
            (w.lease_call(key), Duration::from_millis(w.mix.ttl))
        };
        let request = AcquireRequest {
            key: self.key(key),
            lease_id: lease_id.clone(),
            txn: TxnId::random(&*self.actor.entropy),
            ttl: Ttl::new(ttl).unwrap(),
            owner: Owner::new("sim").unwrap(),
            reason: None,
            holder: Holder::default(),
            if_not_exists: false,
            wait: wait.map_or(Wait::No, Wait::For),
            confirm: false,
        };
        match self.engine.acquire(request).await {
            Ok(grant) => {
                self.actor.world().granted(before, &grant);
                Some((Proof { lease_id, token: grant.token, txn: None }, before.at))
            }
            Err(e) => {
                self.actor.world().likely("acquire", &e);
                None
            }
        }
    }

    async fn hold(&mut self, key: usize, proof: Proof) {
        for _ in 0..self.rng.below(8) {
            let most = self.actor.world().mix.unit * 200;
            self.actor.pass(self.rng.below(most)).await;
            match self.rng.below(4) {
                0 => self.read(key).await,
                _ => {
                    if self.update(key, &proof).await.is_none() {
                        break;
                    }
                }
            }
        }
        if self.rng.chance(1_500) {
            // It just goes away.
            return;
        }
        self.actor.world().disbelieved(key, &proof.lease_id);
        let released = self.engine.release(&self.key(key), &proof.lease_id, Some(&proof), false).await;
        if let Err(e) = released {
            self.actor.world().likely("release", &e);
        }
    }

    async fn update(&mut self, key: usize, proof: &Proof) -> Option<()> {
        let len = if self.rng.chance(500) { INLINE_BYTES } else { 20 };
        let body = Bytes::from(format!("{{\"n\":{},\"pad\":\"{}\"}}", self.rng.next(), "x".repeat(len)));
        let before = self.actor.world().lease_call(key);
        let request_id = RequestId::random(&*self.actor.entropy);
        let (proof, guards) = (proof.clone(), Guards::default());
        let request = ChangeRequest { key: self.key(key), proof, request_id, guards, edits: None };
        let body = stream::iter([Ok(body)]).boxed();
        match self.engine.update(request, Expected::default(), body).await {
            Ok(changed) => {
                self.actor.world().updated(before, &changed);
                Some(())
            }
            Err(e) => {
                self.actor.world().likely("update", &e);
                None
            }
        }
    }

    async fn read(&mut self, key: usize) {
        let before = self.actor.world().lease_call(key);
        let got = self.engine.get(&self.key(key), None).await;
        let state = match got {
            Ok(state) => state,
            Err(e) => return self.actor.world().likely("get", &e),
        };
        let shown = state.as_ref().map(|state| (state.version.0, state.etag.clone()));
        self.actor.world().state_read(before, shown);
        let Some(state) = state else { return };
        let (mut body, mut all) = (state.body, Vec::new());
        while let Some(chunk) = body.next().await {
            match chunk {
                Ok(chunk) => all.extend_from_slice(&chunk),
                // Collected while it was read.
                Err(_) => return,
            }
        }
        let whole = StateEtag::of(&all) == state.etag;
        self.actor.world().ensure(whole, "what is read has its hash", || format!("{}", state.etag));
    }

    /// After the faults: every key is granted within the time of a takeover, written and given back.
    pub async fn heal(mut self, key: usize) -> Option<()> {
        let ttl = Duration::from_millis(self.actor.world().mix.ttl);
        let (proof, began) = self.acquire(key, Some(takeover_age(ttl) * 2)).await?;
        {
            let mut w = self.actor.world();
            let took = w.now() - began;
            let bound = u64::try_from(takeover_age(ttl).as_nanos()).unwrap() + 2 * SECOND + w.mix.unit * 400;
            w.ensure(took <= bound, "a key is granted in time", || format!("{took} ns"));
        }
        self.update(key, &proof).await?;
        self.read(key).await;
        self.engine.release(&self.key(key), &proof.lease_id, Some(&proof), false).await.ok()?;
        self.engine.close().await;
        Some(())
    }
}
