//! `lockd list`: the keys of a namespace.

use std::io;

use futures_util::StreamExt;
use lockd::error::{Error, Result};
use lockd::model::StateEtag;
use lockd::service::{Description, ListRequest};
use serde::Serialize;

use super::context::Context;
use super::output::{self, Format, Holder, SCHEMA};
use super::table::{self, Table};
use super::target::Need;
use super::{duration, text};

/// So many keys are sorted by name before they are printed; more come in the store's own order, as they are found.
const SORTED: usize = 10_000;
/// Printed at once.
const FLUSH_BYTES: usize = 64 * 1024;

/// List keys: who holds them, and their states
#[derive(clap::Args)]
#[command(
    long_about = "List the keys of the namespace that begin with PREFIX: who holds each, when it frees itself, version and size of its \
state. Up to 10,000 keys are sorted by name; more come in the store's own order, as they are found.

  lockd list
  lockd list import/ --held
  lockd list --json | jq -r '.keys[] | select(.state_bytes > 1000000) | .key'"
)]
pub struct Args {
    /// Only keys that begin so
    prefix: Option<String>,
    /// Only keys that are held
    #[arg(long, help_heading = "List")]
    held: bool,
    /// Also tell how many wait for each key; only a server knows
    #[arg(long, help_heading = "List")]
    waiters: bool,
    /// Print the names alone, one a line
    #[arg(long, help_heading = "List")]
    names: bool,
}

#[derive(Serialize)]
struct Entry<'a> {
    key: &'a str,
    held: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<Holder<'a>>,
    fencing_token: u64,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<&'a str>,
    state_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated: Option<String>,
    /// Only a server knows: null without one.
    waiters: Option<u64>,
}

/// Runs the command.
///
/// # Errors
/// When the store cannot be read.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    let format = context.format()?;
    let request = ListRequest {
        namespace: context.namespace()?,
        prefix: args.prefix.clone().unwrap_or_default(),
        held: args.held,
        after: None,
    };
    context.block_on(async {
        let session = context.open(Need::Moment).await?;
        let mut printer = Printer::new(context, args, format);
        let result = all(context, &session, &request, &mut printer).await;
        session.client.service().close().await;
        result
    })
}

/// Prints what is found. A record that cannot be read is told of, the listing goes on, and the exit code remembers.
async fn all(
    context: &Context,
    session: &super::context::Session,
    request: &ListRequest,
    printer: &mut Printer,
) -> Result<u8> {
    let mut items = session.client.service().list(request);
    let (mut first, mut exit) = (Vec::new(), 0);
    let mut open = true;
    while let Some(item) = items.next().await {
        match item {
            Err(e) => {
                exit = e.kind().exit_code();
                context.voice.error(&e, exit, context.clock.wall());
            }
            Ok(listed) if first.len() < SORTED && !printer.begun => first.push(listed.known),
            Ok(listed) => {
                open = printer.begin(&mut first, false)? && printer.row(&listed.known)?;
            }
        }
        if !open {
            return Ok(exit);
        }
    }
    if !printer.begun {
        open = printer.begin(&mut first, true)?;
    }
    if open {
        printer.end(request.namespace.as_str(), exit == 0)?;
    }
    Ok(exit)
}

/// Rows on their way out.
struct Printer {
    format: Format,
    names: bool,
    waiters: bool,
    bold: bool,
    table: Table<6>,
    pending: String,
    begun: bool,
    rows: usize,
}

impl Printer {
    fn new(context: &Context, args: &Args, format: Format) -> Self {
        let titles = ["KEY", "HOLDER", "FREES IN", "VERSION", "SIZE", if args.waiters { "WAITING" } else { "" }];
        Self {
            format,
            names: args.names,
            waiters: args.waiters,
            bold: context.paints(),
            table: Table::new(titles, [false, false, true, true, true, true], 1),
            pending: String::new(),
            begun: false,
            rows: 0,
        }
    }

    /// Prints the first rows, sorted when they are all; whether somebody still reads.
    fn begin(&mut self, first: &mut Vec<Description>, all: bool) -> Result<bool> {
        if !self.begun {
            self.begun = true;
            if all {
                first.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            }
            self.head(first);
            for known in first.drain(..) {
                if !self.row(&known)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn head(&mut self, first: &[Description]) {
        match self.format {
            Format::Json if !self.names => self.pending = format!("{{\"schema\":{SCHEMA},\"keys\":["),
            Format::Yaml if !self.names => self.pending = format!("schema: {SCHEMA}\nkeys:\n"),
            Format::Text if !self.names && !first.is_empty() => {
                let rows: Vec<_> = first.iter().map(|known| self.cells(known)).collect();
                self.table.fit(rows.iter(), table::screen());
                let head = self.table.head();
                self.pending = if self.bold { format!("\x1b[1m{}\x1b[0m\n", head.trim_end()) } else { head };
            }
            _ => {}
        }
    }

    fn row(&mut self, known: &Description) -> Result<bool> {
        let line = match self.format {
            _ if self.names => format!("{}\n", known.key),
            Format::Text => self.table.line(&self.cells(known)),
            Format::Json => format!("{}{}", if self.rows == 0 { "\n" } else { ",\n" }, json(known)?),
            // JSON is YAML, too.
            Format::Yaml => format!("- {}\n", json(known)?),
        };
        self.rows += 1;
        self.pending.push_str(&line);
        if self.pending.len() < FLUSH_BYTES { Ok(true) } else { self.flush() }
    }

    fn end(&mut self, namespace: &str, complete: bool) -> Result<()> {
        match self.format {
            _ if self.names => {}
            Format::Json => {
                self.pending.push_str(&format!("],\"namespace\":\"{namespace}\",\"complete\":{complete}}}\n"))
            }
            Format::Yaml => {
                if self.rows == 0 {
                    self.pending.push_str("  []\n");
                }
                self.pending.push_str(&format!("namespace: \"{namespace}\"\ncomplete: {complete}\n"));
            }
            Format::Text => {}
        }
        self.flush().map(drop)
    }

    fn flush(&mut self) -> Result<bool> {
        let written: io::Result<()> = output::write(std::mem::take(&mut self.pending));
        output::settle(written)
    }

    fn cells(&self, known: &Description) -> [String; 6] {
        let (holder, frees) = match &known.held {
            None => ("-".to_owned(), "-".to_owned()),
            Some(busy) if busy.frees_in.is_zero() => (text::shown(busy.owner.as_str()), "now".to_owned()),
            Some(busy) => (text::shown(busy.owner.as_str()), duration::human(busy.frees_in)),
        };
        let size = known.etag.as_ref().map_or_else(|| "-".to_owned(), |_| text::size(known.bytes));
        let waiters = match self.waiters {
            true => known.waiters.map_or_else(|| "?".to_owned(), |n| n.to_string()),
            false => String::new(),
        };
        [known.key.to_string(), holder, frees, known.version.to_string(), size, waiters]
    }
}

fn json(known: &Description) -> Result<String> {
    let entry = Entry {
        key: known.key.name(),
        held: known.held.is_some(),
        holder: known.held.as_ref().map(Holder::from),
        fencing_token: known.token.0,
        version: known.version.0,
        etag: known.etag.as_ref().map(StateEtag::as_str),
        state_bytes: known.bytes,
        updated: known.updated.map(text::rfc3339),
        waiters: known.waiters,
    };
    serde_json::to_string(&entry)
        .map_err(|e| Error::new(lockd::error::ErrorKind::Internal, format!("cannot write the answer: {e}")))
}
