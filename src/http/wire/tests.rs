//! Every message comes out as it went in, and reads what other clients send.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::clock::UnixMillis;
use crate::entropy::Entropy;
use crate::model::{
    Ended, FencingToken, Holder, How, Key, LeaseId, Namespace, Owner, Reason, StateEtag, Ttl, TxnId, Unknown, Version,
};
use crate::service::{
    AcquireRequest, BreakRequest, Broke, Busy, Changed, Cursor, Description, Fence, FenceRequest, Grant, ListRequest,
    Listed, Released, Renewed, Wait,
};

const NOW: UnixMillis = UnixMillis(1_700_000_000_500);

fn sent<T: Serialize + DeserializeOwned>(body: &T) -> T {
    read_request(&write(body).unwrap()).unwrap()
}

fn a_key() -> Key {
    Key::new(Namespace::new("prod").unwrap(), "a/b+c").unwrap()
}

#[derive(Debug)]
struct Ones;

impl Entropy for Ones {
    fn fill(&self, buf: &mut [u8]) {
        buf.fill(0xff);
    }
}

/// The time of the example of RFC 9562, appendix A.6.
fn made_here() -> MadeHere<'static> {
    let now = UnixMillis(0x017F_22E2_79B0);
    MadeHere { entropy: &Ones, now, max_ttl: Ttl::new(Duration::from_secs(1_800)).unwrap() }
}

fn busy() -> Busy {
    Busy {
        lease_id: LeaseId::new("l").unwrap(),
        token: FencingToken(7),
        owner: Owner::new("ü@host").unwrap(),
        reason: Some(Reason::new("a\nb").unwrap()),
        holder: Holder { host: Some("h".into()), pid: Some(1), user: None, command: Some("x".into()) },
        since: UnixMillis(1_234),
        ttl: Ttl::new(Duration::from_millis(2_345)).unwrap(),
        frees_in: Duration::from_millis(999),
        place: Some(3),
    }
}

fn known() -> Description {
    let ended = Ended {
        id: LeaseId::new("e").unwrap(),
        token: FencingToken(6),
        how: How::Broken,
        version: Version(2),
        discarded: true,
        ttl: Some(Ttl::default()),
        owner: Owner::new("o").unwrap(),
        at: UnixMillis(99),
        by: Some(Owner::new("ops").unwrap()),
        reason: Some(Reason::new("stuck").unwrap()),
        unknown: Unknown::new(),
    };
    Description {
        key: a_key(),
        held: Some(busy()),
        token: FencingToken(7),
        version: Version(2),
        etag: Some(StateEtag::of(b"1")),
        bytes: 1,
        updated: Some(UnixMillis(1_500)),
        ended: vec![ended],
        last_success: Some(UnixMillis(77)),
        waiters: Some(2),
    }
}

#[test]
fn an_acquire_comes_out_as_it_went_in() {
    for wait in [Wait::No, Wait::For(Duration::from_millis(1)), Wait::For(Duration::from_secs(60))] {
        let request = AcquireRequest {
            key: a_key(),
            lease_id: LeaseId::new("l").unwrap(),
            txn: TxnId::new("t").unwrap(),
            ttl: Ttl::new(Duration::from_millis(2_345)).unwrap(),
            owner: busy().owner,
            reason: busy().reason,
            holder: busy().holder,
            if_not_exists: true,
            wait,
            confirm: true,
        };
        let read = sent(&AcquireBody::new(&request));
        assert!(read.confirm);
        assert_eq!(format!("{:?}", read.request(made_here()).unwrap()), format!("{request:?}"));
        let grant = Grant {
            lease_id: request.lease_id.clone(),
            token: FencingToken(1),
            txn: request.txn.clone(),
            ttl: request.ttl,
            left: Duration::from_millis(2_000),
            version: Version(4),
            etag: Some(StateEtag::of(b"1")),
            taken_over: true,
            last_success: Some(UnixMillis(5)),
            confirm_within: Some(Duration::from_secs(2)),
        };
        let reply = sent(&AcquireReply::new(&request, &grant, NOW, "c"));
        assert_eq!((reply.expires_at_unix, reply.expires_in_ms), (1_700_000_002, 2_000));
        assert_eq!(reply.into_grant(), grant);
    }
}

