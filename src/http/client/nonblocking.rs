//! Requests by hyper, without threads: what asynchronous programs use.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{Either, FusedFuture, FutureExt, select};
use futures_util::stream::{self, StreamExt};
use http::header::EXPECT;
use http::{Request, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::{Address, Body, Failure, Head, Reply, USER_AGENT, Wire};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::http::network::Dial;
use crate::limits::{CLIENT_IDLE, CONNECT_PATIENCE, CONTINUE_PATIENCE};
use crate::service::ByteStream;

type Outgoing = UnsyncBoxBody<Bytes, Error>;

/// Asynchronous requests, one at a time on each connection.
#[derive(Debug)]
pub struct Nonblocking {
    idle: Arc<Idle>,
    clock: Arc<dyn Clock>,
    /// What connects in place of the kernel.
    dial: Option<Arc<dyn Dial>>,
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
        Self { idle: Arc::default(), clock, dial: None }
    }

    /// The same over a network that is not the kernel's.
    #[must_use]
    pub fn over(clock: Arc<dyn Clock>, dial: Arc<dyn Dial>) -> Self {
        Self { dial: Some(dial), ..Self::new(clock) }
    }

    /// A connection, and whether it was used before.
    async fn line(&self, to: &Address) -> Result<(Line, bool), Failure> {
        if let Some(line) = self.idle.take(to) {
            return Ok((line, true));
        }
        let not_sent = |why: String| Failure { sent: false, why: format!("cannot connect: {why}") };
        let until = self.clock.boot() + CONNECT_PATIENCE;
        match self.clock.timeout_at(until, connect(to, self.dial.as_deref())).await {
            Some(connected) => connected.map(|line| (line, false)).map_err(not_sent),
            None => Err(not_sent(format!("no answer in {} s", CONNECT_PATIENCE.as_secs()))),
        }
    }
}

async fn connect(to: &Address, dial: Option<&dyn Dial>) -> Result<Line, String> {
    match to {
        Address::Unix(path) => hand_shake(UnixStream::connect(path).await.map_err(|e| e.to_string())?).await,
        Address::Tcp { host, port } => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            if let Some(dial) = dial {
                return hand_shake(dial.dial(host, *port).await.map_err(|e| e.to_string())?).await;
            }
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
        let (stream, outgoing) = match body {
            Body::Bytes(bytes) => (None, Full::new(bytes).map_err(|never| match never {}).boxed_unsync()),
            Body::Stream(stream) => {
                let (parts_in, parts) = mpsc::channel(2);
                (Some((stream, parts_in)), outgoing(parts))
            }
        };
        let asks = stream.is_some() && head.headers.contains_key(EXPECT);
        let mut request = request(to, &head, outgoing, asks).map_err(|e| not_sent(&e))?;
        let go_ahead = asks.then(|| go_ahead(&mut request));
        // What is open keeps an upload that was answered early from ending in an error, with which the answer would be lost.
        let open = stream.as_ref().map(|(_, parts_in)| parts_in.clone());
        let mut pump = pin!(self.pump(stream, go_ahead).fuse());
        loop {
            let (mut line, used) = self.line(to).await?;
            if let Err(e) = line.sender.ready().await {
                match used {
                    true => continue,
                    false => return Err(not_sent(&e)),
                }
            }
            let answer = line.sender.try_send_request(request);
            let (answer, complete) = match select(pin!(answer), pump.as_mut()).await {
                Either::Left((answer, pump)) => (answer, pump.is_terminated()),
                Either::Right(((), answer)) => (answer.await, true),
            };
            let (parts, body) = match answer {
                Ok(answer) => answer.into_parts(),
                // It was closed before anything went over it.
                Err(mut e) if used && e.message().is_some() => match e.take_message() {
                    Some(back) => {
                        request = back;
                        continue;
                    }
                    None => return Err(not_sent(e.error())),
                },
                Err(e) if e.message().is_some() => return Err(not_sent(e.error())),
                Err(e) => return Err(Failure { sent: true, why: format!("the connection broke: {}", e.error()) }),
            };
            let after = match complete {
                true => After::Keep(Arc::clone(&self.idle), to.clone()),
                false => After::Close(open),
            };
            return Ok(Reply {
                status: parts.status.as_u16(),
                headers: parts.headers,
                body: received(body, line, after),
            });
        }
    }
}

