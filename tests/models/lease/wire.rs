//! The network and the store: what is under way, and what it does when it lands.

use super::state::{Change, Phase, Put, Record, Reply, RequestId, Sent, State, Violation, WriteId, contains, insert};
use super::world::{Mutation, World};

impl State {
    pub fn put_on_wire(&mut self, put: Put) {
        let free = self.wire.iter_mut().find(|slot| slot.is_none());
        *free.expect("the wire of the model is long enough") = Some(put);
        self.tidy();
    }

    /// The order on the wire means nothing: one order for all that are the same.
    fn tidy(&mut self) {
        self.wire.sort_by_key(|slot| slot.map_or(WriteId::MAX, |put| put.body.write));
    }

    /// A client stops waiting for its put.
    pub fn detach(&mut self, client: usize) {
        for put in self.wire.iter_mut().flatten().filter(|put| put.to == Some(client as u8)) {
            put.to = None;
        }
    }

    /// A client sends the bytes of a put again. The first send is still under way, since the etag is still the one that
    /// it expects; which of the two lands makes no difference.
    pub fn send_again(&mut self, client: usize, sent: Sent, write: WriteId) {
        self.clients[client].phase = Phase::Putting { sent, reply: None };
        for put in self.wire.iter_mut().flatten().filter(|put| put.body.write == write) {
            put.to = Some(client as u8);
        }
    }
}

impl World {
    /// A put reaches the store.
    pub fn deliver(&self, state: &mut State, slot: usize) {
        let Some(put) = state.wire[slot].take() else {
            return;
        };
        let applied = put.expected == state.record.write;
        if applied {
            self.apply(state, &put);
        }
        if let Some(client) = put.to.map(usize::from) {
            let outcome = if applied { Reply::Applied } else { Reply::Conflict };
            if let Phase::Putting { reply, .. } = &mut state.clients[client].phase {
                *reply = Some(outcome);
            }
        }
        self.drop_spent(state);
    }

    /// Forgets puts that nobody waits for and that can never be applied: an etag never comes back, except as "absent"
    /// when records are deleted.
    fn drop_spent(&self, state: &mut State) {
        let current = state.record.write;
        let comes_back = |put: &Put| put.expected == 0 && self.without(Mutation::DeleteOnRelease);
        for slot in &mut state.wire {
            *slot = slot.filter(|put| put.to.is_some() || put.expected == current || comes_back(put));
        }
        state.tidy();
    }

    fn apply(&self, state: &mut State, put: &Put) {
        let old = state.record;
        let new = put.body;
        note_lease(state, &old, &new, put.lease);
        note_change(state, &old, &new, put.lease);
        let deleted = self.without(Mutation::DeleteOnRelease) && new.token == 0;
        state.record = if deleted { Record::ABSENT } else { new };
    }
}

fn note_lease(state: &mut State, old: &Record, new: &Record, lease: RequestId) {
    let history = &mut state.history;
    let granted = new.lease.filter(|_| new.lease != old.lease);
    if let Some(id) = granted {
        let before = history.granted[usize::from(new.token)].replace(id);
        if before.is_some_and(|before| before != id) {
            history.violate(Violation::TokenTwice);
        } else if new.token <= history.highest_token {
            history.violate(Violation::TokenNotHigher);
        }
        if contains(history.ended, id) {
            history.violate(Violation::EndedGrantedAgain);
        }
        insert(&mut history.applied, id);
    }
    if let Some(id) = old.lease.filter(|_| new.lease != old.lease) {
        insert(&mut history.ended, id);
    }
    if new.ended.contains(&Some(lease)) {
        insert(&mut history.ended, lease);
    }
    history.highest_token = history.highest_token.max(new.token);
}

fn note_change(state: &mut State, old: &Record, new: &Record, lease: RequestId) {
    let is_new =
        |change: &Change| Some(change.by) == new.request && ![old.committed, old.staged].contains(&Some(*change));
    let Some(change) = [new.committed, new.staged].into_iter().flatten().find(is_new) else {
        return;
    };
    let history = &mut state.history;
    if contains(history.applied, change.by) {
        history.violate(Violation::AppliedTwice);
    }
    insert(&mut history.applied, change.by);
    if old.lease != Some(lease) {
        history.violate(Violation::NotTheHolder);
    }
    let before = history.named[usize::from(change.version)].replace(change.by);
    if before.is_some_and(|before| before != change.by) {
        history.violate(Violation::VersionTwice);
    }
}
