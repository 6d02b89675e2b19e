//! The end of the tree's journal after it was not closed well.
//!
//! The tree writes a batch to its journal, syncs, and answers; so only the last batch may be there in part: a loss of power may
//! keep any of its sectors and lose any other. The crate sees that where the framing breaks, but calls a batch whose framing is
//! whole and whose content is not damage, and refuses the store. It cannot know that nobody was told of that batch; this does.
//!
//! What is kept is also written anew: after a failed sync the kernel may hand out what it never wrote, and call it clean.
//!
//! The format is that of a `fjall` directory with the version marker 3: each batch is a start (`1`, count as u32, sequence number
//! as u64), its items (`2`, ...; or `4`, keyspace) and an end (`3`, the items' XXH3 as u64, a magic number); little-endian.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::tree::damaged;
use crate::error::{Error, Result};

/// The tree's version marker, also the end of each batch.
const MAGIC: [u8; 4] = *b"FJL\x03";
/// Where the journal is written anew.
const ANEW: &str = "journal.new";

/// Cuts a torn batch off the journal of the tree in `dir`, and makes the rest durable.
///
/// # Errors
/// [`crate::error::ErrorKind::Corrupt`] when something whole follows what is torn; those of the file system.
pub fn heal(dir: &Path) -> Result<()> {
    let io = |what: &'static str| move |e: std::io::Error| Error::io(what, &e);
    check_version(dir)?;
    let anew = dir.join(ANEW);
    match std::fs::remove_file(&anew) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io("remove a journal half written")(e)),
        _ => {}
    }
    let Some(path) = last(dir).map_err(io("look for the store's journal"))? else { return Ok(()) };
    let all = std::fs::read(&path).map_err(io("read the store's journal"))?;
    let (whole, rest) = all.split_at(whole(&all));
    if (0..rest.len()).any(|at| rest[at] == 1 && batch(&rest[at..]).is_some()) {
        return Err(damaged("the store's journal is damaged in the middle"));
    }
    let written = File::create_new(&anew).and_then(|mut file| {
        file.write_all(whole)?;
        file.sync_all()
    });
    written.map_err(io("write the store's journal anew"))?;
    std::fs::rename(&anew, &path).map_err(io("write the store's journal anew"))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("sync the store's tree"))
}

fn check_version(dir: &Path) -> Result<()> {
    let mut found = [0; MAGIC.len()];
    let read = File::open(dir.join("version")).and_then(|mut file| file.read_exact(&mut found));
    read.map_err(|e| Error::io("read the version of the store's tree", &e))?;
    if found == MAGIC { Ok(()) } else { Err(damaged("the store's tree has another version")) }
}

/// The journal that was written last: the one with the highest number.
fn last(dir: &Path) -> std::io::Result<Option<PathBuf>> {
    let mut highest = None;
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".jnl")).and_then(|name| name.parse::<u64>().ok());
        highest = highest.max(number);
    }
    Ok(highest.map(|number| dir.join(format!("{number}.jnl"))))
}

/// Length of the batches that are whole, from the start.
fn whole(all: &[u8]) -> usize {
    let mut at = 0;
    while let Some(len) = all.get(at..).and_then(batch) {
        at += len;
    }
    at
}

/// Length of the batch that begins here, when it is whole.
fn batch(bytes: &[u8]) -> Option<usize> {
    let mut at = Cut { bytes, at: 0 };
    if at.array::<1>()? != [1] {
        return None;
    }
    let count = u32::from_le_bytes(at.array()?);
    let _sequence: [u8; 8] = at.array()?;
    let begin = at.at;
    for _ in 0..count {
        match at.array::<1>()? {
            [2] => at.skip_item()?,
            [4] => at.skip(8)?,
            _ => return None,
        }
    }
    let mut hash = Xxh3::default();
    hash.update(&bytes[begin..at.at]);
    let end = [&[3][..], &hash.digest().to_le_bytes(), &MAGIC].concat();
    (at.take(end.len())? == end).then_some(at.at)
}

struct Cut<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cut<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..)?.get(..len)?;
        self.at += len;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn skip(&mut self, len: usize) -> Option<()> {
        self.take(len).map(drop)
    }

    /// Kind of value, compression, keyspace, lengths of key and value, the value's length in the file, key, value.
    fn skip_item(&mut self) -> Option<()> {
        self.skip(1 + 1 + 8)?;
        let key = usize::from(u16::from_le_bytes(self.array()?));
        self.skip(4)?;
        let value = u32::from_le_bytes(self.array()?) as usize;
        self.skip(key.checked_add(value)?)
    }
}
