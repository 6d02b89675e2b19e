//! The events of a watch, as server-sent events: the present state first, then what happens. A comment line comes from time
//! to time, so that both sides find out about dead connections.

use serde::{Deserialize, Serialize};

use super::{DescribeReply, ErrorBody, Subject, not_understood, write};
use crate::clock::UnixMillis;
use crate::error::{Error, Result};
use crate::limits::EVENT_BYTES;
use crate::model::{FencingToken, Owner, Reason, Version};
use crate::service::{Event, EventKind, Watched};

/// The name of the first event.
const PRESENT: &str = "present";
/// The name of the last event, when the stream ends in an error.
const ERROR: &str = "error";

/// What happened to a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventBody {
    /// What.
    pub event: String,
    /// The token of the lease that it happened to.
    pub token: FencingToken,
    /// The committed version after it.
    pub version: Version,
    /// When, in seconds, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// The same in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_unix_ms: Option<u64>,
    /// Who holds or held the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Who broke it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Owner>,
    /// Why it was broken, or what the lease is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

impl EventBody {
    /// Of an event.
    #[must_use]
    pub fn new(event: &Event) -> Self {
        Self {
            event: event.kind.name().to_owned(),
            token: event.token,
            version: event.version,
            at: event.at.map(|at| at.0 / 1_000),
            at_unix_ms: event.at.map(|at| at.0),
            owner: event.owner.clone(),
            by: event.by.clone(),
            reason: event.reason.clone(),
        }
    }

    /// The event, when this version knows its kind.
    #[must_use]
    pub fn into_event(self) -> Option<Event> {
        let kind = EventKind::ALL.into_iter().find(|kind| kind.name() == self.event)?;
        Some(Event {
            kind,
            token: self.token,
            version: self.version,
            at: self.at_unix_ms.map(UnixMillis),
            owner: self.owner,
            by: self.by,
            reason: self.reason,
        })
    }
}

/// One event as it is sent, at `now`.
///
/// # Errors
/// `Internal`, in theory.
pub fn sse(watched: &Watched, now: UnixMillis) -> Result<Vec<u8>> {
    match watched {
        Watched::Present(known) => framed(PRESENT, &DescribeReply::new(known, now)),
        Watched::Event(event) => framed(event.kind.name(), &EventBody::new(event)),
    }
}

/// The error in which a stream ends, as it is sent.
///
/// # Errors
/// `Internal`, in theory.
pub fn sse_error(error: &Error) -> Result<Vec<u8>> {
    framed(ERROR, &ErrorBody::new(error, None))
}

/// JSON has no line break outside of strings, and in strings it is escaped: one line of data.
fn framed<T: Serialize>(name: &str, body: &T) -> Result<Vec<u8>> {
    let mut frame = format!("event: {name}\ndata: ").into_bytes();
    frame.extend(write(body)?);
    frame.extend_from_slice(b"\n\n");
    Ok(frame)
}

/// Reads events out of the bytes of a stream, in whatever pieces they come.
#[derive(Debug, Default)]
pub struct EventReader {
    /// What came and is not a whole line yet.
    rest: Vec<u8>,
    name: String,
    data: String,
}

impl EventReader {
    /// What these bytes complete. After an error nothing follows: the one that the server sent at the end, or `Internal` for
    /// what is no event.
    pub fn read(&mut self, bytes: &[u8]) -> Vec<Result<Watched>> {
        self.rest.extend_from_slice(bytes);
        let mut found = Vec::new();
        while let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let event = self.line(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']));
            let failed = event.is_err();
            found.extend(event.transpose());
            if failed {
                return found;
            }
        }
        if self.rest.len() + self.data.len() > EVENT_BYTES {
            found.push(Err(not_understood(format_args!("an event of over {EVENT_BYTES} bytes"))));
        }
        found
    }

    /// One line: a field, a comment, or the empty line that ends an event.
    fn line(&mut self, line: &str) -> Result<Option<Watched>> {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() => return self.event(),
            "event" => value.clone_into(&mut self.name),
            "data" => self.data.push_str(value),
            _ => {}
        }
        Ok(None)
    }

    fn event(&mut self) -> Result<Option<Watched>> {
        let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
        if data.is_empty() {
            return Ok(None);
        }
        match name.as_str() {
            PRESENT => {
                let known: DescribeReply = super::read_reply(data.as_bytes())?;
                Ok(Some(Watched::Present(Box::new(known.into_description()?))))
            }
            ERROR => Err(super::read_reply::<ErrorBody>(data.as_bytes())?.into_error(500, Subject::Call)),
            // A kind that a later version knows is left out: events only say that something happened in between.
            _ => Ok(super::read_reply::<EventBody>(data.as_bytes())?.into_event().map(Watched::Event)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn event(kind: EventKind) -> Event {
        Event {
            kind,
            token: FencingToken(7),
            version: Version(3),
            at: Some(UnixMillis(1_234)),
            owner: Some(Owner::new("a\nb: ü").unwrap()),
            by: None,
            reason: Some(Reason::new("data: x\n\nevent: broken").unwrap()),
        }
    }

    #[test]
    fn events_survive_the_way_in_any_pieces() {
        let events: Vec<Watched> = EventKind::ALL.into_iter().map(|kind| Watched::Event(event(kind))).collect();
        let mut sent = b": alive\n\n".to_vec();
        for watched in &events {
            sent.extend(sse(watched, UnixMillis(0)).unwrap());
            sent.extend_from_slice(b"event: of-a-later-version\ndata: {\"event\":\"x\",\"token\":1,\"version\":1}\n\n");
        }
        for size in [1, 7, sent.len()] {
            let mut reader = EventReader::default();
            let read: Vec<Watched> =
                sent.chunks(size).flat_map(|piece| reader.read(piece)).map(Result::unwrap).collect();
            assert_eq!(read, events, "in pieces of {size}");
        }
    }

    #[test]
    fn an_error_ends_the_stream_after_what_came_before() {
        let mut sent = sse(&Watched::Event(event(EventKind::Acquired)), UnixMillis(0)).unwrap();
        sent.extend(sse_error(&Error::new(ErrorKind::Corrupt, "damaged")).unwrap());
        let mut read = EventReader::default().read(&sent);
        let end = read.pop().unwrap().unwrap_err();
        assert_eq!((end.kind(), end.message()), (ErrorKind::Corrupt, "damaged"));
        assert_eq!(read.pop().unwrap().unwrap(), Watched::Event(event(EventKind::Acquired)));
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let end = EventReader::default().read(&vec![b'x'; EVENT_BYTES + 1]).pop().unwrap();
        assert_eq!(end.unwrap_err().kind(), ErrorKind::Internal);
    }
}
