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
/// Largest state that a server edits: it holds the state and what comes of it in memory, for each edit under way ([`LANE_BULK`] of
/// them). A larger one is read, edited and updated by its client, at constant memory of the server.
pub const MUTATE_BYTES: u64 = 8 * 1024 * 1024;
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
/// Chunks of a large state that are read, or ready, before they are written or sent.
pub const CHUNKS_AHEAD: usize = 2;
/// Steps of large states, of all callers, that may go so far ahead at a time: 24 MiB in all.
pub const STREAMS_AHEAD: usize = 32;

/// What of a large state has to be written before the disk is asked to begin with it.
pub const WRITE_BACK_BYTES: u64 = 4 * 1024 * 1024;

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

/// The longest pause after so many tries, between a first and a longest one: doubled each time. What is slept is drawn below it
/// ("full jitter": Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
#[must_use]
pub fn backoff(tried: u32, first: Duration, longest: Duration) -> Duration {
    first.saturating_mul(1 << tried.min(10)).min(longest)
}

/// Requests waiting for one key's task.
pub const KEY_QUEUE: usize = 1_024;
/// Waiters of one key in one engine; more are turned away.
pub const KEY_WAITERS: usize = 16_384;
/// How long the place of a waiter whose poll has ended is kept for its next one.
pub const PLACE_KEPT: Duration = Duration::from_secs(5);
/// After the last thing that happened to a key here, so long nobody but this engine is looked out for: while a key is passed on
/// within the engine, watching the store would cost more than the hand-over.
pub const WATCH_AFTER: Duration = Duration::from_millis(10);
/// A waiter knocks at whoever has the key elsewhere when it has waited so long.
pub const KNOCK_AFTER: Duration = Duration::from_secs(2);
/// After a knock from elsewhere an engine passes the key on within itself this many times more, or this long.
pub const KNOCKED_GRANTS: u32 = 16;
/// See [`KNOCKED_GRANTS`].
pub const KNOCKED_PATIENCE: Duration = Duration::from_secs(1);
/// How long a free key is left alone for the waiter that it is reserved for, from when an engine learnt of that.
pub const RESERVED_FOR: Duration = Duration::from_secs(2);
/// Keys whose signs of life an engine remembers.
pub const SEEN_KEYS: usize = 100_000;
/// How long a key's task stays (with record and etag) after its last request.
pub const KEY_IDLE: Duration = Duration::from_secs(60);
/// The same while more keys than [`KEYS_KEPT`] have one: each takes some kilobytes.
pub const KEY_IDLE_CROWDED: Duration = Duration::from_secs(1);
/// See [`KEY_IDLE_CROWDED`].
pub const KEYS_KEPT: usize = 16_384;
/// So many tasks of a server are a crowd: when three in four of one have gone, memory is given back to the kernel.
pub const CROWD: usize = 1_000;
/// How often a server looks whether that is so.
pub const CROWD_LOOK: Duration = Duration::from_secs(10);
/// Records that a listing reads at the same time.
pub const LIST_AHEAD: usize = 8;
/// Times that a break meets another lease than it looked at before it gives up.
pub const BREAK_TRIES: u32 = 16;
/// Times a reader whose blob is gone starts again from the record.
pub const READ_RESTARTS: u32 = 5;
/// Where lists are dear: the blobs of a key are looked through at each release under a token that is a multiple of this, however clean
/// it looks. So what a process wrote, did not live to publish, and nobody knows of is found, at a 16th of a list for each lease.
pub const COLLECT_EVERY: u64 = 16;
/// Keys of which an engine remembers that they may have blobs without a name; of more, they are found by [`COLLECT_EVERY`].
pub const LITTERED_KEYS: usize = 100_000;
/// How long a release is tried on the way out.
pub const RELEASE_TRY: Duration = Duration::from_secs(5);

/// The same for somebody who was told to end at once, by a signal.
pub const HURRIED_TRY: Duration = Duration::from_secs(1);
/// First and longest pause between two tries of a wait whose server is away, by chance down to half of it: a server that is back
/// after a restart is found within 2 s.
pub const OUTAGE_PAUSE_FIRST: Duration = Duration::from_millis(100);
/// See [`OUTAGE_PAUSE_FIRST`].
pub const OUTAGE_PAUSE_MAX: Duration = Duration::from_secs(2);

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