#[test]
fn an_acquire_of_another_client_is_understood() {
    let body = br#"{"key":"prod/job","namespace":"prod","ttl_seconds":1,"owner":"w","block_seconds":0,"txn_id":""}"#;
    let body: AcquireBody = read_request(body).unwrap();
    assert_eq!(body.wait(), Wait::For(crate::limits::WAIT_MAX), "zero is for ever");
    let request = body.clone().request(made_here()).unwrap();
    assert_eq!(
        (request.key.name(), request.lease_id, request.txn),
        ("job", LeaseId::random(&Ones), TxnId::random(&Ones))
    );
    assert_eq!(request.ttl.millis(), 2_000, "less than the shortest TTL");
    let with = |ttl: f64| AcquireBody { ttl_seconds: Some(Seconds(ttl)), ..body.clone() }.request(made_here()).unwrap();
    assert_eq!(with(0.0).ttl, Ttl::default());
    assert_eq!(with(1e12).ttl, made_here().max_ttl);
    let polls = AcquireBody { lease_id: Some("l".into()), ..body.clone() };
    assert_eq!(polls.wait(), Wait::For(crate::limits::WAIT_POLL));
    let unnamed = AcquireBody { lease_id: Some(String::new()), ..body.clone() };
    assert_eq!(unnamed.wait(), Wait::For(crate::limits::WAIT_MAX), "an empty id is none");
    let no_key = AcquireBody { key: None, ..body };
    let made = no_key.request(made_here()).unwrap();
    assert_eq!(made.key.name(), "017f22e2-79b0-7fff-bfff-ffffffffffff", "a UUID of version 7");
}

#[test]
fn requests_reject_what_they_do_not_know() {
    for bad in [
        r#"{"owner":"o","kye":"a"}"#,
        r#"{"owner":"o"} x"#,
        r#"{"owner":"o"}{}"#,
        r#"{"owner":"o","owner":"p"}"#,
        r#"{"owner":"o","holder":{"hots":"h"}}"#,
        r#"["o"]x"#,
        "",
    ] {
        let error = read_request::<AcquireBody>(bad.as_bytes()).unwrap_err();
        assert_eq!(error.kind().wire_code(), "invalid_body", "{bad}");
    }
    let grown = br#"{"expires_at_unix":1,"expires_in_ms":2,"ttl_ms":2000,"new":true}"#;
    assert_eq!(read_reply::<KeepaliveReply>(grown).unwrap().into_renewed().left, Duration::from_millis(2));
}

#[test]
fn the_life_of_a_lease_comes_out_as_it_went_in() {
    let id = LeaseId::new("l").unwrap();
    let keepalive = sent(&KeepaliveBody::new(&a_key(), &id, busy().ttl));
    assert_eq!((keepalive.key().unwrap(), keepalive.ttl(made_here().max_ttl)), (a_key(), busy().ttl));
    let renewed = Renewed { ttl: busy().ttl, left: Duration::from_millis(5) };
    assert_eq!(sent(&KeepaliveReply::new(renewed, NOW)).into_renewed(), renewed);

    let release = sent(&ReleaseBody::new(&a_key(), &id, true, Some(NOW)));
    assert_eq!((release.key().unwrap(), release.rollback, release.succeeded_unix_ms), (a_key(), true, Some(NOW.0)));
    assert_eq!(same_lease(&release.lease_id, Some(&id)).unwrap(), id);
    assert!(same_lease(&release.lease_id, Some(&LeaseId::new("m").unwrap())).is_err());
    for released in [
        Released::Released { version: Version(3) },
        Released::AlreadyGone { how: Some(How::TakenOver) },
        Released::AlreadyGone { how: None },
        Released::Fenced,
    ] {
        let reply = sent(&ReleaseReply::new(released));
        assert!(reply.released, "other clients look at this");
        assert_eq!(reply.into_released().unwrap(), released);
    }

    let request =
        BreakRequest { key: a_key(), lease_id: Some(id.clone()), by: busy().owner, reason: busy().reason.unwrap() };
    let read = sent(&BreakBody::new(&request)).request(Owner::new("caller").unwrap()).unwrap();
    assert_eq!(format!("{read:?}"), format!("{request:?}"));
    let broken =
        Broke::Broken { lease_id: id, token: FencingToken(7), owner: busy().owner, over_in: Duration::from_millis(8) };
    for broke in [broken, Broke::Free] {
        assert_eq!(sent(&BreakReply::new(&broke)).into_broke().unwrap(), broke);
    }
}

