//! `lockd watch`: what happens to a key.

use std::fmt::Write as _;
use std::os::fd::AsFd;
use std::pin::pin;

use futures_util::StreamExt;
use futures_util::future::{Either as First, select};
use lockd::error::Result;
use lockd::model::{Key, Owner, Reason};
use lockd::service::{Description, Event, Watched};
use serde::Serialize;
use tokio::io::Interest;
use tokio::net::unix::pipe;

use super::context::{Context, Session};
use super::interrupt::{self, Either};
use super::output::{self, Format, Holder};
use super::target::Need;
use super::text;

/// Tell what happens to a key
#[derive(clap::Args)]
#[command(
    long_about = "Print the present state of a key, then a line for each event: acquired, released, expired, broken, updated, removed, each \
with the fencing token and the version of the state. What follows quickly on each other may be merged; what is told adds up \
all the same. Nothing is written, and no lease is taken.

  lockd watch backup/db
  lockd watch --json backup/db | jq -r 'select(.event == \"broken\") | .reason'

Ends with exit 130 on an interrupt, and quietly when nobody reads any more. `expired` comes when a lease that nobody renews may \
be taken over; should its holder renew it late after all, `acquired` comes again with the same token."
)]
pub struct Args {
    /// The key
    key: String,
}

#[derive(Serialize)]
struct Present<'a> {
    event: &'static str,
    key: &'a str,
    held: bool,
    token: u64,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<Holder<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    key: &'a str,
    token: u64,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// Runs the command.
///
/// # Errors
/// When the store cannot be read any more.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    let key = context.key(&args.key)?;
    let format = context.format()?;
    context.block_on(async {
        let session = context.open(Need::Moment).await?;
        let watching = async {
            match select(pin!(follow(context, &session, &key, format)), pin!(nobody_reads())).await {
                First::Left((ended, _)) => ended,
                First::Right(_) => Ok(()),
            }
        };
        match interrupt::or_signal(watching).await? {
            Either::Done(ended) => ended.map(|()| 0),
            Either::Signal(signal) => Ok(interrupt::exit_code(signal)),
        }
    })
}

async fn follow(context: &Context, session: &Session, key: &Key, format: Format) -> Result<()> {
    let mut events = session.client.service().watch(key);
    while let Some(watched) = events.next().await {
        let line = match (format, &watched?) {
            (Format::Text, Watched::Present(known)) => present(context, known),
            (Format::Text, Watched::Event(event)) => told(context, event),
            (format, Watched::Present(known)) => document(format, &present_body(known))?,
            (format, Watched::Event(event)) => document(format, &body(key, event))?,
        };
        if !output::settle(output::write(line))? {
            return Ok(());
        }
    }
    Ok(())
}

/// Returns when standard output is a pipe and nobody has its other end.
async fn nobody_reads() {
    // Files and such cannot be waited for; there the next write tells.
    let own = std::io::stdout().as_fd().try_clone_to_owned();
    if let Ok(out) = own.and_then(pipe::Sender::from_owned_fd_unchecked)
        && out.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// One line of JSON, or one YAML document.
fn document(format: Format, body: &impl Serialize) -> Result<String> {
    let text = output::document(format, body)?;
    Ok(if format == Format::Yaml { format!("---\n{text}") } else { text })
}

fn present_body(known: &Description) -> Present<'_> {
    Present {
        event: "present",
        key: known.key.name(),
        held: known.held.is_some(),
        token: known.token.0,
        version: known.version.0,
        holder: known.held.as_ref().map(Holder::from),
    }
}

fn body<'a>(key: &'a Key, event: &'a Event) -> Line<'a> {
    Line {
        event: event.kind.name(),
        key: key.name(),
        token: event.token.0,
        version: event.version.0,
        at: event.at.map(text::rfc3339),
        owner: event.owner.as_ref().map(Owner::as_str),
        by: event.by.as_ref().map(Owner::as_str),
        reason: event.reason.as_ref().map(Reason::as_str),
    }
}

fn present(context: &Context, known: &Description) -> String {
    let now = context.clock.wall();
    let holder = match &known.held {
        Some(busy) if busy.frees_in.is_zero() => format!("held, not renewed in time, by {}", text::holder(busy, now)),
        Some(busy) => format!("held by {}", text::holder(busy, now)),
        None => "free".to_owned(),
    };
    format!("{} {:<8} token {}, version {}, {holder}\n", text::moment(now), "present", known.token, known.version)
}

fn told(context: &Context, event: &Event) -> String {
    // What nobody wrote was noticed now.
    let at = text::moment(event.at.unwrap_or_else(|| context.clock.wall()));
    let mut line = format!("{at} {:<8} token {}, version {}", event.kind.name(), event.token, event.version);
    // Writing to a String does not fail.
    let _ok = event.owner.as_ref().map(|owner| write!(line, ", {}", text::shown(owner.as_str())));
    let _ok = event.by.as_ref().map(|by| write!(line, ", by {}", text::shown(by.as_str())));
    let _ok = event.reason.as_ref().map(|reason| write!(line, ": {}", text::shown(reason.as_str())));
    line + "\n"
}
