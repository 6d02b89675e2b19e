//! `--state-file`: the state of the key as a private file of the command, and what became of it as the new state.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use lockd::entropy::Entropy;
use lockd::error::{Error, ErrorKind, Result};
use lockd::json::Scanner;
use lockd::limits::CHUNK_BYTES;
use lockd::model::{Key, RequestId, StateEtag, Version};
use lockd::service::{ChangeRequest, Expected, Guards, LeaseService, Proof};
use rustix::fs::FlockOperation;
use sha2::{Digest, Sha256};

use super::super::body::Body;
use super::super::settings::Environment;
use super::super::text;

/// The state as it was when the command was given it.
#[derive(Clone, Debug)]
pub struct Before {
    version: Version,
    etag: Option<StateEtag>,
}

/// The file, in a directory of its own. Dropped, it is removed with all that was put beside it, unless it is kept.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    /// Locked while it is in use, so that nobody who cleans up old files takes it away (`tmpfiles.d(5)`).
    directory: File,
    keep: bool,
}

/// Where a new state file will be: below `$TMPDIR`, else `$XDG_RUNTIME_DIR`, else `/tmp`.
pub fn place(environment: &Environment, entropy: &dyn Entropy) -> PathBuf {
    let named = |name| environment.own(name).map(Path::new).filter(|dir| dir.is_absolute());
    let base = named("TMPDIR").or_else(|| named("XDG_RUNTIME_DIR")).unwrap_or(Path::new("/tmp"));
    base.join(format!("lockd-exec-{}", hex::encode(entropy.bytes::<8>()))).join("state.json")
}

/// Removes a state file and its directory.
pub fn remove(path: &Path) {
    let _gone = path.parent().map(fs::remove_dir_all);
}

impl StateFile {
    /// Makes the directory, for this user alone.
    ///
    /// # Errors
    /// `CannotCreate`.
    pub fn make(path: &Path) -> Result<Self> {
        let dir = path.parent().unwrap_or(Path::new("/"));
        let cannot = |e: &io::Error| {
            Error::new(ErrorKind::CannotCreate, format!("--state-file: cannot make {}: {e}", shown(dir)))
                .with_hint("nothing was run; set TMPDIR to a directory that you may write")
        };
        DirBuilder::new().mode(0o700).create(dir).map_err(|e| cannot(&e))?;
        let directory = File::open(dir).map_err(|e| cannot(&e))?;
        // Only a hint to others.
        let _locked = rustix::fs::flock(&directory, FlockOperation::NonBlockingLockShared);
        Ok(Self { path: path.to_owned(), directory, keep: false })
    }

    /// Writes the present state into it; without one there is no file.
    ///
    /// # Errors
    /// What the store or the file system says: `StoreFull` where there is no room.
    pub async fn fill(&self, service: &dyn LeaseService, key: &Key, proof: &Proof, version: Version) -> Result<Before> {
        let Some(mut state) = service.get(key, Some(proof)).await? else { return Ok(Before { version, etag: None }) };
        let cannot = |e: &io::Error| {
            let error = Error::io(format_args!("write the state of {key} to {}", shown(&self.path)), e);
            if error.kind() == ErrorKind::StoreFull {
                return error.with_hint("nothing was run; set TMPDIR to a directory with more room");
            }
            error
        };
        let options = OpenOptions::new().write(true).create_new(true).mode(0o600).clone();
        let mut file = options.open(&self.path).map_err(|e| cannot(&e))?;
        while let Some(chunk) = state.body.next().await {
            file.write_all(&chunk?).map_err(|e| cannot(&e))?;
        }
        file.write_all(b"\n").map_err(|e| cannot(&e))?;
        Ok(Before { version: state.version, etag: Some(state.etag) })
    }

    /// Makes what the command left the state, bound to the version that it was given. Whether there was anything to change.
    ///
    /// # Errors
    /// `InvalidState` and `TooLarge` for what is no state; what the store answers. Then keep the file.
    pub async fn commit(
        &self,
        service: &dyn LeaseService,
        key: &Key,
        proof: &Proof,
        before: &Before,
        entropy: &dyn Entropy,
    ) -> Result<bool> {
        let request = ChangeRequest {
            key: key.clone(),
            proof: proof.clone(),
            request_id: RequestId::random(entropy),
            guards: Guards { version: Some(before.version), etag: None },
            edits: None,
        };
        let Some(file) = self.open()? else {
            return match &before.etag {
                Some(_) => service.remove(request).await.map(|changed| changed.changed),
                None => Ok(false),
            };
        };
        // Beside the runtime's thread, which goes on renewing the lease.
        let examined = tokio::task::spawn_blocking(move || examine(file)).await;
        let (file, found) =
            examined.map_err(|e| Error::new(ErrorKind::Internal, format!("reading it failed: {e}")))??;
        if before.etag.as_ref() == Some(&found.etag) {
            return Ok(false);
        }
        let expected = Expected { bytes: Some(found.bytes), sha256: Some(found.sha256) };
        let body = Body::of_checked(file, found.bytes).stream(|_| ());
        service.update(request, expected, body).await.map(|changed| changed.changed)
    }

    /// Leaves the file where it is, whatever comes.
    pub const fn keep(&mut self) {
        self.keep = true;
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the command left; `None` when it removed the file.
    fn open(&self) -> Result<Option<File>> {
        let cannot = |e: &io::Error| Error::io(format_args!("read {}", shown(&self.path)), e);
        // Not waiting for the other end of a pipe that somebody put there.
        match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&self.path) {
            Ok(file) if file.metadata().map_err(|e| cannot(&e))?.is_file() => Ok(Some(file)),
            Ok(_) => Err(Error::new(ErrorKind::InvalidState, "it is no regular file")),
            // With its directory gone, somebody cleaned up: that is no wish to remove the state.
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.directory_is_there() => Ok(None),
            Err(e) => Err(cannot(&e)),
        }
    }

    fn directory_is_there(&self) -> bool {
        let there = self.path.parent().and_then(|dir| rustix::fs::stat(dir).ok());
        let ours = rustix::fs::fstat(&self.directory).ok();
        there.zip(ours).is_some_and(|(there, ours)| (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino))
            && fs::symlink_metadata(&self.path).is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        if !self.keep {
            remove(&self.path);
        }
    }
}

/// What a file holds, as sent and as it would be stored.
struct Found {
    etag: StateEtag,
    bytes: u64,
    sha256: String,
}

/// Reads a file once, to know whether it is a state and which. Leaves it at its beginning.
fn examine(mut file: File) -> Result<(File, Found)> {
    let cannot = |e: &io::Error| Error::io("read the state file", e);
    let (mut scanner, mut kept, mut chunk) = (Scanner::default(), Vec::new(), vec![0; CHUNK_BYTES]);
    let (mut sent, mut stored, mut bytes) = (Sha256::new(), Sha256::new(), 0);
    loop {
        let n = match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(cannot(&e)),
        };
        kept.clear();
        scanner.feed(&chunk[..n], &mut kept)?;
        sent.update(&chunk[..n]);
        stored.update(&kept);
        bytes += n as u64;
    }
    scanner.finish()?;
    file.rewind().map_err(|e| cannot(&e))?;
    let etag = StateEtag::from_digest(&stored.finalize().into());
    Ok((file, Found { etag, bytes, sha256: hex::encode(sent.finalize()) }))
}

fn shown(path: &Path) -> String {
    text::shown(&path.to_string_lossy())
}
