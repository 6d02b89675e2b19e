//! Every history of a small world, breadth first: four lease ids, two request ids, each request at each state. States are
//! told apart by what `step` can see of them; the frontier holds paths, not records.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use lockd::lease::{Request, step};
use lockd::limits::takeover_age;
use lockd::model::{Record, Versioned};

use super::requests::{Age, Guard, Op, Shown, What, Who, ttl};
use super::run::{Nets, Run};
use crate::support::full;

/// The lease ids and request ids of a small world.
const LEASES: u8 = 4;
const REQUESTS: u8 = 2;
/// A request of the alphabet, and the age that it is made at.
pub type Letter = (Op, Duration);

/// A state by the letters that lead to it.
type Path = Box<[u8]>;

/// The requests that decide most, few enough to go deep.
fn few() -> Vec<Letter> {
    let old = takeover_age(ttl(2).duration());
    let (present, before, right) = (Who::Present, Who::Ended(0), Shown::Right);
    let acquire = |n| Op::Acquire { who: Who::Id(n), secs: 2, epoch: 0, unused: false };
    let release = |who, rollback| Op::Release { who, token: right, txn: right, rollback };
    let update =
        |who, txn, id, what| (Op::Update { who, token: right, txn, id, what, guard: Guard::None }, Duration::ZERO);
    let at_once = [release(present, false), release(present, true), release(before, false), release(before, true)];
    let mut letters: Vec<Letter> = at_once.map(|op| (op, Duration::ZERO)).into();
    letters.extend((0..3).flat_map(|n| [(acquire(n), Duration::ZERO), (acquire(n), old)]));
    letters.push((Op::Renew { who: present, token: right, txn: Shown::Not, secs: 2 }, old));
    letters.push((Op::Expire { who: present }, old));
    letters.push((Op::Break { who: present, epoch: 0 }, Duration::ZERO));
    for txn in [Shown::Not, right] {
        letters.extend((0..REQUESTS).map(|id| update(present, txn, id, What::Inline(0))));
        letters.push(update(present, txn, 0, What::Remove));
    }
    letters.push(update(before, right, 0, What::Inline(0)));
    letters
}

/// Everything that can be asked in this world: at no age, and at the takeover ages of the short and of the risen TTL.
pub fn all() -> Vec<Letter> {
    let [short, risen] = [2, 4].map(|secs| takeover_age(ttl(secs).duration()));
    let ages = [Duration::ZERO, short, risen];
    let mut letters = vec![];
    let mut put = |op, age| letters.push((op, age));
    let present = Who::Present;
    for n in 0..LEASES {
        ages.iter().for_each(|age| put(Op::Acquire { who: Who::Id(n), secs: 2, epoch: 0, unused: false }, *age));
        put(Op::Renew { who: Who::Id(n), token: Shown::Right, txn: Shown::Not, secs: 4 }, Duration::ZERO);
        put(Op::Release { who: Who::Id(n), token: Shown::Right, txn: Shown::Right, rollback: false }, Duration::ZERO);
        put(Op::Release { who: Who::Id(n), token: Shown::Not, txn: Shown::Not, rollback: true }, Duration::ZERO);
        put(Op::Break { who: Who::Id(n), epoch: 0 }, Duration::ZERO);
    }
    put(Op::Acquire { who: Who::Id(0), secs: 2, epoch: 1, unused: false }, Duration::ZERO);
    put(Op::Acquire { who: Who::Id(1), secs: 2, epoch: 0, unused: true }, Duration::ZERO);
    put(Op::Release { who: present, token: Shown::Not, txn: Shown::Not, rollback: false }, Duration::ZERO);
    for shown in [(Shown::Wrong, Shown::Not), (Shown::Right, Shown::Wrong)] {
        let (token, txn) = shown;
        put(Op::Renew { who: present, token, txn, secs: 2 }, Duration::ZERO);
        put(Op::Release { who: present, token, txn, rollback: false }, Duration::ZERO);
        put(Op::Update { who: present, token, txn, id: 0, what: What::Inline(0), guard: Guard::None }, Duration::ZERO);
    }
    ages.iter().for_each(|age| put(Op::Expire { who: present }, *age));
    put(Op::Expire { who: Who::Ended(0) }, risen);
    let update = |who, txn, id, what, guard| Op::Update { who, token: Shown::Right, txn, id, what, guard };
    for txn in [Shown::Not, Shown::Right] {
        for id in 0..REQUESTS {
            for what in [What::Inline(0), What::Inline(1), What::Blob(0), What::Remove] {
                put(update(present, txn, id, what, Guard::None), Duration::ZERO);
            }
            put(update(Who::Ended(0), txn, id, What::Inline(0), Guard::None), Duration::ZERO);
        }
        for guard in [Guard::Version(false), Guard::Bound(false), Guard::Etag(false), Guard::Etag(true)] {
            put(update(present, txn, 0, What::Inline(0), guard), Duration::ZERO);
        }
        put(update(present, txn, 0, What::OldBlob(0), Guard::None), Duration::ZERO);
    }
    letters
}

