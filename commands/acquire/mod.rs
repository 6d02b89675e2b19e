//! `lockd acquire`: take a lease and print it for the shell.
//!
//! - [`print`]: the forms in which it is printed. [`keep`]: the keeper that renews it while a shell lives.

mod keep;
mod print;

use std::ffi::OsString;
use std::time::Duration;

use lockd::client::AcquireOptions;
use lockd::error::{Error, ErrorKind, Result};
use lockd::model::{LeaseId, Reason};

use super::context::{Context, Session, usage};
use super::interrupt::{self, Either};
use super::output;
use super::patience::Patience;
use super::process::shell::Shell;
use super::target::Need;
use super::{duration, identity, variables, waiting};
use print::{Form, Taken, form, print_code};

/// Take a lease and print it for the shell
#[derive(clap::Args)]
#[command(
    long_about = "Take a lease and print it for the shell. Nobody renews it: it ends by itself when its TTL has passed, unless \
`lockd keepalive` extends it, or a keeper was asked for. To hold a lease while a command runs, use `lockd exec`.

  l=$(lockd acquire deploy/web --ttl 10m) && eval \"$l\" || exit
  l=$(lockd acquire --keep deploy/web) && eval \"$l\" || exit
  lockd acquire -o fish deploy/web | source
  lockd acquire -o json -n deploy/web

With --keep a small process renews the lease while the shell lives, and gives it back when the shell has ended, however it \
ended. It cannot end what the shell started: for that, use `lockd exec`.

Values are quoted, so that nothing in a name runs as code. On failure it prints code that unsets the lease's variables and \
fails, because `eval \"\"` succeeds; with `--if-busy skip` or `-E 0` it prints code that ends the script with success."
)]
pub struct Args {
    /// The key to take
    key: String,
    #[command(flatten)]
    patience: Patience,
    /// What to do when somebody else holds the key: wait, fail (as --no-wait) or skip (the script ends with success) [default: wait]
    #[arg(long, value_name = "WHAT", help_heading = "Waiting")]
    if_busy: Option<String>,
    #[command(flatten)]
    asking: Asking,
    /// Leave a keeper behind that renews the lease while the shell lives and gives it back when that has ended: the process
    /// that runs this command, or the shell that its subshell comes from
    #[arg(long, help_heading = "Lease")]
    keep: bool,
    /// The process whose life counts for --keep, where it is not that shell
    #[arg(long, value_name = "PID", requires = "keep", help_heading = "Lease")]
    for_pid: Option<String>,
}

/// Flags about the lease that is asked for.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Asking {
    /// How long the lease lives without renewal, 2s to 24h
    #[arg(long, value_name = "DUR", help_heading = "Lease")]
    pub ttl: Option<String>,
    /// Who holds the lease, for people: at most 256 bytes
    #[arg(long, value_name = "TEXT", help_heading = "Lease")]
    pub owner: Option<String>,
    /// What the lease is for, for people: at most 1,024 bytes
    #[arg(long, value_name = "TEXT", help_heading = "Lease")]
    pub reason: Option<String>,
}

/// What to do when somebody else holds the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IfBusy {
    Wait,
    Fail,
    Skip,
}

/// Runs the command.
///
/// # Errors
/// Why there is no lease.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    let form = form(context.flags.format_name())?;
    let if_busy = if_busy(args.if_busy.as_deref())?;
    let mut options = options(context, &args.key, &args.asking)?;
    options.wait = args.patience.limit()?;
    if if_busy == IfBusy::Fail && args.patience.wait.is_some() {
        return Err(usage("--if-busy", "`fail` does not wait; leave --wait out"));
    }
    if if_busy != IfBusy::Wait && options.wait.is_none() {
        options.wait = Some(Duration::ZERO);
    }
    let busy_exit = args.patience.busy_exit()?.unwrap_or(ErrorKind::Busy.exit_code());
    if args.keep {
        let shell = shell(args.for_pid.as_deref())?;
        options.holder = identity::of_process(shell.pid());
        options.owner = context.owner(args.asking.owner.as_deref(), &options.holder)?;
        context.place(Need::Lease)?;
        return keep::run(context, keep::Wish { options, form, if_busy, busy_exit, shell });
    }
    let result = context.block_on(async {
        let session = context.open(Need::Lease).await?;
        let result = take(context, &session, options, form).await;
        session.client.service().close().await;
        result
    });
    match result {
        Err(error) if error.kind() == ErrorKind::Busy && if_busy == IfBusy::Skip => {
            context.voice.detail(&format!("skipped: {}", output::message(&error, context.clock.wall())));
            print_code(form, 0);
            Ok(0)
        }
        Err(error) if error.kind() == ErrorKind::Busy => {
            context.voice.error(&error, busy_exit, context.clock.wall());
            print_code(form, busy_exit);
            Ok(busy_exit)
        }
        result => result,
    }
}

