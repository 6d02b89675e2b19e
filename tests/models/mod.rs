//! Models of the protocols that keep lockd safe, checked exhaustively in small worlds.
//!
//! A model holds no code of the library: it is the specification of ARCHITECTURE.md, stated a second time so that a
//! checker can walk through every interleaving and every fault of a small world. Each model is also run with one rule
//! left out at a time (a *mutation*): a checker that does not notice a missing rule would prove nothing about the rule.

/// Declares the mutations of a model, and the list of all of them that its test goes through.
macro_rules! mutations {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// A rule that is left out, or done in the way that looks just as good.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Mutation { $($(#[$doc])* $name),+ }

        impl Mutation {
            pub const ALL: &[Mutation] = &[$(Mutation::$name),+];
        }
    };
}

mod directory;
mod first_write;
mod lease;

use stateright::{Checker, HasDiscoveries, Model};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};

/// Lets only the first violation of a search count, so that the schedule shown is the shortest one: stateright goes on
/// for a block of states after a discovery, and would replace it by a later, longer one.
#[derive(Default)]
pub struct FirstOnly(AtomicBool);

impl FirstOnly {
    /// `holds`, or true if an earlier violation was already let through.
    pub fn judge(&self, holds: bool) -> bool {
        holds || self.0.swap(true, Ordering::Relaxed)
    }
}

/// A violated property and one of the shortest schedules that lead to it.
pub struct Counterexample {
    pub property: &'static str,
    pub schedule: Vec<String>,
    pub states: usize,
}

/// Searches breadth first on one thread, which makes the schedule found a shortest one. None: the world was searched
/// to its end and no property is violated.
pub fn search<M>(model: M, threads: usize) -> Result<usize, Counterexample>
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Send + Sync + Clone + PartialEq + 'static,
    M::Action: Clone + PartialEq + Debug,
{
    let checker = model.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let states = checker.unique_state_count();
    match checker.discoveries().into_iter().next() {
        None => Ok(states),
        Some((property, path)) => {
            let model = checker.model();
            let schedule = path
                .into_vec()
                .into_iter()
                .filter_map(|(_, action)| action.map(|action| model.format_action(&action)))
                .collect();
            Err(Counterexample { property, schedule, states })
        }
    }
}

/// Asserts that a world has no violation anywhere, and says how many states that took.
pub fn assert_clean<M>(name: &str, model: M, threads: usize) -> usize
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Send + Sync + Clone + PartialEq + 'static,
    M::Action: Clone + PartialEq + Debug,
{
    match search(model, threads) {
        Ok(states) => {
            println!("{name}: {states} states, exhaustive, no violation");
            states
        }
        Err(found) => panic!("{name}: \"{}\" is violated:\n  {}", found.property, found.schedule.join("\n  ")),
    }
}

/// Asserts that leaving a rule out is noticed, by the property that the rule is there for.
pub fn assert_caught<M>(name: &str, model: M, expected: &[&str])
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Send + Sync + Clone + PartialEq + 'static,
    M::Action: Clone + PartialEq + Debug,
{
    match search(model, 1) {
        Ok(states) => panic!("{name}: not caught in {states} states, searched to the end"),
        Err(found) => {
            println!(
                "{name}: caught by \"{}\" in {} steps ({} states)",
                found.property,
                found.schedule.len(),
                found.states
            );
            if std::env::var_os("LOCKD_MODEL_SCHEDULES").is_some() {
                println!("  {}", found.schedule.join("\n  "));
            }
            assert!(
                expected.contains(&found.property),
                "{name}: caught by \"{}\", expected {expected:?}",
                found.property
            );
        }
    }
}
