//! Every bound of lockd, in one place. A limit that is not here does not exist.
//!
//! Durations that belong to the lease rules (ARCHITECTURE.md, "Lease time") stand in the second half, as functions of the TTL
//! where they depend on it, so that the holder's and the contender's side are read together.

use std::time::Duration;

/// Longest key and longest namespace, in bytes.
pub const NAME_BYTES: usize = 128;
/// Longest owner, in bytes.
pub const OWNER_BYTES: usize = 256;
/// Longest reason given for a lease or a break, in bytes.
pub const REASON_BYTES: usize = 1_024;
/// Longest recorded command line (`--record-command`), in bytes; longer ones are cut.
pub const COMMAND_BYTES: usize = 1_024;
/// Longest caller-made id (lease, request, transaction), in bytes.
pub const ID_BYTES: usize = 128;

/// Largest state, in bytes as stored.
pub const STATE_BYTES: u64 = 100 * 1024 * 1024;
/// Deepest nesting of a state.
pub const STATE_DEPTH: usize = 1_000;
/// Largest state that rides inside the record; a larger one goes to a blob.
pub const INLINE_BYTES: usize = 16 * 1024;
/// Most digits of a number that an edit counts with; more are refused, because the sum has to be exact.
pub const EDIT_DIGITS: usize = 4_096;
/// Times that an edit is tried again because the state changed meanwhile.
pub const EDIT_TRIES: u32 = 128;
/// Times that an edit whose outcome is unknown is sent again, with the same ids.
pub const EDIT_REPEATS: u32 = 3;
/// Largest encoded record: both inline states, escaped names and rings fit with room for fields of later versions.
pub const RECORD_BYTES: usize = 256 * 1024;
/// Chunk in which large states are moved.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// Write ids that a record remembers.
pub const RECENT_WRITES: usize = 32;
/// State-changing requests that a record remembers.
pub const DONE_REQUESTS: usize = 8;
/// Largest token, version, beat and revision: other languages read them into signed 64-bit integers.
pub const NUMBER_MAX: u64 = i64::MAX as u64;
/// Ended leases that a record remembers.
pub const ENDED_LEASES: usize = 8;

/// Shortest TTL.
pub const TTL_MIN: Duration = Duration::from_secs(2);
/// Longest TTL.
pub const TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// TTL when none is given.
pub const TTL_DEFAULT: Duration = Duration::from_secs(30);
/// Longest wait that can be asked for; "for ever" is not a number.
pub const WAIT_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Longest single poll of a waiting acquire; the caller asks again.
pub const WAIT_POLL: Duration = Duration::from_secs(60);

/// Most keys that one `exec` holds.
pub const EXEC_KEYS: usize = 16;
/// Longest list of the leases around an `exec` that it hands down to its command, in bytes.
pub const LEASES_AROUND_BYTES: usize = 16 * 1024;

/// Compare-and-swap attempts of one request before it gives up as unavailable.
pub const COMMIT_ATTEMPTS: u32 = 128;
/// Total time of one request's attempts.
pub const COMMIT_BUDGET: Duration = Duration::from_secs(15);
/// Total time spent on learning what became of a put whose outcome is unknown.
pub const RESOLVE_BUDGET: Duration = Duration::from_secs(10);
/// First and longest pause between attempts; jittered.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(1);
/// See [`BACKOFF_FIRST`].
pub const BACKOFF_MAX: Duration = Duration::from_millis(100);
/// Requests waiting for one key's task.
pub const KEY_QUEUE: usize = 1_024;
/// Keys whose signs of life an engine remembers.
pub const SEEN_KEYS: usize = 100_000;
/// How long a key's task stays (with record and etag) after its last request.
pub const KEY_IDLE: Duration = Duration::from_secs(60);
/// Records that a listing reads at the same time.
pub const LIST_AHEAD: usize = 8;
/// Times that a break meets another lease than it looked at before it gives up.
pub const BREAK_TRIES: u32 = 16;
/// Times a reader whose blob is gone starts again from the record.
pub const READ_RESTARTS: u32 = 5;
/// How long a release is tried on the way out.
pub const RELEASE_TRY: Duration = Duration::from_secs(5);

/// Clock rates may differ by this share (1 %): holders count 0.99, contenders 1.01.
pub const RATE_PERCENT: u32 = 1;
/// A contender's constant allowance.
pub const CONTENDER_MARGIN: Duration = Duration::from_secs(1);
/// Allowance for jumps of a store's own clock.
pub const STORE_CLOCK_ALLOWANCE: Duration = Duration::from_secs(600);
/// Realtime running ahead of boot time by more than this hints at a pause of the machine.
pub const PAUSE_HINT: Duration = Duration::from_secs(1);

/// Age from which a lease with this TTL may be taken over: 1.01 x TTL + 1 s.
#[must_use]
pub fn takeover_age(ttl: Duration) -> Duration {
    ttl * (100 + RATE_PERCENT) / 100 + CONTENDER_MARGIN
}