#[test]
fn what_is_known_comes_out_as_it_went_in() {
    let nothing = Description { held: None, etag: None, updated: None, waiters: None, ended: vec![], ..known() };
    for known in [known(), nothing] {
        let reply = sent(&DescribeReply::new(&known, NOW));
        assert_eq!(reply.owner.is_some(), known.held.is_some());
        assert_eq!(reply.into_description().unwrap(), known);
    }
    let busy_error = crate::error::Error::new(crate::error::ErrorKind::Busy, "held")
        .with_details(crate::error::Details { busy: Some(Box::new(busy())), ..Default::default() });
    let read = sent(&ErrorBody::new(&busy_error, Some(2))).into_error(409, Subject::Call);
    assert_eq!(read.details(), busy_error.details());
}

#[test]
fn a_listing_comes_out_as_it_went_in() {
    let request = ListRequest {
        namespace: a_key().namespace().clone(),
        prefix: "a+b & c".into(),
        held: true,
        after: Some(Cursor("%/=".into())),
    };
    let query: ListQuery = read_query(&write_query(&ListQuery::new(&request)).unwrap()).unwrap();
    assert_eq!(format!("{:?}", query.request().unwrap()), format!("{request:?}"));
    let by_hand = |text: &str| read_query::<ListQuery>(text).map(|query| (query.held, query.waiters));
    assert_eq!(by_hand("held=1&waiters=0").unwrap(), (true, false));
    assert_eq!(by_hand("waiters=true").unwrap(), (false, true));
    assert!(by_hand("held=yes").is_err());

    let listed = Listed { known: known(), cursor: Cursor("c".into()) };
    let damaged = crate::error::Error::new(crate::error::ErrorKind::Corrupt, "damaged");
    let page = ListReply {
        keys: vec![ListEntry::new(&Ok(listed.clone()), NOW), ListEntry::new(&Err(damaged), NOW)],
        next: Some("c".into()),
    };
    let mut read = sent(&page).keys.into_iter().map(ListEntry::into_listed);
    assert_eq!(read.next().unwrap().unwrap(), listed);
    assert_eq!(read.next().unwrap().unwrap_err().kind(), crate::error::ErrorKind::Corrupt);
}

#[test]
fn states_and_fences_come_out_as_they_went_in() {
    let query: KeyQuery = read_query(&write_query(&KeyQuery::new(&a_key())).unwrap()).unwrap();
    assert_eq!(query.key().unwrap(), a_key());
    assert_eq!(read_query::<KeyQuery>("key=/a&public=1").unwrap().key().unwrap().name(), "a");
    assert!(read_query::<KeyQuery>("namespace=a").is_err(), "no key");

    let etag = StateEtag::of(b"1");
    let headers = state_headers(Version(3), Some(&etag)).unwrap();
    assert_eq!(state_headers_from(&headers).unwrap(), (Version(3), etag.clone()));
    let updated = Changed { version: Version(4), etag: Some(etag), bytes: 9, changed: true };
    assert_eq!(sent(&UpdateReply::new(&updated)).into_changed(), updated);
    for changed in [true, false] {
        let removed = Changed { version: Version(4), etag: None, bytes: 0, changed };
        assert_eq!(sent(&RemoveReply::new(&removed)).into_changed(), removed);
    }

    let request = FenceRequest { resource: a_key(), token: FencingToken(5), key: Some(a_key()) };
    let body = FenceBody::new(&request).unwrap();
    let query: FenceQuery = read_query(&write_query(&FenceQuery::from(body.clone())).unwrap()).unwrap();
    for read in [sent(&body).request().unwrap(), FenceBody::from(query).request().unwrap()] {
        assert_eq!(format!("{read:?}"), format!("{request:?}"));
    }
    let fence = Fence { mark: FencingToken(6), key: None };
    let reply = FenceReply::new(fence, FencingToken(5));
    assert!(reply.stale);
    assert_eq!(sent(&reply).into_fence(), fence);
}
