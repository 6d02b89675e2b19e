//! `lockd fence`: the receiver's half of fencing.

mod lock;

use std::ffi::OsString;

use lockd::error::{Error, ErrorKind, Result};
use lockd::model::{FencingToken, Key};
use lockd::service::{Fence, FenceRequest};
use serde::Serialize;

use super::context::{Context, Session, usage};
use super::output::{self, Format};
use super::patience::Patience;
use super::process::program::{NotRunnable, Program, environment};
use super::process::sys;
use super::target::Need;
use super::text;

/// Exit code for "it is stale".
const STALE: u8 = 1;

/// Admit or refuse effects by their fencing tokens: for whoever receives them
#[derive(clap::Args)]
#[command(
    long_about = "The receiver's half of fencing. A holder passes its fencing token with every effect; whoever applies the effect admits \
it here first. Each RESOURCE has a mark, the highest token admitted; a lower one is refused, since its lease was lost.

  lockd fence admit db1/volume --token 42 -- mount-volume
  lockd fence check db1/volume --token 42

`admit` raises the mark, `check` only looks."
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Admit(AdmitArgs),
    Check(CheckArgs),
}

/// Admit an effect, and run it under a lock on the resource
#[derive(clap::Args)]
#[command(
    long_about = "Admit an effect: exit 0 when its token is not lower than the highest admitted to RESOURCE, which it becomes then, in one \
atomic step; 81 when it is stale.

  lockd fence admit db1/volume --token \"$TOKEN\" -- mount-volume
  lockd fence admit db1/volume --token 42 --key deploy/db
  lockd fence admit db1/volume --token 42 && echo admitted

An effect is fenced only when it happens in the same step: behind -- it runs under a lock on the resource that this user's \
other effects on this host wait for, also those of later tokens, until it and what it left running have ended. lockd becomes \
that command, so that its signals and its exit code are its own. An effect after a bare `admit` may come late.

Resources have names of their own: RESOURCE and a key of the same name have nothing to do with each other."
)]
struct AdmitArgs {
    #[command(flatten)]
    question: Question,
    /// Do not wait while another effect on the resource is under way: exit 75
    #[arg(short, long, conflicts_with = "wait", requires = "command", help_heading = "Waiting")]
    no_wait: bool,
    /// Wait for it at most so long, 0 is not at all [default: for ever]
    #[arg(short, long, value_name = "DUR", requires = "command", help_heading = "Waiting")]
    wait: Option<String>,
    /// Exit with this code instead of 75 (0 to 255)
    #[arg(short = 'E', long, value_name = "N", requires = "command", help_heading = "Waiting")]
    conflict_exit_code: Option<String>,
    /// The effect: a command and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Tell whether an effect would be admitted
#[derive(clap::Args)]
#[command(
    long_about = "Tell whether an effect would be admitted, and move nothing: exit 0 when its token is not lower than the highest admitted \
to RESOURCE, 1 when it is stale. By the time that it happens this may have changed; `admit` decides.

  lockd fence check db1/volume --token 42
  lockd fence check --json db1/volume --token 42 | jq .mark"
)]
struct CheckArgs {
    #[command(flatten)]
    question: Question,
}

#[derive(clap::Args)]
struct Question {
    /// What the effect changes
    resource: String,
    /// The token that came with it
    #[arg(long, value_name = "N", required = true, help_heading = "Fence")]
    token: String,
    /// Also refuse it when this key has given out a higher token, though no effect with that one has come yet
    #[arg(long, value_name = "KEY", help_heading = "Fence")]
    key: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    resource: &'a str,
    token: u64,
    stale: bool,
    /// The highest token admitted; zero when none was.
    mark: u64,
    /// The highest token of the key that was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_token: Option<u64>,
}

/// Runs the command.
///
/// # Errors
/// Why it was not admitted.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    match &args.command {
        Command::Admit(args) => admit(context, args),
        Command::Check(args) => check(context, args),
    }
}

