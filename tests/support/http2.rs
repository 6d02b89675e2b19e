//! What carries requests over HTTP/2, each on a connection of its own, or all on one: lockd's own clients speak HTTP/1.1.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::stream::{self, StreamExt};
use h2::SendStream;
use h2::client::SendRequest;
use http::Request;
use lockd::error::{Error, ErrorKind, Result};
use lockd::http::client::{Address, Body, Failure, Head, Reply, Wire};
use lockd::http::network::Dial;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;

/// Each on a connection of its own.
pub struct Http2;

/// A connection, closed when it is dropped.
struct Line(JoinHandle<()>);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[async_trait]
impl Wire for Http2 {
    async fn send(&self, to: &Address, head: Head, body: Body<'_>) -> Result<Reply, Failure> {
        let stream = connect(to).await.map_err(|e| not_sent(&e))?;
        let (send, line) = opened(stream).await?;
        exchange(send, line, to, head, body).await
    }
}

/// All that go to one server on one connection, over a network that is not the kernel's. A connection on which an answer did not come
/// is used no more.
pub struct Multiplexed {
    dial: Arc<dyn Dial>,
    open: Mutex<HashMap<Address, Open>>,
}

type Open = (SendRequest<Bytes>, Arc<Line>);

impl Multiplexed {
    pub fn over(dial: Arc<dyn Dial>) -> Self {
        Self { dial, open: Mutex::default() }
    }

    async fn line(&self, to: &Address) -> Result<Open, Failure> {
        if let Some(open) = self.open.lock().unwrap().get(to) {
            return Ok(open.clone());
        }
        let Address::Tcp { host, port } = to else { panic!("{to} is not of this network") };
        let stream = self.dial.dial(host, *port).await.map_err(|e| not_sent(&e))?;
        let (send, line) = opened(stream).await?;
        let open = (send, Arc::new(line));
        self.open.lock().unwrap().insert(to.clone(), open.clone());
        Ok(open)
    }
}

/// A connection is forgotten, unless the answer came.
struct Doubt<'a>(&'a Multiplexed, &'a Address, Option<Arc<Line>>);

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        let Some(line) = &self.2 else { return };
        let mut open = self.0.open.lock().unwrap();
        if open.get(self.1).is_some_and(|(_, present)| Arc::ptr_eq(present, line)) {
            open.remove(self.1);
        }
    }
}

#[async_trait]
impl Wire for Multiplexed {
    async fn send(&self, to: &Address, head: Head, body: Body<'_>) -> Result<Reply, Failure> {
        let (send, line) = self.line(to).await?;
        let mut doubt = Doubt(self, to, Some(Arc::clone(&line)));
        let reply = exchange(send, line, to, head, body).await?;
        doubt.2 = None;
        Ok(reply)
    }
}

fn not_sent(e: &dyn std::error::Error) -> Failure {
    Failure { sent: false, why: e.to_string() }
}

async fn opened(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<(SendRequest<Bytes>, Line), Failure> {
    let (send, connection) = h2::client::handshake(stream).await.map_err(|e| not_sent(&e))?;
    let line = Line(tokio::spawn(async move {
        let _told = connection.await;
    }));
    Ok((send, line))
}

/// A request and its answer; `line` is kept until its last byte has come.
async fn exchange(
    send: SendRequest<Bytes>,
    line: impl Send + 'static,
    to: &Address,
    head: Head,
    body: Body<'_>,
) -> Result<Reply, Failure> {
    let broke = |e: h2::Error| Failure { sent: true, why: e.to_string() };
    let mut send = send.ready().await.map_err(|e| not_sent(&e))?;
    let mut request = Request::builder().method(head.method).uri(format!("http://{}{}", to.authority(), head.target));
    for (name, value) in &head.headers {
        request = request.header(name, value);
    }
    let (reply, mut out) = send.send_request(request.body(()).unwrap(), false).map_err(broke)?;
    let sending = Box::pin(upload(&mut out, body));
    let reply = match select(reply, sending).await {
        Either::Left((reply, _)) => reply,
        Either::Right((true, reply)) => reply.await,
        // A body that cannot be sent to its end is never complete.
        Either::Right((false, _)) => return Err(Failure { sent: true, why: "the body broke off".into() }),
    };
    let (parts, body) = reply.map_err(broke)?.into_parts();
    let body = stream::unfold((body, out, send, line), |(mut body, out, send, line)| async {
        let chunk = body.data().await?;
        let chunk = chunk.map_err(|e| Error::new(ErrorKind::Unavailable, format!("the connection broke: {e}")));
        if let Ok(chunk) = &chunk {
            let _room = body.flow_control().release_capacity(chunk.len());
        }
        Some((chunk, (body, out, send, line)))
    });
    Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body: body.boxed() })
}

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

async fn connect(to: &Address) -> std::io::Result<Box<dyn Socket>> {
    Ok(match to {
        Address::Tcp { host, port } => Box::new(TcpStream::connect((host.as_str(), *port)).await?),
        Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
    })
}

/// Whether all of it was sent, or the server wants no more.
async fn upload(out: &mut SendStream<Bytes>, body: Body<'_>) -> bool {
    match body {
        Body::Bytes(bytes) => piece(out, bytes).await && out.send_data(Bytes::new(), true).is_ok(),
        Body::Stream(stream) => {
            while let Some(chunk) = stream.next().await {
                let Ok(chunk) = chunk else { return false };
                if !piece(out, chunk).await {
                    return true;
                }
            }
            out.send_data(Bytes::new(), true).is_ok()
        }
    }
}

async fn piece(out: &mut SendStream<Bytes>, mut bytes: Bytes) -> bool {
    while !bytes.is_empty() {
        out.reserve_capacity(bytes.len());
        let Some(Ok(room)) = std::future::poll_fn(|cx| out.poll_capacity(cx)).await else { return false };
        if out.send_data(bytes.split_to(room.min(bytes.len())), false).is_err() {
            return false;
        }
    }
    true
}