/// A grant that waited is confirmed within this time by clients that say they will: 2 s or TTL/4, the smaller.
#[must_use]
pub fn confirm_within(ttl: Duration) -> Duration {
    Duration::from_secs(2).min(ttl / 4)
}

/// A grant younger than this is confirmed from the memory of the engine that wrote it.
#[must_use]
pub fn confirm_from_memory(ttl: Duration) -> Duration {
    ttl / 3
}

/// Renewal is due this long after the last one was sent.
#[must_use]
pub fn renew_every(ttl: Duration) -> Duration {
    ttl / 3
}

/// The stream of a lease for update shows that it stands this often: a third of the TTL or 5 s, the smaller.
#[must_use]
pub fn for_update_beat(ttl: Duration) -> Duration {
    Duration::from_secs(5).min(ttl / 3)
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
/// Smallest state that it writes, in bytes: a document that says which one it is.
pub const BENCH_STATE_MIN: usize = 64;
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
/// How long it waits for the metrics of a server.
pub const BENCH_METRICS_PATIENCE: Duration = Duration::from_secs(2);
/// Keys that it clears, or takes a last look at, at the same time.
pub const BENCH_CLEARED_AT_ONCE: usize = 16;
/// Highest rate that it can be asked for, in operations a second.
pub const BENCH_RATE_MAX: f64 = 1_000_000.0;

/// Checks of a store's contract that run at the same time, each on keys of its own.
pub const CHECKS_AT_ONCE: usize = 4;
/// A server's or service's clock that is further from this host's is worth a word.
pub const CLOCK_OFF: Duration = Duration::from_secs(60);
/// Writes that `lockd verify store` times.
pub const SPEED_WRITES: usize = 30;
/// So many writes as slow as the slowest one seen must fit between a renewal and the end of the work, for a TTL to be called safe.
pub const TTL_SAFETY: u32 = 3;
/// How long a host that verifies a store together with another waits for that one to come.
pub const PEER_WAIT: Duration = Duration::from_secs(600);
/// How long it waits for the other's next step before it says that it cannot see it.
pub const PEER_PATIENCE: Duration = Duration::from_secs(20);
/// Rounds of each race between two hosts.
pub const PEER_ROUNDS: usize = 30;
/// Free space of a directory below which a store there fails its verification, and below which it is warned about.
pub const ROOM_LEAST: u64 = 2 * 1024 * 1024;
/// See [`ROOM_LEAST`].
pub const ROOM_WANTED: u64 = 256 * 1024 * 1024;
/// Free inodes below which a store there fails its verification, and below which it is warned about. A key takes about 20.
pub const INODES_LEAST: u64 = 1_000;
/// See [`INODES_LEAST`].
pub const INODES_WANTED: u64 = 10_000;

/// Largest event of a watch that a client reads, in bytes: a description with its ended leases, each text escaped.
pub const EVENT_BYTES: usize = 256 * 1024;
/// Most keys on one page of a listing.
pub const LIST_PAGE: u32 = 500;

/// Times that the client library sends a change of which nobody can say what became of it.
pub const CHANGE_REPEATS: u32 = 3;
/// Times that it tries to take a lease and read the state before the work of [`crate::client::Client::change`].
pub const HANDSHAKE_TRIES: u32 = 5;

/// Most servers that a client may be given.
pub const SERVERS: usize = 16;
/// How long a client tries to connect.
pub const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// How long a server may be silent in an exchange: longer than it may take for one request ([`COMMIT_BUDGET`] and
/// [`RESOLVE_BUDGET`]), so that its answer is waited for. What is sent or received in between counts anew.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
/// The same where another server can be asked instead, with the same ids.
pub const ANSWER_PATIENCE_SEVERAL: Duration = Duration::from_secs(5);
/// The same for a release, which is tried for [`RELEASE_TRY`] in all: a quarter of that.
pub const RELEASE_PATIENCE_SEVERAL: Duration = Duration::from_millis(1_250);
/// Largest answer that is one document, in bytes: a page of a listing.
pub const ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// Largest state that a client keeps, so that it can send it again by itself.
pub const REPEAT_BYTES: usize = 1024 * 1024;
/// From this size on a state is only sent once the server has looked at the headers.
pub const EXPECT_BYTES: usize = 64 * 1024;
/// How long a client waits to be asked for a body that it announced, before it sends it unasked.
pub const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);
/// How often a server shows on a stream of events that it is alive.
pub const STREAM_BEAT: Duration = Duration::from_secs(15);
/// How long a stream of events may be silent before the client gives it up.
pub const STREAM_SILENCE: Duration = Duration::from_secs(60);
/// Connections to one server that a client keeps open without a request on them: as many as a server takes from one address.
/// A grant that waited is taken back when the connection is closed over which it came, so that one that has just brought an
/// answer is kept.
pub const CLIENT_IDLE: usize = 256;
/// Leases of which a client remembers the version that it saw last.
pub const CLIENT_VERSIONS: usize = 4_096;
/// Times that a change is bound anew because another version was there than the client had seen.
pub const IMPLIED_GUARD_TRIES: u32 = 8;

