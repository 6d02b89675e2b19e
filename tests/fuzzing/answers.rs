//! A client at servers that answer anything: statuses, headers and bodies as the input says, in pieces, broken off, or not at all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use lockd::clock::UnixMillis;
use lockd::error::{Error, ErrorKind};
use lockd::http::client::{Address, Body, Failure, Head, HttpClient, Reply, Wire};
use lockd::limits::{IMPLIED_GUARD_TRIES, SERVERS};
use lockd::model::{FencingToken, LeaseId, Owner, Reason, RequestId, StateEtag, Ttl, Version};
use lockd::service::{
    AcquireRequest, BreakRequest, ChangeRequest, Expected, FenceRequest, Guards, LeaseService, ListRequest,
    OnDisconnect, Proof, State, Wait,
};

use super::{header_map, key, pieces, split};
use crate::support::clock::TestClock;

/// Divides the answers: no header has it.
const MARK: u8 = 0x1e;
/// Statuses that an answer begins with.
const STATUSES: [u16; 16] = [200, 204, 206, 302, 400, 401, 403, 404, 408, 409, 412, 413, 429, 500, 503, 507];

/// A byte for the call, one for the number of servers, then answers. Each is a byte for its status (from 0xf0 on there is none), two
/// sizes of the pieces of its body, a byte for its end, headers one a line, an empty line, the body.
pub fn run(data: &[u8]) {
    let Some(([call, servers], answers)) = data.split_first_chunk() else { return };
    let answers: Vec<Vec<u8>> = answers.split(|b| *b == MARK).map(<[u8]>::to_vec).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let servers: Vec<_> =
            (0..1 + servers % 3).map(|n| Address::parse(&format!("http://s{n}:1")).unwrap()).collect();
        let sent = Arc::new(AtomicUsize::new(0));
        let (count, silence) = (answers.len(), Silence::of(&answers, servers.len()));
        let wire = Scripted { answers: Mutex::new(answers.into_iter()), sent: Arc::clone(&sent) };
        let client = HttpClient::new(servers, Box::new(wire), Arc::new(TestClock::new()));
        ask(&client, *call, silence).await;
        // Each answer may ask for another page; beyond that every call is given up after some tries.
        let most = (count + IMPLIED_GUARD_TRIES as usize + 2) * SERVERS;
        assert!(sent.load(Ordering::Relaxed) <= most, "{} requests were sent", sent.load(Ordering::Relaxed));
    });
}

/// What no answer means, whatever was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// One server may have got it.
    Doubt,
    /// No server got it.
    NotSent,
    /// Some server answered, or there are several, and what they are asked first may only read.
    Other,
}

impl Silence {
    fn of(answers: &[Vec<u8>], servers: usize) -> Self {
        let lost = |answer: &Vec<u8>| answer.first().is_none_or(|status| *status >= 0xf0 && status % 2 == 0);
        let not_sent = |answer: &Vec<u8>| answer.first().is_some_and(|status| *status >= 0xf1 && status % 2 == 1);
        match servers {
            1 if answers.iter().all(lost) => Self::Doubt,
            1 if answers.len() > 1 && answers.iter().all(not_sent) => Self::NotSent,
            _ => Self::Other,
        }
    }
}

struct Scripted {
    answers: Mutex<std::vec::IntoIter<Vec<u8>>>,
    sent: Arc<AtomicUsize>,
}

#[async_trait]
impl Wire for Scripted {
    async fn send(&self, _: &Address, _: Head, body: Body<'_>) -> Result<Reply, Failure> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        if let Body::Stream(stream) = body {
            while stream.next().await.is_some() {}
        }
        let answer = self.answers.lock().unwrap().next();
        match answer.as_deref() {
            Some([status, a, b, end, rest @ ..]) if *status < 0xf0 => Ok(reply(*status, [*a, *b], *end, rest)),
            Some([status, ..]) if *status >= 0xf0 => {
                Err(Failure { sent: status % 2 == 0, why: "no answer".to_owned() })
            }
            _ => Err(Failure { sent: true, why: "nobody answers".to_owned() }),
        }
    }
}

