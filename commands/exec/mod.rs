//! `lockd exec`: run a command while holding a lease.
//!
//! - [`plan`]: what was asked for, checked before anything is done. [`session`]: from the wait for the lease to the exit code.
//! - [`run`]: the command under the lease. [`ending`]: exit code and release.

mod ending;
mod plan;
mod run;
mod session;

use std::ffi::OsString;
use std::io;

use lockd::error::{Error, ErrorKind, Result};
use lockd::limits::RELEASE_TRY;
use tokio::runtime::{Builder, Runtime};

use super::acquire::Asking;
use super::context::Context;
use super::patience::Patience;
use super::process::guard;
use super::process::program::NotRunnable;
use super::process::sys;
use super::target::Need;
use plan::Plan;

/// Run a command while holding a lease
#[derive(clap::Args)]
#[command(
    long_about = "Run a command while holding the lease of a key. The lease is renewed while the command runs, and given back when nothing
of it is left. Should the lease be lost, the command is ended before anybody else can have it.

  lockd exec backup/db -- pg_dump mydb
  lockd exec -n nightly --max-runtime 2h -- ./nightly.sh
  lockd exec -w 10m deploy/web --reason 'release 7' -- make deploy

The exit code is the command's own, or 128 and the number of the signal that ended it; 75 when the key stays busy, 80 when the
lease was lost, 84 when it was broken, 124 after --max-runtime, 126 and 127 when the command cannot be run."
)]
pub struct Args {
    /// The key to hold
    key: String,
    #[command(flatten)]
    patience: Patience,
    /// What to do when somebody else holds the key: wait, fail (as --no-wait) or skip (exit 0, nothing ran) [default: wait]
    #[arg(long, value_name = "WHAT", help_heading = "Waiting")]
    if_busy: Option<String>,
    #[command(flatten)]
    asking: Asking,
    /// Record the whole command line for others to see, not only its first word
    #[arg(long, help_heading = "Lease")]
    record_command: bool,
    /// Time between TERM and KILL when the command must end [default: 5s or a quarter of the TTL, the smaller]
    #[arg(long, value_name = "DUR", help_heading = "Command")]
    kill_grace: Option<String>,
    /// End the command after so long, with exit code 124
    #[arg(long, value_name = "DUR", help_heading = "Command")]
    max_runtime: Option<String>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs the command under the lease. Must be called before the process has a second thread: it forks.
///
/// # Errors
/// What was wrong before the command ran. With the command run, the exit code tells.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    let plan = Plan::new(context, args)?;
    let program = match plan.find_program() {
        Ok(program) => program,
        Err(why) => return Ok(not_runnable(context, &plan, why)),
    };
    let command = guard::Command { program, env: plan.environment() };
    let forked = guard::fork(command, || release_in_guard(context, &plan)).map_err(|e| fault("start the guard", &e))?;
    let runtime = runtime()?;
    let done = runtime.block_on(session::session(context, &plan, forked));
    // A request to a store that does not answer must not keep the exit waiting.
    runtime.shutdown_background();
    let done = done?;
    if done.interrupted {
        // As if the terminal had interrupted all of the job: a shell that runs a script goes on otherwise.
        sys::default_action(libc::SIGINT);
        let _refused = rustix::process::kill_current_process_group(rustix::process::Signal::INT);
    }
    Ok(done.code)
}

/// In the guard, when exec is dead and the work is gone.
fn release_in_guard(context: &Context, plan: &Plan) {
    let released = runtime().and_then(|runtime| {
        let done = runtime.block_on(abandon(context, plan));
        runtime.shutdown_background();
        done
    });
    if let Err(e) = released {
        context.voice.warn(&format!("exec was killed and its command ended, but {} is not released: {e}", plan.key));
    }
}

async fn abandon(context: &Context, plan: &Plan) -> Result<()> {
    let clock = &*context.clock;
    let unanswered = || Error::new(ErrorKind::Unavailable, "no answer in time").with_hint("it runs out by itself");
    let opened = clock.timeout_at(clock.boot() + RELEASE_TRY, context.open(Need::Lease)).await;
    let client = opened.ok_or_else(unanswered)??.client;
    client.abandon(&plan.key, &plan.lease_id).await.map(drop).ok_or_else(unanswered)
}

fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().map_err(|e| fault("start the runtime", &e))
}

fn fault(what: &str, e: &io::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot {what}: {e}"))
        .with_hint("see the limits on processes and open files")
}

fn not_runnable(context: &Context, plan: &Plan, why: NotRunnable) -> u8 {
    let reason = match why {
        NotRunnable::NotFound => "not found",
        NotRunnable::NotExecutable => "it may not be executed, or is a directory",
    };
    context.voice.warn(&format!("cannot run {}: {reason}", plan.shown_command()));
    why.exit_code()
}