/// Connections of a server over TCP, in all.
pub const CONNECTIONS: usize = 8_192;
/// Of these from one address that is not this host.
pub const CONNECTIONS_PER_ADDRESS: usize = 256;
/// Connections over unix sockets, in all: a flood over TCP does not keep this host out.
pub const CONNECTIONS_UNIX: usize = 1_024;
/// Connections beyond [`CONNECTIONS`] on which only health and metrics are asked for.
pub const CONNECTIONS_HEALTH: usize = 64;
/// Connections that the kernel holds until they are accepted; it holds fewer where `net.core.somaxconn` is less (4,096 since
/// Linux 5.4). One beyond them believes that it is connected and is answered by nobody.
pub const LISTEN_BACKLOG: i32 = 4_096;
/// Pause after a connection could not be accepted (too many open files).
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A client's first byte, and the rest of what tells HTTP/2 from HTTP/1.
pub const FIRST_BYTE: Duration = Duration::from_secs(5);
/// Time for the head of an HTTP/1 request, counted from the answer before it: an idle connection ends by this too.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// Headers of an HTTP/1 request.
pub const HEADERS: usize = 64;
/// Bytes that are read ahead of an HTTP/1 request, so the size of its head.
pub const HEAD_BYTES: usize = 32 * 1024;
/// HTTP/2 is pinged when it has been silent for so long, and given up without an answer within [`PING_ANSWER`].
pub const PING_EVERY: Duration = Duration::from_secs(15);
/// See [`PING_EVERY`].
pub const PING_ANSWER: Duration = Duration::from_secs(10);
/// Streams of one HTTP/2 connection.
pub const STREAMS: u32 = 100;
/// Streams that a client may make this server reset (h2's count of local errors) before the connection is ended.
pub const STREAM_RESETS: usize = 256;
/// Streams that a client resets before they were accepted.
pub const STREAM_RESETS_PENDING: usize = 20;
/// Headers of an HTTP/2 request, in bytes as HTTP/2 counts them.
pub const HEADER_LIST_BYTES: u32 = 16 * 1024;
/// Flow control: what a client may send ahead on a stream.
pub const STREAM_WINDOW: u32 = 256 * 1024;
/// See [`STREAM_WINDOW`]: on a connection.
pub const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What is held for a stream whose client does not read.
pub const STREAM_BUFFER: usize = 64 * 1024;
/// An HTTP/2 connection without streams is ended after this.
pub const IDLE_CONNECTION: Duration = Duration::from_secs(60);
/// A connection is asked to end after this, give or take a tenth: so load moves on to new servers.
pub const CONNECTION_AGE: Duration = Duration::from_secs(60 * 60);
/// A write that does not go on ends the connection after this.
pub const WRITE_STALL: Duration = Duration::from_secs(30);
/// What was sent and is not acknowledged ends a TCP connection after this.
pub const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// TCP keepalive: first probe, pause between probes, number of probes.
pub const TCP_PROBE: (Duration, Duration, u32) = (Duration::from_secs(15), Duration::from_secs(5), 3);
/// Longest body of a call that is no state.
pub const CALL_BYTES: usize = 64 * 1024;
/// Longest body of an update as sent: a state, and some whitespace.
pub const UPDATE_BYTES: u64 = STATE_BYTES + 1024 * 1024;
/// Longest wait for the next piece of a body.
pub const CHUNK_WAIT: Duration = Duration::from_secs(15);
/// A body has to come this fast, in bytes a second, [`BODY_GRACE`] after it began.
pub const BODY_RATE: u64 = 16 * 1024;
/// See [`BODY_RATE`].
pub const BODY_GRACE: Duration = Duration::from_secs(10);
/// Renewals and releases at the same time.
pub const LANE_PRIORITY: usize = 1_024;
/// Short calls at the same time.
pub const LANE_GENERAL: usize = 512;
/// Calls that wait: acquires, watches.
pub const LANE_WAITERS: usize = 16_384;
/// Transfers of states into the server at the same time.
pub const LANE_BULK: usize = 64;
/// How long a call waits for its turn before the server calls itself overloaded.
pub const LANE_WAIT: Duration = Duration::from_secs(2);
/// Who is turned away is told to come again after 1 s and up to this many more, by chance.
pub const RETRY_SPREAD: u64 = 3;
/// A comment goes over a silent stream of events this often, so that both sides find dead connections.
pub const EVENT_SILENCE: Duration = Duration::from_secs(15);
/// Events that wait for a client that reads slowly.
pub const EVENTS_AHEAD: usize = 16;
/// Leases for update that a server follows, waiting ones included.
pub const FOR_UPDATE: usize = 4_096;
/// Of these for one client: an address, or a user over unix sockets.
pub const FOR_UPDATE_PER_CLIENT: usize = 1_024;
/// Longest line that a client reads behind the state of a lease for update, in bytes.
pub const LINE_BYTES: usize = 4 * 1024;
/// How long a draining server waits for holders, when nothing else is asked for.
pub const DRAIN: Duration = Duration::from_secs(30);
/// Longest drain that can be asked for.
pub const DRAIN_MAX: Duration = TTL_MAX;
/// Open connections have so long for their last answers.
pub const CLOSE_TIME: Duration = Duration::from_secs(5);
/// How long the store may take to show that it is there.
pub const READY_TIME: Duration = Duration::from_secs(2);
/// Longest TTL that a server gives when nothing else is asked for.
pub const TTL_MAX_SERVED: Duration = Duration::from_secs(30 * 60);

