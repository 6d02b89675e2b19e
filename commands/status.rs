//! `lockd status`: who holds a key, and what is known of it.

use std::fmt::Write as _;

use lockd::error::Result;
use lockd::model::{Ended, Owner, Reason, StateEtag};
use lockd::service::Description;
use lockd::store::Facts;
use serde::Serialize;

use super::context::Context;
use super::output::{self, Format, Holder};
use super::target::Need;
use super::{duration, text};

/// Who holds a key, and what is known of it
#[derive(clap::Args)]
#[command(
    long_about = "Tell who holds a key, since when and what for, when it frees itself, the version and size of its state, and how the \
last leases ended.

  lockd status backup/db
  lockd status --check backup/db && echo held
  lockd status --json backup/db | jq .holder.owner"
)]
pub struct Args {
    /// The key
    key: String,
    /// Print nothing; exit 0 when the key is held, 1 when it is free
    #[arg(long, help_heading = "Question")]
    check: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    key: &'a str,
    namespace: &'a str,
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
    ended: Vec<EndedBody<'a>>,
    store: StoreBody<'a>,
}

#[derive(Serialize)]
struct EndedBody<'a> {
    token: u64,
    how: lockd::model::How,
    owner: &'a str,
    at: String,
    version: u64,
    discarded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct StoreBody<'a> {
    url: &'a str,
    about: &'a str,
}

/// Runs the command.
///
/// # Errors
/// When the store cannot be read.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    let key = context.key(&args.key)?;
    let format = context.format()?;
    let (known, facts) = context.block_on(async {
        let session = context.open(Need::Moment).await?;
        let result = session.client.service().describe(&key).await;
        session.client.service().close().await;
        Ok((result?, session.facts))
    })?;
    if args.check {
        return Ok(u8::from(known.held.is_none()));
    }
    output::print(match format {
        Format::Text => for_people(context, &known, &facts),
        format => output::document(format, &body(&known, &facts))?,
    })?;
    Ok(0)
}

fn body<'a>(known: &'a Description, facts: &'a Facts) -> Body<'a> {
    Body {
        key: known.key.name(),
        namespace: known.key.namespace().as_str(),
        held: known.held.is_some(),
        holder: known.held.as_ref().map(Holder::from),
        fencing_token: known.token.0,
        version: known.version.0,
        etag: known.etag.as_ref().map(StateEtag::as_str),
        state_bytes: known.bytes,
        updated: known.updated.map(text::rfc3339),
        waiters: known.waiters,
        ended: known.ended.iter().map(ended_body).collect(),
        store: StoreBody { url: &facts.url, about: &facts.about },
    }
}

fn ended_body(ended: &Ended) -> EndedBody<'_> {
    EndedBody {
        token: ended.token.0,
        how: ended.how,
        owner: ended.owner.as_str(),
        at: text::rfc3339(ended.at),
        version: ended.version.0,
        discarded: ended.discarded,
        by: ended.by.as_ref().map(Owner::as_str),
        reason: ended.reason.as_ref().map(Reason::as_str),
    }
}

fn for_people(context: &Context, known: &Description, facts: &Facts) -> String {
    let mut page = Page::default();
    let now = context.clock.wall();
    page.line(known.key.name(), if known.held.is_some() { "held" } else { "free" });
    if let Some(busy) = &known.held {
        let holder = &busy.holder;
        let from = [
            holder.host.clone(),
            holder.pid.map(|pid| format!("pid {pid}")),
            holder.user.as_ref().map(|user| format!("user {user}")),
            holder.command.as_ref().map(|command| format!("command {command}")),
        ];
        page.line("  owner", busy.owner.as_str());
        page.line("  from", &from.into_iter().flatten().collect::<Vec<_>>().join(", "));
        page.line("  reason", busy.reason.as_ref().map_or("", Reason::as_str));
        let held = std::time::Duration::from_millis(now.0.saturating_sub(busy.since.0));
        page.line("  since", &format!("{}, {} ago", text::rfc3339(busy.since), duration::human(held)));
        let frees = match busy.frees_in.as_secs() {
            0 => "now, to whoever asks first: nobody renewed it".to_owned(),
            _ => format!("in {} at most, unless it is renewed", duration::human(busy.frees_in)),
        };
        page.line("  frees", &frees);
    }
    page.line("  token", &known.token.to_string());
    let state = match (&known.etag, known.updated) {
        (Some(etag), Some(at)) => {
            format!("version {}, {} bytes, written {}, etag {etag}", known.version, known.bytes, text::rfc3339(at))
        }
        _ => format!("none, version {}", known.version),
    };
    page.line("  state", &state);
    page.line("  waiting", &known.waiters.map_or_else(|| "only a server knows".to_owned(), |n| n.to_string()));
    for ended in &known.ended {
        page.line("  ended", &past(ended));
    }
    page.line("  store", &format!("{} ({})", facts.url, facts.about));
    page.0
}

fn past(ended: &Ended) -> String {
    let how = format!("{:?}", ended.how).chars().fold(String::new(), |mut words, c| {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
        words
    });
    let mut line = format!("{} {how}, token {}, {}", text::rfc3339(ended.at), ended.token, ended.owner);
    // Writing to a String does not fail.
    let _ok = ended.by.as_ref().map(|by| write!(line, ", by {by}"));
    let _ok = ended.reason.as_ref().map(|reason| write!(line, ": {reason}"));
    line
}

/// Lines of a name and a value; empty values are left out.
#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            let _ok = writeln!(self.0, "{:<10} {}", text::shown(name), text::shown(value));
        }
    }
}
