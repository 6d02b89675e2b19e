//! Requests by ureq, each on a thread of its own: what the command line uses. No runtime ever waits for such a thread, and
//! dropping a request closes its connection, which ends the thread.

mod dial;

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::stream::{self, StreamExt};
use http::{Request, Response};
use tokio::sync::{mpsc, oneshot};
use ureq::config::AutoHeaderValue;
use ureq::{Agent, SendBody};

use super::{Address, Body, Failure, Head, Reply, USER_AGENT, Wire};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{CHUNK_BYTES, CLIENT_IDLE};
use crate::service::ByteStream;
use dial::{Dial, NoResolver};

/// Blocking requests on threads.
#[derive(Debug, Default)]
pub struct Blocking {
    idle: Arc<Idle>,
}

/// Lines that have no request on them, by server.
#[derive(Debug, Default)]
struct Idle(Mutex<HashMap<Address, Vec<Line>>>);

/// An agent with one connection: shutting it down ends the request that is on it and no other.
#[derive(Clone, Debug)]
struct Line {
    agent: Agent,
    dial: Dial,
}

/// A line in use. Whoever takes it out decides: the thread gives it back when the exchange is over, the caller who went
/// away shuts it down.
#[derive(Clone, Debug)]
struct Slot(Arc<Mutex<Option<Line>>>);

/// Ends a request with whoever waits for it.
#[derive(Debug)]
struct Hold(Slot);

impl Idle {
    fn take(&self, to: &Address) -> Line {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.get_mut(to).and_then(Vec::pop).unwrap_or_else(|| Line::new(to))
    }

    fn give_back(&self, to: Address, line: Line) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = idle.entry(to).or_default();
        if lines.len() < CLIENT_IDLE {
            lines.push(line);
        }
    }
}

impl Line {
    fn new(to: &Address) -> Self {
        let dial = Dial::new(to.clone());
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            .user_agent(AutoHeaderValue::from(USER_AGENT))
            .build();
        Self { agent: Agent::with_parts(config, dial.clone(), NoResolver), dial }
    }
}

impl Slot {
    fn take(&self) -> Option<Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(line) = self.0.take() {
            line.agent.shutdown();
        }
    }
}

/// A part of a request's body on its way to the thread.
enum Part {
    Data(Bytes),
    End,
}

/// The body of a request as the thread sends it.
enum Sent {
    Bytes(Bytes),
    Parts(Parts),
}

/// Reads parts. That no end comes is an error: the request is then never complete.
struct Parts {
    parts: mpsc::Receiver<Part>,
    /// Told when the first part is wanted.
    wanted: Option<oneshot::Sender<()>>,
    rest: Bytes,
    ended: bool,
}

impl Read for Parts {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(wanted) = self.wanted.take() {
            let _nobody_waits = wanted.send(());
        }
        while self.rest.is_empty() && !self.ended {
            match self.parts.blocking_recv() {
                Some(Part::Data(bytes)) => self.rest = bytes,
                Some(Part::End) => self.ended = true,
                None => return Err(io::Error::other("the state was not read to its end")),
            }
        }
        let n = self.rest.len().min(buf.len());
        buf[..n].copy_from_slice(&self.rest.split_to(n));
        Ok(n)
    }
}

#[async_trait]
impl Wire for Blocking {
    async fn send(&self, to: &Address, head: Head, body: Body<'_>) -> Result<Reply, Failure> {
        let line = self.idle.take(to);
        let slot = Slot(Arc::new(Mutex::new(Some(line.clone()))));
        let hold = Hold(slot.clone());
        let (parts_in, parts) = mpsc::channel(2);
        let (wanted_in, wanted) = oneshot::channel();
        let (stream, sent) = match body {
            Body::Bytes(bytes) => (None, Sent::Bytes(bytes)),
            Body::Stream(stream) => {
                let parts = Parts { parts, wanted: Some(wanted_in), rest: Bytes::new(), ended: false };
                (Some(stream), Sent::Parts(parts))
            }
        };
        let (answer_in, answer) = oneshot::channel();
        let (chunks_in, chunks) = mpsc::channel(2);
        let exchange = Exchange { to: to.clone(), line, slot, idle: Arc::clone(&self.idle), chunks: chunks_in };
        std::thread::Builder::new()
            .name("lockd-http".to_owned())
            .spawn(move || exchange.run(&head, sent, answer_in))
            .map_err(|e| Failure { sent: false, why: format!("cannot start a thread: {e}") })?;
        let pump = std::pin::pin!(pump(stream, wanted, parts_in));
        let answer = match select(answer, pump).await {
            Either::Left((answer, _)) => answer,
            Either::Right(((), answer)) => answer.await,
        };
        let lost = |_| Err(Failure { sent: true, why: "its thread ended without a word".to_owned() });
        let (status, headers) = answer.unwrap_or_else(lost)?;
        Ok(Reply { status, headers, body: received(chunks, hold) })
    }
}

