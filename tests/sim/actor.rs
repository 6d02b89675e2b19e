//! What a process has in hand, and the calls that it makes, each checked against the record.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use lockd::client::{AcquireOptions, Client};
use lockd::clock::{BootTime, Clock};
use lockd::engine::{Engine, Options};
use lockd::error::{Error, ErrorKind, Result};
use lockd::limits::{INLINE_BYTES, TTL_MIN};
use lockd::model::{Holder, Key, LeaseId, Owner, RequestId, StateEtag, Ttl, Version};
use lockd::service::{ChangeRequest, Changed, Expected, Guards, LeaseService, Proof, Released};
use lockd::store::{ByteStream, Facts, Store};

use super::blobs::{SimBlobs, broken_off};
use super::claims::Call;
use super::counters::Counter as C;
use super::log::SimLog;
use super::records::SimRecords;
use super::rng::{Rng, SimEntropy};
use super::time::{Boot, SimClock};
use super::world::{ProcId, Shared};
use crate::history::Recorded;

/// The highest process number on Linux (`proc_sys_kernel(5)`, `pid_max`).
const PID_MAX: u32 = 4_194_304;

/// One process: an engine and a client on the simulated store.
#[derive(Clone)]
pub struct Actor {
    pub world: Arc<Mutex<Shared>>,
    pub proc: ProcId,
    pub boot: Arc<Boot>,
    pub clock: Arc<SimClock>,
    pub engine: Arc<dyn LeaseService>,
    pub client: Client,
}

/// What a process has of its host: a clock, randomness, and a view of the store.
pub struct Seat {
    pub world: Arc<Mutex<Shared>>,
    pub proc: ProcId,
    pub boot: Arc<Boot>,
    pub clock: Arc<SimClock>,
    pub entropy: Arc<SimEntropy>,
}

impl Seat {
    pub fn new(world: &Arc<Mutex<Shared>>, proc: ProcId, boot: &Arc<Boot>) -> Self {
        let (now, rng) = {
            let mut w = world.lock().unwrap();
            (Arc::clone(&w.now), w.rng.fork())
        };
        let clock = Arc::new(SimClock { now, boot: Arc::clone(boot), proc, world: Arc::clone(world) });
        let entropy = Arc::new(SimEntropy::new(rng));
        Self { world: Arc::clone(world), proc, boot: Arc::clone(boot), clock, entropy }
    }

    /// An engine on the simulated store.
    pub fn engine(&self, notes: Option<PathBuf>) -> Engine {
        let (world, proc) = (&self.world, self.proc);
        let (stamps, serves) = {
            let w = world.lock().unwrap();
            (w.mix.stamps, w.mix.serves)
        };
        let facts = Facts {
            url: "sim://".into(),
            id: "sim".into(),
            epoch: 0,
            stamps,
            ttl_min: TTL_MIN,
            about: "simulated".into(),
            credential: lockd::store::Credential::default(),
        };
        let records = Arc::new(SimRecords { world: Arc::clone(world), proc });
        let blobs = Arc::new(SimBlobs { world: Arc::clone(world), proc });
        let store = Store { records, blobs, facts };
        Engine::new(store, self.clock.clone(), self.entropy.clone(), Options { notes, serves })
    }
}

impl Actor {
    pub fn new(world: &Arc<Mutex<Shared>>, proc: ProcId, boot: &Arc<Boot>, notes: Option<PathBuf>) -> Self {
        let seat = Seat::new(world, proc, boot);
        let engine = seat.engine(notes);
        Self::over(seat, engine)
    }

    /// One that asks this service.
    pub fn over(seat: Seat, service: impl LeaseService + 'static) -> Self {
        let Seat { world, proc, boot, clock, entropy } = seat;
        let log = Arc::new(SimLog { world: Arc::clone(&world), proc });
        let engine: Arc<dyn LeaseService> = Arc::new(Recorded::new(service, log));
        let client = Client::new(engine.clone(), clock.clone(), entropy);
        Self { world, proc, boot, clock, engine, client }
    }

