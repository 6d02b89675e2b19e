//! Every input of the corpus, through the function that it was kept for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::TARGETS;

/// All of it is small: it is read by everybody who clones.
const CORPUS_BYTES: u64 = 500_000;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Replays the inputs of one target. `LOCKD_FUZZ_INPUT` names another file than those that are kept.
fn replay(name: &str) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    if let Some(input) = std::env::var_os("LOCKD_FUZZ_INPUT") {
        return target(&std::fs::read(input).unwrap());
    }
    let inputs = files(&corpus().join(name));
    assert!(inputs.len() > 5, "{name} has {} inputs", inputs.len());
    for input in inputs {
        // What is printed before a panic is the way to see it again.
        println!("LOCKD_FUZZ_INPUT={} cargo test --test main fuzzing::replay::{name}", input.display());
        target(&std::fs::read(input).unwrap());
    }
}

macro_rules! replayed {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        const REPLAYED: &[&str] = &[$(stringify!($name)),*];
    };
}
replayed!(answers connection edit json names record request settings store_url streams words);

#[test]
fn every_target_has_a_corpus_a_program_and_a_test() {
    let targets: BTreeSet<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(targets, REPLAYED.iter().copied().collect());
    let kept = files(&corpus());
    let kept: BTreeSet<&str> = kept.iter().map(|dir| dir.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(targets, kept);
    let manifest = std::fs::read_to_string(corpus().with_file_name("Cargo.toml")).unwrap();
    for name in targets {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/Cargo.toml has no program {name}");
    }
}

#[test]
fn the_corpus_is_small() {
    let bytes: u64 =
        files(&corpus()).iter().flat_map(|dir| files(dir)).map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes <= CORPUS_BYTES, "fuzz/corpus has {bytes} bytes");
}
