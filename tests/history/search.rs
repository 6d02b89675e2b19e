//! Is there an order of the calls, each between its beginning and its end, in which one key alone would have given the same
//! answers? Wing and Gong's search, call by call: all states that the key may be in are kept, and each return throws out those that
//! cannot explain it. A call whose answer is not known may take effect at any later time, or never; where the store's writes are
//! in the history, they tell what became of those, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::spec::{Key, fits};
use super::{Answer, Call, OfKey, Op};

/// States looked at for one key before the search is given up.
const BUDGET: usize = 30_000;
/// Explanations kept at once before the search is given up.
const WORLDS: usize = 64;

/// What the search needed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    pub widest: u64,
    pub undecided: bool,
}

/// One explanation of all returns so far: the key, and which calls under way have taken effect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct World {
    key: Key,
    done: BTreeSet<usize>,
}

/// Checks one key.
///
/// # Errors
/// The first return that nothing explains.
pub fn check(of: &OfKey) -> Result<Found, String> {
    // First with effects of unanswered calls only where an answer needs them; where that fails, with all that are possible.
    match run(of, false) {
        Ok(found) => Ok(found),
        Err(_) => run(of, true),
    }
}

fn run(of: &OfKey, all: bool) -> Result<Found, String> {
    let mut moments: Vec<(usize, bool, usize)> = Vec::new();
    for (n, call) in of.calls.iter().enumerate() {
        moments.push((call.invoked, true, n));
        if let Some(returned) = call.returned.filter(|_| is_certain(call)) {
            moments.push((returned, false, n));
        }
    }
    moments.sort_unstable();
    let mut search = Search { calls: &of.calls, made: made(of), pending: BTreeSet::new(), looked_at: 0, all };
    let mut worlds = BTreeSet::from([World { key: Key::default(), done: BTreeSet::new() }]);
    let mut found = Found::default();
    for (_, begins, n) in moments {
        if begins {
            search.begin(n);
            worlds = worlds.into_iter().map(|world| search.settled(world)).collect();
            continue;
        }
        let mut next = BTreeSet::new();
        for world in &worlds {
            search.explain(world, n, &mut next);
        }
        if search.looked_at > BUDGET || next.len() > WORLDS {
            return Ok(Found { undecided: true, ..found });
        }
        if next.is_empty() {
            let key = worlds.iter().next().map(|world| {
                let Key { token, lease, committed, staged, .. } = &world.key;
                format!("token {token}, lease {lease:?}, committed {committed:?}, staged {staged:?}")
            });
            return Err(format!("no order of the calls explains {:?}; the key was at {key:?}", of.calls[n]));
        }
        search.pending.remove(&n);
        worlds = next;
        for world in std::mem::take(&mut worlds) {
            let mut done = world.done;
            done.remove(&n);
            worlds.insert(World { key: world.key, done });
        }
        found.widest = found.widest.max(worlds.len() as u64);
    }
    Ok(found)
}

/// Whether its answer says what it did. One that failed did nothing and is not looked at.
fn is_certain(call: &Call) -> bool {
    !call.is_open() && !matches!(call.answer, Some(Answer::Failed { .. }))
}

/// What the store's writes tell of calls without an answer: the tokens and versions that they made, if any.
fn made(of: &OfKey) -> BTreeMap<usize, BTreeSet<u64>> {
    let mut tokens: BTreeMap<&String, BTreeSet<u64>> = BTreeMap::new();
    let mut versions: BTreeMap<&String, BTreeSet<u64>> = BTreeMap::new();
    for (_, wrote) in &of.writes {
        if let Some(lease) = &wrote.lease {
            tokens.entry(lease).or_default().insert(wrote.token);
        }
        if let Some(request) = &wrote.request {
            versions.entry(request).or_default().insert(wrote.last);
        }
    }
    let made = |call: &Call| match &call.op {
        Op::Acquire { lease } | Op::Release { lease, .. } | Op::Expire { lease } => tokens.get(lease).cloned(),
        Op::Update { request, .. } => versions.get(request).cloned(),
        Op::Get { .. } | Op::Renew { .. } => None,
    };
    let open = of.calls.iter().enumerate().filter(|(_, call)| call.is_open() && !of.writes.is_empty());
    open.map(|(n, call)| (n, made(call).unwrap_or_default())).collect()
}