fn reply(status: u8, sizes: [u8; 2], end: u8, rest: &[u8]) -> Reply {
    let (lines, body) = split(rest, b"\n\n");
    let body = Bytes::copy_from_slice(body.unwrap_or_default());
    let headers = header_map(lines);
    let mut chunks: Vec<_> = pieces(&body, &sizes).into_iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    if end % 4 == 1 {
        chunks.push(Err(Error::new(ErrorKind::Unavailable, "it broke")));
    }
    let body = stream::iter(chunks);
    // One that falls silent, and stays open.
    let body = if end % 4 == 2 { body.chain(stream::pending()).boxed() } else { body.boxed() };
    Reply { status: STATUSES[usize::from(status) % STATUSES.len()], headers, body }
}

fn acquire() -> AcquireRequest {
    let wait = Wait::For(Duration::from_secs(1));
    AcquireRequest { wait, confirm: true, ..super::acquire("lease", "txn") }
}

fn change(proof: &Proof) -> ChangeRequest {
    let guards = Guards { version: None, etag: Some(StateEtag::of(b"1")) };
    ChangeRequest { key: key(), proof: proof.clone(), request_id: RequestId::new("r").unwrap(), guards, edits: None }
}

/// What comes as a whole state has its length and its hash.
async fn whole(state: State) {
    let (mut body, mut bytes) = (state.body, Vec::new());
    while let Some(chunk) = body.next().await {
        match chunk {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(e) => return assert!(matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::Corrupt), "{e}"),
        }
    }
    assert_eq!(bytes.len() as u64, state.len);
    assert_eq!(StateEtag::of(&bytes), state.etag);
}

async fn ask(client: &HttpClient, call: u8, silence: Silence) {
    let lease_id = LeaseId::new("lease").unwrap();
    let proof = Proof { lease_id: lease_id.clone(), token: FencingToken(7), txn: None };
    match call % 16 {
        0 => told(client.acquire(acquire()).await, true, silence),
        1 => {
            if let Ok(granted) = client.acquire_for_update(acquire(), OnDisconnect::Expire).await {
                let mut following = granted.following;
                if let Some(state) = granted.state {
                    whole(state).await;
                }
                let _end = following.end().await;
            }
        }
        2 => told(client.keepalive(&key(), &proof, Ttl::default()).await, true, silence),
        3 => told(client.release(&key(), &lease_id, Some(&proof), false).await, true, silence),
        4 => told(client.release_after_success(&key(), &proof, UnixMillis(1)).await, true, silence),
        5 => {
            if let Ok(Some(state)) = client.get(&key(), Some(&proof)).await {
                whole(state).await;
            }
        }
        6 => {
            let body = stream::iter([Ok(Bytes::from_static(b"[1]"))]).boxed();
            told(client.update(change(&proof), Expected::default(), body).await, true, silence);
        }
        7 => told(client.remove(change(&proof)).await, true, silence),
        8 => told(client.describe(&key()).await, false, silence),
        9 => {
            let (by, reason) = (Owner::new("ops").unwrap(), Reason::new("fuzz").unwrap());
            told(
                client.break_lease(BreakRequest { key: key(), lease_id: Some(lease_id), by, reason }).await,
                true,
                silence,
            );
        }
        10 => {
            let request = ListRequest::default();
            let mut listing = client.list(&request);
            while let Some(listed) = listing.next().await {
                let _each_is_a_key_or_says_why_not = listed;
            }
        }
        11 => {
            let key = key();
            let mut watch = client.watch(&key);
            while let Some(watched) = watch.next().await {
                let _a_stream_ends_in_an_error = watched;
            }
        }
        12 => told(client.fence_admit(fence()).await, true, silence),
        13 => told(client.fence_check(fence()).await, false, silence),
        14 => {
            let guards = Guards { version: Some(Version(3)), etag: None };
            told(client.remove(ChangeRequest { guards, ..change(&proof) }).await, true, silence);
        }
        _ => told(client.metrics().await, false, silence),
    }
}

fn fence() -> FenceRequest {
    FenceRequest { resource: key(), token: FencingToken(7), key: None }
}

/// No answer is no refusal: what may have been sent may have been done.
fn told<T>(answer: Result<T, Error>, changes: bool, silence: Silence) {
    let (e, wanted) = match (answer, silence) {
        (Err(e), Silence::Doubt) if changes => (e, ErrorKind::OutcomeUnknown),
        (Err(e), Silence::Doubt | Silence::NotSent) => (e, ErrorKind::Unavailable),
        (Err(e), Silence::Other) => return assert!(!e.message().is_empty()),
        (Ok(_), Silence::Other) => return,
        (Ok(_), _) => panic!("an answer that nobody gave"),
    };
    assert_eq!(e.kind(), wanted, "{e}");
}
