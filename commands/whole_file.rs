//! A file that appears whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A file being written: under another name until it is whole, except where the path is no regular file (a pipe, a terminal).
/// Dropped before that, it leaves nothing.
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    temporary: Option<PathBuf>,
}

impl WholeFile {
    /// Opens a file to be written.
    ///
    /// # Errors
    /// As the file system gives them.
    pub fn create(path: &Path) -> io::Result<(Self, File)> {
        let meta = fs::metadata(path).ok();
        if meta.as_ref().is_some_and(|meta| !meta.is_file()) {
            let file = OpenOptions::new().write(true).open(path)?;
            return Ok((Self { path: path.to_owned(), temporary: None }, file));
        }
        // Through links to the file itself, which would be replaced otherwise.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let no_file = || io::Error::new(io::ErrorKind::InvalidInput, "it names no file");
        let mut name = path.file_name().ok_or_else(no_file)?.to_owned();
        name.push(format!(".lockd-{}", std::process::id()));
        let temporary = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        let target = Self { path, temporary: Some(temporary) };
        if let Some(meta) = meta {
            file.set_permissions(meta.permissions())?;
        }
        Ok((target, file))
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// As the file system gives them.
    pub fn finish(mut self) -> io::Result<()> {
        let Some(temporary) = self.temporary.take() else { return Ok(()) };
        fs::rename(&temporary, &self.path).inspect_err(|_| drop(fs::remove_file(&temporary)))
    }

    /// Takes away what was written so far; for a process that shares the file with its owner, who is dead.
    pub fn discard(&self) {
        if let Some(temporary) = &self.temporary {
            let _gone = fs::remove_file(temporary);
        }
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        self.discard();
    }
}
