//! Memory that a crowd took, given back when the crowd has gone.
//!
//! The allocator keeps what is freed for the next one who asks, most of it in holes between what is still in use: a server of which a
//! million keys were used one after the other kept 505 MiB, more than half of it such holes (`docs/performance/2026-11-27.md`).
//! Looking for them takes a while and keeps others from allocating, so it is done only when most of many tasks have ended: those of
//! keys, and those of connections.

use std::sync::Arc;

use lockd::clock::Clock;
use lockd::limits::{CROWD, CROWD_LOOK};
use tokio::runtime::Handle;

use super::process::sys;

/// The largest number of tasks since memory was given back.
#[derive(Debug, Default)]
struct Crowd {
    most: usize,
}

impl Crowd {
    /// Whether a crowd was there and three in four of it have gone. Says so once for each.
    fn has_gone(&mut self, tasks: usize) -> bool {
        self.most = self.most.max(tasks);
        let gone = self.most >= CROWD && tasks <= self.most / 4;
        if gone {
            self.most = tasks;
        }
        gone
    }
}

/// Gives memory back for as long as the runtime runs.
pub async fn give_back(clock: Arc<dyn Clock>) {
    let mut crowd = Crowd::default();
    loop {
        clock.sleep(CROWD_LOOK).await;
        if crowd.has_gone(Handle::current().metrics().num_alive_tasks()) {
            let start = clock.boot();
            // It panics never, and nothing depends on it.
            let _done = tokio::task::spawn_blocking(sys::give_memory_back).await;
            tracing::debug!(took = ?clock.boot().since(start), "gave memory back");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_has_gone_when_three_in_four_of_it_have() {
        let mut crowd = Crowd::default();
        let seen = [(CROWD - 1, false), (10, false), (CROWD, false), (CROWD / 4 + 1, false), (CROWD / 4, true)];
        for (tasks, gone) in seen {
            assert_eq!(crowd.has_gone(tasks), gone, "{tasks}");
        }
        assert!(!crowd.has_gone(0), "the same crowd goes once");
        assert!(!crowd.has_gone(4 * CROWD));
        assert!(crowd.has_gone(CROWD), "what is left may be many");
    }
}
