//! When work must end: pure arithmetic on the lease's deadline (ARCHITECTURE.md, "exec and its guard").

use std::time::Duration;

use lockd::clock::BootTime;
use lockd::limits::{KILL_BEFORE_DEADLINE, KILL_PATIENCE, KILL_SETTLE};

/// The lease's deadline and the time that the command has between TERM and KILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    deadline: BootTime,
    grace: Duration,
}

impl Schedule {
    /// Work stops before `deadline`.
    pub const fn new(deadline: BootTime, grace: Duration) -> Self {
        Self { deadline, grace }
    }

    /// The lease was renewed. A deadline never moves back: messages of two renewals may cross.
    pub fn extend(&mut self, deadline: BootTime) {
        self.deadline = self.deadline.max(deadline);
    }

    /// When TERM is sent, unless the deadline has moved by then.
    pub fn end_at(&self) -> BootTime {
        self.deadline - self.grace.max(KILL_BEFORE_DEADLINE)
    }

    /// When KILL follows a TERM sent at `term`: after the grace, and early enough before the deadline.
    pub fn kill_at(&self, term: BootTime) -> BootTime {
        (term + self.grace).min(self.deadline - KILL_BEFORE_DEADLINE)
    }

    /// When processes that outlived a KILL first sent at `kill` are called impossible to end.
    pub fn stuck_at(&self, kill: BootTime) -> BootTime {
        (kill + KILL_PATIENCE).min(self.deadline).max(kill + KILL_SETTLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn at(ms: u64) -> BootTime {
        BootTime(0) + Duration::from_millis(ms)
    }

    #[test]
    fn kill_comes_before_the_deadline_whatever_the_grace() {
        for grace in [0, 100, 500, 5_000, 60_000] {
            let schedule = Schedule::new(at(100_000), Duration::from_millis(grace));
            for term in [0, 50_000, 99_000, 99_900, 200_000] {
                assert!(schedule.kill_at(at(term)) <= at(99_500), "{grace} {term}");
            }
            assert!(schedule.end_at() <= schedule.kill_at(schedule.end_at()).max(at(99_500)), "{grace}");
        }
        assert_eq!(Schedule::new(at(100_000), S(5)).end_at(), at(95_000));
        assert_eq!(Schedule::new(at(100_000), S(5)).kill_at(at(10_000)), at(15_000));
    }

    #[test]
    fn patience_ends_at_the_deadline_but_leaves_a_kill_time_to_work() {
        let schedule = Schedule::new(at(100_000), S(5));
        assert_eq!(schedule.stuck_at(at(10_000)), at(20_000));
        assert_eq!(schedule.stuck_at(at(95_000)), at(100_000));
        assert_eq!(schedule.stuck_at(at(99_500)), at(100_500));
        assert_eq!(schedule.stuck_at(at(500_000)), at(501_000));
    }

    #[test]
    fn a_deadline_never_moves_back() {
        let mut schedule = Schedule::new(at(10_000), S(1));
        schedule.extend(at(20_000));
        schedule.extend(at(15_000));
        assert_eq!(schedule.end_at(), at(19_000));
    }
}
