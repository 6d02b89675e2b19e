//! One connection: which protocol it speaks, its limits, its end.

use std::convert::Infallible;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use futures_util::future::{Either, poll_fn, select};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, ReadBuf};

use super::accept::Pass;
use super::answer::Answer;
use super::farewell::Farewell;
use super::hangup::HangUp;
use super::line::{Line, Socket};
use super::streams::Client;
use super::{Phase, Shared, dispatch};
use crate::clock::BootTime;
use crate::limits::{
    CONNECTION_AGE, CONNECTION_WINDOW, FIRST_BYTE, HEAD_BYTES, HEAD_TIME, HEADER_LIST_BYTES, HEADERS, IDLE_CONNECTION,
    PING_ANSWER, PING_EVERY, STREAM_BUFFER, STREAM_RESETS, STREAM_RESETS_PENDING, STREAM_WINDOW, STREAMS,
};
use crate::model::{Key, LeaseId};

/// What is known of a connection.
pub struct Connection {
    pub shared: Arc<Shared>,
    /// Who is at the other end.
    pub peer: String,
    /// What it is counted with.
    pub client: Client,
    pub pass: Pass,
    /// Calls under way, their answers' bodies included.
    calls: AtomicUsize,
    /// When the last one ended.
    quiet: AtomicU64,
    /// Grants that are still to be confirmed, until when.
    provisional: Mutex<Vec<(Key, LeaseId, BootTime)>>,
    /// Where the protocol's own code may overlook the end.
    line: OnceLock<Weak<HangUp>>,
}

/// Counts a call while it is under way.
pub struct Busy(Arc<Connection>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.quiet.store(self.0.shared.clock.boot().0, Ordering::SeqCst);
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
        self.0.shared.metrics.over();
    }
}

impl Connection {
    pub fn new(shared: Arc<Shared>, peer: String, client: Client, pass: Pass) -> Arc<Self> {
        let quiet = AtomicU64::new(shared.clock.boot().0);
        shared.metrics.opened();
        let (calls, provisional, line) = Default::default();
        Arc::new(Self { shared, peer, client, pass, calls, quiet, provisional, line })
    }

    /// A call begins.
    pub fn busy(self: &Arc<Self>) -> Busy {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.shared.metrics.began();
        Busy(Arc::clone(self))
    }

    fn is_idle(&self, now: BootTime) -> bool {
        let quiet = BootTime(self.quiet.load(Ordering::SeqCst));
        self.calls.load(Ordering::SeqCst) == 0 && now.since(quiet) >= IDLE_CONNECTION
    }

    /// Should this connection end before the grant is confirmed, the next one gets it.
    pub fn to_be_confirmed(&self, key: Key, lease_id: LeaseId, within: Duration) {
        let now = self.shared.clock.boot();
        let mut provisional = self.provisional.lock().unwrap_or_else(PoisonError::into_inner);
        provisional.retain(|(.., until)| now < *until);
        provisional.push((key, lease_id, now + within));
    }

    /// Returns once the client has hung up, also behind bytes that are not read yet. Over HTTP/2, which is read all the time, never:
    /// there each call is dropped with its stream.
    pub fn hung_up(&self) -> impl Future<Output = ()> + Send + use<> {
        let line = self.line.get().and_then(Weak::upgrade);
        async move {
            match line {
                Some(line) => line.heard().await,
                None => pending().await,
            }
        }
    }

    async fn withdraw(&self) {
        let unconfirmed = std::mem::take(&mut *self.provisional.lock().unwrap_or_else(PoisonError::into_inner));
        for (key, lease_id, _) in unconfirmed {
            self.shared.service.withdraw(&key, &lease_id).await;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.metrics.closed();
    }
}

/// Serves a connection to its end.
pub async fn serve(connection: Arc<Connection>, mut socket: Socket) {
    let clock = Arc::clone(&connection.shared.clock);
    let told = clock.timeout_at(clock.boot() + FIRST_BYTE, sniff(&mut socket)).await;
    if let Some(Some((protocol, ahead))) = told {
        let farewell = matches!(protocol, Protocol::Http2).then(|| Farewell::after_preface(PREFACE.len()));
        // The second handle ends with this function, and the connection with both.
        let hang_up = matches!(protocol, Protocol::Http1).then(|| HangUp::of(&socket).ok()).flatten().map(Arc::new);
        if let Some(hang_up) = &hang_up {
            let _is_set_once = connection.line.set(Arc::downgrade(hang_up));
        }
        let line = TokioIo::new(Line::new(socket, ahead, clock, farewell));
        let serving = async {
            match protocol {
                Protocol::Http1 => http1(&connection, line).await,
                Protocol::Http2 => http2(&connection, line).await,
            }
        };
        // A panic ends this connection, and what follows its end still happens. What it leaves is dropped, not looked at.
        match AssertUnwindSafe(serving).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::debug!(peer = connection.peer, error = %e, "the connection ended"),
            Err(_) => tracing::error!(peer = connection.peer, "a connection broke down: please report this"),
        }
    }
    connection.withdraw().await;
}

