//! `lockd exec`: run a command while holding a lease, or several.
//!
//! - [`plan`]: what was asked for, checked before anything is done. [`environment`]: what the command sees of it.
//! - [`session`]: from the wait for the leases to the exit code. [`held`]: several leases as one.
//! - [`run`]: the command under the leases. [`ending`]: new state, release, exit code.
//! - [`state_file`]: the state as a file. [`report`]: what came of it, for programs.

mod ending;
mod environment;
mod held;
mod plan;
mod report;
mod run;
mod session;
mod state_file;

use std::ffi::OsString;
use std::io;

use futures_util::future::join_all;
use lockd::error::{Error, ErrorKind, Result};
use lockd::limits::RELEASE_TRY;
use tokio::runtime::{Builder, Runtime};

use super::acquire::Asking;
use super::context::Context;
use super::patience::Patience;
use super::process::guard::{self, Legacy};
use super::process::program::NotRunnable;
use super::process::sys;
use super::target::Need;
use ending::Done;
use plan::Plan;
use report::{Outcome, Report, Tally};

/// Run a command while holding a lease
#[derive(clap::Args)]
#[command(
    long_about = "Run a command while holding the lease of a key. The lease is renewed while the command runs, and given back when \
nothing of it is left. Should the lease be lost, the command is ended before anybody else can have it.

  lockd exec backup/db -- pg_dump mydb
  lockd exec -n nightly --max-runtime 2h -- ./nightly.sh
  lockd exec -w 10m deploy/web deploy/db --reason 'release 7' -- make deploy
  lockd exec --once-per 1d --if-busy skip report -- ./report.sh
  lockd exec --state-file import -- sh -c './import \"$LOCKD_STATE_FILE\"'

Several keys, at most 16, are taken in one order by everybody, so that nobody waits for ever; the command never runs with a \
part of them, and one lost is all lost. LOCKD_KEY, LOCKD_LEASE_ID and LOCKD_FENCING_TOKEN are of the first one, LOCKD_LEASES \
lists them all.

The exit code is the command's own, or 128 and the number of the signal that ended it; 75 when a key stays busy, 80 when a \
lease was lost, 84 when it was broken, 124 after --max-runtime, 126 and 127 when the command cannot be run, 65 when its state \
file is not one JSON value."
)]
pub struct Args {
    /// The keys to hold
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    patience: Patience,
    /// What to do when somebody else holds a key: wait, fail (as --no-wait) or skip (exit 0, nothing ran) [default: wait]
    #[arg(long, value_name = "WHAT", help_heading = "Waiting")]
    if_busy: Option<String>,
    /// Skip (exit 0, nothing ran) when a run with this option that succeeded began less than 0.9 of DUR ago, by the wall
    /// clock. It saves double work and excludes nothing
    #[arg(long, value_name = "DUR", help_heading = "Waiting")]
    once_per: Option<String>,
    #[command(flatten)]
    asking: Asking,
    /// Go on holding until so long after the grant, also when the command is quick; a signal ends that
    #[arg(long, value_name = "DUR", help_heading = "Lease")]
    min_hold: Option<String>,
    /// Record the whole command line for others to see, not only its first word
    #[arg(long, help_heading = "Lease")]
    record_command: bool,
    /// Time between TERM and KILL when the command must end. Where the deadline of the lease is why, TERM comes so long before
    /// it and KILL 0.5s before it: 0.5s of the grace are lost then, with a TTL of 2s all of it [default: 5s or a quarter of the
    /// TTL, the smaller]
    #[arg(long, value_name = "DUR", help_heading = "Command")]
    kill_grace: Option<String>,
    /// End the command after so long, with exit code 124
    #[arg(long, value_name = "DUR", help_heading = "Command")]
    max_runtime: Option<String>,
    /// LOCKD_STATE_FILE names a private file with the state, missing when there is none. When the command exits 0, what it
    /// left there is the new state: unchanged commits nothing, removed removes, and what is not one JSON value is kept, with
    /// exit code 65. Any other exit commits nothing
    #[arg(long, help_heading = "Command")]
    state_file: bool,
    /// Write what came of it as one JSON object: schema, outcome (ran, busy, skipped, interrupted, lost, broken, timeout,
    /// unknown, error), exit, child_exit, child_signal, waited_ms, held_ms, token, key. What there was none of is null
    #[arg(long, value_name = "FILE|fd:N", help_heading = "Output")]
    report: Option<String>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs the command under the leases. Must be called before the process has a second thread: it forks.
///
/// # Errors
/// What was wrong before the command ran. With the command run, the exit code tells.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    // Before anything of lockd's own is opened: a number may name what the caller left open, and nothing else.
    let report = args.report.as_deref().map(Report::open).transpose()?;
    let mut tally = Tally::default();
    let mut result = under_leases(context, args, report.as_ref(), &mut tally);
    if let Some(report) = report {
        let (exit, outcome) = match &result {
            Ok(done) => (done.code, done.outcome),
            Err(e) => (e.kind().exit_code(), Outcome::of(e.kind())),
        };
        let key = args.keys.first().map_or("", String::as_str);
        if let Err(e) = report.finish(&tally, outcome, exit, key, context.clock.boot()) {
            match &result {
                Ok(Done { code: 0, .. }) => result = Err(e),
                _ => context.voice.warn(&e.to_string()),
            }
        }
    }
    let done = result?;
    if done.interrupted {
        // As if the terminal had interrupted all of the job: a shell that runs a script goes on otherwise.
        sys::default_action(libc::SIGINT);
        let _refused = rustix::process::kill_current_process_group(rustix::process::Signal::INT);
    }
    Ok(done.code)
}

