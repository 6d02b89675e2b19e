//! Requests by hyper, without threads: what asynchronous programs use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::stream::{self, StreamExt};
use http::Request;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Address, Body, Failure, Head, Reply, USER_AGENT, Wire};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{CLIENT_IDLE, CONNECT_PATIENCE};
use crate::service::ByteStream;

type Outgoing = UnsyncBoxBody<Bytes, Error>;

/// Asynchronous requests, one at a time on each connection.
#[derive(Debug)]
pub struct Nonblocking {
    idle: Arc<Idle>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Idle(Mutex<HashMap<Address, Vec<Line>>>);

/// A connection, closed when it is dropped.
#[derive(Debug)]
struct Line {
    sender: SendRequest<Outgoing>,
    task: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Idle {
    /// One that still stands.
    fn take(&self, to: &Address) -> Option<Line> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = idle.get_mut(to)?;
        lines.retain(|line| !line.sender.is_closed());
        lines.pop()
    }

    fn give_back(&self, to: Address, line: Line) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = idle.entry(to).or_default();
        if lines.len() < CLIENT_IDLE {
            lines.push(line);
        }
    }
}

impl Nonblocking {
    /// With this clock for the time that connecting may take. Must be used on a tokio runtime.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { idle: Arc::default(), clock }
    }

    async fn line(&self, to: &Address) -> Result<Line, Failure> {
        if let Some(line) = self.idle.take(to) {
            return Ok(line);
        }
        let not_sent = |why: String| Failure { sent: false, why: format!("cannot connect: {why}") };
        let until = self.clock.boot() + CONNECT_PATIENCE;
        match self.clock.timeout_at(until, connect(to)).await {
            Some(connected) => connected.map_err(not_sent),
            None => Err(not_sent(format!("no answer in {} s", CONNECT_PATIENCE.as_secs()))),
        }
    }
}

async fn connect(to: &Address) -> Result<Line, String> {
    match to {
        Address::Unix(path) => hand_shake(UnixStream::connect(path).await.map_err(|e| e.to_string())?).await,
        Address::Tcp { host, port } => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let stream = TcpStream::connect((host, *port)).await.map_err(|e| e.to_string())?;
            stream.set_nodelay(true).map_err(|e| e.to_string())?;
            hand_shake(stream).await
        }
    }
}

async fn hand_shake(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Line, String> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let task = tokio::spawn(async move {
        // What goes wrong is told to the request that is on it.
        let _told = connection.await;
    });
    Ok(Line { sender, task })
}

#[async_trait]
impl Wire for Nonblocking {
    async fn send(&self, to: &Address, head: Head, body: Body<'_>) -> Result<Reply, Failure> {
        let mut line = self.line(to).await?;
        let (parts_in, parts) = mpsc::channel(2);
        let (stream, outgoing) = match body {
            Body::Bytes(bytes) => (None, Full::new(bytes).map_err(|never| match never {}).boxed_unsync()),
            Body::Stream(stream) => (Some(stream), outgoing(parts)),
        };
        let sent = |why: String| Failure { sent: true, why };
        let request = request(to, &head, outgoing).map_err(|e| Failure { sent: false, why: e.to_string() })?;
        line.sender.ready().await.map_err(|e| sent(format!("the connection broke: {e}")))?;
        let answer = line.sender.send_request(request);
        let pump = std::pin::pin!(pump(stream, parts_in));
        let answer = match select(std::pin::pin!(answer), pump).await {
            Either::Left((answer, _)) => answer,
            Either::Right(((), answer)) => answer.await,
        };
        let (parts, body) = answer.map_err(|e| sent(format!("the connection broke: {e}")))?.into_parts();
        let body = received(body, line, Arc::clone(&self.idle), to.clone());
        Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

fn request(to: &Address, head: &Head, body: Outgoing) -> Result<Request<Outgoing>, http::Error> {
    let mut request = Request::builder()
        .method(head.method.clone())
        .uri(&head.target)
        .header(http::header::HOST, to.authority())
        .header(http::header::USER_AGENT, USER_AGENT);
    // hyper does not wait for "100 Continue".
    for (name, value) in head.headers.iter().filter(|(name, _)| *name != http::header::EXPECT) {
        request = request.header(name, value);
    }
    request.body(body)
}

/// A body as it comes through the channel; when that ends without its end, so does the request.
fn outgoing(parts: mpsc::Receiver<Option<Bytes>>) -> Outgoing {
    let frames = stream::unfold(Some(parts), |parts| async {
        let mut parts = parts?;
        match parts.recv().await {
            Some(Some(bytes)) => Some((Ok(Frame::data(bytes)), Some(parts))),
            Some(None) => None,
            None => Some((Err(Error::new(ErrorKind::Io, "the state was not read to its end")), None)),
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

async fn pump(stream: Option<&mut ByteStream>, parts: mpsc::Sender<Option<Bytes>>) {
    let Some(stream) = stream else { return };
    loop {
        let part = match stream.next().await {
            Some(Ok(bytes)) => Some(bytes),
            Some(Err(_)) => return,
            None => None,
        };
        let over = part.is_none();
        if parts.send(part).await.is_err() || over {
            return;
        }
    }
}

/// The body of an answer; at its end the connection is kept for the next request.
fn received(body: Incoming, line: Line, idle: Arc<Idle>, to: Address) -> ByteStream {
    stream::unfold(Some((body, line, idle, to)), |state| async {
        let (mut body, line, idle, to) = state?;
        loop {
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Some((Ok(bytes), Some((body, line, idle, to))));
                    }
                }
                Some(Err(e)) => {
                    let error = Error::new(ErrorKind::Unavailable, format!("the connection broke: {e}"));
                    return Some((Err(error), None));
                }
                None => {
                    idle.give_back(to, line);
                    return None;
                }
            }
        }
    })
    .boxed()
}