impl Question {
    fn request(&self, context: &Context) -> Result<FenceRequest> {
        let digits = !self.token.is_empty() && self.token.bytes().all(|b| b.is_ascii_digit());
        let token = digits.then(|| self.token.parse().ok()).flatten().map(FencingToken);
        let wrong = || usage("--token", &format!("{:?} is no fencing token, which is a number", self.token));
        Ok(FenceRequest {
            resource: context.key(&self.resource).map_err(|e| e.context("RESOURCE"))?,
            token: token.ok_or_else(wrong)?,
            key: self.key.as_deref().map(|name| context.key(name)).transpose()?,
        })
    }
}

fn check(context: &Context, args: &CheckArgs) -> Result<u8> {
    let request = args.question.request(context)?;
    let format = context.format()?;
    let fence = context.block_on(async {
        let session = context.open(Need::Moment).await?;
        let result = session.client.service().fence_check(request.clone()).await;
        session.client.service().close().await;
        result
    })?;
    print(format, &request.resource, request.token, fence)?;
    Ok(if fence.is_stale(request.token) { STALE } else { 0 })
}

fn admit(context: &Context, args: &AdmitArgs) -> Result<u8> {
    let request = args.question.request(context)?;
    let format = context.format()?;
    let patience = Patience {
        no_wait: args.no_wait,
        wait: args.wait.clone(),
        conflict_exit_code: args.conflict_exit_code.clone(),
    };
    let (wait, busy_exit) = (patience.limit()?, patience.busy_exit()?);
    let program = match args.command.is_empty() {
        true => None,
        false => match Program::find(&args.command, std::env::var_os("PATH").as_deref()) {
            Ok(program) => Some(program),
            Err(why) => return Ok(not_runnable(context, &args.command, why, "not found, or it may not be executed")),
        },
    };
    let admitted = context.block_on(async {
        let session = context.open(Need::Moment).await?;
        let result = admitted(context, &session, &request, program.is_some().then_some(wait)).await;
        session.client.service().close().await;
        result
    });
    let (fence, lock) = match (admitted, busy_exit) {
        (Err(error), Some(exit)) if error.kind() == ErrorKind::Busy => {
            context.voice.error(&error, exit, context.clock.wall());
            return Ok(exit);
        }
        (admitted, _) => admitted?,
    };
    let (Some(program), Some(lock)) = (program, lock) else {
        print(format, &request.resource, request.token, fence)?;
        return Ok(0);
    };
    lock.leave_to_command()?;
    sys::restore_caller();
    let errno = program.become_it(&environment(std::env::vars_os(), &[]));
    let why = std::io::Error::from_raw_os_error(errno).to_string();
    Ok(not_runnable(context, &args.command, NotRunnable::from_errno(errno), &why))
}

/// Takes the lock, where a command will run under it, and only then looks at the mark: no older effect can come between.
async fn admitted(
    context: &Context,
    session: &Session,
    request: &FenceRequest,
    wait: Option<Option<std::time::Duration>>,
) -> Result<(Fence, Option<lock::Lock>)> {
    let lock = match wait {
        None => None,
        Some(wait) => Some(lock::take(context, &request.resource, wait).await?),
    };
    Ok((session.client.service().fence_admit(request.clone()).await?, lock))
}

fn print(format: Format, resource: &Key, token: FencingToken, fence: Fence) -> Result<()> {
    if format == Format::Text {
        return Ok(());
    }
    let body = Body {
        resource: resource.name(),
        token: token.0,
        stale: fence.is_stale(token),
        mark: fence.mark.0,
        key_token: fence.key.map(|key| key.0),
    };
    output::print(output::document(format, &body)?)
}

fn not_runnable(context: &Context, command: &[OsString], why: NotRunnable, reason: &str) -> u8 {
    let name = command.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    context.voice.warn(&format!("cannot run {}: {reason}", text::shown(&name)));
    why.exit_code()
}

/// The lock cannot be taken because of this.
fn unlockable(what: &str, e: &std::io::Error) -> Error {
    Error::io(format_args!("lock the resource: {what}"), e)
        .with_hint("XDG_RUNTIME_DIR may name a private directory on a local disk")
}
