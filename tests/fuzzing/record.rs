//! Records as a store gives them back, and the rules applied to whatever could be read.

use std::time::Duration;

use bytes::Bytes;
use lockd::clock::UnixMillis;
use lockd::error::ErrorKind;
use lockd::lease::invariants::{check, check_step};
use lockd::lease::{Acquire, Admit, Break, Change, Expire, Knock, Release, Renew, Request, Update, step};
use lockd::limits::RECORD_BYTES;
use lockd::model::{
    FORMAT, FencingToken, Holder, Key, LeaseId, Namespace, Owner, Reason, Record, RequestId, StateRef, Ttl, TxnId,
    WriteId,
};
use lockd::service::{Guards, Proof};
use sha2::{Digest, Sha256};

/// A byte that says whether the rest is a record as stored, or what stands behind a first line whose checksum fits.
pub fn run(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    let bytes = if *mode == b'=' { Bytes::copy_from_slice(rest) } else { summed(rest) };
    let key = Key::new(Namespace::default(), "backup/db").unwrap();
    let record = match Record::decode(&key, &bytes) {
        Ok(record) => record,
        Err(e) => return assert!(matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::TooNew), "{e}"),
    };
    check(&record).unwrap();
    if !comes_back(&record, bytes.len()) {
        return;
    }
    for request in requests(&record) {
        for age in [Duration::ZERO, Duration::from_secs(1_000_000)] {
            let made = step(&record, &request, age);
            assert_eq!(made, step(&record, &request, age), "it is another step each time");
            check_step(&record, &request, age, &made).unwrap_or_else(|broken| panic!("{request:?}: {broken}"));
            if let Some(write) = made.write {
                comes_back(&write.sealed(WriteId::from_bytes([0xfe; 16])), bytes.len());
            }
        }
    }
}

/// A record whose first line fits.
fn summed(body: &[u8]) -> Bytes {
    let start = "lockd-record 1 ";
    let sum = hex::encode(Sha256::new().chain_update(start).chain_update(body).finalize());
    [start.as_bytes(), sum.as_bytes(), b"\n", body].concat().into()
}

/// What is written is read as the same. False when it cannot be written: for a later lockd, too large, or no number is left.
fn comes_back(record: &Record, read: usize) -> bool {
    match record.encode() {
        Ok(bytes) => {
            let again = Record::decode(&record.key, &bytes).unwrap();
            assert_eq!(again, *record);
            assert_eq!(again.encode().unwrap(), bytes);
            true
        }
        Err(e) if record.min_write > FORMAT => {
            assert_eq!(e.kind(), ErrorKind::TooNew);
            false
        }
        Err(e) => {
            let large = read > RECORD_BYTES / 8;
            assert!(
                large
                    || check(record).is_err_and(
                        |broken| broken.0 == "a number is too large" || broken.0 == "a write id is there twice"
                    ),
                "{e}"
            );
            false
        }
    }
}

/// One of everything, by the holder and by somebody else.
fn requests(record: &Record) -> Vec<Request> {
    let at = UnixMillis(1_700_000_000_000);
    let stranger = LeaseId::new("stranger").unwrap();
    let held = record.lease.as_ref();
    let own = held.map_or_else(|| stranger.clone(), |lease| lease.id.clone());
    let txn = held.map_or_else(|| TxnId::new("txn").unwrap(), |lease| lease.txn.clone());
    let proof = Proof { lease_id: own.clone(), token: record.token, txn: None };
    let in_txn = Proof { txn: Some(txn.clone()), ..proof.clone() };
    let acquire = |lease_id: &LeaseId| {
        Request::Acquire(Acquire {
            lease_id: lease_id.clone(),
            txn: TxnId::new("new").unwrap(),
            ttl: Ttl::default(),
            owner: Owner::new("fuzz").unwrap(),
            reason: None,
            holder: Holder::default(),
            if_not_exists: false,
            yields: true,
            epoch: record.epoch,
            stamp: None,
            at,
        })
    };
    let release = |rollback| {
        let (lease_id, token, txn) = (own.clone(), Some(record.token), Some(txn.clone()));
        Request::Release(Release { lease_id, token, txn, rollback, succeeded: Some(at), reserve: true, at })
    };
    let update = |proof: &Proof, id: &str, change: Change| {
        let (proof, id) = (proof.clone(), RequestId::new(id).unwrap());
        Request::Update(Update { proof, id, change, edits: None, guards: Guards::default(), bound: None, at })
    };
    let done = record.done.back().map_or("r", |done| done.id.as_str());
    let by = Owner::new("ops").unwrap();
    let broken = Break { lease_id: own.clone(), by, reason: Reason::new("fuzz").unwrap(), epoch: record.epoch, at };
    vec![
        acquire(&stranger),
        acquire(&own),
        Request::Renew(Renew { proof: proof.clone(), ttl: Ttl::default(), stamp: None, at }),
        release(false),
        release(true),
        update(&proof, "r", Change::Put(StateRef::inline(Bytes::from_static(b"{}")))),
        update(&proof, done, Change::Remove),
        update(&in_txn, "r", Change::Put(StateRef::inline(Bytes::from_static(b"[1]")))),
        update(&in_txn, "r", Change::Remove),
        Request::Expire(Expire { lease_id: own.clone(), at }),
        Request::Break(broken),
        Request::Admit(Admit { token: FencingToken(record.fence.0.saturating_add(1)) }),
        Request::Knock(Knock { waiter: stranger }),
    ]
}