    pub fn world(&self) -> MutexGuard<'_, Shared> {
        self.world.lock().unwrap()
    }

    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub fn now(&self) -> BootTime {
        self.clock.boot()
    }

    pub async fn pass(&self, d: Duration) {
        let clock = self.clock();
        clock.sleep(d).await;
    }

    pub fn key(&self, index: usize) -> Key {
        self.world().history.keys[index].key.clone()
    }

    /// A call begins.
    pub fn begin(&self, key: usize) -> (Call, Key) {
        let w = self.world();
        (w.call(key), w.history.keys[key].key.clone())
    }

    pub fn options(&self, key: usize, lease_id: LeaseId, ttl: Duration, wait: Option<Duration>) -> AcquireOptions {
        AcquireOptions {
            key: self.key(key),
            lease_id,
            ttl: Ttl::new(ttl).unwrap(),
            owner: Owner::new("sim").unwrap(),
            reason: None,
            // No process has such a number: whoever looks for it finds it gone.
            holder: Holder { pid: u32::try_from(self.proc.0).ok().map(|n| PID_MAX + n), ..Holder::default() },
            wait,
            if_not_exists: false,
        }
    }

    pub fn draw_id(rng: &mut Rng) -> LeaseId {
        LeaseId::random(&SimEntropy::new(rng.fork()))
    }

    pub fn draw_request(rng: &mut Rng) -> RequestId {
        RequestId::random(&SimEntropy::new(rng.fork()))
    }

    /// A release, by whoever knows the id.
    pub async fn release(&self, key: usize, id: &LeaseId, proof: Option<&Proof>, rollback: bool) -> Result<Released> {
        let call = self.world().release_begins(key, id);
        let name = self.key(key);
        let result = self.engine.release(&name, id, proof, rollback).await;
        self.world().release_ends(call, id, Some(&result));
        result
    }

    /// A keepalive as a command makes it: the new deadline, when it was good.
    pub async fn keepalive(&self, key: usize, proof: &Proof, ttl: Duration) -> Result<BootTime> {
        let (sent, call) = (self.now(), self.world().call(key));
        let name = self.key(key);
        match self.engine.keepalive(&name, proof, Ttl::new(ttl).unwrap()).await {
            Ok(renewed) => {
                self.world().renewed(call, &proof.lease_id);
                Ok(sent + lockd::limits::holder_belief(renewed.left, renewed.ttl.duration()))
            }
            Err(e) => {
                let mut w = self.world();
                w.plausible("keepalive", &e);
                w.lease_refused(call, &proof.lease_id, &e);
                drop(w);
                Err(e)
            }
        }
    }

    /// A change of state, repeated with the same id while its outcome is not known.
    pub async fn update(&self, rng: &mut Rng, key: usize, proof: &Proof, guards: Guards) -> Result<Changed> {
        let id = Self::draw_request(rng);
        let body = (!rng.chance(700)).then(|| self.draw_body(rng));
        let mut repeats = rng.below(3);
        loop {
            let request = ChangeRequest {
                key: self.key(key),
                proof: proof.clone(),
                request_id: id.clone(),
                guards: guards.clone(),
                edits: None,
            };
            let result = self.change(rng, key, request, body.as_ref()).await;
            let open = matches!(&result, Err(e) if e.kind() == ErrorKind::OutcomeUnknown);
            if let Ok(changed) = &result
                && changed.changed
                && rng.chance(300)
            {
                self.reuse_request(key, proof, &id, changed.version).await;
            }
            let again = open || (result.is_ok() && rng.chance(500));
            if !again || repeats == 0 {
                return result;
            }
            repeats -= 1;
        }
    }

    /// The id of a request that was just applied, with something else: refused, whatever became of the lease.
    async fn reuse_request(&self, key: usize, proof: &Proof, id: &RequestId, made: Version) {
        let request = ChangeRequest {
            key: self.key(key),
            proof: proof.clone(),
            request_id: id.clone(),
            guards: Guards { version: Some(made), etag: None },
            edits: None,
        };
        let other = Bytes::from_static(b"\"something else\"");
        let result = self.engine.update(request, Expected::default(), stream_of(&other, false)).await;
        let mut w = self.world();
        w.ensure(result.is_err(), "a request id stands for one change", || format!("{id:?}: {result:?}"));
        if result.is_err_and(|e| e.kind() == ErrorKind::RequestIdReused) {
            w.count(C::ReusedRefused);
        }
    }

    async fn change(&self, rng: &mut Rng, key: usize, r: ChangeRequest, body: Option<&Bytes>) -> Result<Changed> {
        let (id, lease) = (r.request_id.clone(), r.proof.lease_id.clone());
        let (call, calm) = {
            let mut w = self.world();
            let call = w.call(key);
            let etag = body.map(|body| StateEtag::of(body));
            w.update_begins(self.proc, call, &id, &r.proof, etag);
            (call, w.calm)
        };
        let impatient = self.world().mix.impatient;
        let deadline = (!calm && rng.chance(impatient)).then(|| self.now() + rng.upto(Duration::from_secs(3)));
        let breaks_off = !calm && body.is_some_and(|body| body.len() > INLINE_BYTES) && rng.chance(500);
        let work = async {
            match body {
                Some(body) => self.engine.update(r, Expected::default(), stream_of(body, breaks_off)).await,
                None => self.engine.remove(r).await,
            }
        };
        let result = match deadline {
            Some(deadline) => self.clock().timeout_at(deadline, work).await,
            None => Some(work.await),
        };
        self.world().update_ends(self.proc, call, &id, &lease, result.as_ref());
        result.unwrap_or_else(|| Err(Error::new(ErrorKind::OutcomeUnknown, "given up")))
    }

    fn draw_body(&self, rng: &mut Rng) -> Bytes {
        let large = rng.chance(self.world().mix.blob_states);
        let n = rng.next();
        let len = if large { INLINE_BYTES + usize::try_from(rng.below(3_000)).unwrap() } else { 8 };
        Bytes::from(format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(len)))
    }

    /// Reads the committed state, whole.
    pub async fn read(&self, key: usize) {
        let (call, name) = self.begin(key);
        let state = match self.engine.get(&name, None).await {
            Err(e) => return self.world().plausible("get", &e),
            Ok(None) => return self.world().read_ends(call, None),
            Ok(Some(state)) => state,
        };
        self.world().read_ends(call, Some((state.version.0, &state.etag)));
        let (etag, mut body, mut all) = (state.etag, state.body, Vec::new());
        while let Some(chunk) = body.next().await {
            match chunk {
                Ok(chunk) => all.extend_from_slice(&chunk),
                Err(e) if e.kind() == ErrorKind::Corrupt && self.world().mix.torn_read > 0 => {
                    return self.count(C::DamageNoticed);
                }
                Err(e) => return self.world().plausible("body", &e),
            }
        }
        let same = StateEtag::of(&all) == etag;
        self.world().ensure(same, "what is read has its hash", || format!("{etag}"));
    }

    /// Reads what the holder sees.
    pub async fn read_own(&self, key: usize, proof: &Proof, at_least: u64) {
        let (call, name) = self.begin(key);
        match self.engine.get(&name, Some(proof)).await {
            Ok(state) => {
                let version = state.map_or(u64::MAX, |state| state.version.0);
                self.world()
                    .ensure(version >= at_least, "holders read their writes", || format!("{version} < {at_least}"));
            }
            Err(e) => {
                let mut w = self.world();
                w.plausible("get", &e);
                w.lease_refused(call, &proof.lease_id, &e);
            }
        }
    }

    /// The errors of an acquire, told to the record of claims.
    pub fn not_acquired(&self, call: Call, lease: &LeaseId, e: &Error) {
        self.world().acquire_failed(call, lease, e);
    }

    pub fn count(&self, counter: C) {
        self.world().count(counter);
    }
}

fn stream_of(body: &Bytes, breaks_off: bool) -> ByteStream {
    let mut chunks: Vec<Result<Bytes>> = body.chunks(9_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    if breaks_off {
        chunks.pop();
        chunks.push(Err(broken_off()));
    }
    stream::iter(chunks).boxed()
}
