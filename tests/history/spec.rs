//! One key as its users see it: what each call may be answered, and what it does. Written from the promises alone; time is not
//! in it, so a takeover may come at any moment.

use std::collections::VecDeque;

use lockd::limits::{DONE_REQUESTS, ENDED_LEASES};

use super::{Answer, Op};

/// All that answers depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub token: u64,
    pub lease: Option<String>,
    pub committed: State,
    pub staged: Option<State>,
    pub last: u64,
    pub done: VecDeque<(String, u64)>,
    pub ended: VecDeque<Ended>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    pub version: u64,
    pub there: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ended {
    pub lease: String,
    pub token: u64,
    /// The committed version, when its holder released it.
    pub released: Option<u64>,
    pub discarded: bool,
}

/// What a call does at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is answered, as far as that matters.
    pub answer: Answer,
    /// The key after it; `None` when it stays as it is.
    pub next: Option<Key>,
}

fn refused(why: &str) -> Step {
    Step { answer: Answer::Refused { why: why.to_owned(), holder: None }, next: None }
}

fn told(answer: Answer) -> Step {
    Step { answer, next: None }
}

impl Key {
    fn visible(&self) -> State {
        self.staged.unwrap_or(self.committed)
    }

    fn holds(&self, lease: &str) -> bool {
        self.lease.as_deref() == Some(lease)
    }

    fn ended(&self, lease: &str) -> Option<&Ended> {
        self.ended.iter().rev().find(|ended| ended.lease == lease)
    }

    fn end(&mut self, released: Option<u64>) {
        let Some(lease) = self.lease.take() else { return };
        let discarded = self.staged.take().is_some();
        self.ended.push_back(Ended { lease, token: self.token, released, discarded });
        if self.ended.len() > ENDED_LEASES {
            self.ended.pop_front();
        }
    }

    /// All that may come of a call now.
    pub fn steps(&self, op: &Op) -> Vec<Step> {
        self.some(op, true)
    }

    /// What may come of it without changing anything.
    pub fn still(&self, op: &Op) -> Vec<Step> {
        self.some(op, false)
    }

    fn some(&self, op: &Op, changing: bool) -> Vec<Step> {
        match op {
            Op::Acquire { lease } => self.acquire(lease, changing),
            Op::Renew { lease, token } => vec![match self.holds(lease) {
                true if *token == self.token => told(Answer::Renewed),
                true => refused("FencingMismatch"),
                false => refused("lease"),
            }],
            Op::Update { lease, token, request, txn, remove } => {
                self.update(lease, *token, request, *txn, *remove, changing)
            }
            Op::Release { lease, token, txn, rollback } => {
                self.release(lease, *token, *txn, *rollback, changing).into_iter().collect()
            }
            Op::Expire { lease } => self.expire(lease, changing).into_iter().collect(),
            Op::Get { proof: None } => vec![told(state(self.committed))],
            Op::Get { proof: Some((lease, token)) } => vec![match self.holds(lease) {
                true if *token == self.token => told(state(self.visible())),
                true => refused("FencingMismatch"),
                false => refused("lease"),
            }],
        }
    }

    fn acquire(&self, lease: &str, changing: bool) -> Vec<Step> {
        let version = self.visible().version;
        if self.holds(lease) {
            return vec![told(granted(self.token, version))];
        }
        if self.ended(lease).is_some() {
            return vec![refused("LeaseEnded")];
        }
        let busy = |holder: &String| Answer::Refused { why: "Busy".to_owned(), holder: Some(holder.clone()) };
        // Nobody holds it, and it is kept for a waiter elsewhere: who is told so is told of no holder.
        let kept = || told(Answer::Refused { why: "Busy".to_owned(), holder: None });
        let mut steps = vec![self.lease.as_ref().map_or_else(kept, |holder| told(busy(holder)))];
        if changing {
            let mut next = self.clone();
            next.end(None);
            next.token += 1;
            next.lease = Some(lease.to_owned());
            let answer = granted(next.token, next.committed.version);
            steps.push(Step { answer, next: Some(next) });
        }
        steps
    }

