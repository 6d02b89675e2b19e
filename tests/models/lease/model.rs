//! The world as stateright sees it: initial state, actions and properties.

use super::state::{
    CLIENTS, Client, History, Kind, Left, MEMORY, Made, NUMBERS, Phase, Record, RequestId, State, UPLOADS, Violation,
    WIRE, WriteId,
};
use super::world::{Mutation, World};
use stateright::{Model, Property};

/// One step of the world.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    Begin {
        client: usize,
        kind: Kind,
    },
    /// A delayed duplicate of a request reaches the engine of this client.
    Duplicate {
        client: usize,
        made: Made,
    },
    Uploaded {
        client: usize,
    },
    /// The get is executed, and its reply arrives. An unclear put is sent again, or killed.
    Got {
        client: usize,
        kill: bool,
    },
    ReadAgain {
        client: usize,
    },
    TryTakeover {
        client: usize,
    },
    GiveUp {
        client: usize,
    },
    PutLands {
        write: WriteId,
        slot: usize,
    },
    ReplyArrives {
        client: usize,
    },
    TimesOut {
        client: usize,
    },
    StoreIsSilent {
        client: usize,
    },
    Collect {
        client: usize,
    },
    List {
        client: usize,
    },
    Delete {
        client: usize,
        upload: u8,
    },
    Crash {
        client: usize,
    },
    Tick,
}

impl World {
    fn initial(&self) -> State {
        let history = History {
            highest_token: 0,
            granted: [None; NUMBERS],
            named: [None; NUMBERS],
            applied: 0,
            denied: 0,
            ended: 0,
            violation: None,
        };
        State {
            record: Record::ABSENT,
            wire: [None; WIRE],
            clients: [Client::NEW; CLIENTS],
            made: [None; MEMORY],
            uploads: [0; UPLOADS],
            uploaded: 0,
            blobs: 0,
            requests: 0,
            writes: 0,
            left: self.left,
            history,
        }
    }

    fn idle_actions(&self, state: &State, client: usize, actions: &mut Vec<Action>) {
        let Left { acquires, renewals, updates, breaks, collections, duplicates, .. } = state.left;
        let mut begin = |possible: bool, kind| actions.extend(possible.then_some(Action::Begin { client, kind }));
        let holds = state.clients[client].lease.is_some();
        begin(acquires > 0 && !holds, Kind::Acquire);
        begin(renewals > 0 && holds, Kind::Renew);
        // A client that binds its updates reads the version first.
        let knows = state.clients[client].base.is_some() || !self.bound_by_client;
        begin(updates > 0 && holds && knows, Kind::Update);
        begin(holds, Kind::Release);
        begin(breaks > 0 && !holds && state.record.lease.is_some(), Kind::Break);
        if collections > 0 && !holds {
            actions.push(Action::Collect { client });
        }
        if duplicates > 0 && !holds {
            actions.extend(state.made.into_iter().flatten().map(|made| Action::Duplicate { client, made }));
        }
    }

    fn client_actions(&self, state: &State, client: usize, actions: &mut Vec<Action>) {
        let this = &state.clients[client];
        match this.phase {
            Phase::Idle => self.idle_actions(state, client, actions),
            Phase::Uploading => actions.push(Action::Uploaded { client }),
            Phase::Getting { sent, .. } => {
                actions.push(Action::Got { client, kill: false });
                if sent.is_some_and(|sent| sent.kill.is_none() && state.record.write == sent.expected) {
                    actions.push(Action::Got { client, kill: true });
                }
                if sent.is_some() && state.left.timeouts > 0 {
                    actions.push(Action::StoreIsSilent { client });
                }
            }
            Phase::Waiting => {
                actions.push(Action::ReadAgain { client });
                actions.push(Action::GiveUp { client });
                if this.seen.is_some_and(|seen| seen.age >= self.ttl) {
                    actions.push(Action::TryTakeover { client });
                }
            }
            Phase::Putting { reply, .. } => {
                actions.extend(reply.map(|_| Action::ReplyArrives { client }));
                actions.extend((state.left.timeouts > 0).then_some(Action::TimesOut { client }));
            }
            Phase::Listing { .. } => actions.push(Action::List { client }),
            Phase::Deleting(victims) => {
                actions.extend(
                    (0..16).filter(|upload| victims >> upload & 1 == 1).map(|upload| Action::Delete { client, upload }),
                );
            }
        }
        if state.left.crashes > 0 && *this != Client::NEW {
            actions.push(Action::Crash { client });
        }
    }

