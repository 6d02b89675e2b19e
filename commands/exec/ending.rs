//! What is left when the command is over: the new state, the release, the exit code and a word about what went wrong.

use lockd::clock::UnixMillis;
use lockd::error::{Error, ErrorKind, Result};
use lockd::service::Released;

use super::super::context::Context;
use super::super::process::program::NotRunnable;
use super::super::process::stuck_message;
use super::super::process::wire::{Cause, Leftovers, Status, ToGuard};
use super::super::{duration, output, text};
use super::held::Held;
use super::plan::Plan;
use super::report::Outcome;
use super::run::{End, Over};
use super::session::{Disturbed, Scene};
use super::state_file::Before;

/// Exit code when a lease was lost and the command ended.
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
    /// The same in a word.
    pub outcome: Outcome,
    /// Whether the terminal interrupted the command: then the job as a whole is interrupted.
    pub interrupted: bool,
}

impl Done {
    /// An end without a run.
    pub const fn with(code: u8, outcome: Outcome) -> Self {
        Self { code, outcome, interrupted: false }
    }

    /// A signal ended the wait.
    pub fn interrupted_wait(signal: i32) -> Self {
        Self::with(Status::Signal(signal).exit_code(), Outcome::Interrupted)
    }
}

/// Another holds a key. Who asked to skip then wants to hear nothing of it, which cron would mail.
pub fn busy(context: &Context, plan: &Plan, e: &Error) -> Done {
    let now = context.clock.wall();
    if plan.skip {
        context.voice.detail(&format!("skipped: {}", output::message(e, now)));
        return Done::with(0, Outcome::Skipped);
    }
    context.voice.error(e, plan.busy_code, now);
    Done::with(plan.busy_code, Outcome::Busy)
}

/// A run that succeeded began a short time ago: nothing runs, and nobody needs to hear of it.
pub fn done_before(context: &Context, plan: &Plan) -> Done {
    let span = duration::human(plan.once_per.unwrap_or_default());
    context.voice.detail(&format!("skipped: {} was done less than {span} ago", plan.key()));
    Done::with(0, Outcome::Skipped)
}

/// A lease was lost before the command could run.
pub fn lost_before(why: &Error) -> Error {
    let error = Error::new(why.kind(), format!("{}; nothing ran", why.message()));
    if why.kind() == ErrorKind::LeaseBroken { error } else { error.with_kind(ErrorKind::LeaseExpired) }
}

/// Commits, holds and releases what may be, and says what went wrong.
pub async fn settle(scene: &mut Scene<'_>, over: Over, mut held: Held, before: Option<Before>) -> Done {
    let (context, plan) = (scene.context, scene.plan);
    let (mut done, message) = verdict(plan, &over);
    if let Some(message) = message {
        context.voice.warn(&message);
    }
    if let Some(left) = stuck(&over.end) {
        // Their renewal ends here, and they run out by themselves: somebody may still be working under them.
        context.voice.warn(&stuck_message(left));
        held.detach();
        return done;
    }
    let well = |done: &Done| done.outcome == Outcome::Ran && done.code == 0 && over.status == Some(Status::Code(0));
    if let Some(before) = before.filter(|_| well(&done))
        && let Err(e) = commit(scene, &held, &before).await
    {
        done.code = e.kind().exit_code();
        done.outcome = Outcome::of(e.kind());
    }
    if !over.told_to_end && !lost_lease(&over) && over.status.is_some() {
        go_on_holding(scene, &mut held).await;
    }
    let success = plan.once_per.filter(|_| well(&done)).map(|_| over.began);
    release(context, held, success, lost_lease(&over)).await;
    done
}

fn stuck(end: &End) -> Option<&Leftovers> {
    match end {
        End::Stuck(_, left) => Some(left),
        End::GuardDead(orphans) if !orphans.left.is_empty() => Some(&orphans.left),
        _ => None,
    }
}