    fn update(&self, lease: &str, token: u64, request: &str, txn: bool, remove: bool, changing: bool) -> Vec<Step> {
        if let Some((_, version)) = self.done.iter().find(|(id, _)| id == request) {
            let replayed = told(Answer::Updated { version: *version, etag: None, changed: true });
            return vec![replayed, refused("RequestIdReused")];
        }
        if !self.holds(lease) {
            return vec![refused("lease")];
        }
        if token != self.token {
            return vec![refused("FencingMismatch")];
        }
        let seen = self.visible();
        // Guards, transactions and the version of an earlier try are not in the history: any such refusal may be.
        let mut steps = vec![refused("guard")];
        if self.staged.is_some() && !txn {
            return steps;
        }
        if remove && !seen.there {
            steps.push(told(Answer::Updated { version: seen.version, etag: None, changed: false }));
            return steps;
        }
        if !changing {
            return steps;
        }
        let mut next = self.clone();
        next.last += 1;
        let new = State { version: next.last, there: !remove };
        match txn {
            true => next.staged = Some(new),
            false => next.committed = new,
        }
        next.done.push_back((request.to_owned(), new.version));
        if next.done.len() > DONE_REQUESTS {
            next.done.pop_front();
        }
        let answer = Answer::Updated { version: new.version, etag: None, changed: true };
        steps.push(Step { answer, next: Some(next) });
        steps
    }

    fn expire(&self, lease: &str, changing: bool) -> Option<Step> {
        let next = (changing && self.holds(lease)).then(|| {
            let mut next = self.clone();
            next.end(None);
            next
        })?;
        Some(Step { answer: Answer::Gone, next: Some(next) })
    }

    /// The end of a lease that is not the present one.
    fn released_before(&self, lease: &str, token: Option<u64>, rollback: bool) -> Step {
        let Some(ended) = self.ended(lease) else {
            return told(if self.lease.is_some() { Answer::Fenced } else { Answer::Gone });
        };
        if token.is_some_and(|token| token != ended.token) {
            return refused("FencingMismatch");
        }
        if ended.discarded && !rollback {
            return refused("StagedDiscarded");
        }
        told(match ended.released {
            Some(version) => Answer::Released { version },
            None if self.lease.is_some() => Answer::Fenced,
            None => Answer::Gone,
        })
    }

    fn release(&self, lease: &str, token: Option<u64>, txn: bool, rollback: bool, changing: bool) -> Option<Step> {
        if !self.holds(lease) {
            return Some(self.released_before(lease, token, rollback));
        }
        if token.is_some_and(|token| token != self.token) {
            return Some(refused("FencingMismatch"));
        }
        if self.staged.is_some() && !txn && !rollback {
            return Some(refused("MissingTxn"));
        }
        if !changing {
            return None;
        }
        let mut next = self.clone();
        if !rollback && let Some(staged) = next.staged.take() {
            next.committed = staged;
        }
        let version = next.committed.version;
        next.end(Some(version));
        Some(Step { answer: Answer::Released { version }, next: Some(next) })
    }
}

fn granted(token: u64, version: u64) -> Answer {
    Answer::Granted { token, version, provisional: false }
}

fn state(state: State) -> Answer {
    match state.there {
        true => Answer::State { version: state.version, etag: String::new() },
        false => Answer::NoState,
    }
}

/// Whether what was answered is what this step answers. Hashes are not the key's affair: the chain compares them.
pub fn fits(told: &Answer, step: &Answer) -> bool {
    use Answer as A;
    match (told, step) {
        (A::Refused { why, holder }, A::Refused { why: wanted, holder: present }) => match wanted.as_str() {
            "lease" => matches!(why.as_str(), "LeaseRequired" | "LeaseExpired" | "LeaseBroken"),
            "guard" => matches!(why.as_str(), "VersionConflict" | "EtagMismatch" | "MissingTxn" | "TxnMismatch"),
            _ => why == wanted && holder == present,
        },
        (A::Updated { version, changed, .. }, A::Updated { version: v, changed: c, .. }) => {
            (version, changed) == (v, c)
        }
        (A::State { version, .. }, A::State { version: v, .. }) => version == v,
        // Whether it is to be confirmed is not the key's affair.
        (A::Granted { token, version, .. }, A::Granted { token: t, version: v, .. }) => (token, version) == (t, v),
        _ => told == step,
    }
}
