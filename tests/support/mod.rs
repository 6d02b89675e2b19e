//! What tests share.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

pub mod clock;
pub mod faulty;
pub mod http2;
pub mod panics;
pub mod world;

fn set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| value == "1")
}

/// Says that a test was left out, past the capture of the test harness, so that nothing is skipped in silence. With
/// `LOCKD_TEST_STRICT=1`, as in CI, that is a failure.
pub fn left_out(what: &str, why: &str) {
    let line = format!("left out: {what}: {why}\n");
    assert!(!set("LOCKD_TEST_STRICT"), "{line}LOCKD_TEST_STRICT=1 forbids it");
    say_once(line);
}

/// Says, past the capture of the test harness, what no run of the tests can do by itself.
pub fn not_run(what: &str) {
    say_once(format!("not run: {what}\n"));
}

/// Several tests may have the same to say.
fn say_once(line: String) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if !said.contains(&line) {
        let _unread = std::io::stderr().write_all(line.as_bytes());
        said.insert(line);
    }
}

/// Whether the long form of a test is asked for (`LOCKD_TEST_FULL=1`, as in CI); says so when it is left out.
pub fn full(what: &str) -> bool {
    let full = set("LOCKD_TEST_FULL");
    if !full {
        left_out(what, "set LOCKD_TEST_FULL=1");
    }
    full
}