/// Makes what the command left in its file the state. What is not committed is not thrown away.
async fn commit(scene: &mut Scene<'_>, held: &Held, before: &Before) -> Result<()> {
    let (context, key, service) = (scene.context, scene.plan.key(), scene.client.service());
    let (Some(file), Some(lease)) = (scene.state_file.as_deref_mut(), held.of(key)) else { return Ok(()) };
    let Err(e) = file.commit(&**service, key, &lease.proof(), before, &*context.entropy).await else { return Ok(()) };
    scene.link.say(&ToGuard::KeepFiles);
    file.keep();
    let path = text::shown(&file.path().to_string_lossy());
    let error = Error::new(e.kind(), e.message()).context(format_args!("the new state of {key} is not there"));
    context.voice.error(&error, e.kind().exit_code(), context.clock.wall());
    context
        .voice
        .warn(&format!("what the command wrote is kept in {path}; `lockd update {key} FILE` would make it the state"));
    Err(e)
}

/// Goes on holding the leases of a command that was quick. A signal ends that, and so does the loss of a lease.
async fn go_on_holding(scene: &mut Scene<'_>, held: &mut Held) {
    let clock = &*scene.context.clock;
    let Some(until) = scene.plan.min_hold.zip(scene.tally.granted).map(|(least, granted)| granted + least) else {
        return;
    };
    if clock.boot() >= until {
        return;
    }
    if let Err(Disturbed::Lost(why)) = scene.undisturbed(held, clock.sleep_until(until)).await {
        scene.context.voice.warn(&format!("{why}; the command was over by then"));
    }
}

/// Gives the leases back. That this failed does not hide how the command ended.
pub async fn release(context: &Context, held: Held, success: Option<UnixMillis>, lost: bool) {
    for (key, released) in held.release(success).await {
        match released {
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
}

fn lost_lease(over: &Over) -> bool {
    matches!(over.end, End::Gone(Cause::Lost | Cause::Deadline) | End::TooLate) || over.asked == Some(Cause::Lost)
}

/// How exec ends, and what to say about it.
fn verdict(plan: &Plan, over: &Over) -> (Done, Option<String>) {
    let own = over.status.map_or(ErrorKind::Internal.exit_code(), Status::exit_code);
    let with = |code, outcome| Done { code, outcome, interrupted: over.interrupted };
    let cause = match &over.end {
        End::Gone(cause) | End::Stuck(cause, _) => *cause,
        End::NotStarted(errno) => return not_started(plan, *errno),
        End::TooLate => return lost(plan, over, "nothing ran"),
        End::GuardDead(_) => match over.asked {
            Some(cause) => cause,
            None => {
                let killed = Status::Signal(libc::SIGKILL).exit_code();
                let message = "the guard process was killed; the command and what it started were ended";
                let code = over.status.map_or(killed, Status::exit_code);
                return (with(code, Outcome::Error), Some(message.to_owned()));
            }
        },
    };
    match cause {
        Cause::Exit => (with(own, Outcome::Ran), None),
        Cause::Lost | Cause::Deadline => lost(plan, over, "the command was ended"),
        Cause::Timeout => {
            let most = plan.max_runtime.unwrap_or_default();
            let message = format!("{} ran longer than {} and was ended", plan.shown_command(), duration::human(most));
            (with(TIMEOUT, Outcome::Timeout), Some(message))
        }
        Cause::Orphaned => {
            (with(own, Outcome::Error), Some("the guard took exec for dead; the command was ended".to_owned()))
        }
    }
}

fn lost(plan: &Plan, over: &Over, what: &str) -> (Done, Option<String>) {
    let with = |code, outcome| Done { code, outcome, interrupted: over.interrupted };
    match &over.lost {
        Some(why) if why.kind() == ErrorKind::LeaseBroken => {
            (with(BROKEN, Outcome::Broken), Some(format!("{why}; {what}")))
        }
        Some(why) => (with(LOST, Outcome::Lost), Some(format!("{why}; {what}"))),
        None => {
            let message = format!("the lease of {} could not be renewed in time; {what}", plan.shown_keys());
            (with(LOST, Outcome::Lost), Some(message))
        }
    }
}

fn not_started(plan: &Plan, errno: i32) -> (Done, Option<String>) {
    let why = std::io::Error::from_raw_os_error(errno);
    let message = format!("cannot run {}: {why}", plan.shown_command());
    (Done::with(NotRunnable::from_errno(errno).exit_code(), Outcome::Error), Some(message))
}
