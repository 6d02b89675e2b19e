//! A client that writes HTTP/1.1 and HTTP/2 by hand, and stops wherever it likes.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How a connection, or a request on it, is broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Abort {
    Fin,
    Rst,
    ResetStream,
    GoAway,
}

impl Abort {
    pub const ALL: [Self; 4] = [Self::Fin, Self::Rst, Self::ResetStream, Self::GoAway];

    /// Whether it takes HTTP/2.
    pub fn is_http2(self) -> bool {
        matches!(self, Self::ResetStream | Self::GoAway)
    }
}

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A frame of HTTP/2.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![len[1], len[2], len[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Headers as HPACK has them at their plainest: literals without a table.
pub fn block(target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", "POST"), (":scheme", "http"), (":authority", "t"), (":path", target)];
    let mut block = Vec::new();
    for (name, value) in pseudo.iter().chain(headers) {
        block.push(0);
        for text in [name.to_ascii_lowercase().as_str(), value] {
            block.push(u8::try_from(text.len()).unwrap());
            assert!(text.len() < 127);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// A connection with one request on it.
pub struct Raw {
    pub stream: TcpStream,
    http2: bool,
    came: Vec<u8>,
}

impl Raw {
    pub async fn connect(at: &str, http2: bool) -> Self {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.set_nodelay(true).unwrap();
        if http2 {
            stream.write_all(PREFACE).await.unwrap();
            stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        }
        Self { stream, http2, came: Vec::new() }
    }

    /// Sends a request; one that is not whole has an end that never comes.
    pub async fn send(&mut self, target: &str, headers: &[(&str, &str)], body: &[u8], whole: bool) {
        let mut bytes = Vec::new();
        if self.http2 {
            bytes.extend(frame(HEADERS, END_HEADERS, 1, &block(target, headers)));
            let mut chunks = body.chunks(16 * 1024).peekable();
            while let Some(chunk) = chunks.next() {
                let last = if whole && chunks.peek().is_none() { END_STREAM } else { 0 };
                bytes.extend(frame(DATA, last, 1, chunk));
            }
        } else {
            let len = body.len() + if whole { 0 } else { 1_000 };
            let mut head = format!("POST {target} HTTP/1.1\r\nHost: t\r\nContent-Length: {len}\r\n");
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            bytes.extend(format!("{head}\r\n").bytes());
            bytes.extend(body);
        }
        // A server may have hung up already.
        let _refused = self.stream.write_all(&bytes).await;
    }

    /// More bytes; false at the end.
    pub async fn more(&mut self) -> bool {
        let mut room = vec![0; 64 * 1024];
        let n = self.stream.read(&mut room).await.unwrap_or(0);
        self.came.extend_from_slice(&room[..n]);
        n > 0
    }

    /// The head of the answer: whether it is a 200.
    pub async fn accepted(&mut self) -> bool {
        loop {
            let told = match self.http2 {
                true => self.head_of_stream(),
                false => {
                    self.came.windows(4).any(|end| end == b"\r\n\r\n").then(|| self.came.starts_with(b"HTTP/1.1 200"))
                }
            };
            if let Some(told) = told {
                return told;
            }
            if !self.more().await {
                return false;
            }
        }
    }

    /// The first frame of headers, when it has come: servers write the status 200 as one byte, and first.
    fn head_of_stream(&self) -> Option<bool> {
        let mut rest = &self.came[..];
        loop {
            let head = rest.get(..9)?;
            let len = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let payload = rest.get(9..9 + len)?;
            if head[3] == HEADERS {
                return Some(payload.first() == Some(&0x88));
            }
            rest = &rest[9 + len..];
        }
    }

    /// Breaks it off. What is returned keeps the socket open where that is part of it.
    pub async fn abort(mut self, how: Abort) -> Option<TcpStream> {
        match how {
            Abort::Rst => {
                self.stream.set_zero_linger().unwrap();
                return None;
            }
            Abort::Fin => self.stream.shutdown().await.unwrap(),
            Abort::ResetStream => self.stream.write_all(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])).await.unwrap(),
            Abort::GoAway => {
                self.stream.write_all(&frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 2])).await.unwrap();
            }
        }
        Some(self.stream)
    }
}
