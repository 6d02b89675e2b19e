//! `lockd get`: print the state of a key.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use lockd::error::{Error, ErrorKind, Result};
use lockd::model::Key;
use lockd::service::State;

use super::context::Context;
use super::output::{self, Format, SCHEMA};
use super::progress::Progress;
use super::target::Need;

/// Exit code for "there is no state".
const NONE: u8 = 1;

/// Print the state of a key
#[derive(clap::Args)]
#[command(
    long_about = "Print the committed state of a key as it is stored, and a newline. No lease is needed. When there is no state it \
prints nothing and exits 1.

  lockd get import/orders
  lockd get import/orders progress.json
  lockd get --json import/orders | jq .version"
)]
pub struct Args {
    /// The key
    key: String,
    /// Where to write it; a file appears whole or not at all [default: standard output]
    #[arg(value_name = "FILE|-")]
    file: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// Why the state could not be read or written.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    let key = context.key(&args.key)?;
    let format = context.format()?;
    context.block_on(async {
        let session = context.open(Need::Moment).await?;
        let result = match session.client.service().get(&key, None).await? {
            None => Ok(NONE),
            Some(state) => write(context, &key, format, state, args.file.as_deref()).await.map(|()| 0),
        };
        session.client.service().close().await;
        result
    })
}

async fn write(context: &Context, key: &Key, format: Format, state: State, file: Option<&str>) -> Result<()> {
    let mut progress = Progress::new(context, Some(state.len));
    match file {
        None | Some("-") => {
            let mut out = io::stdout().lock();
            match copy(&mut out, key, format, state, &mut progress).await {
                // Who reads has seen enough.
                Err(Failure::Writing(e)) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                Err(Failure::Writing(e)) => Err(output::unwritten(&e)),
                Err(Failure::Reading(e)) => Err(e),
                Ok(()) => Ok(()),
            }
        }
        Some(path) => {
            let (mut target, file) = Target::open(Path::new(path))?;
            let mut out = io::BufWriter::new(file);
            copy(&mut out, key, format, state, &mut progress).await.map_err(|failure| match failure {
                Failure::Reading(e) => e,
                Failure::Writing(e) => Error::io(format_args!("write {}", super::text::shown(path)), &e),
            })?;
            target.finish()
        }
    }
}

enum Failure {
    Reading(Error),
    Writing(io::Error),
}

/// The bytes as stored, inside a document where one was asked for. JSON is YAML too, so that the state never is written anew.
async fn copy(
    out: &mut impl Write,
    key: &Key,
    format: Format,
    mut state: State,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let (head, tail) = frame(key, format, &state);
    out.write_all(head.as_bytes()).map_err(Failure::Writing)?;
    while let Some(chunk) = state.body.next().await {
        let chunk = chunk.map_err(Failure::Reading)?;
        out.write_all(&chunk).map_err(Failure::Writing)?;
        progress.advance(chunk.len());
    }
    out.write_all(tail.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Writing)
}

fn frame(key: &Key, format: Format, state: &State) -> (String, &'static str) {
    let (version, etag) = (state.version, &state.etag);
    match format {
        Format::Text => (String::new(), "\n"),
        // Nothing in a key or an ETag needs an escape.
        Format::Json => {
            (format!(r#"{{"schema":{SCHEMA},"key":"{key}","version":{version},"etag":"{etag}","state":"#), "}\n")
        }
        Format::Yaml => {
            (format!("schema: {SCHEMA}\nkey: \"{key}\"\nversion: {version}\netag: \"{etag}\"\nstate: "), "\n")
        }
    }
}

/// A file being written: under another name until it is whole, except where the path is no regular file.
struct Target {
    path: PathBuf,
    temporary: Option<PathBuf>,
}

impl Target {
    fn open(path: &Path) -> Result<(Self, File)> {
        let shown = || super::text::shown(&path.to_string_lossy());
        let cannot = |e: &io::Error| {
            let error = Error::io(format_args!("create {}", shown()), e);
            if error.kind() == ErrorKind::Io { error.with_kind(ErrorKind::CannotCreate) } else { error }
        };
        let meta = fs::metadata(path).ok();
        if meta.as_ref().is_some_and(|meta| !meta.is_file()) {
            let file = OpenOptions::new().write(true).open(path).map_err(|e| cannot(&e))?;
            return Ok((Self { path: path.to_owned(), temporary: None }, file));
        }
        // Through links to the file itself, which would be replaced otherwise.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".lockd-{}", std::process::id()));
        let temporary = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary).map_err(|e| cannot(&e))?;
        let target = Self { path, temporary: Some(temporary) };
        if let Some(meta) = meta {
            file.set_permissions(meta.permissions()).map_err(|e| cannot(&e))?;
        }
        Ok((target, file))
    }

    fn finish(&mut self) -> Result<()> {
        let Some(temporary) = self.temporary.take() else { return Ok(()) };
        fs::rename(&temporary, &self.path).map_err(|e| {
            let _left = fs::remove_file(&temporary);
            Error::io(format_args!("rename to {}", super::text::shown(&self.path.to_string_lossy())), &e)
        })
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _gone = fs::remove_file(temporary);
        }
    }
}
