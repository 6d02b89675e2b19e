//! The record: all that lockd knows of one key, and its encoded form.
//!
//! ```text
//! lockd-record 1 <sha256 of "lockd-record 1 " and of all after this line, hex>\n
//! {"format":1, ... }\n
//! <committed inline state>\n      each only when there is one
//! <staged inline state>\n
//! ```
//! The first line keeps this form in all formats, so that a damaged number is told from a later format.
//! The inline states stand after the head as they were stored, so that nothing is escaped and `cat` shows them.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::Write as _;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::BlobId;
use super::{
    Body, EditsHash, Ended, FencingToken, Key, Knock, Lease, RequestId, Reserved, StateEtag, StateRef, Unknown,
    Version, Versioned, WriteId,
};
use crate::clock::UnixMillis;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{RECENT_WRITES, RECORD_BYTES};

/// The record format that this lockd writes, reads and may write over.
pub const FORMAT: u32 = 1;

const MAGIC: &str = "lockd-record ";
/// Digits of the checksum.
const SUM_BYTES: usize = 64;
/// Room for a head: with full memories of writes and leases it has about so many bytes.
const HEAD_BYTES: usize = 4096;

/// All that is known of one key. Changed only through [`crate::lease::step`] and [`Record::sealed`]; never deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The key that it belongs to.
    pub key: Key,
    /// The oldest format that may read it.
    pub min_read: u32,
    /// The oldest format that may write over it.
    pub min_write: u32,
    /// The number of this write, from 1; 0 is "never written".
    pub revision: u64,
    /// The id of this write; `None` only in a record that was never written.
    pub write_id: Option<WriteId>,
    /// The writes before it with their revisions, oldest first.
    pub recent: VecDeque<(WriteId, u64)>,
    /// The store's epoch when it was written.
    pub epoch: u32,
    /// The highest fencing token ever given out.
    pub token: FencingToken,
    /// Rises at grants and renewals only: (token, beat) names one sign of life.
    pub beat: u64,
    /// The highest token that was admitted to the resource of this name; zero when none was. Only records of resources
    /// (in a reserved namespace) have one, and they have nothing else.
    pub fence: FencingToken,
    /// The present lease.
    pub lease: Option<Lease>,
    /// The highest version ever shown.
    pub last_version: Version,
    /// The committed state.
    pub committed: Versioned,
    /// What the present lease has staged.
    pub staged: Option<Versioned>,
    /// The blob of the committed state before this one, kept for readers under way.
    pub previous: Option<BlobId>,
    /// The last state-changing requests, oldest first.
    pub done: VecDeque<Done>,
    /// The last ended leases, oldest first.
    pub ended: VecDeque<Ended>,
    /// When the last run that succeeded began, by the wall clock of its host; only runs whose release says so enter
    /// (`exec --once-per`). Decides nothing about leases.
    pub last_success: Option<UnixMillis>,
    /// See [`Knock`].
    pub knock: Option<Knock>,
    /// See [`Reserved`].
    pub reserved: Option<Reserved>,
    /// Fields of later versions.
    pub unknown: Unknown,
}