fn under_leases(context: &Context, args: &Args, report: Option<&Report>, tally: &mut Tally) -> Result<Done> {
    let plan = Plan::new(context, args)?;
    let program = match plan.find_program() {
        Ok(program) => program,
        Err(why) => return Ok(not_runnable(context, &plan, why)),
    };
    let command = guard::Command { program, env: plan.variables.early() };
    let settle = |legacy| settle_in_guard(context, &plan, report, legacy);
    let forked = guard::fork(command, settle).map_err(|e| fault("start the guard", &e))?;
    let runtime = runtime()?;
    let done = runtime.block_on(session::session(context, &plan, forked, tally));
    // A request to a store that does not answer must not keep the exit waiting.
    runtime.shutdown_background();
    done
}

/// In the guard, when exec is dead and the work is over.
fn settle_in_guard(context: &Context, plan: &Plan, report: Option<&Report>, legacy: Legacy) {
    report.into_iter().for_each(Report::discard);
    if let Some(path) = plan.state_file.as_deref().filter(|_| !legacy.keep_files) {
        state_file::remove(path);
    }
    if !legacy.release {
        return;
    }
    let released = runtime().and_then(|runtime| {
        let done = runtime.block_on(abandon(context, plan));
        runtime.shutdown_background();
        done
    });
    if let Err(e) = released {
        let keys = plan.shown_keys();
        context.voice.warn(&format!("exec was killed and its command ended, but {keys} is not released: {e}"));
    }
}

async fn abandon(context: &Context, plan: &Plan) -> Result<()> {
    let clock = &*context.clock;
    let unanswered = || Error::new(ErrorKind::Unavailable, "no answer in time").with_hint("it runs out by itself");
    let opened = clock.timeout_at(clock.boot() + RELEASE_TRY, context.open(Need::Lease)).await;
    let client = opened.ok_or_else(unanswered)??.client;
    let answers = join_all(plan.takes.iter().map(|options| client.abandon(&options.key, &options.lease_id))).await;
    if answers.iter().all(Option::is_some) { Ok(()) } else { Err(unanswered()) }
}

fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().map_err(|e| fault("start the runtime", &e))
}

fn fault(what: &str, e: &io::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot {what}: {e}"))
        .with_hint("see the limits on processes and open files")
}

fn not_runnable(context: &Context, plan: &Plan, why: NotRunnable) -> Done {
    let reason = match why {
        NotRunnable::NotFound => "not found",
        NotRunnable::NotExecutable => "it may not be executed, or is a directory",
    };
    context.voice.warn(&format!("cannot run {}: {reason}", plan.shown_command()));
    Done::with(why.exit_code(), Outcome::Error)
}
