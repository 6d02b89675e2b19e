//! What each kind of store answers, in runs of their own. S3 and Azure Blob say with statuses and codes what became of a write, and
//! lockd's own reading of them decides here too; an `lsm` store commits what has arrived together, and refuses its process after a
//! commit that failed. The other runs have all of that at once, which no single store does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lockd::error::{Error, ErrorKind};
use lockd::limits::{OBJECT_TRIES, TTL_MIN_OBJECTS};
use lockd::store::object::Service;
use lockd::store::object::http::Seen;
use lockd::store::object::verdict::{Verdict, Wanted, verdict};
use lockd::store::{Etag, Precondition, PutError};
use tokio::sync::oneshot;

use super::counters::Counter as C;
use super::mix::Mix;
use super::records::{Course, Sent};
use super::run::run;
use super::suite;
use super::time::{MILLI, SECOND};
use super::world::{ProcId, Shared, Todo};
use crate::support::full;

/// Whose answers a run has.
#[derive(Clone, Copy, Debug)]
pub enum Answers {
    /// Whatever any store may answer.
    Any,
    /// Those of a service of objects; in so many of 10 000 cases one that is not about the precondition.
    Object { service: Service, trouble: u32 },
    /// Those of an `lsm` store; of 10 000 commits so many fail.
    Lsm { fails: u32 },
}

/// A status, and the service's own code with it.
type Status = (u16, &'static str);

/// Said of a write that was not made: "again", refusals, and what proves nothing.
const NOT_MADE_S3: &[Status] = &[
    (409, "ConditionalRequestConflict"),
    (409, "ConditionalRequestConflict"),
    (409, "OperationAborted"),
    (503, "SlowDown"),
    (500, "InternalError"),
    (429, ""),
    (403, "AccessDenied"),
    (404, "NoSuchBucket"),
    (404, ""),
    (400, "RequestTimeout"),
];
const NOT_MADE_AZURE: &[Status] = &[
    (503, "ServerBusy"),
    (500, "OperationTimedOut"),
    (408, ""),
    (403, "AuthenticationFailed"),
    (404, "ContainerNotFound"),
    (409, "ContainerBeingDeleted"),
    (412, "LeaseIdMissing"),
];
/// Said of a write that was made: by what is between, and after a repetition on the way.
const MADE_S3: &[Status] = &[(500, "InternalError"), (503, "SlowDown"), (504, ""), (412, "PreconditionFailed")];
const MADE_AZURE: &[Status] = &[(500, "OperationTimedOut"), (503, "ServerBusy"), (504, ""), (412, "ConditionNotMet")];

/// What of a put the service said.
fn read(service: Service, when: &Precondition, (status, code): Status) -> Verdict {
    let wanted = match when {
        Precondition::Absent => Wanted::Absent,
        Precondition::Matches(_) => Wanted::Same,
    };
    let mut seen = Box::<Seen>::default();
    (seen.sent, seen.status, seen.code) = (true, Some(status), code.to_owned());
    verdict(service, wanted, &seen)
}

fn error((status, code): Status) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the store answered {status} {code}"))
}

/// What becomes of a put before it reaches the object.
pub enum Early {
    /// It goes on.
    Through,
    /// The adapter sends it again.
    Again,
    Ends(PutError),
}

impl Shared {
    /// What the service says instead of making a write, the `tried`-th time.
    pub fn answered_early(&mut self, when: &Precondition, tried: u32) -> Early {
        let Answers::Object { service, trouble } = self.mix.answers else { return Early::Through };
        // Whoever was asked for another try meets the same writers again.
        let crowded = tried > 0 && self.rng.chance(7_000);
        if self.calm || !(crowded || self.rng.chance(trouble)) {
            return Early::Through;
        }
        let status = match service {
            Service::S3 if crowded => NOT_MADE_S3[0],
            Service::S3 => self.rng.pick(NOT_MADE_S3),
            Service::Azure => self.rng.pick(NOT_MADE_AZURE),
        };
        match read(service, when, status) {
            Verdict::Again if tried + 1 < OBJECT_TRIES => {
                self.count(C::Again);
                Early::Again
            }
            Verdict::Again => {
                self.count(C::AgainGivenUp);
                Early::Ends(PutError::Failed(error(status)))
            }
            Verdict::Failed => {
                self.count(C::RefusedInWords);
                Early::Ends(PutError::Failed(error(status)))
            }
            Verdict::Conflict => Early::Ends(PutError::Conflict),
            Verdict::Unknown | Verdict::Applied => {
                self.count(C::ProvesNothing);
                Early::Ends(PutError::Unknown(error(status)))
            }
        }
    }

