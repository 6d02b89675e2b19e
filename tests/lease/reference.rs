//! The reference model: not a record that changes but a log of what happened, from which every answer is derived anew. It
//! shares nothing with `step` but the words of questions and answers.

use std::time::Duration;

use lockd::clock::UnixMillis;
use lockd::lease::{Acquire, Change, Outcome, Refusal, Release, Request, Update};
use lockd::model::{
    EditsHash, FencingToken, How, Lease, LeaseId, Record, RequestId, Stamp, StateEtag, StateRef, Ttl, TxnId, Unknown,
    Version,
};
use lockd::service::{Proof, Released};

/// Something that happened to the key.
#[derive(Clone, Debug)]
pub enum Event {
    /// A lease began, with this token.
    Began(Box<Acquire>, u64),
    /// Its holder gave a sign of life.
    Alive(Ttl, Option<Stamp>, UnixMillis),
    /// Its holder changed the state, at once or in its transaction.
    Changed { id: RequestId, state: Option<StateRef>, edits: Option<EditsHash>, in_txn: bool },
    /// It ended; with what was staged committed, or not.
    Ended(How),
    /// Its holder told that what it did under the lease succeeded, and when that began.
    Succeeded(UnixMillis),
    /// A break used up this token.
    Skipped(u64, u32),
    /// An effect with this token was admitted.
    Admitted(u64),
    /// This waiter elsewhere asked for its turn.
    Knocked(LeaseId),
    /// The free key is kept for the waiter that had knocked.
    Kept(LeaseId),
}

/// What happened, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Log(pub Vec<Event>);

pub type Answer = Result<Outcome, Refusal>;
type Expected = (Answer, Vec<Event>);

/// The life of one lease, cut out of the log.
struct Life<'a> {
    asked: &'a Acquire,
    token: u64,
    events: &'a [Event],
    end: Option<How>,
}

impl Life<'_> {
    fn lease(&self) -> Lease {
        let signs = || {
            self.events.iter().filter_map(|e| if let Event::Alive(t, s, at) = e { Some((*t, s, *at)) } else { None })
        };
        let a = self.asked;
        Lease {
            id: a.lease_id.clone(),
            token: FencingToken(self.token),
            txn: a.txn.clone(),
            ttl: signs().map(|(ttl, ..)| ttl).chain([a.ttl]).max().unwrap(),
            owner: a.owner.clone(),
            reason: a.reason.clone(),
            holder: a.holder.clone(),
            since: a.at,
            renewed: signs().last().map_or(a.at, |(.., at)| at),
            stamp: signs().last().map_or(&a.stamp, |(_, stamp, _)| stamp).clone(),
            unknown: Unknown::new(),
        }
    }

    fn staged_anything(&self) -> bool {
        self.events.iter().any(|e| matches!(e, Event::Changed { in_txn: true, .. }))
    }

    fn discarded(&self) -> bool {
        self.staged_anything() && self.end.is_some_and(|how| how != How::Released)
    }
}

impl Log {
    /// The log once this has happened too.
    pub fn and(&self, happens: &[Event]) -> Self {
        Self(self.0.iter().chain(happens).cloned().collect())
    }

