//! What callers of the store are told, checked against what is true.

use lockd::error::{Error, ErrorKind as K, Result};
use lockd::store::disk::etag::{Digest, digest, parse};
use lockd::store::{Etag, PutError, Tagged};

use super::counters::Counter as C;
use super::world::{ProcId, World};

/// A call that is under way.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub proc: ProcId,
    pub key: usize,
    /// The revision that was answered before it began.
    at_least: u64,
    faults: u64,
    distrusts: bool,
}

impl World {
    pub fn call(&self, proc: ProcId, key: usize) -> Call {
        let known = &self.procs[proc];
        let at_least = self.truth.keys[key].answered;
        Call { proc, key, at_least, faults: known.faults, distrusts: known.distrusts }
    }

    /// Whether something went wrong since that explains an error.
    pub fn excused(&self, call: &Call) -> bool {
        self.procs[call.proc].faults > call.faults || self.procs[call.proc].distrusts
    }

    pub fn plausible(&mut self, call: &Call, what: &str, e: &Error) {
        let never = matches!(
            e.kind(),
            K::Internal | K::Corrupt | K::StoreReplaced | K::StoreMissing | K::TooNew | K::Usage | K::Config
        );
        let holds = !never && self.excused(call);
        self.ensure(holds, "no error without a cause", || format!("{what} of {call:?}: {:?} {e}", e.kind()));
        if call.distrusts {
            self.count(C::Distrusted);
        }
    }

    /// A good answer of a process that may not give one.
    fn trusts(&mut self, call: &Call, what: &str) {
        self.ensure(!call.distrusts, "after a failed sync the store is refused", || format!("{what} of {call:?}"));
    }

    pub fn put_begins(&mut self, proc: ProcId, key: usize, content: Digest, n: u64) -> Call {
        let value = self.truth.keys[key].values.entry(content).or_default();
        value.n = n;
        value.under_way += 1;
        // The word was for the send before.
        value.denied = false;
        self.call(proc, key)
    }

    pub fn put_ends(&mut self, call: Call, content: Digest, result: &Result<Etag, PutError>) {
        let Some(value) = self.truth.keys[call.key].values.get_mut(&content) else { return };
        value.under_way -= 1;
        let (n, doubt) = (value.n, value.doubt);
        let there = self.truth.keys[call.key].published.get(&n).copied();
        self.say(|| format!("{} put {n} of key {}: {result:?}", call.proc, call.key));
        match result {
            Ok(etag) => {
                self.trusts(&call, "put");
                self.acknowledged(&call, content, n, etag);
                self.count(if doubt { C::SentAgain } else { C::Put });
            }
            Err(PutError::Unknown(e)) => {
                self.count(C::Unknown);
                if let Some(value) = self.truth.keys[call.key].values.get_mut(&content) {
                    value.doubt = true;
                }
                // On a network a link may fail because another's sweep came first, and the reason be pruned before the look.
                if e.kind() != K::OutcomeUnknown || !self.mix.network {
                    self.plausible(&call, "put", e);
                }
            }
            Err(PutError::Conflict) => {
                self.count(C::Conflict);
                self.ensure(there.is_some(), "no conflict without a cause", || format!("r.{n} is not there"));
                self.denied(&call, content, there);
            }
            Err(PutError::Failed(e)) => {
                self.count(C::Failed);
                self.plausible(&call, "put", e);
                self.denied(&call, content, there);
            }
        }
    }

    fn acknowledged(&mut self, call: &Call, content: Digest, n: u64, etag: &Etag) {
        let key = &self.truth.keys[call.key];
        let fits = parse(etag) == Some((n, content));
        let there = key.published.get(&n) == Some(&content);
        let other = key.acked.get(&n).is_some_and(|other| *other != content);
        self.ensure(fits && there, "an acknowledged put is there", || format!("{etag:?} for r.{n}"));
        self.ensure(!other, "one win for a revision", || format!("r.{n} by {}", call.proc));
        self.answered(call.key, n);
        self.truth.keys[call.key].acked.insert(n, content);
    }

    fn answered(&mut self, key: usize, n: u64) {
        let durable = !self.strict || self.is_durable(key, n);
        self.ensure(durable, "what is answered is durable", || format!("r.{n} of key {key}"));
        let known = &mut self.truth.keys[key];
        known.answered = known.answered.max(n);
    }

    /// A word for one send: for the value only when every send of it had such an answer.
    fn denied(&mut self, call: &Call, content: Digest, there: Option<Digest>) {
        let Some(value) = self.truth.keys[call.key].values.get_mut(&content) else { return };
        if value.doubt || value.under_way > 0 {
            return;
        }
        value.denied = true;
        let n = value.n;
        let applied = there == Some(content);
        self.ensure(!applied, "what is not applied never becomes visible", || format!("r.{n} by {}", call.proc));
    }

    pub fn get_ends(&mut self, call: Call, result: &Result<Option<Tagged>>) {
        let tagged = match result {
            Err(e) => {
                self.say(|| format!("{} get of key {}: {e}", call.proc, call.key));
                return self.plausible(&call, "get", e);
            }
            Ok(tagged) => tagged,
        };
        self.count(C::Get);
        self.trusts(&call, "get");
        let seen = tagged.as_ref().map(|tagged| (parse(&tagged.etag), digest(&tagged.value)));
        let n = match seen {
            None => 0,
            Some((Some((n, named)), content)) => {
                let there = self.truth.keys[call.key].published.get(&n).copied();
                let fits = named == content && there == Some(content);
                self.ensure(fits, "what is read was published, whole", || format!("r.{n}"));
                n
            }
            Some((None, _)) => return self.broken("an etag can be read", format!("{seen:?}")),
        };
        self.say(|| format!("{} got {n} of key {}", call.proc, call.key));
        let least = call.at_least;
        self.ensure(n >= least, "the head never goes back for a reader", || format!("{n} after {least}: {call:?}"));
        if n > 0 {
            self.answered(call.key, n);
        }
    }
}
