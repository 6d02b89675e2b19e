//! The record's encoding: whole or refused, never another record; fields of later versions survive.

use bytes::Bytes;
use lockd::error::{Error, ErrorKind};
use lockd::lease::step;
use lockd::limits::RECENT_WRITES;
use lockd::model::{FORMAT, Key, Knock, Namespace, Record, Reserved, Unknown};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::impossible::rich;
use super::requests::{Age, Op, key, lease_id, write_id};
use super::run::{Nets, Run, history, runner};

fn refused(bytes: &[u8]) -> Error {
    Record::decode(&key(), &Bytes::copy_from_slice(bytes)).expect_err("it must be refused")
}

/// A record of this first line, head and tail, with the checksum that belongs to them.
fn assemble(start: &str, head: &[u8], tail: &[u8]) -> Bytes {
    let body = [head, b"\n", tail].concat();
    let sum = hex::encode(Sha256::new().chain_update(start).chain_update(&body).finalize());
    Bytes::from([format!("{start}{sum}\n").as_bytes(), &body].concat())
}

/// The record with its head edited, as a forger or a later lockd would write it.
fn forged(record: &Record, edit: impl FnOnce(&mut Value)) -> Bytes {
    let bytes = record.encode().unwrap();
    let mut lines = bytes.splitn(3, |b| *b == b'\n');
    let (_, head, tail) = (lines.next(), lines.next().unwrap(), lines.next().unwrap());
    let mut head: Value = serde_json::from_slice(head).unwrap();
    edit(&mut head);
    assemble("lockd-record 1 ", &serde_json::to_vec(&head).unwrap(), tail)
}

fn unknown() -> impl Strategy<Value = Unknown> {
    let value = prop_oneof![
        any::<i64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        prop::collection::vec(any::<u64>(), 0..4).prop_map(Value::from),
        prop::collection::btree_map("[a-z]{1,4}", any::<u8>(), 0..3).prop_map(|map| json!(map)),
    ];
    prop::collection::btree_map("later_[a-z]{1,6}", value, 0..4)
}

/// A waiter that no random history has.
const STRANGER: u8 = 77;

/// A record that a random history made, with fields of later versions wherever there is room for them.
fn made(history: &[(Op, Age)], unknown: &Unknown) -> Record {
    let mut run = Run::new();
    run.all(history, &step, Nets::Both).unwrap();
    let mut r = run.record;
    r.unknown.clone_from(unknown);
    let knock = Knock { waiter: lease_id(STRANGER), unknown: unknown.clone() };
    r.knock = Some(knock);
    r.reserved = r.lease.is_none().then(|| Reserved { waiter: lease_id(STRANGER), unknown: unknown.clone() });
    r.committed.unknown.clone_from(unknown);
    r.staged.iter_mut().for_each(|staged| staged.unknown.clone_from(unknown));
    r.lease.iter_mut().for_each(|lease| lease.unknown.clone_from(unknown));
    r.done.iter_mut().for_each(|done| done.unknown.clone_from(unknown));
    r.ended.iter_mut().for_each(|ended| ended.unknown.clone_from(unknown));
    r.sealed(write_id(1_000))
}