/// A state-changing request that was applied, and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The request.
    pub id: RequestId,
    /// What it made: the hash of the new state, nothing for a remove. It asked for this, unless it was an edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<StateEtag>,
    /// What it asked for, when it was an edit. A lockd that does not know this compares the states, and refuses more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edits: Option<EditsHash>,
    /// The token of the lease under which it was applied. A request under a token that is not above the oldest one here
    /// may have been applied and forgotten: then a refusal is no proof that it never was.
    pub token: FencingToken,
    /// The version that it made.
    pub version: Version,
    /// The length of the new state.
    pub bytes: u64,
    /// Fields of later versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Record {
    /// A record that was never written.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self {
            key,
            min_read: FORMAT,
            min_write: FORMAT,
            revision: 0,
            write_id: None,
            recent: VecDeque::new(),
            epoch: 0,
            token: FencingToken(0),
            beat: 0,
            fence: FencingToken(0),
            lease: None,
            last_version: Version(0),
            committed: Versioned::default(),
            staged: None,
            previous: None,
            done: VecDeque::new(),
            ended: VecDeque::new(),
            last_success: None,
            knock: None,
            reserved: None,
            unknown: Unknown::new(),
        }
    }

    /// What the next write of this record puts: the next revision, under `write_id`, remembering the write before.
    #[must_use]
    pub fn sealed(mut self, write_id: WriteId) -> Self {
        if let Some(last) = self.write_id.replace(write_id) {
            self.recent.push_back((last, self.revision));
            while self.recent.len() > RECENT_WRITES {
                self.recent.pop_front();
            }
        }
        // At the end of the numbers `encode` refuses.
        self.revision = self.revision.saturating_add(1);
        self
    }

    /// Whether this write is the head or among those remembered.
    #[must_use]
    pub fn has_write(&self, id: WriteId) -> bool {
        self.write_id == Some(id) || self.recent.iter().any(|(recent, _)| *recent == id)
    }

    /// Whether the write that made `revision` is the head or in the memory of writes: then another write that was to make
    /// it was never applied and never will be. Says no of revisions older than the memory, and of those yet to come.
    #[must_use]
    pub fn remembers(&self, revision: u64) -> bool {
        let oldest = self.recent.front().map_or(self.revision, |(_, oldest)| *oldest);
        (oldest..=self.revision).contains(&revision)
    }

    /// What the holder of the present lease sees: its staged change, else the committed state.
    #[must_use]
    pub fn visible(&self) -> &Versioned {
        self.staged.as_ref().unwrap_or(&self.committed)
    }

    /// The blobs that the record names: never collected.
    pub fn blobs(&self) -> impl Iterator<Item = &BlobId> {
        let staged = self.staged.as_ref().and_then(Versioned::blob);
        self.committed.blob().into_iter().chain(staged).chain(&self.previous)
    }

    /// The remembered end of a lease.
    #[must_use]
    pub fn ended(&self, id: &super::LeaseId) -> Option<&Ended> {
        self.ended.iter().rev().find(|ended| ended.id == *id)
    }

    /// The bytes to store.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the record was never sealed, breaks a rule of [`super::check`] (nobody could read it again) or is
    /// too large; [`ErrorKind::TooNew`] when a newer lockd asked not to be written over.
    pub fn encode(&self) -> Result<Bytes> {
        if self.min_write > FORMAT {
            return Err(too_new(&self.key, "written over", self.min_write));
        }
        super::check(self).map_err(|broken| {
            Error::new(ErrorKind::Internal, format!("the new record of {} is impossible: {broken}", self.key))
        })?;
        let start = format!("{MAGIC}{FORMAT} ");
        let body = start.len() + SUM_BYTES + 1;
        let states = || [Some(&self.committed), self.staged.as_ref()].into_iter().flatten().filter_map(inline);
        let mut out = Vec::with_capacity(body + HEAD_BYTES + states().map(Bytes::len).sum::<usize>());
        out.extend_from_slice(start.as_bytes());
        // The checksum comes here once what it is of stands behind it.
        out.resize(body, b'\n');
        serde_json::to_writer(&mut out, &Head::from_record(self)?)
            .map_err(|e| Error::new(ErrorKind::Internal, format!("cannot encode the record of {}: {e}", self.key)))?;
        put_recent(&mut out, &self.recent);
        out.push(b'\n');
        for bytes in states() {
            out.extend_from_slice(bytes);
            out.push(b'\n');
        }
        let sum = checksum(start.as_bytes(), &out[body..]);
        out[start.len()..body - 1].copy_from_slice(sum.as_bytes());
        if out.len() > RECORD_BYTES {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("the record of {} would have {} bytes", self.key, out.len()),
            ));
        }
        // A store in memory keeps it.
        out.shrink_to_fit();
        Ok(out.into())
    }

    /// Reads what [`Record::encode`] made, for this key.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when it is truncated, damaged, not lockd's, another key's or breaks a rule of [`super::check`];
    /// [`ErrorKind::TooNew`] when it needs a newer lockd.
    /// Nothing is ever guessed.
    pub fn decode(key: &Key, bytes: &Bytes) -> Result<Self> {
        decode(key, bytes).map_err(|why| match why {
            Flaw::TooNew(format) => too_new(key, "read", format),
            Flaw::Damaged(what) => Error::new(ErrorKind::Corrupt, format!("the record of {key} is damaged: {what}"))
                .with_hint(format!(
                    "restore it from a backup, or move away by hand what the store keeps under {}; lockd never guesses",
                    key.hash().hex()
                )),
        })
    }
}

enum Flaw {
    Damaged(String),
    TooNew(u32),
}