/// What `step` can see of a record, without the numbers that only count (the beat) and the clock readings for people.
fn fingerprint(record: &Record) -> u128 {
    let half = |salt: u64| {
        let mut hash = DefaultHasher::new();
        salt.hash(&mut hash);
        (record.token, record.epoch, record.last_version, &record.previous).hash(&mut hash);
        let state = |v: &Versioned, hash: &mut DefaultHasher| (v.version, &v.state).hash(hash);
        state(&record.committed, &mut hash);
        record.staged.is_some().hash(&mut hash);
        record.staged.iter().for_each(|staged| state(staged, &mut hash));
        let lease = record.lease.as_ref().map(|l| (&l.id, l.token, &l.txn, l.ttl));
        lease.hash(&mut hash);
        record.done.iter().for_each(|d| (&d.id, &d.etag, d.version, d.bytes).hash(&mut hash));
        record.ended.iter().for_each(|e| (&e.id, e.token, e.how, e.version, e.discarded).hash(&mut hash));
        record.knock.is_some().hash(&mut hash);
        u128::from(hash.finish())
    };
    half(1) << 64 | half(2)
}

struct World {
    root: Run,
    letters: Vec<Letter>,
}

/// What the expansion of a part of the frontier found.
#[derive(Default)]
struct Found {
    next: Vec<(u128, Path)>,
    edges: u64,
}

impl World {
    fn ask(&self, run: &Run, letter: u8) -> (Request, Duration) {
        let (op, age) = self.letters[usize::from(letter)];
        (run.request(op).expect("no letter looks back"), age)
    }

    /// The run at the end of a path. Each step of it was checked when the path was found.
    fn at(&self, path: &[u8]) -> Run {
        let mut run = self.root.clone();
        for letter in path {
            let (request, age) = self.ask(&run, *letter);
            let happens = run.log.expected(&request, age).1;
            run.go_on(step(&run.record, &request, age).write, happens);
        }
        run
    }

    /// Makes every request at each of these states, and checks each step.
    fn expand(&self, frontier: &[Path]) -> Found {
        let mut found = Found::default();
        for path in frontier {
            let here = self.at(path);
            for letter in (0..).take(self.letters.len()) {
                let (request, age) = self.ask(&here, letter);
                let checked = here.check(&request, age, &step, Nets::Both);
                let (step, _) =
                    checked.unwrap_or_else(|caught| panic!("{caught}\n{request:?}\nafter {}", self.story(path)));
                found.edges += 1;
                if let Some(next) = step.write {
                    found.next.push((fingerprint(&next), path.iter().copied().chain([letter]).collect()));
                }
            }
        }
        found
    }

    fn story(&self, path: &[u8]) -> String {
        path.iter().map(|letter| format!("{:?}\n", self.letters[usize::from(*letter)])).collect()
    }

    /// Searches all paths up to `depth`, on two threads, and tells how many states and steps there were.
    fn search(&self, name: &str, depth: usize) -> usize {
        let mut seen = HashSet::from([fingerprint(&self.root.record)]);
        let mut frontier: Vec<Path> = vec![Path::default()];
        let mut edges = 0;
        for _ in 0..depth {
            let halves = frontier.split_at(frontier.len() / 2);
            let (one, two) = std::thread::scope(|scope| {
                let one = scope.spawn(|| self.expand(halves.0));
                (self.expand(halves.1), one.join().expect("the other half"))
            });
            edges += one.edges + two.edges;
            let new = one.next.into_iter().chain(two.next);
            frontier = new.filter(|(print, _)| seen.insert(*print)).map(|(_, path)| path).collect();
        }
        let end = match frontier.len() {
            0 => "that is all of it".to_owned(),
            open => format!("{open} of them at that depth"),
        };
        println!("{name}: all paths to depth {depth}: {} states, {edges} steps; {end}", seen.len());
        seen.len()
    }
}

/// A key that seven leases held and that seven requests changed: the next ones make the record forget.
fn almost_full() -> Run {
    let mut run = Run::new();
    for n in 10..17 {
        let lease = Op::Acquire { who: Who::Id(n), secs: 2, epoch: 0, unused: false };
        let (token, txn, guard) = (Shown::Right, Shown::Not, Guard::None);
        let change = Op::Update { who: Who::Id(n), token, txn, id: n, what: What::Inline(n), guard };
        let release = Op::Release { who: Who::Id(n), token, txn, rollback: false };
        let history = [lease, change, release].map(|op| (op, Age::Zero));
        run.all(&history, &step, Nets::Both).unwrap_or_else(|caught| panic!("{caught}"));
    }
    run
}

#[test]
fn every_history_of_a_small_world_keeps_the_rules() {
    let what = "small worlds to depth 6 (all requests) and 9 (few requests), instead of 4 and 7";
    let (wide, deep, least) = if full(what) { (6, 9, 1_000_000) } else { (4, 7, 90_000) };
    let states = World { root: Run::new(), letters: all() }.search("all requests, a new key", wide)
        + World { root: almost_full(), letters: all() }.search("all requests, full memories", wide)
        + World { root: Run::new(), letters: few() }.search("few requests, a new key", deep)
        + World { root: almost_full(), letters: few() }.search("few requests, full memories", deep);
    assert!(states >= least, "only {states} states: the worlds have shrunk");
}
