//! The functions that are fuzzed, for the programs of cargo-fuzz. They are in `tests/fuzzing`, where `cargo test` replays the corpus.

#[path = "../tests/fuzzing/mod.rs"]
mod fuzzing;

/// What those functions share with other tests.
#[path = "../tests/support"]
#[allow(dead_code)]
mod support {
    pub mod clock;
    pub mod panics;
}

/// Runs the function of this name.
///
/// # Panics
/// When there is none, and when something is not as it must be.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = fuzzing::TARGETS.iter().find(|(known, _)| *known == name).expect("a function of this name");
    target(data);
}
