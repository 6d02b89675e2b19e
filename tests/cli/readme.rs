//! The README keeps its word: its tour runs, its commands are there.

use super::lab::{Lab, has, ran};
use super::servers::Serving;
use crate::support::left_out;

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
}

/// The blocks of one kind.
fn blocks<'a>(text: &'a str, kind: &str) -> Vec<&'a str> {
    let fence = format!("```{kind}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_tour_runs_as_it_stands() {
    let text = readme();
    let tour = blocks(&text, "sh");
    assert_eq!(tour.len(), 1);
    for shell in ["dash", "bash"] {
        if !has(shell) {
            left_out("the tour", &format!("{shell} is not installed"));
            continue;
        }
        let lab = Lab::new();
        let ran = ran(&mut lab.shell(shell, &format!("set -eux\n{}", tour[0])));
        assert_eq!(ran.code, 0, "{shell}: {}\n{}", ran.out, ran.err);
        for line in ["only one of us at a time", "{\"done\":42}", "of deploy/db"] {
            assert!(ran.out.contains(line), "{shell}: {line:?} is missing in {}", ran.out);
        }
        assert_eq!(lab.run(["get", "import/orders"]).out, "{\"done\":45}\n");
    }
}

fn page(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_pages_for_script_authors_and_operators_run_as_they_stand() {
    for name in ["for-script-authors.md", "for-operators.md"] {
        let text = page(name);
        for shell in ["dash", "bash"] {
            if !has(shell) {
                left_out(name, &format!("{shell} is not installed"));
                continue;
            }
            let lab = Lab::new();
            for block in blocks(&text, "sh") {
                let ran = ran(&mut lab.shell(shell, &format!("set -eux\n{block}")));
                assert_eq!(ran.code, 0, "{name}: {shell}: {block}\n{}\n{}", ran.out, ran.err);
            }
        }
    }
}

/// As cron does it: settings are lines of their own, the command is what follows the five fields.
#[test]
fn the_lines_of_the_page_for_cron_run_as_they_stand() {
    let lab = Lab::new();
    let mut lines = 0;
    for line in blocks(&page("for-cron.md"), "crontab").into_iter().flat_map(str::lines) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if !fields[0].starts_with(|c: char| c == '*' || c.is_ascii_digit()) {
            assert!(line.starts_with("LOCKD_ENV_FILE="), "{line}");
            continue;
        }
        let command = line.split_once("  ").unwrap().1;
        assert_eq!(fields.iter().position(|field| *field == "lockd"), Some(5), "{line}");
        let ran = ran(&mut lab.shell("sh", command));
        assert_eq!(
            (ran.code, ran.err.contains("lockd: new store") || ran.err.is_empty()),
            (0, true),
            "{line}: {ran:?}"
        );
        lines += 1;
    }
    assert!(lines >= 5, "{lines} lines");
}

#[test]
fn the_two_commands_are_there_and_the_first_says_hi() {
    let text = readme();
    let two = blocks(&text, "text").into_iter().find(|block| block.contains("cargo test")).unwrap();
    let (first, second) = two.trim().split_once('\n').unwrap();
    assert_eq!(second, "cargo test");
    let arguments = first.strip_prefix("cargo run --release -- ").unwrap();
    let lab = Lab::new();
    let ran = lab.run(arguments.split(' '));
    assert_eq!((ran.code, ran.out.as_str()), (0, "hi\n"), "{}", ran.err);
}

#[test]
fn the_way_over_a_server_works() {
    let text = readme();
    let block = blocks(&text, "text").into_iter().find(|block| block.contains("lockd serve")).unwrap();
    let lab = Lab::new();
    let socket = format!("unix://{}", lab.path("run/lockd.sock").display());
    let (serve, rest) = block.split_once('\n').unwrap();
    assert_eq!(serve, "lockd serve --store disk:///var/lib/lockd --listen unix:///run/lockd/lockd.sock");
    let _server = Serving::start(&lab, &socket);
    let ran = ran(&mut lab.shell("sh", &rest.replace("unix:///run/lockd/lockd.sock", &socket)));
    assert_eq!((ran.code, ran.out.as_str()), (0, "held through the server\n"), "{}", ran.err);
}

/// What stands there is a part of a documentation test.
#[test]
fn the_program_of_the_readme_is_that_of_the_documentation() {
    let text = readme();
    let [program] = blocks(&text, "rust")[..] else { panic!() };
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/client/mod.rs")).unwrap();
    let tested: String = docs
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .filter(|line| !line.starts_with("# "))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(tested.contains(program), "{program}");
}

#[test]
fn the_promises_of_the_readme_are_those_of_the_help() {
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").replace("**", "");
    let (readme, help) = (squeeze(&readme()), squeeze(&Lab::new().run(["help", "guarantees"]).out));
    for promise in [
        "under any clock skew, pause or partition",
        "checks the fencing token and applies the effect in one step",
        "clock rates agree within 1 %",
        "a store's own clock does not jump by 10 minutes",
        "no operator breaks the lease",
    ] {
        assert!(readme.contains(promise) && help.contains(promise), "{promise}");
    }
}