/// The process whose life counts for a keeper.
fn shell(named: Option<&str>) -> Result<Shell> {
    let Some(text) = named else { return Shell::of_caller() };
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let pid = digits.then(|| text.parse().ok()).flatten().filter(|pid| *pid > 0);
    Shell::named(pid.ok_or_else(|| usage("--for-pid", &format!("{text:?} is not the number of a process")))?)
}

/// What to ask for, without the wait.
///
/// # Errors
/// When a name or number is malformed.
pub fn options(context: &Context, key: &str, asking: &Asking) -> Result<AcquireOptions> {
    let holder = identity::caller();
    let reason = asking.reason.as_deref().map(Reason::new).transpose().map_err(|e| e.context("--reason"))?;
    Ok(AcquireOptions {
        key: context.key(key)?,
        lease_id: LeaseId::random(&*context.entropy),
        ttl: context.ttl(asking.ttl.as_deref())?,
        owner: context.owner(asking.owner.as_deref(), &holder)?,
        reason,
        holder,
        wait: None,
        if_not_exists: false,
    })
}

async fn take(context: &Context, session: &Session, options: AcquireOptions, form: Form) -> Result<u8> {
    let (key, id) = (options.key.clone(), options.lease_id.clone());
    let lease = match interrupt::or_signal(waiting::acquire(context, &session.client, options)).await? {
        Either::Done(lease) => lease?,
        Either::Signal(signal) => {
            session.client.abandon_in_a_hurry(&key, &id).await;
            print_code(form, interrupt::exit_code(signal));
            return Ok(interrupt::exit_code(signal));
        }
    };
    let taken = Taken::of(&lease, &session.place, &*context.clock);
    if let Err(e) = output::write(taken.printed(form, &variables::around_by_exec(&context.environment))?) {
        // Nobody will ever know this lease: it goes back at once.
        let released = lease.release().await;
        let hint =
            released.map_or("the lease could not be given back and runs out by itself", |_| "the lease was given back");
        return Err(output::unwritten(&e).with_hint(hint));
    }
    context.voice.note(&format!(
        "the lease of {} ends at {}, in {}; nobody renews it but `lockd keepalive`",
        lease.key,
        taken.expires,
        duration::human(Duration::from_millis(taken.expires_in_ms))
    ));
    lease.detach();
    Ok(0)
}

fn if_busy(text: Option<&str>) -> Result<IfBusy> {
    match text {
        None | Some("wait") => Ok(IfBusy::Wait),
        Some("fail") => Ok(IfBusy::Fail),
        Some("skip") => Ok(IfBusy::Skip),
        Some(other) => Err(usage("--if-busy", &format!("{other:?} is none of wait, fail and skip"))),
    }
}

/// Prints the code that fails, for errors that end the command anywhere else.
pub fn print_failure(form_name: Option<&str>, exit: u8) {
    print_code(form(form_name).unwrap_or(Form::Sh), exit);
}

/// Whether a command line that could not be parsed asks for `acquire`; then also in which form.
pub fn asked_for(arguments: &[OsString]) -> Option<Option<String>> {
    const WITH_VALUE: [&str; 8] =
        ["--server", "--store", "--namespace", "--env-file", "--config", "--output", "-o", "--color"];
    let words: Vec<&str> = arguments.iter().skip(1).map(|word| word.to_str().unwrap_or("?")).collect();
    let mut before = words.iter();
    let command = loop {
        match before.next()? {
            word if WITH_VALUE.contains(word) => drop(before.next()),
            word if word.starts_with('-') => {}
            word => break *word,
        }
    };
    let value_of = |(i, word): (usize, &&str)| match *word {
        "-o" | "--output" => words.get(i + 1).map(|value| (*value).to_owned()),
        "--json" => Some("json".to_owned()),
        word => word.strip_prefix("--output=").or_else(|| word.strip_prefix("-o")).map(str::to_owned),
    };
    (command == "acquire").then(|| words.iter().enumerate().find_map(value_of))
}

/// Maps the error of a lease that somebody else holds to the exit code that was asked for.
///
/// # Errors
/// Any other error, and this one when no code was asked for.
pub fn settle_busy(context: &Context, patience: &Patience, error: Error) -> Result<u8> {
    match patience.busy_exit()? {
        Some(exit) if error.kind() == ErrorKind::Busy => {
            context.voice.error(&error, exit, context.clock.wall());
            Ok(exit)
        }
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Option<Option<String>> {
        asked_for(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_bad_command_line_is_known_as_acquire_by_its_first_word() {
        assert_eq!(asked("lockd acquire --bad"), Some(None));
        assert_eq!(asked("lockd --store x -q acquire a b -o fish"), Some(Some("fish".to_owned())));
        assert_eq!(asked("lockd acquire --output=json --bad"), Some(Some("json".to_owned())));
        assert_eq!(asked("lockd exec k -- lockd acquire"), None);
        assert_eq!(asked("lockd --store acquire get"), None);
        assert_eq!(asked("lockd"), None);
    }
}
