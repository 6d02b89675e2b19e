//! A connection's bytes: what was read to tell the protocol comes first; a peer that reads no more, or has said farewell with an
//! error, is given up.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::farewell::Farewell;
use crate::clock::Clock;
use crate::http::network::Stream;
use crate::limits::WRITE_STALL;

/// A socket.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// Unix.
    Unix(UnixStream),
    /// Not a socket of the kernel.
    Other(Box<dyn Stream>),
}

macro_rules! on_socket {
    ($self:ident, $socket:ident => $call:expr) => {
        match &mut $self.socket {
            Socket::Tcp($socket) => $call,
            Socket::Unix($socket) => $call,
            Socket::Other($socket) => $call,
        }
    };
}

/// See the module.
pub struct Line {
    socket: Socket,
    /// Read already.
    ahead: Bytes,
    clock: Arc<dyn Clock>,
    /// What the peer says of the end, where the protocol has words for that.
    farewell: Option<Farewell>,
    /// Runs while a write does not go on.
    stall: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Line {
    /// A line over a socket, from which `ahead` was read already.
    pub fn new(socket: Socket, ahead: Bytes, clock: Arc<dyn Clock>, farewell: Option<Farewell>) -> Self {
        Self { socket, ahead, clock, farewell, stall: None }
    }

    /// After a farewell what came with it counts no more.
    fn heard(&mut self, bytes: &[u8]) -> Poll<io::Result<()>> {
        let said = self.farewell.as_mut().is_some_and(|farewell| farewell.said(bytes));
        Poll::Ready(match said {
            true => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the peer ended it with an error")),
            false => Ok(()),
        })
    }

    /// A write that got no further runs against the clock.
    fn stalled<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stall = None;
            return poll;
        }
        let clock = &self.clock;
        let stall = self.stall.get_or_insert_with(|| {
            let clock = Arc::clone(clock);
            let until = clock.boot() + WRITE_STALL;
            Box::pin(async move { clock.sleep_until(until).await })
        });
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.has_remaining() {
            let n = self.ahead.remaining().min(buf.remaining());
            let first = self.ahead.split_to(n);
            buf.put_slice(&first);
            return self.heard(&first);
        }
        let before = buf.filled().len();
        ready!(on_socket!(self, socket => Pin::new(socket).poll_read(cx, buf)))?;
        self.heard(&buf.filled()[before..])
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = on_socket!(self, socket => Pin::new(socket).poll_write(cx, buf));
        self.stalled(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = on_socket!(self, socket => Pin::new(socket).poll_write_vectored(cx, bufs));
        self.stalled(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = on_socket!(self, socket => Pin::new(socket).poll_flush(cx));
        self.stalled(cx, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self, socket => Pin::new(socket).poll_shutdown(cx))
    }
}
