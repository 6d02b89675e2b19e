//! A client with its engine: the commit loop of read, step, compare-and-swap, and the verdict on what is unclear.

use super::state::{
    Client, Kind, MEMORY, Made, Phase, Put, Record, Reply, RequestId, Seen, Sent, State, Task, insert, remember,
};
use super::step::Outcome;
use super::world::{Mutation, World};

/// How a request ends for its client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    Success,
    /// It was applied, and its lease has ended since.
    Over,
    /// Certainly not applied, now or later.
    Refused,
    /// Certainly not applied, because the kill of its put won.
    Killed,
    /// It may or may not have been applied.
    Unknown,
}

impl World {
    /// A client makes a request.
    pub fn begin(&self, state: &mut State, client: usize, kind: Kind) {
        let id = RequestId(state.requests);
        state.requests += 1;
        let holder = state.clients[client];
        let (lease, token) = holder.lease.unwrap_or((id, 0));
        let known = holder.base.map(|base| base.last_version);
        let bound = known.filter(|_| kind == Kind::Update && self.bound_by_client);
        if matches!(kind, Kind::Acquire | Kind::Update) && self.left.duplicates > 0 {
            remember(&mut state.made, Made { kind, id, lease, token, bound }, MEMORY);
        }
        let upload = self.blobs && kind == Kind::Update;
        let task = Task { kind, id, lease, token, duplicate: false, bound, blob: None, since_send: 0, sent: false };
        self.start(state, client, task, upload);
    }

    /// A delayed duplicate of a request reaches this engine.
    pub fn begin_duplicate(&self, state: &mut State, client: usize, made: Made) {
        state.left.duplicates -= 1;
        let Made { kind, id, lease, token, bound } = made;
        let task = Task { kind, id, lease, token, duplicate: true, bound, blob: None, since_send: 0, sent: false };
        self.start(state, client, task, false);
    }

    pub fn start(&self, state: &mut State, client: usize, task: Task, upload: bool) {
        state.clients[client].task = Some(task);
        if upload {
            state.clients[client].phase = Phase::Uploading;
        } else {
            self.start_from_known(state, client);
        }
    }

    /// What is known of the record may feed a step that writes; every other answer takes a fresh read.
    pub fn start_from_known(&self, state: &mut State, client: usize) {
        let Client { task, base, .. } = state.clients[client];
        let (Some(task), Some(base)) = (task, base) else {
            return get(state, client, None);
        };
        match self.step(&base, &task, false) {
            Outcome::Write(body) => self.send(state, client, &base, body),
            _ => get(state, client, None),
        }
    }

    /// The reply to a get arrives.
    pub fn got(&self, state: &mut State, client: usize, kill: bool) {
        let Phase::Getting { sent, since_send } = state.clients[client].phase else {
            return;
        };
        let record = state.record;
        self.observe(&mut state.clients[client], &record, since_send);
        state.clients[client].base = Some(record);
        match sent {
            None => self.decide(state, client),
            Some(sent) => self.verdict(state, client, sent, kill),
        }
    }

    /// Keeps how long another's lease has been seen to stand.
    fn observe(&self, client: &mut Client, record: &Record, since_send: u8) {
        let Some(task) = client.task else { return };
        let waits = task.kind == Kind::Acquire && record.lease.is_some_and(|lease| lease != task.lease);
        let same = |seen: &Seen| seen.token == record.token && seen.beat == record.beat;
        let age = if self.without(Mutation::ObserveAtSend) { since_send } else { 0 };
        let new = Seen { token: record.token, beat: record.beat, age };
        client.seen = waits.then(|| client.seen.filter(same).unwrap_or(new));
    }

    /// Steps the request on the record last read, and does what that says.
    pub fn decide(&self, state: &mut State, client: usize) {
        let Client { task: Some(mut task), base: Some(base), seen, .. } = state.clients[client] else {
            return;
        };
        let old_enough = seen.is_some_and(|seen| seen.age >= self.ttl);
        if task.kind == Kind::Update && task.bound.is_none() {
            task.bound = Some(base.last_version);
            state.clients[client].task = Some(task);
        }
        match self.step(&base, &task, old_enough) {
            Outcome::Write(body) => self.send(state, client, &base, body),
            Outcome::Done => self.finish(state, client, Answer::Success),
            Outcome::Refused => self.finish(state, client, Answer::Refused),
            // This tells that the lease ended, and nothing about whether it was ever granted.
            Outcome::Ended => self.finish(state, client, Answer::Over),
            Outcome::Held => state.clients[client].phase = Phase::Waiting,
        }
    }

