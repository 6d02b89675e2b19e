//! What carries requests over HTTP/2, each on a connection of its own: lockd's own clients speak HTTP/1.1.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::stream::{self, StreamExt};
use h2::SendStream;
use http::Request;
use lockd::error::{Error, ErrorKind, Result};
use lockd::http::client::{Address, Body, Failure, Head, Reply, Wire};
use lockd::http::network::Dial;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;

/// Over the kernel's network, or another.
#[derive(Default)]
pub struct Http2(pub Option<Arc<dyn Dial>>);

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
        let not_sent = |e: &dyn std::error::Error| Failure { sent: false, why: e.to_string() };
        let broke = |e: h2::Error| Failure { sent: true, why: e.to_string() };
        let stream = connect(to, self.0.as_deref()).await.map_err(|e| not_sent(&e))?;
        let (send, connection) = h2::client::handshake(stream).await.map_err(|e| not_sent(&e))?;
        let line = Line(tokio::spawn(async move {
            let _told = connection.await;
        }));
        let mut send = send.ready().await.map_err(|e| not_sent(&e))?;
        let mut request =
            Request::builder().method(head.method).uri(format!("http://{}{}", to.authority(), head.target));
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
}

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

async fn connect(to: &Address, dial: Option<&dyn Dial>) -> std::io::Result<Box<dyn Socket>> {
    Ok(match (to, dial) {
        (Address::Tcp { host, port }, Some(dial)) => Box::new(dial.dial(host, *port).await?),
        (Address::Tcp { host, port }, None) => Box::new(TcpStream::connect((host.as_str(), *port)).await?),
        (Address::Unix(path), _) => Box::new(UnixStream::connect(path).await?),
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