fn not_sent(why: &dyn std::error::Error) -> Failure {
    Failure { sent: false, why: format!("the request could not be sent: {why}") }
}

/// What is told when the server says "100 Continue" to this request.
fn go_ahead(request: &mut Request<Outgoing>) -> Arc<Notify> {
    let said = Arc::new(Notify::new());
    let saying = Arc::clone(&said);
    hyper::ext::on_informational(request, move |answer| {
        if answer.status() == StatusCode::CONTINUE {
            saying.notify_one();
        }
    });
    said
}

fn request(to: &Address, head: &Head, body: Outgoing, asks: bool) -> Result<Request<Outgoing>, http::Error> {
    let mut request = Request::builder()
        .method(head.method.clone())
        .uri(&head.target)
        .header(http::header::HOST, to.authority())
        .header(http::header::USER_AGENT, USER_AGENT);
    for (name, value) in head.headers.iter().filter(|(name, _)| asks || *name != EXPECT) {
        request = request.header(name, value);
    }
    request.body(body)
}

/// A part of a body on its way.
enum Part {
    Bytes(Bytes),
    End,
    /// The rest cannot be read: the request must break off, so that nobody takes it for whole.
    Broken,
}

/// A body as it comes through the channel; when that ends without its end, so does the request.
fn outgoing(parts: mpsc::Receiver<Part>) -> Outgoing {
    let frames = stream::unfold(Some(parts), |parts| async {
        let mut parts = parts?;
        match parts.recv().await {
            Some(Part::Bytes(bytes)) => Some((Ok(Frame::data(bytes)), Some(parts))),
            Some(Part::End) => None,
            Some(Part::Broken) | None => {
                Some((Err(Error::new(ErrorKind::Io, "the state was not read to its end")), None))
            }
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

impl Nonblocking {
    /// Hands a body over as fast as it is sent; one that waits to be asked for, when it is, or after a while: a server need not say.
    async fn pump(&self, stream: Option<(&mut ByteStream, mpsc::Sender<Part>)>, go_ahead: Option<Arc<Notify>>) {
        let Some((stream, parts)) = stream else { return };
        if let Some(said) = go_ahead {
            let _said_or_not = self.clock.timeout_at(self.clock.boot() + CONTINUE_PATIENCE, said.notified()).await;
        }
        pump(stream, parts).await;
    }
}

async fn pump(stream: &mut ByteStream, parts: mpsc::Sender<Part>) {
    loop {
        let part = match stream.next().await {
            Some(Ok(bytes)) => Part::Bytes(bytes),
            Some(Err(_)) => Part::Broken,
            None => Part::End,
        };
        let over = !matches!(part, Part::Bytes(_));
        if parts.send(part).await.is_err() || over {
            return;
        }
    }
}

/// What becomes of a connection after an answer.
enum After {
    /// It is kept for the next request.
    Keep(Arc<Idle>, Address),
    /// The request was not sent to its end, and never will be.
    Close(Option<mpsc::Sender<Part>>),
}

/// The body of an answer.
fn received(body: Incoming, line: Line, after: After) -> ByteStream {
    stream::unfold(Some((body, line, after)), |state| async {
        let (mut body, line, after) = state?;
        loop {
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Some((Ok(bytes), Some((body, line, after))));
                    }
                }
                Some(Err(e)) => {
                    let error = Error::new(ErrorKind::Unavailable, format!("the connection broke: {e}"));
                    return Some((Err(error), None));
                }
                None => {
                    match after {
                        After::Keep(idle, to) => idle.give_back(to, line),
                        After::Close(open) => drop((line, open)),
                    }
                    return None;
                }
            }
        }
    })
    .boxed()
}
