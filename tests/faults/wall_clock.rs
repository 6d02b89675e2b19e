//! The machine's wall clock is set an hour forward, then an hour back, while `lockd exec` holds a lease: nobody notices.
//!
//! It sets the real clock, so it only runs in the long form, as root, and puts the clock back.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use lockd::clock::{Clock, SystemClock};
use rustix::time::{ClockId, clock_gettime, clock_settime};

use super::pause;
use crate::support::{full, left_out};

const HOUR: i64 = 3_600;
const TTL: Duration = Duration::from_secs(2);

/// The wall clock, set by this many seconds; set back when dropped.
struct Step(i64);

#[expect(clippy::disallowed_methods, reason = "the clock itself is put to the test")]
fn set_by(seconds: i64) -> rustix::io::Result<()> {
    let mut now = clock_gettime(ClockId::Realtime);
    now.tv_sec += seconds;
    clock_settime(ClockId::Realtime, now)
}

impl Drop for Step {
    fn drop(&mut self) {
        let _put_back = set_by(-self.0);
    }
}

fn lockd(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockd"));
    command.args(args).env("LOCKD_STORE", format!("disk://{}", dir.join("store").display())).env("D", dir);
    command.env("XDG_RUNTIME_DIR", dir).stdin(Stdio::null());
    command
}

#[test]
fn a_wall_clock_set_by_an_hour_ends_nothing_and_frees_nothing() {
    if !full("setting this machine's wall clock by an hour") {
        return;
    }
    if let Err(e) = set_by(0) {
        return left_out("a wall clock that is set", &format!("clock_settime: {e}"));
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "echo >$D/started; until [ -e $D/go ]; do sleep 0.05; done; echo >$D/done";
    let mut holder = lockd(dir.path(), &["exec", "--ttl", "2s", "k", "--", "sh", "-c", script]).spawn().unwrap();
    let give_up = SystemClock.boot() + Duration::from_secs(60);
    while !dir.path().join("started").exists() {
        assert!(SystemClock.boot() < give_up, "exec does not start");
        pause(Duration::from_millis(10));
    }
    for by in [HOUR, -HOUR] {
        let step = Step(by);
        set_by(by).unwrap();
        // For longer than a takeover takes, whatever each contender makes of the time.
        let until = SystemClock.boot() + lockd::limits::takeover_age(TTL) + TTL;
        while SystemClock.boot() < until {
            let contender = lockd(dir.path(), &["exec", "-n", "k", "--", "true"]).output().unwrap();
            assert_eq!(contender.status.code(), Some(75), "{by}: {contender:?}");
            assert!(holder.try_wait().unwrap().is_none(), "{by}: the holder's command was ended");
        }
        drop(step);
    }
    std::fs::write(dir.path().join("go"), "").unwrap();
    assert_eq!(holder.wait().unwrap().code(), Some(0));
    assert!(dir.path().join("done").exists());
    let after = lockd(dir.path(), &["exec", "-n", "k", "--", "true"]).status().unwrap();
    assert!(after.success(), "and the lease is released");
}