struct Search<'a> {
    calls: &'a [Call],
    made: BTreeMap<usize, BTreeSet<u64>>,
    pending: BTreeSet<usize>,
    looked_at: usize,
    all: bool,
}

impl Search<'_> {
    fn begin(&mut self, n: usize) {
        let call = &self.calls[n];
        // What only looks, or is known to have done nothing, is of interest by its answer alone.
        let looks = matches!(call.op, Op::Get { .. } | Op::Renew { .. });
        let failed = matches!(call.answer, Some(Answer::Failed { .. }));
        if !failed && self.made.get(&n).is_none_or(|made| !made.is_empty()) && !(looks && call.is_open()) {
            self.pending.insert(n);
        }
    }

    fn explains(&self, n: usize, step: &Answer) -> bool {
        let call = &self.calls[n];
        !is_certain(call) || call.answer.as_ref().is_some_and(|told| fits(told, step))
    }

    /// How a call under way may change this key.
    fn effects(&self, key: &Key, n: usize) -> Vec<Key> {
        let steps = key.steps(&self.calls[n].op).into_iter().filter(|step| self.explains(n, &step.answer));
        steps.filter_map(|step| step.next).filter(|next| self.is_known(n, next)).collect()
    }

    /// Whether a call without an answer may have done this, as far as the store's writes tell.
    fn is_known(&self, n: usize, next: &Key) -> bool {
        let Some(made) = self.made.get(&n) else { return true };
        match &self.calls[n].op {
            Op::Update { .. } => made.contains(&next.last),
            _ => made.contains(&next.token),
        }
    }

    /// Calls that would get their answer now without changing anything have it: that can never be a hindrance.
    fn settled(&self, mut world: World) -> World {
        let open = self.pending.iter().copied().filter(|n| is_certain(&self.calls[*n]) && !world.done.contains(n));
        let open: Vec<usize> = open.collect();
        for n in open {
            let still = world.key.still(&self.calls[n].op);
            if still.iter().any(|step| step.next.is_none() && self.explains(n, &step.answer)) {
                world.done.insert(n);
            }
        }
        world
    }

    /// All worlds that follow from this one and in which call `n` has its answer.
    fn explain(&mut self, world: &World, n: usize, into: &mut BTreeSet<World>) {
        let before = into.len();
        let mut reached = BTreeSet::from([world.clone()]);
        self.reach(&mut reached, n, into, self.all);
        // Unanswered grants and changes have numbers: an answer that needs one is not explained without.
        while into.len() == before && !self.all && self.looked_at <= BUDGET {
            let known = reached.len();
            let further: Vec<World> = reached.iter().flat_map(|world| self.following(world, n, true)).collect();
            self.looked_at += further.len();
            reached.extend(further);
            if reached.len() == known {
                return;
            }
            self.reach(&mut reached, n, into, false);
        }
    }

    /// All worlds that follow by answered calls and by releases of the present lease, or by all calls.
    fn reach(&mut self, reached: &mut BTreeSet<World>, n: usize, into: &mut BTreeSet<World>, all: bool) {
        let mut level: Vec<World> = reached.iter().cloned().collect();
        while let Some(world) = level.pop() {
            if self.looked_at > BUDGET {
                return;
            }
            if world.done.contains(&n) {
                into.insert(world);
                continue;
            }
            for next in self.following(&world, n, all) {
                self.looked_at += 1;
                if reached.insert(next.clone()) {
                    level.push(next);
                }
            }
        }
    }

    fn following(&self, world: &World, n: usize, all: bool) -> Vec<World> {
        if world.done.contains(&n) {
            return Vec::new();
        }
        let ready =
            self.pending.iter().copied().filter(|n| !world.done.contains(n) && (all || self.is_close(world, *n)));
        ready.flat_map(|n| self.after(world, n)).collect()
    }

    fn is_close(&self, world: &World, n: usize) -> bool {
        let call = &self.calls[n];
        let releases = matches!(&call.op, Op::Release { lease, .. } | Op::Expire { lease } if world.key.lease.as_ref() == Some(lease));
        is_certain(call) || releases
    }

    /// This world after the effect of one call.
    fn after(&self, world: &World, n: usize) -> impl Iterator<Item = World> {
        self.effects(&world.key, n).into_iter().map(move |key| {
            let mut done = world.done.clone();
            // What was not answered is done once by itself: its lease or request is known by then.
            if is_certain(&self.calls[n]) {
                done.insert(n);
            }
            self.settled(World { key, done })
        })
    }
}
