//! What is left when the command is over: the release, the exit code and a word about what went wrong.

use lockd::client::Lease;
use lockd::error::{Error, ErrorKind};
use lockd::service::Released;

use super::super::context::Context;
use super::super::output;
use super::super::process::program::NotRunnable;
use super::super::process::stuck_message;
use super::super::process::wire::{Cause, Leftover, Status};
use super::plan::Plan;
use super::run::{End, Over};

/// Exit code when the lease was lost and the command ended.
const LOST: u8 = ErrorKind::LeaseExpired.exit_code();
/// Exit code when it was broken by an operator.
const BROKEN: u8 = ErrorKind::LeaseBroken.exit_code();
/// Exit code when the longest run time was over, as `timeout(1)` has it.
const TIMEOUT: u8 = 124;

/// The end of exec.
#[derive(Debug, PartialEq, Eq)]
pub struct Done {
    /// The exit code.
    pub code: u8,
    /// Whether the terminal interrupted the command: then the job as a whole is interrupted.
    pub interrupted: bool,
}

impl Done {
    const fn with(code: u8) -> Self {
        Self { code, interrupted: false }
    }

    /// A signal ended the wait.
    pub fn interrupted_wait(signal: i32) -> Self {
        Self::with(Status::Signal(signal).exit_code())
    }
}

/// Another holds the key. Who asked to skip then wants to hear nothing of it, which cron would mail.
pub fn busy(context: &Context, plan: &Plan, e: &Error) -> Done {
    let now = context.clock.wall();
    if plan.skip {
        context.voice.detail(&format!("skipped: {}", output::message(e, now)));
        return Done::with(0);
    }
    context.voice.error(e, plan.busy_code, now);
    Done::with(plan.busy_code)
}

/// Releases what may be released, and says what went wrong.
pub async fn settle(context: &Context, plan: &Plan, over: Over, lease: Lease) -> Done {
    let (code, message) = verdict(plan, &over);
    if let Some(message) = message {
        context.voice.warn(&message);
    }
    if let Some(left) = stuck(&over.end) {
        // Its renewal ends here, and it runs out by itself: somebody may still be working under it.
        context.voice.warn(&stuck_message(left));
        lease.detach();
    } else {
        release(context, plan, lease, lost_lease(&over)).await;
    }
    Done { code, interrupted: over.interrupted }
}

fn stuck(end: &End) -> Option<&[Leftover]> {
    match end {
        End::Stuck(_, left) => Some(left),
        End::GuardDead(orphans) if !orphans.left.is_empty() => Some(&orphans.left),
        _ => None,
    }
}

/// Gives the lease back. That this failed does not hide how the command ended.
async fn release(context: &Context, plan: &Plan, lease: Lease, lost: bool) {
    let key = &plan.key;
    match lease.release().await {
        Ok(Released::Released { .. }) => {}
        // It was said already that it is lost.
        Ok(_) | Err(_) if lost => {}
        Ok(Released::AlreadyGone { .. } | Released::Fenced) => {
            context.voice.warn(&format!(
                "the lease of {key} was over before it was given back; `lockd status {key}` tells more"
            ));
        }
        Err(e) => context.voice.warn(&format!("{key} is not released and runs out by itself: {e}")),
    }
}

fn lost_lease(over: &Over) -> bool {
    matches!(over.end, End::Gone(Cause::Lost | Cause::Deadline) | End::TooLate) || over.asked == Some(Cause::Lost)
}

/// The exit code, and what to say about it.
fn verdict(plan: &Plan, over: &Over) -> (u8, Option<String>) {
    let own = over.status.map_or(ErrorKind::Internal.exit_code(), Status::exit_code);
    let cause = match &over.end {
        End::Gone(cause) | End::Stuck(cause, _) => *cause,
        End::NotStarted(errno) => return not_started(plan, *errno),
        End::TooLate => return lost(plan, over, "nothing ran"),
        End::GuardDead(_) => match over.asked {
            Some(cause) => cause,
            None => {
                let killed = Status::Signal(libc::SIGKILL).exit_code();
                let message = "the guard process was killed; the command and what it started were ended";
                return (over.status.map_or(killed, Status::exit_code), Some(message.to_owned()));
            }
        },
    };
    match cause {
        Cause::Exit => (own, None),
        Cause::Lost | Cause::Deadline => lost(plan, over, "the command was ended"),
        Cause::Timeout => {
            let most = plan.max_runtime.unwrap_or_default();
            (TIMEOUT, Some(format!("{} ran longer than {most:?} and was ended", plan.shown_command())))
        }
        Cause::Orphaned => (own, Some("the guard took exec for dead; the command was ended".to_owned())),
    }
}

fn lost(plan: &Plan, over: &Over, what: &str) -> (u8, Option<String>) {
    match &over.lost {
        Some(why) if why.kind() == ErrorKind::LeaseBroken => (BROKEN, Some(format!("{why}; {what}"))),
        Some(why) => (LOST, Some(format!("{why}; {what}"))),
        None => (LOST, Some(format!("the lease of {} could not be renewed in time; {what}", plan.key))),
    }
}

fn not_started(plan: &Plan, errno: i32) -> (u8, Option<String>) {
    let why = std::io::Error::from_raw_os_error(errno);
    let message = format!("cannot run {}: {why}", plan.shown_command());
    (NotRunnable::from_errno(errno).exit_code(), Some(message))
}