    fn send(&self, state: &mut State, client: usize, base: &Record, body: Record) {
        state.writes += 1;
        let write = state.writes;
        let sent = Sent { write, expected: base.write, revision: base.revision + 1, kill: None };
        let body = self.sealed(base, body, write);
        let this = &mut state.clients[client];
        let Some(task) = &mut this.task else { return };
        task.sent = true;
        if task.kind == Kind::Update && task.bound.is_none() {
            task.bound = Some(base.last_version);
        }
        if task.kind == Kind::Release && !self.without(Mutation::BelieveDuringRelease) {
            this.belief = 0;
        }
        let lease = task.lease;
        this.base = Some(body);
        this.phase = Phase::Putting { sent, reply: None };
        state.put_on_wire(Put { body, expected: base.write, lease, to: Some(client as u8) });
    }

    /// Gives a body its write id and its ring.
    fn sealed(&self, base: &Record, body: Record, write: u8) -> Record {
        let mut recent = base.recent;
        remember(&mut recent, base.write, self.ring - 1);
        Record { write, revision: base.revision + 1, recent, ..body }
    }

    /// Swaps the unchanged record under a new write id, so that the unclear put can never be applied.
    fn kill(&self, state: &mut State, client: usize, sent: Sent, base: &Record) {
        // Where the etag is a hash of a content without a write id, the unchanged record keeps its etag.
        let write = if self.without(Mutation::EtagIsContent) { base.write } else { state.writes + 1 };
        state.writes = state.writes.max(write);
        let body = Record { request: None, ..self.sealed(base, *base, write) };
        let lease = state.clients[client].task.map_or(RequestId(0), |task| task.lease);
        state.clients[client].phase = Phase::Putting { sent: Sent { kill: Some(write), ..sent }, reply: None };
        state.put_on_wire(Put { body, expected: base.write, lease, to: Some(client as u8) });
    }

    /// The reply to a put arrives.
    pub fn receive(&self, state: &mut State, client: usize) {
        let Phase::Putting { sent, reply: Some(reply) } = state.clients[client].phase else {
            return;
        };
        match (reply, sent.kill) {
            (Reply::Applied, None) => self.finish(state, client, Answer::Success),
            (Reply::Applied, Some(_)) => self.finish(state, client, Answer::Killed),
            (Reply::Conflict, _) if self.without(Mutation::NoReadback) => self.finish(state, client, Answer::Refused),
            (Reply::Conflict, _) => get(state, client, Some(sent)),
        }
    }

    /// The client no longer waits for the reply; the put may still be applied.
    pub fn time_out(&self, state: &mut State, client: usize) {
        let Phase::Putting { sent, .. } = state.clients[client].phase else {
            return;
        };
        state.left.timeouts -= 1;
        if self.without(Mutation::NoReadback) {
            // It is sent again; where the first send was applied, its own etag is gone.
            if state.record.has_write(sent.write) {
                state.clients[client].phase = Phase::Putting { sent, reply: Some(Reply::Conflict) };
            }
            return;
        }
        state.detach(client);
        if self.without(Mutation::UnknownIsFailed) {
            return self.finish(state, client, Answer::Refused);
        }
        get(state, client, Some(sent));
    }

    /// The store does not answer the read-back either: nobody knows, and the put may land yet.
    pub fn give_no_verdict(&self, state: &mut State, client: usize) {
        state.left.timeouts -= 1;
        self.finish(state, client, Answer::Unknown);
        state.clients[client].base = None;
    }

    /// What became of a put, by the record just read.
    fn verdict(&self, state: &mut State, client: usize, sent: Sent, kill: bool) {
        let Client { task: Some(task), base: Some(record), .. } = state.clients[client] else {
            return;
        };
        let reaches_back = usize::from(record.revision) < usize::from(sent.revision) + self.ring;
        if record.has_write(sent.write) {
            self.finish(state, client, still_holds(&task, &record));
        } else if record.write == sent.expected {
            match sent.kill {
                None if kill => self.kill(state, client, sent, &record),
                None => state.send_again(client, sent, sent.write),
                Some(write) => state.send_again(client, sent, write),
            }
        } else if reaches_back && sent.kill.is_some() {
            self.finish(state, client, Answer::Killed);
        } else if reaches_back || self.steps_after_overrun(&task) {
            self.decide(state, client);
        } else if remembers_success(&task, &record) {
            self.finish(state, client, Answer::Success);
        } else {
            self.finish(state, client, Answer::Unknown);
        }
    }