/// How long a holder may believe, counted from before the first send, when the store or server said that `left` is left of
/// a lease with this TTL: 0.99 x left - max(0.5 s, 2 % of the TTL).
#[must_use]
pub fn holder_belief(left: Duration, ttl: Duration) -> Duration {
    let margin = Duration::from_millis(500).max(ttl * 2 / 100);
    (left * (100 - RATE_PERCENT) / 100).saturating_sub(margin)
}

/// Renewal is due this long after the last one was sent.
#[must_use]
pub fn renew_every(ttl: Duration) -> Duration {
    ttl / 3
}

/// Time between TERM and KILL when none is given: 5 s or TTL/4, the smaller.
#[must_use]
pub fn kill_grace_default(ttl: Duration) -> Duration {
    Duration::from_secs(5).min(ttl / 4)
}

/// Longest time between TERM and KILL that can be asked for.
#[must_use]
pub fn kill_grace_max(ttl: Duration) -> Duration {
    ttl / 3
}

/// KILL comes at the latest this long before the deadline.
pub const KILL_BEFORE_DEADLINE: Duration = Duration::from_millis(500);
/// How long killed processes may take to vanish, while the lease lasts, before they are called impossible to end.
pub const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// How long they have at the least, also past the deadline.
pub const KILL_SETTLE: Duration = Duration::from_secs(1);

/// Room that a directory store keeps for the records of leases, for when the disk is full; less where little is free.
pub const RESERVE_BYTES: u64 = 4 * 1024 * 1024;
/// See [`RESERVE_BYTES`]: one part in so many of the free room.
pub const RESERVE_SHARE: u64 = 16;
/// What is given back of it at a time.
pub const RESERVE_STEP: u64 = 64 * 1024;
/// A record that is larger than the one before it by more than this is a new state, and gets nothing of the reserve.
pub const RESERVE_GROWTH: usize = 4 * 1024;
/// Times that one put asks for room.
pub const RESERVE_TRIES: u32 = 4;
/// Revisions behind the head from which a put to a directory prunes before it answers, because nobody did it after answering.
pub const PRUNE_OVERDUE: u64 = 64;
/// Times that a reader of a directory starts again because others publish and prune faster than it reads.
pub const HEAD_TRIES: u32 = 1_000;
/// Keys of which a process remembers what it last saw in a directory.
pub const KNOWN_KEYS: usize = 16_384;
/// Shortest and longest pause between two looks at a record where changes cannot be watched.
pub const POLL_FIRST: Duration = Duration::from_millis(50);
/// See [`POLL_FIRST`].
pub const POLL_MAX: Duration = Duration::from_secs(1);
/// Pause between two looks at a record whose changes are watched: the watch may have missed one.
pub const POLL_WATCHED: Duration = Duration::from_secs(2);
/// Shortest TTL that makes sense on a network file system, where one write may take several round trips.
pub const TTL_MIN_NETWORK: Duration = Duration::from_secs(5);
/// Times that the directory of a run of checks is tried to be removed.
pub const SCRATCH_TRIES: u32 = 40;

/// Most clients that `lockd bench` runs at the same time.
pub const BENCH_CLIENTS: u32 = 4_096;
/// Most keys that it makes.
pub const BENCH_KEYS: u32 = 10_000_000;
/// Most engines that it opens on one store.
pub const BENCH_REPLICAS: u32 = 64;
/// Most runs of one work that it makes.
pub const BENCH_RUNS: u32 = 100;
/// Shortest run: less says nothing.
pub const BENCH_RUN_MIN: Duration = Duration::from_millis(10);
/// Longest run.
pub const BENCH_RUN_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest warm-up before the runs of one work.
pub const BENCH_WARM_UP_MAX: Duration = Duration::from_secs(2);
/// Largest earlier document that it compares with, in bytes.
pub const BENCH_BASELINE_BYTES: u64 = 64 * 1024 * 1024;
/// Highest rate that it can be asked for, in operations a second.
pub const BENCH_RATE_MAX: f64 = 1_000_000.0;

/// Writes that wait for the committer of an `lsm` store.
pub const LSM_QUEUE: usize = 65_536;
/// Most writes that are committed with one sync.
pub const LSM_BATCH: usize = 1_024;
/// Bytes of records from which a batch is closed.
pub const LSM_BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Keys that a listing of an `lsm` store reads in one go.
pub const LSM_LIST: usize = 256;
/// Changes that an `lsm` store holds in memory before they move into a file.
pub const LSM_MEMTABLE_BYTES: u64 = 32 * 1024 * 1024;
/// Memory for what was read from the files of an `lsm` store.
pub const LSM_CACHE_BYTES: u64 = 32 * 1024 * 1024;
/// Size of all journals of an `lsm` store from which their changes are moved into files.
pub const LSM_JOURNAL_BYTES: u64 = 256 * 1024 * 1024;
/// Free room on the disk of an `lsm` store from which its states may grow: what moving changes into files may need.
pub const LSM_ROOM: u64 = 4 * LSM_MEMTABLE_BYTES;
/// Room for records that an `lsm` store does not use up.
pub const LSM_ROOM_LEAST: u64 = 256 * 1024;