    /// Every lease there ever was, oldest first.
    fn lives(&self) -> Vec<Life<'_>> {
        let begins = |e: &Event| matches!(e, Event::Began(..));
        let starts: Vec<usize> = (0..self.0.len()).filter(|i| begins(&self.0[*i])).collect();
        let ends = starts.iter().skip(1).copied().chain([self.0.len()]);
        let lives = starts.iter().zip(ends).map(|(start, end)| {
            let Event::Began(asked, token) = &self.0[*start] else { unreachable!("a start is a beginning") };
            let events = &self.0[start + 1..end];
            let end = events.iter().find_map(|e| if let Event::Ended(how) = e { Some(*how) } else { None });
            Life { asked, token: *token, events, end }
        });
        lives.collect()
    }

    fn present(&self) -> Option<Life<'_>> {
        self.lives().pop().filter(|life| life.end.is_none())
    }

    /// The lease of this id that ended last, if it is among the eight that are remembered.
    fn ended(&self, id: &LeaseId) -> Option<Life<'_>> {
        let ended = self.lives().into_iter().rev().filter(|life| life.end.is_some());
        ended.take(8).find(|life| life.asked.lease_id == *id)
    }

    fn count(&self, which: impl Fn(&Event) -> bool) -> u64 {
        self.0.iter().filter(|e| which(e)).count() as u64
    }

    fn highest_token(&self) -> u64 {
        let given = self.0.iter().map(|e| match e {
            Event::Began(_, token) | Event::Skipped(token, _) => *token,
            _ => 0,
        });
        given.max().unwrap_or(0)
    }

    fn mark(&self) -> u64 {
        let admitted = self.0.iter().filter_map(|e| if let Event::Admitted(token) = e { Some(*token) } else { None });
        admitted.last().unwrap_or(0)
    }

    /// Whose knock was not answered yet, and for whom the free key is kept.
    fn claims(&self) -> (Option<&LeaseId>, Option<&LeaseId>) {
        let began = |e: &Event, id: &LeaseId| matches!(e, Event::Began(asked, _) if asked.lease_id == *id);
        let after = |i: usize| &self.0[i + 1..];
        let knock = self.0.iter().enumerate().rev().find_map(|(i, e)| match e {
            Event::Knocked(id) => Some((i, id)),
            _ => None,
        });
        let unanswered = |i: usize, id: &LeaseId| !after(i).iter().any(|e| began(e, id) || matches!(e, Event::Kept(_)));
        let kept = self.0.iter().enumerate().rev().find_map(|(i, e)| match e {
            Event::Kept(id) if !after(i).iter().any(|e| matches!(e, Event::Began(..))) => Some(id),
            _ => None,
        });
        (knock.filter(|(i, id)| unanswered(*i, id)).map(|(_, id)| id), kept)
    }

    fn knock(&self, waiter: &LeaseId) -> Expected {
        let present = self.present();
        let asks = present.as_ref().is_some_and(|life| life.asked.lease_id != *waiter) && self.ended(waiter).is_none();
        match self.claims().0 {
            Some(knocked) => (Ok(Outcome::Knocked(knocked == waiter)), vec![]),
            None if asks => (Ok(Outcome::Knocked(true)), vec![Event::Knocked(waiter.clone())]),
            None => (Ok(Outcome::Knocked(false)), vec![]),
        }
    }

    fn next_token(&self, epoch: u32) -> u64 {
        let epochs = self.0.iter().map(|e| match e {
            Event::Began(asked, _) => asked.epoch,
            Event::Skipped(_, epoch) => *epoch,
            _ => 0,
        });
        let highest = epochs.chain([epoch]).max().unwrap_or(0);
        (self.highest_token() + 1).max(u64::from(highest) << 32)
    }

    /// The changes, each with its version: they are counted.
    /// What the last change of this id was asked for as, when it was an edit.
    fn edits_of(&self, wanted: &RequestId) -> Option<&EditsHash> {
        self.0.iter().rev().find_map(|e| match e {
            Event::Changed { id, edits, .. } if id == wanted => Some(edits.as_ref()),
            _ => None,
        })?
    }

    fn changes(&self) -> Vec<(Version, &RequestId, Option<&StateRef>)> {
        let changes = self.0.iter().filter_map(|e| match e {
            Event::Changed { id, state, .. } => Some((id, state.as_ref())),
            _ => None,
        });
        (1..).zip(changes).map(|(n, (id, state))| (Version(n), id, state)).collect()
    }

    /// The state that everyone sees before the event at `end`: the last change that was made at once, or whose lease was
    /// released by then.
    fn committed(&self, end: usize) -> (Version, Option<&StateRef>) {
        let mut seen = (Version(0), None);
        let mut version = 0;
        for (i, event) in self.0[..end].iter().enumerate() {
            let Event::Changed { state, in_txn, .. } = event else { continue };
            version += 1;
            let fate = self.0[i..end].iter().find_map(|e| if let Event::Ended(how) = e { Some(*how) } else { None });
            if !in_txn || fate == Some(How::Released) {
                seen = (Version(version), state.as_ref());
            }
        }
        seen
    }

    fn committed_now(&self) -> (Version, Option<&StateRef>) {
        self.committed(self.0.len())
    }

    /// What the holder sees: its last change, if it made one in its transaction.
    fn visible(&self) -> (Version, Option<&StateRef>) {
        match self.present() {
            Some(life) if life.staged_anything() => {
                let (version, _, state) = self.changes().pop().unwrap();
                (version, state)
            }
            _ => self.committed_now(),
        }
    }

    /// The version that was committed when the lease of this token ended.
    fn version_at_end(&self, token: u64) -> Version {
        let began = self.0.iter().position(|e| matches!(e, Event::Began(_, t) if *t == token)).unwrap();
        let ended = self.0[began..].iter().position(|e| matches!(e, Event::Ended(_))).unwrap();
        self.committed(began + ended + 1).0
    }

    /// What must be answered, and what happens then: nothing happens when nothing is written.
    pub fn expected(&self, request: &Request, age: Duration) -> Expected {
        match request {
            Request::Acquire(r) => self.acquire(r, age),
            Request::Renew(r) => match self.holder(&r.proof).and_then(|life| right_txn(&life, r.proof.txn.as_ref())) {
                Err(refusal) => (Err(refusal), vec![]),
                Ok(life) => {
                    let ttl = life.lease().ttl.max(r.ttl);
                    (Ok(Outcome::Renewed { ttl }), vec![Event::Alive(r.ttl, r.stamp.clone(), r.at)])
                }
            },
            Request::Release(r) => self.release(r),
            Request::Update(r) => self.update(r),
            Request::Admit(r) => match self.mark() {
                mark if r.token.0 < mark => (Err(Refusal::Stale(FencingToken(mark))), vec![]),
                mark if r.token.0 == mark => (Ok(Outcome::Admitted), vec![]),
                _ => (Ok(Outcome::Admitted), vec![Event::Admitted(r.token.0)]),
            },
            Request::Knock(r) => self.knock(&r.waiter),
            Request::Expire(r) => match self.present() {
                Some(life) if life.asked.lease_id != r.lease_id => (Ok(Outcome::Expired), vec![]),
                Some(life) if !may_pass(&life, age) => (Err(Refusal::NotExpired), vec![]),
                Some(_) => (Ok(Outcome::Expired), vec![Event::Ended(How::Expired)]),
                None => (Ok(Outcome::Expired), vec![]),
            },
            Request::Break(r) => match self.present() {
                Some(life) if life.asked.lease_id == r.lease_id => {
                    let skipped = Event::Skipped(self.next_token(r.epoch), r.epoch);
                    (Ok(Outcome::Broken(true)), vec![Event::Ended(How::Broken), skipped])
                }
                _ => {
                    let before = self.ended(&r.lease_id).is_some_and(|life| life.end == Some(How::Broken));
                    (Ok(Outcome::Broken(before)), vec![])
                }
            },
        }
    }

    fn acquire(&self, r: &Acquire, age: Duration) -> Expected {
        if let Some(ended) = self.ended(&r.lease_id) {
            return (Err(Refusal::LeaseEnded(ended.end.unwrap())), vec![]);
        }
        let present = self.present();
        let own = present.as_ref().is_some_and(|life| life.asked.lease_id == r.lease_id);
        if r.if_not_exists && !own && self.highest_token() > 0 {
            return (Err(Refusal::AlreadyExists), vec![]);
        }
        let happens = match &present {
            Some(_) if own => vec![Event::Alive(r.ttl, r.stamp.clone(), r.at)],
            Some(life) if !may_pass(life, age) => return (Err(Refusal::Busy(Box::new(life.lease()))), vec![]),
            None if r.yields && self.claims().1.is_some_and(|kept| *kept != r.lease_id) => {
                return (Err(Refusal::Reserved(self.claims().1.unwrap().clone())), vec![]);
            }
            Some(_) => vec![Event::Ended(How::TakenOver), Event::Began(Box::new(r.clone()), self.next_token(r.epoch))],
            None => vec![Event::Began(Box::new(r.clone()), self.next_token(r.epoch))],
        };
        let then = self.and(&happens);
        let lease = Box::new(then.present().unwrap().lease());
        let (version, state) = then.visible();
        let taken_over = then.lives().iter().rev().nth(1).is_some_and(|last| last.end == Some(How::TakenOver));
        let answer = Outcome::Granted { lease, version, etag: state.map(|s| s.etag.clone()), taken_over };
        (Ok(answer), happens)
    }

    fn holder(&self, proof: &Proof) -> Result<Life<'_>, Refusal> {
        if let Some(life) = self.present().filter(|life| life.asked.lease_id == proof.lease_id) {
            let right = life.token == proof.token.0;
            return if right { Ok(life) } else { Err(Refusal::FencingMismatch(FencingToken(life.token))) };
        }
        Err(match self.ended(&proof.lease_id).and_then(|life| life.end) {
            None => Refusal::LeaseRequired,
            Some(How::Expired | How::TakenOver) if self.present().is_some() => Refusal::LeasePassedOn,
            Some(How::Expired | How::TakenOver) => Refusal::LeaseExpired,
            Some(How::Broken) => Refusal::LeaseBroken,
            Some(How::Released | How::RolledBack) => Refusal::LeaseReleased,
        })
    }

    fn release(&self, r: &Release) -> Expected {
        let wrong = |life: &Life<'_>| r.token.is_some_and(|token| token.0 != life.token);
        let present = self.present();
        let Some(life) = present.as_ref().filter(|life| life.asked.lease_id == r.lease_id) else {
            return (self.release_again(r, present.is_some()), vec![]);
        };
        let unnamed = life.staged_anything() && r.txn.is_none() && !r.rollback;
        let refusal = match () {
            () if wrong(life) => Some(Refusal::FencingMismatch(FencingToken(life.token))),
            () if unnamed => Some(Refusal::MissingTxn),
            () => right_txn_of(life, r.txn.as_ref()).err(),
        };
        if let Some(refusal) = refusal {
            return (Err(refusal), vec![]);
        }
        let how = if r.rollback { How::RolledBack } else { How::Released };
        let version = self.and(&[Event::Ended(how)]).committed_now().0;
        let told = r.succeeded.filter(|_| !r.rollback).map(Event::Succeeded);
        let kept = self.claims().0.filter(|_| r.reserve).map(|waiter| Event::Kept(waiter.clone()));
        let happens = told.into_iter().chain([Event::Ended(how)]).chain(kept).collect();
        (Ok(Outcome::Released(Released::Released { version })), happens)
    }

    fn last_success(&self) -> Option<UnixMillis> {
        self.0.iter().rev().find_map(|e| if let Event::Succeeded(at) = e { Some(*at) } else { None })
    }

    fn release_again(&self, r: &Release, held: bool) -> Answer {
        let ended = self.ended(&r.lease_id);
        let how = ended.as_ref().and_then(|life| life.end);
        match (&ended, how) {
            (Some(life), _) if r.token.is_some_and(|token| token.0 != life.token) => {
                Err(Refusal::FencingMismatch(FencingToken(life.token)))
            }
            (Some(life), Some(how)) if life.discarded() && !r.rollback => Err(Refusal::StagedDiscarded(how)),
            (Some(life), Some(How::Released | How::RolledBack)) => {
                Ok(Outcome::Released(Released::Released { version: self.version_at_end(life.token) }))
            }
            _ if held => Ok(Outcome::Released(Released::Fenced)),
            _ => Ok(Outcome::Released(Released::AlreadyGone { how })),
        }
    }

    fn update(&self, r: &Update) -> Expected {
        let wanted = match &r.change {
            Change::Put(state) => Some(state),
            Change::Remove => None,
        };
        if let Some((version, _, state)) = self.changes().into_iter().rev().take(8).find(|(_, id, _)| **id == r.id) {
            let same = match (self.edits_of(&r.id), &r.edits) {
                (None, None) => state.map(|s| &s.etag) == wanted.map(|s| &s.etag),
                (before, now) => before == now.as_ref(),
            };
            let again = updated(version, state, true);
            return (if same { Ok(again) } else { Err(Refusal::RequestIdReused) }, vec![]);
        }
        if let Err(refusal) = self.may_update(r, wanted) {
            return (Err(refusal), vec![]);
        }
        let (version, state) = self.visible();
        if wanted.is_none() && state.is_none() {
            return (Ok(updated(version, None, false)), vec![]);
        }
        let version = Version(self.changes().len() as u64 + 1);
        let (state, edits, in_txn) = (wanted.cloned(), r.edits.clone(), r.proof.txn.is_some());
        let happens = Event::Changed { id: r.id.clone(), state, edits, in_txn };
        (Ok(updated(version, wanted, true)), vec![happens])
    }

    fn may_update(&self, r: &Update, wanted: Option<&StateRef>) -> Result<(), Refusal> {
        let life = self.holder(&r.proof)?;
        if life.staged_anything() && r.proof.txn.is_none() {
            return Err(Refusal::MissingTxn);
        }
        right_txn_of(&life, r.proof.txn.as_ref())?;
        let pointer = wanted.and_then(StateRef::blob);
        let key = super::requests::key().hash();
        if pointer.is_some_and(|blob| blob.token().0 != life.token || blob.key() != key || self.names(blob)) {
            return Err(Refusal::ForeignBlob);
        }
        let (version, state) = self.visible();
        let etag: Option<StateEtag> = state.map(|s| s.etag.clone());
        if [r.guards.version, r.bound].into_iter().flatten().any(|wanted| wanted != version) {
            return Err(Refusal::VersionConflict(version, etag));
        }
        match &r.guards.etag {
            Some(wanted) if Some(wanted) != etag.as_ref() => Err(Refusal::EtagMismatch(version, etag)),
            _ => Ok(()),
        }
    }

    /// Whether the record still names a blob: as what everyone sees, what the holder sees, or what everyone saw before.
    fn names(&self, blob: &lockd::model::BlobId) -> bool {
        let now = self.committed_now();
        let publishes = (0..=self.0.len()).rev().map(|end| self.committed(end));
        let before = publishes.into_iter().find(|seen| seen.0 != now.0).and_then(|seen| seen.1);
        [now.1, self.visible().1, before].into_iter().flatten().any(|state| state.blob() == Some(blob))
    }

    /// Whether the record tells the same story as the log; else what differs.
    pub fn compare(&self, record: &Record) -> Result<(), String> {
        let same = |what: &str, here: String, there: String| match here == there {
            true => Ok(()),
            false => Err(format!("{what}: the record has {here}, the log {there}")),
        };
        let mut lease = record.lease.clone();
        if let Some(lease) = &mut lease {
            lease.unknown = Unknown::new();
        }
        same("lease", format!("{lease:?}"), format!("{:?}", self.present().map(|life| life.lease())))?;
        same("token", record.token.to_string(), self.highest_token().to_string())?;
        let claims = (record.knock.as_ref().map(|k| &k.waiter), record.reserved.as_ref().map(|r| &r.waiter));
        same("claims", format!("{claims:?}"), format!("{:?}", self.claims()))?;
        same("mark", record.fence.to_string(), self.mark().to_string())?;
        let beats = self.count(|e| matches!(e, Event::Began(..) | Event::Alive(..)));
        same("beat", record.beat.to_string(), beats.to_string())?;
        let story = |(version, state): (Version, Option<&StateRef>)| format!("{version} {state:?}");
        let seen = record.visible();
        same("visible", story((seen.version, seen.state.as_ref())), story(self.visible()))?;
        let committed = &record.committed;
        same("committed", story((committed.version, committed.state.as_ref())), story(self.committed_now()))?;
        same("last success", format!("{:?}", record.last_success), format!("{:?}", self.last_success()))?;
        same("last version", record.last_version.to_string(), self.changes().len().to_string())?;
        let remembered: Vec<_> =
            record.ended.iter().map(|e| (&e.id, e.token.0, e.how, e.version, e.discarded)).collect();
        let lives = self.lives();
        let over: Vec<_> = lives.iter().filter(|life| life.end.is_some()).collect();
        let over: Vec<_> = over[over.len().saturating_sub(8)..]
            .iter()
            .map(|l| (&l.asked.lease_id, l.token, l.end.unwrap(), self.version_at_end(l.token), l.discarded()))
            .collect();
        same("ends", format!("{remembered:?}"), format!("{over:?}"))?;
        let done: Vec<_> = record.done.iter().map(|d| (d.version, &d.id)).collect();
        let changes = self.changes();
        let last: Vec<_> = changes[changes.len().saturating_sub(8)..].iter().map(|(v, id, _)| (*v, *id)).collect();
        same("changes", format!("{done:?}"), format!("{last:?}"))
    }
}

fn updated(version: Version, state: Option<&StateRef>, changed: bool) -> Outcome {
    Outcome::Updated { version, etag: state.map(|s| s.etag.clone()), bytes: state.map_or(0, |s| s.len), changed }
}

/// 1.01 x TTL + 1 s, in nanoseconds, so that the arithmetic is another than the product's.
fn may_pass(life: &Life<'_>, age: Duration) -> bool {
    let ttl = u128::from(life.lease().ttl.millis()) * 1_000_000;
    age.as_nanos() * 100 >= ttl * 101 + 100_000_000_000
}

fn right_txn_of(life: &Life<'_>, txn: Option<&TxnId>) -> Result<(), Refusal> {
    if txn.is_some_and(|txn| *txn != life.asked.txn) { Err(Refusal::TxnMismatch) } else { Ok(()) }
}

fn right_txn<'a>(life: &Life<'a>, txn: Option<&TxnId>) -> Result<Life<'a>, Refusal> {
    right_txn_of(life, txn)?;
    Ok(Life { asked: life.asked, token: life.token, events: life.events, end: life.end })
}