    /// What it says of a write that it makes, when that is not the truth.
    pub fn answered_late(&mut self, when: &Precondition) -> Option<PutError> {
        let Answers::Object { service, trouble } = self.mix.answers else { return None };
        if self.calm || !self.rng.chance(trouble) {
            return None;
        }
        let status = self.rng.pick(if matches!(service, Service::S3) { MADE_S3 } else { MADE_AZURE });
        self.count(C::ProvesNothingMade);
        match read(service, when, status) {
            Verdict::Conflict => Some(PutError::Conflict),
            Verdict::Unknown | Verdict::Applied => Some(PutError::Unknown(error(status))),
            Verdict::Again | Verdict::Failed => {
                self.broken("what may have been made is never called not made", format!("{status:?}"));
                None
            }
        }
    }

    /// The precondition does not hold: in the service's own words, which must be read as that.
    pub fn conflict(&mut self, when: &Precondition) -> PutError {
        let Answers::Object { service, .. } = self.mix.answers else { return PutError::Conflict };
        let azure = matches!(service, Service::Azure);
        let status = match when {
            Precondition::Absent if azure && self.rng.chance(5_000) => (409, "BlobAlreadyExists"),
            Precondition::Absent if azure => (412, "BlobAlreadyExists"),
            Precondition::Matches(_) if azure => (412, "ConditionNotMet"),
            _ => (412, "PreconditionFailed"),
        };
        self.count(C::ConflictInWords);
        let means = read(service, when, status);
        self.ensure(means == Verdict::Conflict, "a conflict is read as one", || format!("{status:?}: {means:?}"));
        PutError::Conflict
    }
}

/// A put that waits for the next commit of its process.
pub struct Queued {
    pub index: usize,
    pub sent: Arc<Sent>,
    pub when: Precondition,
    pub to: oneshot::Sender<Result<Etag, PutError>>,
}

/// The `lsm` store of each process.
#[derive(Default)]
pub struct Commits {
    queued: BTreeMap<ProcId, Vec<Queued>>,
    /// Those whose commit failed.
    refused: BTreeSet<ProcId>,
}

fn refused() -> Error {
    Error::new(ErrorKind::Unavailable, "a commit failed: the store is refused until it is opened anew")
}

impl Shared {
    /// Why the store is refused to a process.
    pub fn refusal(&mut self, proc: ProcId) -> Option<Error> {
        let refuses = self.commits.refused.contains(&proc);
        if refuses {
            self.count(C::RefusedAfterCommit);
        }
        refuses.then(refused)
    }

    /// A put joins those that the next commit takes.
    pub fn queue(&mut self, proc: ProcId, course: Course, put: Queued) {
        if let Some(why) = self.refusal(proc) {
            self.at(course.back, move |w| w.answer(proc, put.to, Err(PutError::Failed(why))));
            return;
        }
        let queue = self.commits.queued.entry(proc).or_default();
        queue.push(put);
        if queue.len() == 1 {
            self.at(course.there, move |w| w.commit(proc));
        }
    }

    /// All of a batch is made or nothing; when that failed, nobody knows which.
    fn commit(&mut self, proc: ProcId) {
        let Answers::Lsm { fails } = self.mix.answers else { return };
        let batch = self.commits.queued.remove(&proc).unwrap_or_default();
        let fails = !self.calm && self.rng.chance(fails);
        let made = !fails || self.rng.chance(5_000);
        if fails {
            self.count(if made { C::CommitFailedMade } else { C::CommitFailed });
            self.commits.refused.insert(proc);
            // Whoever looks after it starts it anew.
            let wait = self.rng.below(20 * SECOND);
            self.after(wait, move |w| w.todo.push(Todo::Crash(proc)));
        }
        self.counters.add_many(C::CommittedTogether, u64::from(batch.len() > 1));
        for put in batch {
            let etag = if made { self.arrive(proc, put.index, &put.sent, &put.when) } else { None };
            let answer = match etag {
                _ if fails => Err(PutError::Unknown(refused())),
                Some(etag) => Ok(etag),
                None => Err(PutError::Conflict),
            };
            self.answer(proc, put.to, answer);
        }
    }
}