fn too_new(key: &Key, verb: &str, format: u32) -> Error {
    Error::new(ErrorKind::TooNew, format!("the record of {key} may only be {verb} by a lockd that knows record format {format}; this one knows {FORMAT}"))
        .with_hint("upgrade lockd on this host")
}

fn inline(v: &Versioned) -> Option<&Bytes> {
    match &v.state.as_ref()?.body {
        Body::Inline(bytes) => Some(bytes),
        Body::Blob(_) => None,
    }
}

fn damaged(what: impl Into<String>) -> Flaw {
    Flaw::Damaged(what.into())
}

fn decode(key: &Key, bytes: &Bytes) -> Result<Record, Flaw> {
    let (format, body) = open(bytes)?;
    if format > FORMAT {
        return Err(Flaw::TooNew(format));
    }
    let end = body.iter().position(|b| *b == b'\n').ok_or_else(|| damaged("its head is cut off"))?;
    let head = Head::read(&body[..end])?;
    if head.namespace != key.namespace().as_str() || head.key != key.name() {
        return Err(damaged(format!("it belongs to {}//{}", head.namespace.escape_debug(), head.key.escape_debug())));
    }
    let mut tail = body.slice(end + 1..);
    let record = head.into_record(key, &mut tail)?;
    if !tail.is_empty() {
        return Err(damaged("bytes are left over"));
    }
    super::check(&record).map_err(|broken| damaged(format!("it cannot be: {broken}")))?;
    Ok(record)
}

/// Adds the memory of writes to a head: with full memories it is half of the record, and digits need no serializer that looks
/// at each for what must be escaped.
fn put_recent(head: &mut Vec<u8>, recent: &VecDeque<(WriteId, u64)>) {
    head.truncate(head.len() - 1);
    head.extend_from_slice(b",\"recent\":[");
    for (n, (id, revision)) in recent.iter().enumerate() {
        head.extend_from_slice(if n == 0 { b"[\"" } else { b",[\"" });
        head.extend_from_slice(&id.digits());
        // Writing to a Vec does not fail.
        let _ok = write!(head, "\",{revision}]");
    }
    head.extend_from_slice(b"]}");
}

fn checksum(start: &[u8], body: &[u8]) -> String {
    hex::encode(Sha256::new().chain_update(start).chain_update(body).finalize())
}

/// The format and what follows the first line, once the checksum has proved both.
fn open(bytes: &Bytes) -> Result<(u32, Bytes), Flaw> {
    let Some(rest) = bytes.strip_prefix(MAGIC.as_bytes()) else {
        return Err(damaged(if bytes.is_empty() { "it is empty" } else { "it was not written by lockd" }));
    };
    let first_line = || damaged("its first line is cut off or damaged");
    let digits = rest.iter().position(|b| *b == b' ').ok_or_else(first_line)?;
    let start = MAGIC.len() + digits + 1;
    let (sum, body) = bytes[start..].split_at_checked(SUM_BYTES + 1).ok_or_else(first_line)?;
    if sum != format!("{}\n", checksum(&bytes[..start], body)).as_bytes() {
        return Err(damaged("its checksum does not match"));
    }
    let format = std::str::from_utf8(&rest[..digits]).ok().and_then(|digits| digits.parse().ok());
    Ok((format.ok_or_else(first_line)?, bytes.slice(start + SUM_BYTES + 1..)))
}

/// What must be understood of a head that cannot be read otherwise.
#[derive(Deserialize)]
struct Needs {
    min_read: u32,
}

#[derive(Serialize, Deserialize)]
struct Head<'a> {
    format: u32,
    min_read: u32,
    min_write: u32,
    namespace: Cow<'a, str>,
    key: Cow<'a, str>,
    revision: u64,
    write_id: WriteId,
    /// [`Record::encode`] puts it at the end.
    #[serde(skip_serializing)]
    recent: Cow<'a, VecDeque<(WriteId, u64)>>,
    #[serde(default)]
    epoch: u32,
    token: FencingToken,
    beat: u64,
    #[serde(default, skip_serializing_if = "FencingToken::is_none")]
    fence: FencingToken,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease: Option<Cow<'a, Lease>>,
    last_version: Version,
    committed: VersionedHead,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    staged: Option<VersionedHead>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<BlobId>,
    #[serde(default)]
    done: Cow<'a, VecDeque<Done>>,
    #[serde(default)]
    ended: Cow<'a, VecDeque<Ended>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_success: Option<UnixMillis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    knock: Option<Knock>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reserved: Option<Reserved>,
    #[serde(flatten)]
    unknown: Unknown,
}

