//! `lockd break`: free a key by force.

use std::io::{BufRead, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lockd::error::Result;
use lockd::model::{Holder, Key, LeaseId, Reason};
use lockd::service::{BreakRequest, Broke, Busy};
use serde::Serialize;

use super::context::{Context, Session, usage};
use super::interrupt::{self, Either};
use super::output::{self, Format};
use super::target::Need;
use super::{duration, identity, text};

/// Exit code for "there was nothing to break", and for an answer that is not yes.
const NOTHING: u8 = 1;
/// How often the progress of a drain moves.
const TICK: Duration = Duration::from_millis(250);

/// Free a key by force: its holder can write nothing any more
#[derive(clap::Args)]
#[command(
    name = "break",
    long_about = "End the lease of a key by force. The fencing token moves on, and the old holder can write nothing any more. Who broke it, \
when and why is recorded; `lockd status` and the old holder's next error (exit 84) say so.

  lockd break backup/db --reason 'pg_dump hangs since noon'
  lockd break backup/db --reason 'host is gone' --yes --drain
  lockd break backup/db --reason test --dry-run

The old holder's command is ended when its next renewal is refused, and until then it may run beside the next one: for up to \
a third of the TTL and its grace, or up to the TTL when its host does not answer. --drain waits until by its own rules it can \
run no more. Who has left `lockd exec` and works on without a lease cannot be waited for.

It asks on a terminal; elsewhere it needs --yes. Exits 1 when there is nothing to break or the answer is not yes, and 82 when \
another lease stands than the one named."
)]
pub struct Args {
    /// The key
    key: String,
    /// Why, for people: at most 1,024 bytes; it is recorded
    #[arg(long, value_name = "TEXT", required = true, help_heading = "Break")]
    reason: String,
    /// Break this lease only; `lockd status` shows its id
    #[arg(long, value_name = "ID", help_heading = "Break")]
    lease_id: Option<String>,
    /// Wait until the old holder's command can no longer run
    #[arg(long, help_heading = "Break")]
    drain: bool,
    /// Do not ask
    #[arg(short, long, help_heading = "Break")]
    yes: bool,
    /// Say what would happen and do nothing
    #[arg(long, help_heading = "Break")]
    dry_run: bool,
}

#[derive(Default, Serialize)]
struct Body<'a> {
    key: &'a str,
    broken: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fencing_token: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// How long the old holder's command may still run.
    #[serde(skip_serializing_if = "Option::is_none")]
    over_in_ms: Option<u64>,
}

/// Runs the command.
///
/// # Errors
/// Why it was not broken.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    let key = context.key(&args.key)?;
    let format = context.format()?;
    let reason = Reason::new(&args.reason).map_err(|e| e.context("--reason"))?;
    let named = args.lease_id.as_deref().map(LeaseId::new).transpose().map_err(|e| e.context("--lease-id"))?;
    // The break outlives this process: whose it is matters, not its number.
    let by = context.owner(None, &Holder { pid: None, ..identity::caller() })?;
    let asks = !args.yes && !args.dry_run;
    if asks && !(std::io::stdin().is_terminal() && context.is_watched()) {
        return Err(
            usage("break", "there is no terminal to ask on").with_hint("give --yes, or --dry-run to look first")
        );
    }
    let request = BreakRequest { key: key.clone(), lease_id: named, by, reason };
    context.block_on(async {
        let session = context.open(Need::Moment).await?;
        let result = with(context, &session, args, format, request, asks).await;
        session.client.service().close().await;
        result
    })
}

async fn with(
    context: &Context,
    session: &Session,
    args: &Args,
    format: Format,
    mut request: BreakRequest,
    asks: bool,
) -> Result<u8> {
    let key = request.key.clone();
    let service = session.client.service();
    if asks || args.dry_run {
        let known = service.describe(&key).await?;
        let other = request.lease_id.as_ref().zip(known.held.as_ref()).is_some_and(|(id, busy)| *id != busy.lease_id);
        match known.held {
            // That another lease stands is for the service to say, which also knows whether the named one was broken before.
            _ if other && !args.dry_run => {}
            Some(busy) if other => return Ok(mismatch(context, &key, &busy)),
            None if request.lease_id.is_none() || args.dry_run => return nothing(context, format, &key),
            None => {}
            Some(busy) if args.dry_run => return would_break(context, format, &key, &busy),
            Some(busy) => {
                if !confirmed(context, &key, &busy)? {
                    context.voice.note("nothing was broken");
                    return Ok(NOTHING);
                }
                // The answer was about this lease.
                request.lease_id = Some(busy.lease_id);
            }
        }
    }
    match service.break_lease(request).await? {
        Broke::Free => nothing(context, format, &key),
        Broke::Broken { lease_id, token, owner, over_in } => {
            let body = Body {
                key: key.name(),
                broken: true,
                lease_id: Some(lease_id.to_string()),
                fencing_token: Some(token.0),
                owner: Some(owner.to_string()),
                over_in_ms: Some(u64::try_from(over_in.as_millis()).unwrap_or(u64::MAX)),
                ..Body::default()
            };
            print(format, &body)?;
            let holder = text::shown(owner.as_str());
            if args.drain {
                return drain(context, &key, &holder, over_in).await;
            }
            if !over_in.is_zero() {
                let message =
                    format!("{key} is free; what {holder} started may run for up to {}", duration::human(over_in));
                context.voice.note(&message);
            }
            Ok(0)
        }
    }
}

