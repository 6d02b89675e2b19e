//! `lockd exec`: run a command while holding a lease.
//!
//! - [`plan`]: what was asked for, checked before anything is done. [`notice`]: what is said while waiting.
//! - [`session`]: waiting for the lease. [`run`]: the command under the lease. [`ending`]: exit code and release.

mod ending;
mod notice;
mod plan;
mod run;
mod session;

use std::ffi::OsString;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};
use lockd::client::Client;
use lockd::clock::{Clock, SystemClock};
use lockd::entropy::{Entropy, KernelEntropy};
use lockd::error::{Error, ErrorKind, Result};
use lockd::model::{Key, LeaseId, Namespace, Owner, Ttl};
use lockd::service::LeaseService;
use tokio::runtime::{Builder, Runtime};

use crate::duration;
use crate::process::guard;
use crate::process::program::NotRunnable;
use crate::process::sys;
use plan::Plan;

/// Options of `lockd exec`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The key to hold while the command runs
    pub key: String,

    /// Do not wait for the lease
    #[arg(short, long, conflicts_with = "wait", help_heading = "Waiting")]
    pub no_wait: bool,

    /// Wait at most so long; 0 is not at all [default: for ever]
    #[arg(short, long, value_name = "DUR", value_parser = duration::parse, help_heading = "Waiting")]
    pub wait: Option<Duration>,

    /// What to do when another holds the key; skip: exit 0, nothing ran [default: wait]
    #[arg(long, value_name = "WHAT", help_heading = "Waiting")]
    pub if_busy: Option<IfBusy>,

    /// Exit code instead of 75 when the key is held by another
    #[arg(short = 'E', long, value_name = "N", help_heading = "Waiting")]
    pub conflict_exit_code: Option<u8>,

    /// How long the lease lives without renewal, 2s to 24h; it is renewed every third of that [env: LOCKD_TTL] [default: 30s]
    #[arg(long, value_name = "DUR", help_heading = "Lease")]
    pub ttl: Option<String>,

    /// Who holds it, for people [env: LOCKD_OWNER] [default: user@host:pid]
    #[arg(long, value_name = "TEXT", help_heading = "Lease")]
    pub owner: Option<String>,

    /// What for, for people
    #[arg(long, value_name = "TEXT", help_heading = "Lease")]
    pub reason: Option<String>,

    /// Record the whole command line, not only its first word
    #[arg(long, help_heading = "Lease")]
    pub record_command: bool,

    /// Time between TERM and KILL when the command must end [default: 5s or a quarter of the TTL, the smaller]
    #[arg(long, value_name = "DUR", value_parser = duration::parse, help_heading = "Command")]
    pub kill_grace: Option<Duration>,

    /// End the command after so long, with exit code 124
    #[arg(long, value_name = "DUR", value_parser = duration::parse, help_heading = "Command")]
    pub max_runtime: Option<Duration>,

    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// What to do when another holds the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IfBusy {
    /// Wait for it
    Wait,
    /// Exit 75
    Fail,
    /// Exit 0, nothing ran
    Skip,
}

/// A connection under way.
pub type Connecting = Pin<Box<dyn Future<Output = Result<Arc<dyn LeaseService>>>>>;

/// What exec takes from the settings.
pub struct Setup {
    /// Opens the store or reaches the server. Called inside a runtime: in exec, and in its guard when exec is dead.
    pub connect: Box<dyn Fn() -> Connecting>,
    /// `LOCKD_STORE` or `LOCKD_SERVER`, and its value: the one of the two that the command sees.
    pub target: (&'static str, String),
    /// The namespace of the key.
    pub namespace: Namespace,
    /// Who holds the lease.
    pub owner: Owner,
    /// How long it lives without renewal.
    pub ttl: Ttl,
    /// This host's name.
    pub host: Option<String>,
    /// This user's name.
    pub user: Option<String>,
    /// `LOCKD_ENV_FILE` and `LOCKD_CONFIG` as absolute paths, where they were given.
    pub files: Vec<(&'static str, OsString)>,
    /// Say only what went wrong.
    pub quiet: bool,
}

/// Runs the command under the lease. Must be called before the process has a second thread: it forks.
///
/// # Errors
/// What was wrong before the command ran. With the command run, the exit code tells.
pub fn run(args: &Args, setup: Setup) -> Result<u8> {
    let plan = Plan::new(args, &setup, LeaseId::random(&KernelEntropy))?;
    let program = match plan.find_program() {
        Ok(program) => program,
        Err(why) => return Ok(not_runnable(&plan, why)),
    };
    let command = guard::Command { program, env: plan.environment(&setup) };
    let forked = guard::fork(command, || release_in_guard(&setup, &plan)).map_err(|e| fault("start the guard", &e))?;
    let runtime = runtime()?;
    let done = runtime.block_on(session::session(&setup, &plan, forked));
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
fn release_in_guard(setup: &Setup, plan: &Plan) {
    let released = runtime().and_then(|runtime| {
        let done = runtime.block_on(async { abandon(setup, &plan.key, &plan.lease_id).await });
        runtime.shutdown_background();
        done
    });
    if let Err(e) = released {
        notice::say(&format!("exec was killed and its command ended, but {} is not released: {e}", plan.key));
    }
}

async fn abandon(setup: &Setup, key: &Key, lease_id: &LeaseId) -> Result<()> {
    let until = SystemClock.boot() + lockd::limits::RELEASE_TRY;
    let unanswered = || Error::new(ErrorKind::Unavailable, "no answer in time").with_hint("it runs out by itself");
    let clock: &dyn Clock = &SystemClock;
    let service = clock.timeout_at(until, (setup.connect)()).await.ok_or_else(unanswered)??;
    client(service).abandon(key, lease_id).await.map(drop).ok_or_else(unanswered)
}

fn client(service: Arc<dyn LeaseService>) -> Client {
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(KernelEntropy));
    Client::new(service, clock, entropy)
}

fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().map_err(|e| fault("start the runtime", &e))
}

fn fault(what: &str, e: &io::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot {what}: {e}"))
        .with_hint("see the limits on processes and open files")
}

fn not_runnable(plan: &Plan, why: NotRunnable) -> u8 {
    let reason = match why {
        NotRunnable::NotFound => "not found",
        NotRunnable::NotExecutable => "it may not be executed, or is a directory",
    };
    notice::say(&format!("cannot run {}: {reason}", plan.shown_command()));
    why.exit_code()
}
