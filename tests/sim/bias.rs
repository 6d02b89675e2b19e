//! What a seed draws, bent towards the rare path on which one broken rule shows.

use std::time::Duration;

use lockd::mutants::Mutant as M;

use super::mix::Mix;
use super::time::{MILLI, SECOND};

/// How the mix is bent for a mutant.
pub fn of(mutant: M) -> fn(&mut Mix) {
    match mutant {
        M::RingOverrunIsFailed | M::RefusalAfterDoubt | M::OverrunIsSafeToRepeat => overrun,
        M::FoundForgottenIsRefused => forgotten,
        M::FoundIsSteppedAgain | M::UnknownIsFailed | M::NoReadback => lost,
        M::FailedAfterUnknown | M::KillLostIsFailed | M::NoKill => quiet,
        M::SilentIsFailed => silent,
        M::GoneClientServed => impatient,
        M::WriteIdRepeats => hashed,
        M::ForeignBootBelieved | M::OldStampKept => stamped,
        M::StoreClockTrusted => store_clock,
        M::NoteOfAnyWrite | M::NoteOfAnyBoot => noted,
        M::CollectorIgnoresToken | M::CollectorIgnoresLease | M::PreviousForgotten | M::NobodyCollects => blobs,
        M::DeleteAfterUnknown => silent_blobs,
        M::HashUnchecked => torn,
        M::UpdateUnbound | M::RenewalFlushesDone | M::ReusedIdAccepted | M::VersionsReused => changes,
        M::TransactionIgnored | M::TakeoverCommitsStaged | M::LostCommitIsSuccess => staged,
        M::ObserveAtSend => slow_reads,
        M::UnconfirmedBelieved | M::KnockIsSignOfLife => serving,
        _ => short,
    }
}

/// Enough of a run for what any run meets.
fn short(mix: &mut Mix) {
    mix.active = mix.active.min(6 * 60 * SECOND);
    mix.keys = mix.keys.min(2);
}

fn busy(mix: &mut Mix) {
    short(mix);
    mix.keys = 1;
    mix.hosts = mix.hosts.max(2);
    mix.procs = 4;
    mix.workers = 3;
    mix.think = mix.think.min(Duration::from_millis(300));
}

/// Answers are lost, and the store is slow to say what became of a write.
fn lost(mix: &mut Mix) {
    busy(mix);
    mix.lost_reply = mix.lost_reply.max(1_500);
    mix.unknown_applied = mix.unknown_applied.max(1_000);
    mix.late = mix.late.max(500);
    mix.get_error = mix.get_error.max(1_500);
    mix.failed = mix.failed.max(1_000);
}

/// Many writes come after one whose answer is lost.
fn overrun(mix: &mut Mix) {
    busy(mix);
    mix.think = Duration::from_millis(50);
    mix.changes = 14;
    mix.delay = (MILLI, 2 * MILLI);
    mix.blob_states = 0;
    mix.timeout = 20 * SECOND;
    mix.lost_reply = 1_000;
    (mix.late, mix.conflict, mix.failed, mix.get_error) = (500, 0, 0, 0);
}

/// Many leases come and go after a grant whose answer is lost.
fn forgotten(mix: &mut Mix) {
    overrun(mix);
    mix.changes = 1;
    mix.staged = 0;
}

/// Nobody else writes while a write is late: what was sent is sent again.
fn quiet(mix: &mut Mix) {
    short(mix);
    (mix.keys, mix.procs, mix.workers, mix.scripts) = (3, 2, 1, 0);
    mix.active = 10 * 60 * SECOND;
    mix.think = Duration::from_secs(3);
    mix.timeout = 5 * SECOND;
    (mix.late, mix.failed, mix.lost_request) = (4_000, 2_000, 2_000);
    (mix.lost_reply, mix.conflict, mix.unknown_applied, mix.tail) = (0, 0, 0, 0);
}

/// Requests get through and answers do not, for long.
fn silent(mix: &mut Mix) {
    busy(mix);
    (mix.cut_every, mix.longest_trouble) = (8 * SECOND, 40 * SECOND);
    mix.timeout = 2 * SECOND;
}

fn silent_blobs(mix: &mut Mix) {
    silent(mix);
    mix.blob_states = 8_000;
    mix.blob_fault = 0;
}

/// Callers go while the store is slow to answer.
fn impatient(mix: &mut Mix) {
    busy(mix);
    mix.impatient = 5_000;
    mix.delay = (100 * MILLI, 900 * MILLI);
}

/// Much waiting, at processes that serve others.
fn serving(mix: &mut Mix) {
    busy(mix);
    mix.serves = true;
    mix.think = Duration::from_secs(1);
}

fn hashed(mix: &mut Mix) {
    busy(mix);
    mix.hashed_etags = true;
}

fn stamped(mix: &mut Mix) {
    busy(mix);
    mix.stamps = true;
    mix.ttl = mix.ttl.min(Duration::from_secs(5));
}

fn store_clock(mix: &mut Mix) {
    busy(mix);
    (mix.stamps, mix.notes, mix.store_clock) = (false, false, true);
    mix.jump_every = 30 * SECOND;
    mix.think = Duration::from_secs(5);
}

/// Short commands alone, each with what the one before saw.
fn noted(mix: &mut Mix) {
    short(mix);
    mix.active = 15 * 60 * SECOND;
    (mix.keys, mix.hosts, mix.procs, mix.scripts) = (1, 3, 1, 6);
    (mix.stamps, mix.notes, mix.notes_shared, mix.store_clock) = (false, true, true, false);
    mix.think = mix.think.min(Duration::from_secs(1));
}

fn blobs(mix: &mut Mix) {
    busy(mix);
    mix.blob_states = 8_000;
    mix.delay = (5 * MILLI, 200 * MILLI);
    mix.unknown_applied = 1_000;
    mix.late = 500;
}

fn torn(mix: &mut Mix) {
    blobs(mix);
    mix.torn_read = 2_000;
}

fn changes(mix: &mut Mix) {
    busy(mix);
    mix.changes = 14;
    mix.blob_states = mix.blob_states.min(300);
    mix.lost_reply = mix.lost_reply.max(1_000);
    mix.conflict = mix.conflict.max(500);
}

fn staged(mix: &mut Mix) {
    busy(mix);
    mix.staged = 8_000;
}

/// Reads are much slower than writes: what a read shows is old when it comes.
fn slow_reads(mix: &mut Mix) {
    busy(mix);
    (mix.stamps, mix.notes) = (false, false);
    mix.ttl = mix.ttl.min(Duration::from_secs(3));
    (mix.tail, mix.tail_longest) = (2_000, 6 * SECOND);
    mix.timeout = 20 * SECOND;
}
