//! Histories: random ones, and one run of them under the invariants and the reference model.

use std::fmt;
use std::time::Duration;

use lockd::lease::invariants::{Broken, check, check_step};
use lockd::lease::{Request, Step};
use lockd::model::{Knock, Record, Unknown};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::reference::{Answer, Event, Log};
use super::requests::{Age, Guard, Op, Shown, What, Who, key, lease_id, request, write_id};

/// What is run: `step`, or a mutant of it.
pub type Stepper<'a> = &'a dyn Fn(&Record, &Request, Duration) -> Step;

/// The net that caught a rule being broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caught {
    Invariant(Broken),
    Reference(String),
}

impl fmt::Display for Caught {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invariant(broken) => write!(f, "invariant: {broken}"),
            Self::Reference(difference) => write!(f, "reference: {difference}"),
        }
    }
}

/// Which nets are out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nets {
    Invariants,
    Reference,
    Both,
}

/// A record and the log of what made it.
#[derive(Clone, Debug)]
pub struct Run {
    pub record: Record,
    pub log: Log,
    pub past: Vec<Request>,
    clock: u64,
}

impl Run {
    /// A key that was never used; a waiter has knocked already, which nothing but its own grant may touch.
    pub fn new() -> Self {
        let mut record = Record::new(key());
        let waiter = lease_id(3);
        record.knock = Some(Knock { waiter: waiter.clone(), unknown: Unknown::new() });
        Self { record, log: Log(vec![Event::Knocked(waiter)]), past: vec![], clock: 0 }
    }

    /// The request that `op` stands for at this point.
    pub fn request(&self, op: Op) -> Option<Request> {
        request(op, &self.record, &self.past, self.clock)
    }

    /// What becomes of the request here, checked.
    pub fn check(
        &self,
        request: &Request,
        age: Duration,
        stepper: Stepper<'_>,
        nets: Nets,
    ) -> Result<(Step, Vec<Event>), Caught> {
        let step = stepper(&self.record, request, age);
        if nets != Nets::Reference {
            check_step(&self.record, request, age, &step).map_err(Caught::Invariant)?;
        }
        let (answer, happens) = self.log.expected(request, age);
        if nets != Nets::Invariants {
            compare(&step, &answer, !happens.is_empty()).map_err(Caught::Reference)?;
            if let Some(next) = &step.write {
                self.log.and(&happens).compare(next).map_err(Caught::Reference)?;
            }
        }
        Ok((step, happens))
    }

    /// Goes on from what was written and what happened.
    pub fn go_on(&mut self, write: Option<Box<Record>>, happens: Vec<Event>) {
        self.clock += 1;
        self.log.0.extend(happens);
        if let Some(next) = write {
            self.record = next.sealed(write_id(self.record.revision + 1));
        }
    }

    /// Makes the request, checks what came of it, and goes on from there.
    pub fn make(&mut self, request: &Request, age: Duration, stepper: Stepper<'_>, nets: Nets) -> Result<Step, Caught> {
        let (step, happens) = self.check(request, age, stepper, nets)?;
        self.go_on(step.write.clone(), happens);
        self.past.push(request.clone());
        if nets != Nets::Reference {
            check(&self.record).map_err(Caught::Invariant)?;
        }
        Ok(step)
    }

    /// Makes all of a history.
    pub fn all(&mut self, history: &[(Op, Age)], stepper: Stepper<'_>, nets: Nets) -> Result<(), Caught> {
        for (op, age) in history {
            let Some(request) = self.request(*op) else { continue };
            self.make(&request, age.of(&self.record), stepper, nets)?;
        }
        Ok(())
    }
}

fn compare(step: &Step, answer: &Answer, writes: bool) -> Result<(), String> {
    if step.answer != *answer {
        return Err(format!("the answer is {:?}, expected {answer:?}", step.answer));
    }
    if step.write.is_some() != writes {
        return Err(format!("written: {}, expected {writes}, for {answer:?}", step.write.is_some()));
    }
    Ok(())
}

/// A runner whose cases are the same every time.
pub fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![12 => Just(Who::Present), 1 => (0..9u8).prop_map(Who::Ended), 1 => (0..40u8).prop_map(Who::Id)]
}

fn newcomer() -> impl Strategy<Value = Who> {
    prop_oneof![2 => Just(Who::Present), 1 => (0..9u8).prop_map(Who::Ended), 5 => (0..40u8).prop_map(Who::Id)]
}

fn shown() -> impl Strategy<Value = Shown> {
    prop_oneof![20 => Just(Shown::Right), 1 => Just(Shown::Wrong), 1 => Just(Shown::Not)]
}

fn named() -> impl Strategy<Value = Shown> {
    prop_oneof![10 => Just(Shown::Right), 1 => Just(Shown::Wrong), 10 => Just(Shown::Not)]
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        5 => (0..3u8).prop_map(What::Inline),
        3 => (0..4u8).prop_map(What::Blob),
        1 => (0..2u8).prop_map(What::OldBlob),
        1 => Just(What::ForeignBlob),
        3 => (0..3u8).prop_map(What::Edit),
        3 => Just(What::Remove),
    ]
}

fn guard() -> impl Strategy<Value = Guard> {
    prop_oneof![
        5 => Just(Guard::None),
        1 => any::<bool>().prop_map(Guard::Version),
        1 => any::<bool>().prop_map(Guard::Etag),
        1 => any::<bool>().prop_map(Guard::Bound),
    ]
}

fn secs() -> impl Strategy<Value = u64> {
    prop_oneof![Just(2), Just(10), Just(30), Just(86_400)]
}

fn epoch() -> impl Strategy<Value = u32> {
    prop_oneof![40 => Just(0), 1 => Just(1), 1 => Just(3)]
}

pub fn age() -> impl Strategy<Value = Age> {
    prop_oneof![
        12 => Just(Age::Zero),
        2 => Just(Age::AlmostTakeover),
        2 => Just(Age::Takeover),
        1 => Just(Age::Long)
    ]
}

pub fn op() -> impl Strategy<Value = Op> {
    let acquire = (newcomer(), secs(), epoch(), prop::bool::weighted(0.1))
        .prop_map(|(who, secs, epoch, unused)| Op::Acquire { who, secs, epoch, unused });
    let renew =
        (who(), shown(), named(), secs()).prop_map(|(who, token, txn, secs)| Op::Renew { who, token, txn, secs });
    let release = (who(), shown(), named(), any::<bool>()).prop_map(|(who, token, txn, rollback)| Op::Release {
        who,
        token,
        txn,
        rollback,
    });
    let update = (who(), shown(), named(), 0..60u8, what(), guard())
        .prop_map(|(who, token, txn, id, what, guard)| Op::Update { who, token, txn, id, what, guard });
    prop_oneof![
        9 => acquire,
        3 => renew,
        2 => release,
        14 => update,
        2 => who().prop_map(|who| Op::Expire { who }),
        1 => (who(), epoch()).prop_map(|(who, epoch)| Op::Break { who, epoch }),
        1 => (0..12u64).prop_map(|token| Op::Admit { token }),
        2 => newcomer().prop_map(|who| Op::Knock { who }),
        3 => newcomer().prop_map(|who| Op::AcquireYielding { who }),
        3 => who().prop_map(|who| Op::ReleaseReserving { who }),
        4 => (0..24u8).prop_map(|back| Op::Again { back }),
    ]
}

/// Random histories of up to `most` requests.
pub fn history(most: usize) -> impl Strategy<Value = Vec<(Op, Age)>> {
    prop::collection::vec((op(), age()), 1..most)
}
