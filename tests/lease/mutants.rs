//! Every variant of `step` that breaks a rule is caught, and by whom.

use std::collections::BTreeSet;

use lockd::lease::invariants::Broken;
use lockd::lease::step;
use lockd::model::Unknown;
use proptest::strategy::{Strategy, ValueTree};

use super::requests::{Age, Op};
use super::run::{Caught, Nets, Run, Stepper, history, runner};
use super::slips::SLIPS;
use super::variants::VARIANTS;

/// Within so many histories a mutant must be caught.
const HISTORIES: usize = 1_000;

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

fn histories(many: usize) -> Vec<Vec<(Op, Age)>> {
    let mut runner = runner(1);
    let strategy = history(90);
    (0..many).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

#[test]
fn every_mutant_of_step_is_caught() {
    let histories = histories(HISTORIES);
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

/// Each slip is caught by just the rule that it breaks.
#[test]
fn every_slip_is_called_by_its_name() {
    let histories = histories(HISTORIES);
    for (rule, slip) in SLIPS {
        let named = Caught::Invariant(Broken(rule));
        let caught = histories.iter().any(|history| start().all(history, slip, Nets::Invariants) == Err(named.clone()));
        assert!(caught, "no history shows: {rule}");
    }
}

/// The rules are read from the source, so that none is added without a mutant that breaks it.
#[test]
fn no_rule_of_a_step_is_left_out() {
    let histories = histories(HISTORIES / 3);
    let mut hit: BTreeSet<&str> = SLIPS.iter().map(|(rule, _)| *rule).collect();
    for (_, variant) in VARIANTS {
        let caught = histories.iter().filter_map(|history| start().all(history, variant, Nets::Invariants).err());
        hit.extend(caught.map(|caught| if let Caught::Invariant(Broken(rule)) = caught { rule } else { "" }));
    }
    let sources =
        [include_str!("../../src/lease/invariants.rs"), include_str!("../../src/lease/invariants/answers.rs")];
    let code = sources.join("\n");
    let code: Vec<_> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let named: BTreeSet<&str> = code.split('"').skip(1).step_by(2).collect();
    let missing: Vec<_> = named.difference(&hit).collect();
    assert!(named.len() > 40 && missing.is_empty(), "rules that no mutant breaks: {missing:#?}");
}
