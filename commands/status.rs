//! `lockd status`: who holds a key, and what is known of it.

use std::time::Duration;

use lockd::clock::UnixMillis;
use lockd::error::Result;
use lockd::model::{Ended, How, Owner, Reason, StateEtag};
use lockd::service::{Busy, Description};
use serde::Serialize;

use super::context::{Context, Session};
use super::output::{self, Format, Holder};
use super::page::{Color, Page};
use super::target::{Kind, Need};
use super::{duration, table, text};

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
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<StoreBody<'a>>,
    /// The servers that were asked, where there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'a str>,
}

#[derive(Serialize)]
struct EndedBody<'a> {
    lease_id: &'a str,
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
    let (known, session) = context.block_on(async {
        let session = context.open(Need::Moment).await?;
        let result = session.client.service().describe(&key).await;
        session.client.service().close().await;
        Ok((result?, session))
    })?;
    if args.check {
        return Ok(u8::from(known.held.is_none()));
    }
    output::print(match format {
        Format::Text => for_people(context, &known, &session),
        format => output::document(format, &body(&known, &session))?,
    })?;
    Ok(0)
}

fn body<'a>(known: &'a Description, session: &'a Session) -> Body<'a> {
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
        store: session.facts.as_ref().map(|facts| StoreBody { url: &facts.url, about: &facts.about }),
        server: (session.place.kind == Kind::Servers).then_some(&session.place.url),
    }
}

fn ended_body(ended: &Ended) -> EndedBody<'_> {
    EndedBody {
        lease_id: ended.id.as_str(),
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

fn for_people(context: &Context, known: &Description, session: &Session) -> String {
    let mut page = Page::new(table::screen(), context.paints());
    let now = context.clock.wall();
    match &known.held {
        Some(busy) if busy.frees_in.is_zero() => {
            page.title(known.key.name(), "held, but not renewed in time: whoever asks first gets it", Color::Yellow);
        }
        Some(_) => page.title(known.key.name(), "held", Color::Yellow),
        None => page.title(known.key.name(), "free", Color::Green),
    }
    if let Some(busy) = &known.held {
        lease(&mut page, busy, now);
    }
    let used = known.token.0 > 0;
    match (&known.etag, known.updated) {
        (Some(etag), Some(at)) => {
            let size = text::size(known.bytes);
            page.line("state", &format!("version {}, {size}, written {}", known.version, when(at, now)));
            page.line("etag", etag.as_str());
        }
        _ if known.version.0 > 0 => page.line("state", &format!("removed at version {}", known.version)),
        _ if used => page.line("state", "none yet"),
        _ => page.line("", "never used"),
    }
    if known.held.is_none() && used {
        page.line("token", &format!("{}; the next one is higher", known.token));
    }
    // Only a server knows.
    page.line("waiting", &known.waiters.map_or_else(String::new, |n| n.to_string()));
    for (i, ended) in known.ended.iter().enumerate() {
        let color = if ended.how == How::Broken { Color::Red } else { Color::Plain };
        page.colored(if i == 0 { "before" } else { "" }, &past(ended), color);
    }
    match &session.facts {
        Some(facts) => page.line("store", &format!("{} ({})", facts.url, facts.about)),
        None => page.line("server", &session.place.url),
    }
    page.finish()
}

fn lease(page: &mut Page, busy: &Busy, now: UnixMillis) {
    let holder = &busy.holder;
    let from = [
        holder.host.clone(),
        holder.pid.map(|pid| format!("pid {pid}")),
        holder.user.as_ref().map(|user| format!("user {user}")),
        holder.command.as_ref().map(|command| format!("command {command}")),
    ];
    page.line("owner", busy.owner.as_str());
    page.line("from", &from.into_iter().flatten().collect::<Vec<_>>().join(", "));
    page.line("reason", busy.reason.as_ref().map_or("", Reason::as_str));
    page.line("since", &when(busy.since, now));
    if !busy.frees_in.is_zero() {
        page.line("frees", &format!("in {} at most, unless it is renewed", duration::human(busy.frees_in)));
    }
    let ttl = duration::human(busy.ttl.duration());
    page.line("lease", &format!("{}, token {}, TTL {ttl}", busy.lease_id, busy.token));
}

/// A time, and how long ago it was.
fn when(at: UnixMillis, now: UnixMillis) -> String {
    match Duration::from_millis(now.0.saturating_sub(at.0)) {
        ago if ago < Duration::from_secs(1) => format!("{}, just now", text::moment(at)),
        ago => format!("{}, {} ago", text::moment(at), duration::human(ago)),
    }
}

fn past(ended: &Ended) -> String {
    let how = match ended.how {
        How::Released => "given back".to_owned(),
        How::RolledBack => "given back and rolled back".to_owned(),
        How::Expired => "expired".to_owned(),
        How::TakenOver => "expired and taken over".to_owned(),
        How::Broken => {
            let by = ended.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
            format!("broken{by}: {}", ended.reason.as_ref().map_or("", Reason::as_str))
        }
    };
    let dropped = if ended.discarded { ", its staged change dropped" } else { "" };
    format!("{} {how}{dropped} ({}, token {})", text::moment(ended.at), ended.owner, ended.token)
}