/// Without what a service or its network does not do.
fn object(mix: &mut Mix, service: Service) {
    let trouble = mix.unknown.max(mix.failed).max(500);
    mix.answers = Answers::Object { service, trouble };
    (mix.conflict, mix.conflict_applied, mix.unknown, mix.unknown_applied, mix.failed) = (0, 0, 0, 0, 0);
    mix.ttl = mix.ttl.max(TTL_MIN_OBJECTS);
    mix.other_ttl = mix.other_ttl.max(TTL_MIN_OBJECTS);
    (mix.stamps, mix.store_clock, mix.keys) = (false, true, mix.keys.min(2));
    mix.active = mix.active.min(10 * 60 * SECOND);
    mix.think = mix.think.min(Duration::from_secs(5));
}

fn s3(mix: &mut Mix) {
    object(mix, Service::S3);
    mix.hashed_etags = true;
}

fn azure(mix: &mut Mix) {
    object(mix, Service::Azure);
    mix.hashed_etags = false;
}

/// One process at a time, several keys, and no network.
fn lsm(mix: &mut Mix) {
    mix.answers = Answers::Lsm { fails: 30 };
    (mix.keys, mix.hosts, mix.procs, mix.workers, mix.scripts) = (3, 1, 1, 4, 0);
    (mix.lost_request, mix.lost_reply, mix.late, mix.duplicate) = (0, 0, 0, 0);
    (mix.cut_every, mix.stall_every, mix.tail) = (0, 0, 0);
    mix.delay = (MILLI, 20 * MILLI);
    (mix.stamps, mix.store_clock, mix.hashed_etags) = (false, false, false);
    mix.active = mix.active.min(10 * 60 * SECOND);
    mix.think = mix.think.min(Duration::from_millis(300));
}

/// Runs seeds and sees that they met what this store does.
fn holds(name: &str, shape: fn(&mut Mix), meets: &[C]) {
    let seeds = if full("100 seeds of each kind of store instead of 4") { 100 } else { 4 };
    let seeds = suite::number("LOCKD_SIM_SEEDS").unwrap_or(seeds);
    let first = suite::number("LOCKD_SIM_FIRST").unwrap_or(0);
    let totals = suite::run_all(first, shape, |totals| totals.seeds >= seeds);
    println!("{name}: {}", totals.told_of(meets));
    let broken: Vec<_> = totals.broken.iter().map(|report| (report.seed, &report.violation)).collect();
    assert!(broken.is_empty(), "{name}: LOCKD_SIM_FIRST=<seed> LOCKD_SIM_SEEDS=1: {broken:?}");
    for counter in meets {
        assert!(totals.counters.get(*counter) > 0, "{name}: never met: {}", counter.text());
    }
}

#[test]
fn s3_answers() {
    let meets =
        [C::Again, C::AgainGivenUp, C::RefusedInWords, C::ProvesNothing, C::ProvesNothingMade, C::ConflictInWords];
    // Given up is rare: only with much trouble.
    let meets = if full("puts that S3 asks for again and again") { &meets[..] } else { &meets[2..] };
    holds("S3", s3, meets);
}

#[test]
fn azure_answers() {
    let meets = [C::RefusedInWords, C::ProvesNothing, C::ProvesNothingMade, C::ConflictInWords];
    holds("Azure", azure, &meets);
}

#[test]
fn lsm_commits() {
    let meets = [C::CommitFailed, C::CommitFailedMade, C::CommittedTogether, C::RefusedAfterCommit];
    holds("lsm", lsm, &meets);
}

/// A seed of one of them is told event by event: `LOCKD_SIM_STORE=s3`, `azure` or `lsm`.
#[test]
fn replay() {
    let Some(seed) = suite::number("LOCKD_SIM_SEED") else { return };
    let shape = match std::env::var("LOCKD_SIM_STORE").as_deref() {
        Ok("s3") => s3,
        Ok("azure") => azure,
        Ok("lsm") => lsm,
        _ => return,
    };
    assert_eq!(run(seed, shape, true).violation, None);
}
