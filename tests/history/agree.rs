//! A second opinion: small random histories, good and spoiled, get the same verdict from stateright's tester.

use lockd::limits::NAME_BYTES;
use proptest::prelude::*;
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

use super::spec::{Key, fits};
use super::{Answer, Op, by_key, outside::history, search};

/// The key as stateright asks for it: any of the answers that it may give.
#[derive(Clone)]
struct Reference(Key);

#[derive(Clone, Debug)]
struct Ret(Answer);

impl PartialEq for Ret {
    fn eq(&self, other: &Self) -> bool {
        fits(&self.0, &other.0)
    }
}

impl SequentialSpec for Reference {
    type Op = Op;
    type Ret = Ret;

    fn invoke(&mut self, op: &Op) -> Ret {
        let mut steps = self.0.steps(op);
        let step = steps.swap_remove(0);
        self.0 = step.next.unwrap_or_else(|| self.0.clone());
        Ret(step.answer)
    }

    fn is_valid_step(&mut self, op: &Op, ret: &Ret) -> bool {
        let Some(step) = self.0.steps(op).into_iter().find(|step| fits(&ret.0, &step.answer)) else { return false };
        self.0 = step.next.unwrap_or_else(|| self.0.clone());
        true
    }
}

fn op() -> impl Strategy<Value = Op> {
    let lease = prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned);
    let request = prop::sample::select(vec!["r", "s", "t"]).prop_map(str::to_owned);
    (0..6u8, lease, request, 1..4u64, any::<bool>()).prop_map(|(kind, lease, request, token, flag)| match kind {
        0 | 1 => Op::Acquire { lease },
        2 => Op::Renew { lease, token },
        3 => Op::Update { lease, token, request, txn: false, remove: flag },
        4 => Op::Release { lease, token: None, txn: false, rollback: flag },
        _ => Op::Get { proof: None },
    })
}

/// Calls of which each begins when it likes, takes effect some time later and returns some time after that; now and then an
/// answer is another call's.
fn calls() -> impl Strategy<Value = Vec<(usize, Op, usize, Answer)>> {
    let call = (op(), 0..30usize, 1..8usize, 1..8usize, any::<prop::sample::Index>());
    (prop::collection::vec(call, 1..7), any::<bool>()).prop_map(|(drawn, spoil)| {
        let mut order: Vec<usize> = (0..drawn.len()).collect();
        order.sort_by_key(|n| drawn[*n].1 + drawn[*n].2);
        let mut key = Key::default();
        let mut answers = vec![Answer::Left; drawn.len()];
        for n in order {
            let mut steps = key.steps(&drawn[n].0);
            let step = steps.swap_remove(drawn[n].4.index(steps.len()));
            answers[n] = match step.answer {
                Answer::Refused { why, .. } if why == "lease" => {
                    Answer::Refused { why: "LeaseRequired".into(), holder: None }
                }
                Answer::Refused { why, .. } if why == "guard" => {
                    Answer::Refused { why: "VersionConflict".into(), holder: None }
                }
                answer => answer,
            };
            key = step.next.unwrap_or(key);
        }
        if spoil && drawn.len() > 1 {
            let n = drawn[0].4.index(drawn.len() - 1);
            answers.swap(n, n + 1);
        }
        let times = drawn.into_iter().enumerate().map(|(n, (op, at, there, back, _))| {
            // No two moments are the same, and the moment of effect lies between the two.
            (at * NAME_BYTES + n, op, (at + there + back) * NAME_BYTES + n, answers[n].clone())
        });
        times.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn with_another_checker(calls in calls()) {
        let mut tester = LinearizabilityTester::new(Reference(Key::default()));
        let mut moments: Vec<(usize, usize, bool)> = Vec::new();
        for (n, (begins, _, ends, _)) in calls.iter().enumerate() {
            moments.extend([(*begins, n, true), (*ends, n, false)]);
        }
        moments.sort_unstable();
        for (_, n, begins) in moments {
            let (_, op, _, answer) = &calls[n];
            match begins {
                true => tester.on_invoke(n, op.clone()).unwrap(),
                false => tester.on_return(n, Ret(answer.clone())).unwrap(),
            };
        }
        let events = history(&calls);
        let of = by_key(&events).into_values().next().unwrap();
        let mine = search::check(&of);
        prop_assert_eq!(mine.is_ok(), tester.is_consistent(), "{:?}", mine);
    }
}
