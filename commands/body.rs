//! The state that a command is given: from a file or standard input, looked at before anything is locked for it.

use std::fs::File;
use std::io::{self, Read, Seek};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use lockd::error::{Error, ErrorKind, Result};
use lockd::json::Scanner;
use lockd::limits::CHUNK_BYTES;
use lockd::store::ByteStream;

/// How much of standard input is read before a lease is asked for. Most states are smaller and wholly checked by then.
const AHEAD_BYTES: u64 = 1024 * 1024;

/// A state on its way in.
pub struct Body {
    head: Bytes,
    rest: Option<Box<dyn Read + Send>>,
    /// Its length as sent, where that is known.
    pub length: Option<u64>,
}

/// Opens FILE, or standard input for `-` and nothing, and checks what can be checked without waiting: all of a file, the
/// beginning of a pipe.
///
/// # Errors
/// `InvalidState`, `TooLarge`; when it cannot be read.
pub fn open(operand: Option<&str>) -> Result<Body> {
    let (reader, name): (Box<dyn Read + Send>, &str) = match operand {
        None | Some("-") => (Box::new(io::stdin()), "standard input"),
        Some(path) => {
            let file = File::open(path).map_err(|e| unreadable(path, &e))?;
            if let Some(body) = checked(file.try_clone().map_err(|e| unreadable(path, &e))?, path)? {
                return Ok(body);
            }
            (Box::new(file), path)
        }
    };
    ahead(reader, name)
}

/// A regular file is read twice: to check it, and to send it.
fn checked(mut file: File, path: &str) -> Result<Option<Body>> {
    let meta = file.metadata().map_err(|e| unreadable(path, &e))?;
    if !meta.is_file() || meta.len() <= AHEAD_BYTES {
        return Ok(None);
    }
    let (mut scanner, mut kept, mut chunk) = (Scanner::default(), Vec::new(), vec![0; CHUNK_BYTES]);
    loop {
        let n = read_some(&mut file, &mut chunk).map_err(|e| unreadable(path, &e))?;
        if n == 0 {
            break;
        }
        kept.clear();
        scanner.feed(&chunk[..n], &mut kept).map_err(|flaw| Error::from(flaw).context(path))?;
    }
    scanner.finish().map_err(|flaw| Error::from(flaw).context(path))?;
    file.rewind().map_err(|e| unreadable(path, &e))?;
    Ok(Some(Body::of_checked(file, meta.len())))
}

fn ahead(mut reader: Box<dyn Read + Send>, name: &str) -> Result<Body> {
    let mut head = Vec::new();
    reader.by_ref().take(AHEAD_BYTES).read_to_end(&mut head).map_err(|e| unreadable(name, &e))?;
    let (mut scanner, mut kept) = (Scanner::default(), Vec::new());
    scanner.feed(&head, &mut kept).map_err(|flaw| Error::from(flaw).context(name))?;
    if head.len() as u64 == AHEAD_BYTES {
        return Ok(Body { head: head.into(), rest: Some(reader), length: None });
    }
    scanner.finish().map_err(|flaw| Error::from(flaw).context(name))?;
    let length = Some(kept.len() as u64);
    Ok(Body { head: kept.into(), rest: None, length })
}

impl Body {
    /// A file that was checked before, from where it stands.
    pub fn of_checked(file: File, length: u64) -> Self {
        Self { head: Bytes::new(), rest: Some(Box::new(file)), length: Some(length) }
    }

    /// Whether all of it is in memory and checked.
    pub const fn is_whole(&self) -> bool {
        self.rest.is_none()
    }

    /// Its bytes; `sent` hears how many went by. Reading happens beside the runtime's thread, which goes on renewing a lease
    /// while a pipe is slow.
    pub fn stream(self, mut sent: impl FnMut(usize) + Send + 'static) -> ByteStream {
        let head = stream::iter((!self.head.is_empty()).then_some(Ok(self.head)));
        let rest = stream::unfold(self.rest, |reader| async { next_chunk(reader?).await });
        head.chain(rest)
            .inspect(move |chunk| {
                if let Ok(bytes) = chunk {
                    sent(bytes.len());
                }
            })
            .boxed()
    }
}

type Reader = Box<dyn Read + Send>;

async fn next_chunk(mut reader: Reader) -> Option<(Result<Bytes>, Option<Reader>)> {
    let reading = tokio::task::spawn_blocking(move || {
        let mut chunk = vec![0; CHUNK_BYTES];
        let n = read_some(&mut reader, &mut chunk);
        (n.map(|n| chunk[..n].to_vec()), reader)
    });
    match reading.await {
        Ok((Ok(chunk), _)) if chunk.is_empty() => None,
        Ok((Ok(chunk), reader)) => Some((Ok(chunk.into()), Some(reader))),
        Ok((Err(e), _)) => Some((Err(unreadable("the state", &e)), None)),
        Err(e) => Some((Err(Error::new(ErrorKind::Internal, format!("reading the state failed: {e}"))), None)),
    }
}

fn read_some(reader: &mut impl Read, chunk: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(chunk) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn unreadable(what: &str, e: &io::Error) -> Error {
    Error::io(format_args!("read {}", super::text::shown(what)), e)
}
