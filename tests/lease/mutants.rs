//! Every variant of `step` that breaks a rule is caught, and by whom.

use lockd::lease::step;
use lockd::model::Unknown;
use proptest::strategy::{Strategy, ValueTree};

use super::requests::{Age, Op};
use super::run::{Caught, Nets, Run, Stepper, history, runner};
use super::variants::VARIANTS;

/// Within so many histories a mutant must be caught.
const HISTORIES: usize = 3_000;

/// A key with fields of later versions in its record.
fn start() -> Run {
    let mut run = Run::new();
    run.record.unknown = Unknown::from([("color".to_owned(), "blue".into())]);
    run
}

fn catch(histories: &[Vec<(Op, Age)>], stepper: Stepper<'_>, nets: Nets) -> Option<(usize, Caught)> {
    let runs = histories.iter().enumerate();
    runs.filter_map(|(n, history)| Some((n, start().all(history, stepper, nets).err()?))).next()
}

#[test]
fn every_mutant_of_step_is_caught() {
    let mut runner = runner(1);
    let strategy = history(90);
    let histories: Vec<_> = (0..HISTORIES).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    assert_eq!(catch(&histories, &step, Nets::Both), None, "the nets catch what is right");
    let mut escaped = vec![];
    for (rule, variant) in VARIANTS {
        let [invariant, reference] = [Nets::Invariants, Nets::Reference].map(|nets| catch(&histories, variant, nets));
        println!("{rule}");
        for caught in [&invariant, &reference].into_iter().flatten() {
            let by: String = caught.1.to_string().chars().take(110).collect();
            println!("    in history {:>4} by {by}", caught.0 + 1);
        }
        if invariant.is_none() && reference.is_none() {
            escaped.push(rule);
        }
    }
    assert!(escaped.is_empty(), "not caught: {escaped:?}");
}