fn print(format: Format, body: &Body<'_>) -> Result<()> {
    if format == Format::Text { Ok(()) } else { output::print(output::document(format, body)?) }
}

fn nothing(context: &Context, format: Format, key: &Key) -> Result<u8> {
    context.voice.note(&format!("nothing to break: {key} is free"));
    print(format, &Body { key: key.name(), ..Body::default() })?;
    Ok(NOTHING)
}

fn mismatch(context: &Context, key: &Key, busy: &Busy) -> u8 {
    let holder = text::holder(busy, context.clock.wall());
    context.voice.note(&format!("it would break nothing: {key} is held by {holder}, lease {}", busy.lease_id));
    lockd::error::ErrorKind::LeaseMismatch.exit_code()
}

fn would_break(context: &Context, format: Format, key: &Key, busy: &Busy) -> Result<u8> {
    context.voice.note(&format!("it would break the lease of {}", about(context, key, busy)));
    let body = Body {
        key: key.name(),
        dry_run: true,
        lease_id: Some(busy.lease_id.to_string()),
        fencing_token: Some(busy.token.0),
        owner: Some(busy.owner.to_string()),
        over_in_ms: Some(u64::try_from(busy.frees_in.as_millis()).unwrap_or(u64::MAX)),
        ..Body::default()
    };
    print(format, &body)?;
    Ok(0)
}

/// Who would lose what.
fn about(context: &Context, key: &Key, busy: &Busy) -> String {
    let holder = text::holder(busy, context.clock.wall());
    match busy.frees_in.is_zero() {
        true => format!("{key}, held by {holder}; it was not renewed in time"),
        false => {
            format!("{key}, held by {holder}; what it runs may go on for up to {}", duration::human(busy.frees_in))
        }
    }
}

/// Asks on the terminal; anything but yes is no.
fn confirmed(context: &Context, key: &Key, busy: &Busy) -> Result<bool> {
    let question = format!("lockd: break the lease of {}? [y/N] ", about(context, key, busy));
    let failed = |e: &std::io::Error| lockd::error::Error::io("ask on the terminal", e);
    let mut screen = std::io::stderr().lock();
    screen.write_all(question.as_bytes()).and_then(|()| screen.flush()).map_err(|e| failed(&e))?;
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer).map_err(|e| failed(&e))?;
    if read == 0 {
        // The terminal was closed in the middle of a line.
        let _unread = screen.write_all(b"\n");
    }
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES"))
}

/// Waits until the old holder has stopped by its own rules. The break stands whatever ends the wait.
async fn drain(context: &Context, key: &Key, holder: &str, over_in: Duration) -> Result<u8> {
    let clock = &*context.clock;
    let (start, end) = (clock.boot(), clock.boot() + over_in);
    let shown = context.is_watched() && !context.voice.quiet && !context.voice.json;
    if !shown && !over_in.is_zero() {
        context
            .voice
            .note(&format!("waiting {} until what {holder} started must have ended", duration::human(over_in)));
    }
    let wait = async {
        let bar = shown.then(|| bar(over_in, holder));
        while clock.boot() < end {
            clock.sleep_until(end.min(clock.boot() + TICK)).await;
            if let Some(bar) = &bar {
                let left = end.since(clock.boot()).as_millis().div_ceil(1_000);
                let left = Duration::from_secs(u64::try_from(left).unwrap_or(u64::MAX));
                bar.set_prefix(duration::human(left));
                bar.set_position(u64::try_from(clock.boot().since(start).as_millis()).unwrap_or(u64::MAX));
            }
        }
        bar.inspect(ProgressBar::finish_and_clear);
    };
    match interrupt::or_signal(wait).await? {
        Either::Done(()) => Ok(0),
        Either::Signal(signal) => {
            context.voice.note(&format!("{key} is broken, but what {holder} started may still run"));
            Ok(interrupt::exit_code(signal))
        }
    }
}

fn bar(over_in: Duration, holder: &str) -> ProgressBar {
    let total = u64::try_from(over_in.as_millis()).unwrap_or(u64::MAX);
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    let bar = match ProgressStyle::with_template("{wide_bar} {prefix} left for {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    let shown: String = holder.chars().take(32).collect();
    bar.with_message(shown)
}
