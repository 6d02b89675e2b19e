//! Requests as a server reads them: paths, queries, headers, bodies. What is understood means the same when it is sent on.

use std::fmt::Debug;
use std::time::Duration;

use http::HeaderMap;
use lockd::clock::UnixMillis;
use lockd::entropy::KernelEntropy;
use lockd::error::ErrorKind;
use lockd::http::wire::{self, AcquireBody, BreakBody, FenceBody, FenceQuery, KeepaliveBody, KeyQuery, ListQuery};
use lockd::http::wire::{MadeHere, MutateBody, ProofHeaders, ReleaseBody};
use lockd::limits::{TTL_MAX, TTL_MIN};
use lockd::model::{LeaseId, Owner, RequestId, Ttl};
use lockd::service::{ChangeRequest, Guards, Proof};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{header_map, split};

/// A query, a line end, headers one a line, an empty line, the body.
pub fn run(data: &[u8]) {
    let (head, body) = split(data, b"\n\n");
    let (query, lines) = split(head, b"\n");
    if let Ok(query) = std::str::from_utf8(query) {
        queries(query);
    }
    headers(&header_map(lines.unwrap_or_default()));
    bodies(body.unwrap_or_default());
}

fn query<T: Serialize + DeserializeOwned + PartialEq + Debug>(text: &str) -> Option<T> {
    let read: T = wire::read_query(text).ok()?;
    let again: T = wire::read_query(&wire::write_query(&read).unwrap()).unwrap();
    assert_eq!(again, read);
    Some(read)
}

fn queries(text: &str) {
    if let Some(key) = query::<KeyQuery>(text).and_then(|read| read.key().ok()) {
        assert_eq!(KeyQuery::new(&key).key().unwrap(), key);
    }
    if let Some(list) = query::<ListQuery>(text)
        && let Ok(asked) = list.request()
    {
        let again = ListQuery::new(&asked).request().unwrap();
        assert_eq!(format!("{again:?}"), format!("{asked:?}"));
    }
    if let Some(fence) = query::<FenceQuery>(text) {
        fenced(&FenceBody::from(fence));
    }
}

fn fenced(body: &FenceBody) {
    let Ok(request) = body.request() else { return };
    let again = FenceBody::new(&request).unwrap().request().unwrap();
    assert_eq!(format!("{again:?}"), format!("{request:?}"));
}

fn headers(headers: &HeaderMap) {
    let usage = |kind: ErrorKind| assert_eq!(kind, ErrorKind::Usage);
    let guards = wire::guards_from(headers).map_err(|e| usage(e.kind()));
    let id = wire::request_id_from(headers).map_err(|e| usage(e.kind()));
    let on_disconnect = wire::on_disconnect_from(headers).map_err(|e| usage(e.kind()));
    if let Ok(how) = on_disconnect {
        assert_eq!(wire::on_disconnect_from(&wire::on_disconnect_headers(how)).unwrap(), how);
    }
    if let Ok(expected) = wire::expected_from(headers) {
        assert_eq!(wire::expected_from(&wire::expected_headers(&expected).unwrap()).unwrap(), expected);
    }
    let Ok(proof) = ProofHeaders::read(headers).map_err(|e| usage(e.kind())) else { return };
    let Some(proof) = proof.shown() else { return };
    assert_eq!(ProofHeaders::read(&wire::proof_headers(&proof).unwrap()).unwrap().shown().as_ref(), Some(&proof));
    if let (Ok(guards), Ok(Some(id))) = (guards, id) {
        change(proof, guards, id);
    }
    if let Ok((grant, len)) = wire::grant_from(headers) {
        let sent = wire::for_update_headers(&Owner::new("o").unwrap(), &grant, None).unwrap();
        let (again, none) = wire::grant_from(&sent).unwrap();
        assert_eq!((again.lease_id, again.token, again.version), (grant.lease_id, grant.token, grant.version));
        assert!(none == 0 || len == none);
    }
}

/// No guard is ever lost on the way.
fn change(proof: Proof, guards: Guards, request_id: RequestId) {
    let key = KeyQuery { key: "a".into(), namespace: None }.key().unwrap();
    let request = ChangeRequest { key, proof, request_id, guards, edits: None };
    let sent = wire::change_headers(&request).unwrap();
    assert_eq!(wire::guards_from(&sent).unwrap(), request.guards);
    assert_eq!(wire::request_id_from(&sent).unwrap(), Some(request.request_id));
}

fn body<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let read: T = match wire::read_request(bytes) {
        Ok(read) => read,
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::Usage);
            return None;
        }
    };
    let again: T = wire::read_request(&wire::write(&read).unwrap()).expect("what was written");
    assert_eq!(again, read);
    Some(read)
}

fn bodies(bytes: &[u8]) {
    if let Some(read) = body::<AcquireBody>(bytes) {
        acquired(read);
    }
    if let Some(read) = body::<KeepaliveBody>(bytes) {
        let max = Ttl::new(Duration::from_secs(1_800)).unwrap();
        assert!((TTL_MIN..=max.duration()).contains(&read.ttl(max).duration()), "{read:?}");
        if let (Ok(key), Ok(id)) = (read.key(), LeaseId::new(&read.lease_id)) {
            let again = KeepaliveBody::new(&key, &id, read.ttl(max));
            assert_eq!((again.key().unwrap(), again.ttl(max)), (key, read.ttl(max)));
        }
    }
    if let Some(read) = body::<ReleaseBody>(bytes)
        && let (Ok(key), Ok(id)) = (read.key(), wire::same_lease(&read.lease_id, None))
    {
        assert_eq!(ReleaseBody::new(&key, &id, read.rollback, None).key().unwrap(), key);
    }
    if let Some(read) = body::<BreakBody>(bytes)
        && let Ok(request) = read.request(Owner::new("caller").unwrap())
    {
        let again = BreakBody::new(&request).request(Owner::new("other").unwrap()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{request:?}"));
    }
    if let Some(read) = body::<FenceBody>(bytes) {
        fenced(&read);
    }
    let _mutations = body::<MutateBody>(bytes);
}

fn made() -> MadeHere<'static> {
    MadeHere { entropy: &KernelEntropy, now: UnixMillis(0), max_ttl: Ttl::new(TTL_MAX).unwrap() }
}

/// What a server understands, a client sends on as it is: a lease of one key is never one of another.
fn acquired(read: AcquireBody) {
    let polls = read.polls();
    let Ok(request) = read.request(made()) else { return };
    let again = AcquireBody::new(&request).request(made()).unwrap();
    assert!(polls || again.lease_id == request.lease_id);
    let same = |of: &lockd::service::AcquireRequest| {
        // A wait is cut to that of one poll, and is whole milliseconds.
        let of = lockd::service::AcquireRequest { wait: lockd::service::Wait::No, ..of.clone() };
        format!("{of:?}")
    };
    assert_eq!(same(&again), same(&request));
}