/// Hands a body to the thread, as fast as that sends it. Nothing is read of it before it is sent: a connection that turns out
/// to be closed, or a refusal, costs nothing of it.
async fn pump(stream: Option<&mut ByteStream>, wanted: oneshot::Receiver<()>, parts: mpsc::Sender<Part>) {
    let (Some(stream), Ok(())) = (stream, wanted.await) else { return };
    loop {
        let part = match stream.next().await {
            Some(Ok(bytes)) => Part::Data(bytes),
            Some(Err(_)) => return,
            None => Part::End,
        };
        let over = matches!(part, Part::End);
        if parts.send(part).await.is_err() || over {
            return;
        }
    }
}

/// The body of an answer as it comes from the thread.
fn received(chunks: mpsc::Receiver<Result<Bytes>>, hold: Hold) -> ByteStream {
    stream::unfold((chunks, hold), |(mut chunks, hold)| async {
        let chunk = chunks.recv().await?;
        Some((chunk, (chunks, hold)))
    })
    .boxed()
}

type Answered = Result<(u16, http::HeaderMap), Failure>;

/// What a thread works with.
struct Exchange {
    to: Address,
    line: Line,
    slot: Slot,
    idle: Arc<Idle>,
    chunks: mpsc::Sender<Result<Bytes>>,
}

impl Exchange {
    fn run(self, head: &Head, body: Sent, answer: oneshot::Sender<Answered>) {
        self.line.dial.forget();
        match self.ask(head, body) {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                if answer.send(Ok((parts.status.as_u16(), parts.headers))).is_ok() && self.pass_on(body) {
                    self.keep_line();
                }
            }
            Err(error) => {
                let refused = self.line.dial.refused();
                let failure = Failure {
                    sent: refused.is_none(),
                    why: refused.unwrap_or_else(|| format!("the connection broke: {error}")),
                };
                let _nobody_waits = answer.send(Err(failure));
            }
        }
    }

    fn ask(&self, head: &Head, body: Sent) -> std::result::Result<Response<ureq::Body>, ureq::Error> {
        let mut request = Request::builder().method(head.method.clone()).uri(format!(
            "http://{}{}",
            self.to.authority(),
            head.target
        ));
        for (name, value) in &head.headers {
            request = request.header(name, value);
        }
        match body {
            Sent::Bytes(bytes) if bytes.is_empty() && head.method == http::Method::GET => {
                self.line.agent.run(request.body(())?)
            }
            Sent::Bytes(bytes) => self.line.agent.run(request.body(&bytes[..])?),
            Sent::Parts(parts) => self.line.agent.run(request.body(SendBody::from_owned_reader(parts))?),
        }
    }

    /// Whether the answer was passed on to its end.
    fn pass_on(&self, body: ureq::Body) -> bool {
        let mut reader = body.into_with_config().limit(u64::MAX).reader();
        let mut buf = vec![0; CHUNK_BYTES / 4];
        loop {
            let chunk = match reader.read(&mut buf) {
                Ok(0) => return true,
                Ok(n) => Ok(Bytes::copy_from_slice(&buf[..n])),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => Err(Error::new(ErrorKind::Unavailable, format!("the connection broke: {e}"))),
            };
            let broken = chunk.is_err();
            if self.chunks.blocking_send(chunk).is_err() || broken {
                return false;
            }
        }
    }

    fn keep_line(&self) {
        if let Some(line) = self.slot.take() {
            self.idle.give_back(self.to.clone(), line);
        }
    }
}