enum Protocol {
    Http1,
    Http2,
}

/// What an HTTP/2 client says first (RFC 9113, section 3.4); no HTTP/1 request begins so.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads until the protocol is known; `None` when the client is gone.
async fn sniff(socket: &mut Socket) -> Option<(Protocol, Bytes)> {
    let mut ahead = BytesMut::with_capacity(1024);
    loop {
        let mut room = [0; 1024];
        let n = poll_fn(|cx| {
            let mut buf = ReadBuf::new(&mut room);
            let poll = match socket {
                Socket::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut buf),
                Socket::Unix(stream) => Pin::new(stream).poll_read(cx, &mut buf),
                Socket::Other(stream) => Pin::new(stream).poll_read(cx, &mut buf),
            };
            poll.map(|result| result.map(|()| buf.filled().len()))
        });
        match n.await {
            Ok(n) if n > 0 => ahead.extend_from_slice(&room[..n]),
            _ => return None,
        }
        let known = ahead.len().min(PREFACE.len());
        if ahead[..known] != PREFACE[..known] {
            return Some((Protocol::Http1, ahead.freeze()));
        }
        if known == PREFACE.len() {
            return Some((Protocol::Http2, ahead.freeze()));
        }
    }
}

type Ended = Result<(), hyper::Error>;

async fn http1(connection: &Arc<Connection>, line: TokioIo<Line>) -> Ended {
    let service = service_fn(|request| call(Arc::clone(connection), request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_headers(HEADERS).max_buf_size(HEAD_BYTES);
    let mut serving = pin!(http.serve_connection(line, service));
    until_its_time(connection, serving.as_mut(), |serving| serving.graceful_shutdown()).await
}

async fn http2(connection: &Arc<Connection>, line: TokioIo<Line>) -> Ended {
    let own = Arc::clone(connection);
    let service = service_fn(move |request| call(Arc::clone(&own), request));
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_ANSWER)
        .max_concurrent_streams(STREAMS)
        .max_local_error_reset_streams(STREAM_RESETS)
        .max_pending_accept_reset_streams(STREAM_RESETS_PENDING)
        .max_header_list_size(HEADER_LIST_BYTES)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(STREAM_BUFFER);
    let mut serving = pin!(http.serve_connection(line, service));
    until_its_time(connection, serving.as_mut(), |serving| serving.graceful_shutdown()).await
}

async fn call(connection: Arc<Connection>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    Ok(dispatch::answer(&connection, request).await)
}

/// Drives a connection; asks it to end when it is old, has been idle for long, or the server closes.
async fn until_its_time<C: Future<Output = Ended>>(
    connection: &Connection,
    mut serving: Pin<&mut C>,
    end: impl Fn(Pin<&mut C>),
) -> Ended {
    let shared = &connection.shared;
    let tenth = CONNECTION_AGE / 10;
    let spread = shared.entropy.below(u64::try_from((2 * tenth).as_millis()).unwrap_or(0));
    let age = shared.clock.boot() + CONNECTION_AGE - tenth + Duration::from_millis(spread);
    let mut ticks = shared.tick.now();
    let mut closing = pin!(shared.reached(Phase::Closing));
    loop {
        let over = {
            let tick = pin!(shared.tick.reached(ticks + 1));
            let over = select(closing.as_mut(), tick);
            match select(serving.as_mut(), over).await {
                Either::Left((ended, _)) => return ended,
                Either::Right((Either::Left(_), _)) => true,
                Either::Right((Either::Right(_), _)) => {
                    ticks = shared.tick.now();
                    let now = shared.clock.boot();
                    now >= age || connection.is_idle(now)
                }
            }
        };
        if over {
            end(serving.as_mut());
            return poll_fn(|cx| serving.as_mut().poll(cx)).await;
        }
    }
}