#[test]
fn records_come_back_as_they_were_with_fields_of_later_versions() {
    let outcome = runner(300).run(&(history(60), unknown()), |(history, unknown)| {
        let record = made(&history, &unknown);
        let bytes = record.encode().unwrap();
        let read = Record::decode(&key(), &bytes).unwrap();
        prop_assert_eq!(&read, &record);
        prop_assert_eq!(read.encode().unwrap(), bytes);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn fields_of_later_versions_survive_as_long_as_what_they_belong_to() {
    let later = Unknown::from([("later".to_owned(), json!({"a": [1, 2]}))]);
    let outcome = runner(300).run(&(history(40), history(10)), |(before, after)| {
        let old = made(&before, &later);
        let mut run = Run::new();
        run.record = Record::decode(&key(), &old.encode().unwrap()).unwrap();
        // The log knows nothing of the record's past: only the invariants can judge.
        run.all(&after, &step, Nets::Invariants).unwrap();
        let new = Record::decode(&key(), &run.record.sealed(write_id(2_000)).encode().unwrap()).unwrap();
        prop_assert_eq!(&new.unknown, &later);
        let same = |lease: &&lockd::model::Lease| old.lease.as_ref().is_some_and(|l| l.token == lease.token);
        prop_assert!(new.lease.iter().filter(|l| same(l)).all(|lease| lease.unknown == later));
        prop_assert!(new.committed.version != old.committed.version || new.committed.unknown == later);
        let was_staged = |v| old.staged.as_ref().is_some_and(|staged| staged.version == v);
        prop_assert!(!was_staged(new.committed.version) || new.committed.unknown == later);
        prop_assert!(new.done.iter().all(|d| (d.version <= old.last_version) == (d.unknown == later)));
        let known = |token| old.ended.iter().any(|ended| ended.token == token);
        prop_assert!(new.ended.iter().all(|e| known(e.token) == (e.unknown == later)));
        // Its knock may have become a reservation, and another waiter may have knocked after that.
        let strangers = |knock: &&Knock| knock.waiter == lease_id(STRANGER);
        prop_assert!(new.knock.iter().filter(strangers).all(|knock| knock.unknown == later));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_record_cut_off_anywhere_is_corrupt() {
    let bytes = rich().encode().unwrap();
    assert!(Record::decode(&key(), &bytes).is_ok());
    for len in 0..bytes.len() {
        assert_eq!(refused(&bytes[..len]).kind(), ErrorKind::Corrupt, "cut to {len} of {} bytes", bytes.len());
    }
    for more in ["\n", " ", "{}", "lockd-record 1 "] {
        assert_eq!(refused(&[&bytes, more.as_bytes()].concat()).kind(), ErrorKind::Corrupt, "{more:?} at the end");
    }
}

#[test]
fn a_record_with_one_bit_flipped_is_corrupt() {
    let bytes = rich().encode().unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(refused(&flipped).kind(), ErrorKind::Corrupt, "bit {bit}");
    }
}

#[test]
fn a_record_of_another_key_is_corrupt() {
    let bytes = rich().encode().unwrap();
    let at = |namespace: &str, name: &str| Key::new(Namespace::new(namespace).unwrap(), name).unwrap();
    for other in [at("default", "backup/dc"), at("Default", "backup/db"), at("other", "backup/db")] {
        assert_eq!(Record::decode(&other, &bytes).unwrap_err().kind(), ErrorKind::Corrupt, "{other:?}");
    }
}

#[test]
fn a_record_that_needs_a_later_lockd_is_told_from_a_damaged_one() {
    let newer = |field: &str| {
        let field = field.to_owned();
        forged(&rich(), move |head| head[field] = json!(FORMAT + 1))
    };
    assert_eq!(refused(&newer("min_read")).kind(), ErrorKind::TooNew);
    let read_only = Record::decode(&key(), &newer("min_write")).unwrap();
    assert_eq!(read_only.visible(), rich().visible(), "min_write alone does not hinder reading");
    assert_eq!(read_only.sealed(write_id(99)).encode().unwrap_err().kind(), ErrorKind::TooNew);
    // What comes after the first line is unknown in a later format, but its first line is not.
    assert_eq!(refused(&assemble("lockd-record 2 ", b"?", b"")).kind(), ErrorKind::TooNew);
    assert_eq!(refused(&assemble("lockd-record x ", b"?", b"")).kind(), ErrorKind::Corrupt);
    assert_eq!(refused(&assemble("lockd-record 1 ", b"?", b"")).kind(), ErrorKind::Corrupt);
    for text in ["", "hello", "lockd-record ", "lockd-record 1", "lockd-record 1 00"] {
        assert_eq!(refused(text.as_bytes()).kind(), ErrorKind::Corrupt, "{text:?}");
    }
}

#[test]
fn an_impossible_record_with_a_right_checksum_is_corrupt() {
    type Edit = fn(&mut Value);
    let cases: &[(&str, Edit)] = &[
        ("something is staged without a lease", |head| drop(head.as_object_mut().unwrap().remove("lease"))),
        ("the lease's token is not the highest", |head| head["token"] = json!(99)),
        ("the committed version was never given out", |head| head["committed"]["version"] = json!(77)),
        ("the present lease has ended", |head| head["ended"][0]["id"] = head["lease"]["id"].clone()),
        ("the remembered writes have a gap", |head| head["revision"] = json!(20)),
        ("a number is too large", |head| head["beat"] = json!(u64::MAX)),
        ("a blob's token was never given out", |head| {
            let blob = head["previous"].as_str().unwrap().replacen("/2-", "/1844674407370955161-", 1);
            head["previous"] = json!(blob);
        }),
    ];
    for (rule, edit) in cases {
        let error = Record::decode(&key(), &forged(&rich(), edit)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{rule}");
        assert!(error.message().contains(rule), "{error}, not {rule}");
    }
    for (what, value) in [("token", json!(-1)), ("token", json!("1")), ("ttl", json!(1)), ("write_id", json!("00"))] {
        let bytes = forged(&rich(), |head| {
            let place = if what == "ttl" { &mut head["lease"] } else { head };
            place[what] = value;
        });
        assert_eq!(refused(&bytes).kind(), ErrorKind::Corrupt, "{what}");
    }
}

#[test]
fn the_memory_of_writes_knows_exactly_the_head_and_the_last_32() {
    let mut record = Record::new(key());
    assert!(!record.remembers(1), "no write was made yet");
    for revision in 1..=3 * RECENT_WRITES as u64 {
        record = record.sealed(write_id(revision));
        let oldest = revision.saturating_sub(RECENT_WRITES as u64).max(1);
        for asked in 1..=revision + 2 {
            let known = (oldest..=revision).contains(&asked);
            assert_eq!(record.has_write(write_id(asked)), known, "write {asked} at {revision}");
            assert_eq!(record.remembers(asked), known, "revision {asked} at {revision}");
        }
        let read = Record::decode(&key(), &record.encode().unwrap()).unwrap();
        assert_eq!(read, record, "a record that was never granted, as a killed write leaves it");
    }
}
