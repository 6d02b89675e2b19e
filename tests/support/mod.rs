//! What the tests share.

/// Whether the long form of a test is asked for (`LOCKD_TEST_FULL=1`; CI sets it).
///
/// When it is not, the line `left out: <what> (set LOCKD_TEST_FULL=1)` says so, and the caller returns. With
/// `LOCKD_TEST_STRICT=1` leaving anything out is a failure.
pub fn full(what: &str) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| value == "1");
    if set("LOCKD_TEST_FULL") {
        return true;
    }
    assert!(
        !set("LOCKD_TEST_STRICT"),
        "left out: {what} (set LOCKD_TEST_FULL=1; LOCKD_TEST_STRICT=1 forbids it)"
    );
    println!("left out: {what} (set LOCKD_TEST_FULL=1)");
    false
}