    fn begin_counted(&self, state: &mut State, client: usize, kind: Kind) {
        match kind {
            Kind::Acquire => state.left.acquires -= 1,
            Kind::Renew => state.left.renewals -= 1,
            Kind::Update => state.left.updates -= 1,
            Kind::Break => state.left.breaks -= 1,
            Kind::Release => {}
        }
        self.begin(state, client, kind);
    }

    fn tick(&self, state: &mut State) {
        let up = |ticks: &mut u8| *ticks = (*ticks + 1).min(self.ttl);
        for client in &mut state.clients {
            client.belief = client.belief.saturating_sub(1);
            if let Some(seen) = &mut client.seen {
                up(&mut seen.age);
            }
            if let Some(task) = client.task.as_mut().filter(|task| task.sent) {
                up(&mut task.since_send);
            }
            if let Phase::Getting { since_send, .. } = &mut client.phase {
                // Only the mutation looks at it.
                if self.without(Mutation::ObserveAtSend) {
                    up(since_send);
                }
            }
        }
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.initial()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for client in 0..self.clients {
            self.client_actions(state, client, actions);
        }
        for (slot, put) in state.wire.iter().enumerate() {
            actions.extend(put.map(|put| Action::PutLands { write: put.body.write, slot }));
        }
        actions.push(Action::Tick);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        match action {
            Action::Begin { client, kind } => self.begin_counted(&mut state, client, kind),
            Action::Duplicate { client, made } => self.begin_duplicate(&mut state, client, made),
            Action::Uploaded { client } => self.upload(&mut state, client),
            Action::Got { client, kill } => self.got(&mut state, client, kill),
            Action::ReadAgain { client } => state.clients[client].phase = Phase::Getting { sent: None, since_send: 0 },
            Action::TryTakeover { client } => self.decide(&mut state, client),
            Action::GiveUp { client } => {
                let lease = state.clients[client].task.map_or(RequestId(0), |task| task.lease);
                self.abandon(&mut state, client, lease);
            }
            Action::PutLands { slot, .. } => self.deliver(&mut state, slot),
            Action::ReplyArrives { client } => self.receive(&mut state, client),
            Action::TimesOut { client } => self.time_out(&mut state, client),
            Action::StoreIsSilent { client } => self.give_no_verdict(&mut state, client),
            Action::Collect { client } => self.collect(&mut state, client),
            Action::List { client } => self.list(&mut state, client),
            Action::Delete { client, upload } => self.delete(&mut state, client, upload),
            Action::Crash { client } => {
                state.left.crashes -= 1;
                state.detach(client);
                state.clients[client] = Client::NEW;
            }
            Action::Tick => self.tick(&mut state),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<World>> {
        vec![
            Property::always("each token goes to one holder", |w: &World, s: &State| w.never(s, Violation::TokenTwice)),
            Property::always("tokens rise", |w: &World, s: &State| w.never(s, Violation::TokenNotHigher)),
            Property::always("no update is applied twice", |w: &World, s: &State| w.never(s, Violation::AppliedTwice)),
            Property::always("only the present holder writes", |w: &World, s: &State| {
                w.never(s, Violation::NotTheHolder)
            }),
            Property::always("an ended lease id is never granted again", |w: &World, s: &State| {
                w.never(s, Violation::EndedGrantedAgain)
            }),
            Property::always("a version never names two states", |w: &World, s: &State| {
                w.never(s, Violation::VersionTwice)
            }),
            Property::always("what was reported failed is never applied", |w: &World, s: &State| {
                w.judge(s.history.applied & s.history.denied == 0)
            }),
            Property::always("no two holders believe at once", |w: &World, s: &State| {
                w.judge(w.left.breaks > 0 || s.believers() <= 1)
            }),
            Property::always("a blob that the record names exists", |w: &World, s: &State| {
                w.judge(s.record.named() & !s.blobs == 0)
            }),
        ]
    }
}

impl World {
    fn judge(&self, holds: bool) -> bool {
        self.first_only.judge(holds)
    }

    fn never(&self, state: &State, violation: Violation) -> bool {
        self.judge(state.history.violation != Some(violation))
    }
}

impl State {
    /// How many clients believe to hold the lease, each by its own clock.
    fn believers(&self) -> usize {
        self.clients.iter().filter(|client| client.belief > 0).count()
    }
}
