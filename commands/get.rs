//! `lockd get`: print the state of a key.

use std::io::{self, Write};
use std::path::Path;

use futures_util::StreamExt;
use lockd::error::{Error, ErrorKind, Result};
use lockd::model::Key;
use lockd::service::State;

use super::context::Context;
use super::output::{self, Format, SCHEMA};
use super::progress::Progress;
use super::target::Need;
use super::whole_file::WholeFile;

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
            let (target, file) = WholeFile::create(Path::new(path)).map_err(|e| cannot_create(path, &e))?;
            let mut out = io::BufWriter::new(file);
            copy(&mut out, key, format, state, &mut progress).await.map_err(|failure| match failure {
                Failure::Reading(e) => e,
                Failure::Writing(e) => Error::io(format_args!("write {}", super::text::shown(path)), &e),
            })?;
            target.finish().map_err(|e| Error::io(format_args!("rename to {}", super::text::shown(path)), &e))
        }
    }
}

fn cannot_create(path: &str, e: &io::Error) -> Error {
    let error = Error::io(format_args!("create {}", super::text::shown(path)), e);
    if error.kind() == ErrorKind::Io { error.with_kind(ErrorKind::CannotCreate) } else { error }
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
