//! What several tests share.

/// Says that a test cannot be made here; with `LOCKD_TEST_STRICT=1` that fails it.
pub fn left_out(what: &str, why: &str) {
    eprintln!("left out: {what}: {why}");
    assert!(std::env::var_os("LOCKD_TEST_STRICT").is_none_or(|v| v != "1"), "left out: {what}: {why}");
}
