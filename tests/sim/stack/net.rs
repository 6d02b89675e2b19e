//! Connections over the simulated network, as the network seam of the library wants them.
//!
//! A host's connections are known to its card: when the host dies, they end one after the other in the order in which they were made,
//! whatever order its tasks are dropped in.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Waker, ready};

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use lockd::http::network::{Dial, Listen, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use turmoil::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use turmoil::net::{TcpListener, TcpStream};

/// The network card of one life of a host.
#[derive(Debug, Default)]
pub struct Card {
    lines: Mutex<Vec<Weak<Line>>>,
    dead: AtomicBool,
}

impl Card {
    /// Every connection ends, in order; nobody on this host learns of it, and nothing is sent any more.
    pub fn die(&self) {
        self.dead.store(true, Ordering::Relaxed);
        for line in self.lines.lock().unwrap().drain(..).filter_map(|line| line.upgrade()) {
            let mut ends = line.ends();
            ends.dead = true;
            drop((ends.read.take(), ends.write.take()));
        }
    }

    pub async fn listen(self: &Arc<Self>, port: u16) -> io::Result<Box<dyn Listen>> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
        Ok(Box::new(Door { listener, card: Arc::clone(self) }))
    }

    async fn line(&self, stream: TcpStream) -> Box<dyn Stream> {
        if self.dead.load(Ordering::Relaxed) {
            std::mem::forget(stream);
            std::future::pending::<()>().await;
            unreachable!("a dead host does nothing");
        }
        let (read, write) = stream.into_split();
        let ends = Ends { read: Some(read), write: Some(write), ..Ends::default() };
        let line = Arc::new(Line(Mutex::new(ends)));
        let mut lines = self.lines.lock().unwrap();
        lines.retain(|line| line.strong_count() > 0);
        lines.push(Arc::downgrade(&line));
        drop(lines);
        let (tell, gone) = watch::channel(false);
        let pump = tokio::spawn(pump(Arc::clone(&line), tell));
        Box::new(Side { line, gone, pump })
    }
}

#[async_trait]
impl Dial for Card {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect((host, port)).await?;
        Ok(self.line(stream).await)
    }
}

struct Door {
    listener: TcpListener,
    card: Arc<Card>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("door")
    }
}

#[async_trait]
impl Listen for Door {
    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    async fn accept(&self) -> io::Result<(Box<dyn Stream>, SocketAddr)> {
        let (stream, peer) = self.listener.accept().await?;
        Ok((self.card.line(stream).await, peer))
    }
}

/// One end of a connection.
struct Line(Mutex<Ends>);

#[derive(Default)]
struct Ends {
    read: Option<OwnedReadHalf>,
    write: Option<OwnedWriteHalf>,
    /// What has come and was not read yet, and what came after that.
    came: BytesMut,
    end: Option<Result<(), io::ErrorKind>>,
    reader: Option<Waker>,
    dead: bool,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("line")
    }
}

impl Line {
    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap()
    }
}

/// Reads all that comes at once, so that an end is seen behind bytes that nobody has read.
async fn pump(line: Arc<Line>, tell: watch::Sender<bool>) {
    let end = std::future::poll_fn(|cx| {
        loop {
            let mut ends = line.ends();
            let Some(read) = &mut ends.read else { return Poll::Pending };
            let mut room = [0; 4_096];
            let mut buf = ReadBuf::new(&mut room);
            let end = match ready!(Pin::new(read).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => None,
                Ok(()) => Some(Ok(())),
                Err(e) => Some(Err(e.kind())),
            };
            ends.came.extend_from_slice(buf.filled());
            ends.end = end;
            let reader = ends.reader.take();
            drop(ends);
            reader.into_iter().for_each(Waker::wake);
            if let Some(end) = end {
                return Poll::Ready(end);
            }
        }
    });
    let _ended = end.await;
    tell.send_replace(true);
}

/// A connection in the hands of its host's software.
struct Side {
    line: Arc<Line>,
    gone: watch::Receiver<bool>,
    pump: JoinHandle<()>,
}

impl fmt::Debug for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("side")
    }
}

impl Stream for Side {
    fn hung_up(&self) -> watch::Receiver<bool> {
        self.gone.clone()
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.pump.abort();
        let mut ends = self.line.ends();
        drop((ends.read.take(), ends.write.take()));
    }
}

impl AsyncRead for Side {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut ends = self.line.ends();
        if ends.came.has_remaining() {
            let n = ends.came.remaining().min(buf.remaining());
            buf.put_slice(&ends.came.split_to(n));
            return Poll::Ready(Ok(()));
        }
        match ends.end {
            Some(end) => Poll::Ready(end.map_err(io::Error::from)),
            None => {
                ends.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Side {
    fn write<T>(
        &self,
        cx: &mut Context<'_>,
        act: impl FnOnce(Pin<&mut OwnedWriteHalf>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let mut ends = self.line.ends();
        let dead = ends.dead;
        match &mut ends.write {
            Some(write) => act(Pin::new(write), cx),
            None if dead => Poll::Pending,
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl AsyncWrite for Side {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, |write, cx| write.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, AsyncWrite::poll_shutdown)
    }
}