    fn steps_after_overrun(&self, task: &Task) -> bool {
        self.without(Mutation::RingOverrunIsFailed)
            || self.without(Mutation::UpdateSteppedAgain) && task.kind == Kind::Update
    }

    fn finish(&self, state: &mut State, client: usize, answer: Answer) {
        let this = &mut state.clients[client];
        this.phase = Phase::Idle;
        this.seen = None;
        let (Some(task), Some(base)) = (this.task.take(), this.base) else {
            return;
        };
        if !task.duplicate {
            self.take_answer(state, client, &task, &base, answer);
        }
        let this = &mut state.clients[client];
        if this.lease.is_none() && this.task.is_none() {
            this.base = None;
        }
    }

    fn take_answer(&self, state: &mut State, client: usize, task: &Task, base: &Record, answer: Answer) {
        let this = &mut state.clients[client];
        let counted = if self.without(Mutation::DeadlineAtResponse) { 0 } else { task.since_send };
        let left = self.ttl - counted;
        match (task.kind, answer) {
            (Kind::Acquire, Answer::Success) => {
                this.lease = Some((task.lease, base.token));
                this.belief = left;
            }
            (Kind::Renew, Answer::Success) => this.belief = this.belief.max(left),
            (Kind::Release, _) => this.lease = None,
            _ => {}
        }
        let ended = this.lease.is_some_and(|(lease, _)| base.lease != Some(lease));
        if this.lease.is_none() || ended && answer != Answer::Success {
            this.lease = None;
            this.belief = 0;
        }
        self.note_denial(state, task, base, answer);
        if matches!(answer, Answer::Killed | Answer::Unknown) && task.kind == Kind::Acquire {
            self.abandon(state, client, task.lease);
        }
    }

    /// Remembers what the client was told, and deletes the body that was certainly not published.
    fn note_denial(&self, state: &mut State, task: &Task, base: &Record, answer: Answer) {
        // What an engine finds out holds for the send that it got. A kill says nothing of another send of the same
        // request; a refusal does where the record would remember it.
        let only_send = self.left.duplicates == 0;
        let remembers =
            base.remembers_all_of(task.token, self.done) || self.without(Mutation::RefusalSpeaksForEverySend);
        let denied = match answer {
            Answer::Refused => only_send || remembers,
            Answer::Killed => only_send || self.without(Mutation::KillSpeaksForEverySend),
            _ => false,
        };
        if denied && matches!(task.kind, Kind::Acquire | Kind::Update) {
            insert(&mut state.history.denied, task.id);
        }
        let unpublished = matches!(answer, Answer::Refused | Answer::Killed);
        let deletes = unpublished || answer == Answer::Unknown && self.without(Mutation::UnknownDeletesBlob);
        if let Some(blob) = task.blob.filter(|_| deletes) {
            state.blobs &= !(1 << blob.upload);
        }
    }

    /// Who gives up an acquire sends a release for its lease id.
    pub fn abandon(&self, state: &mut State, client: usize, lease: RequestId) {
        let id = RequestId(state.requests);
        state.requests += 1;
        let (kind, token) = (Kind::Release, 0);
        state.clients[client] = Client::NEW;
        let task =
            Task { kind, id, lease, token, duplicate: false, bound: None, blob: None, since_send: 0, sent: false };
        self.start(state, client, task, false);
    }
}

fn get(state: &mut State, client: usize, sent: Option<Sent>) {
    state.clients[client].phase = Phase::Getting { sent, since_send: 0 };
}

/// The answer to a request that was applied, by the record as it stands now.
fn still_holds(task: &Task, record: &Record) -> Answer {
    match task.kind {
        Kind::Acquire | Kind::Renew if record.lease != Some(task.lease) => Answer::Over,
        _ => Answer::Success,
    }
}

/// Whether the record shows by more than its ring that the request was applied.
fn remembers_success(task: &Task, record: &Record) -> bool {
    match task.kind {
        Kind::Update => record.has_done(task.id),
        Kind::Acquire => record.lease == Some(task.lease),
        _ => false,
    }
}