/// A [`Versioned`] without its inline bytes. The state is absent when `len` is.
#[derive(Serialize, Deserialize)]
struct VersionedHead {
    version: Version,
    #[serde(default)]
    at: UnixMillis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    len: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<StateEtag>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blob: Option<BlobId>,
    #[serde(flatten)]
    unknown: Unknown,
}

impl VersionedHead {
    fn from_model(v: &Versioned) -> Self {
        let state = v.state.as_ref();
        Self {
            version: v.version,
            at: v.at,
            len: state.map(|s| s.len),
            etag: state.map(|s| s.etag.clone()),
            blob: v.blob().cloned(),
            unknown: v.unknown.clone(),
        }
    }

    fn into_model(self, tail: &mut Bytes) -> Result<Versioned, Flaw> {
        let state = match (self.len, self.etag, self.blob) {
            (None, None, None) => None,
            (Some(len), Some(etag), Some(id)) => Some(StateRef { etag, len, body: Body::Blob(id) }),
            (Some(len), Some(etag), None) => {
                let len_here = usize::try_from(len).unwrap_or(usize::MAX);
                if tail.len() <= len_here || tail[len_here] != b'\n' {
                    return Err(damaged("its state is cut off"));
                }
                let bytes = tail.split_to(len_here);
                let _newline = tail.split_to(1);
                Some(StateRef { etag, len, body: Body::Inline(bytes) })
            }
            _ => return Err(damaged("a state has no length or no hash")),
        };
        Ok(Versioned { version: self.version, state, at: self.at, unknown: self.unknown })
    }
}

impl<'a> Head<'a> {
    /// A later format may have another form, as long as it says so: only a head that does not is damaged.
    fn read(text: &[u8]) -> Result<Self, Flaw> {
        let head: Result<Self, _> = serde_json::from_slice(text);
        let needs = match &head {
            Ok(head) => Some(head.min_read),
            Err(_) => serde_json::from_slice(text).ok().map(|needs: Needs| needs.min_read),
        };
        match needs.filter(|needs| *needs > FORMAT) {
            Some(format) => Err(Flaw::TooNew(format)),
            None => head.map_err(|e| damaged(e.to_string())),
        }
    }

    fn from_record(r: &'a Record) -> Result<Self> {
        let write_id = r
            .write_id
            .ok_or_else(|| Error::new(ErrorKind::Internal, format!("the record of {} was not sealed", r.key)))?;
        Ok(Self {
            format: FORMAT,
            min_read: r.min_read,
            min_write: r.min_write,
            namespace: r.key.namespace().as_str().into(),
            key: r.key.name().into(),
            revision: r.revision,
            write_id,
            recent: Cow::Borrowed(&r.recent),
            epoch: r.epoch,
            token: r.token,
            beat: r.beat,
            fence: r.fence,
            lease: r.lease.as_ref().map(Cow::Borrowed),
            last_version: r.last_version,
            committed: VersionedHead::from_model(&r.committed),
            staged: r.staged.as_ref().map(VersionedHead::from_model),
            previous: r.previous.clone(),
            done: Cow::Borrowed(&r.done),
            ended: Cow::Borrowed(&r.ended),
            last_success: r.last_success,
            knock: r.knock.clone(),
            reserved: r.reserved.clone(),
            unknown: r.unknown.clone(),
        })
    }

    fn into_record(self, key: &Key, tail: &mut Bytes) -> Result<Record, Flaw> {
        let committed = self.committed.into_model(tail)?;
        let staged = self.staged.map(|staged| staged.into_model(tail)).transpose()?;
        Ok(Record {
            key: key.clone(),
            min_read: self.min_read,
            min_write: self.min_write,
            revision: self.revision,
            write_id: Some(self.write_id),
            recent: self.recent.into_owned(),
            epoch: self.epoch,
            token: self.token,
            beat: self.beat,
            fence: self.fence,
            lease: self.lease.map(Cow::into_owned),
            last_version: self.last_version,
            committed,
            staged,
            previous: self.previous,
            done: self.done.into_owned(),
            ended: self.ended.into_owned(),
            last_success: self.last_success,
            knock: self.knock,
            reserved: self.reserved,
            unknown: self.unknown,
        })
    }
}