/// Open files that a server asks the kernel for: connections, and what the store opens meanwhile.
pub const FILES_WANTED: u64 = 65_536;

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
/// Shortest TTL on an object store, where one write takes tens of milliseconds and its clock counts whole seconds.
pub const TTL_MIN_OBJECTS: Duration = Duration::from_secs(5);
/// How long one request about a record may take, its answer read to the end. Then it is given up: a put is *unknown*.
pub const OBJECT_REQUEST: Duration = Duration::from_secs(5);
/// How long one part of a large body may take on its way up, and the next piece on its way down.
pub const OBJECT_TRANSFER: Duration = Duration::from_secs(120);
/// How long a connection to an object store may take to be made.
pub const OBJECT_CONNECT: Duration = Duration::from_secs(4);
/// How long an unused connection is kept: shorter than services keep theirs, so that few are found closed.
pub const OBJECT_IDLE: Duration = Duration::from_secs(4);
/// Times that a read of an object store is tried, and a put that the store asked to be sent again.
pub const OBJECT_TRIES: u32 = 6;
/// First and longest pause between them; jittered.
pub const OBJECT_BACKOFF_FIRST: Duration = Duration::from_millis(20);
/// See [`OBJECT_BACKOFF_FIRST`].
pub const OBJECT_BACKOFF_MAX: Duration = Duration::from_millis(800);
/// Part of a large body in one request. S3 wants 5 MiB at the least, and 10,000 parts at the most.
pub const OBJECT_PART: usize = 8 * 1024 * 1024;
/// Parts under way at the same time.
pub const OBJECT_PARTS: usize = 2;
/// First and longest pause between two looks at a record: each costs a request.
pub const OBJECT_POLL_FIRST: Duration = Duration::from_millis(100);
/// See [`OBJECT_POLL_FIRST`].
pub const OBJECT_POLL_MAX: Duration = Duration::from_secs(2);
/// How often a process looks whether the store is still the one that it opened.
pub const OBJECT_IDENTITY_EVERY: Duration = Duration::from_secs(60);
/// Most of an error's body that is read.
pub const OBJECT_ERROR_BYTES: usize = 16 * 1024;
/// Longest prefix of a store inside its bucket or container: S3 and Azure take names of 1,024 bytes.
pub const OBJECT_PREFIX_BYTES: usize = 512;
/// How long a read of a record is tried.
pub const OBJECT_READ: Duration = Duration::from_secs(8);
/// A credential that ends within this time is worth a warning.
pub const CREDENTIAL_SOON: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How often a server looks whether that is so.
pub const CREDENTIAL_AGAIN: Duration = Duration::from_secs(12 * 60 * 60);
