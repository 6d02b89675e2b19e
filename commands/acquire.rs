//! `lockd acquire`: take a lease and print it for the shell.

use std::ffi::OsString;

use lockd::client::{AcquireOptions, Lease};
use lockd::clock::UnixMillis;
use lockd::error::{Error, ErrorKind, Result};
use lockd::model::{LeaseId, Reason};
use serde::Serialize;

use super::context::{Context, Session, usage};
use super::interrupt::{self, Either};
use super::output::{self, Format};
use super::patience::Patience;
use super::target::Need;
use super::variables::OF_A_LEASE;
use super::{duration, identity, text, variables, waiting};

/// Take a lease and print it for the shell
#[derive(clap::Args)]
#[command(
    long_about = "Take a lease and print it for the shell. Nobody renews it: it ends by itself when its TTL has passed, unless \
`lockd keepalive` extends it. To hold a lease while a command runs, use `lockd exec`.

  l=$(lockd acquire deploy/web --ttl 10m) && eval \"$l\" || exit
  lockd acquire -o fish deploy/web | source
  lockd acquire -o json -n deploy/web

Values are quoted, so that nothing in a name runs as code. On failure it prints code that unsets the lease's variables and \
fails, because `eval \"\"` succeeds."
)]
pub struct Args {
    /// The key to take
    key: String,
    #[command(flatten)]
    patience: Patience,
    /// What to do when somebody else holds the key: wait, fail (as --no-wait) or skip (exit 0 without a lease) [default: wait]
    #[arg(long, value_name = "WHAT", help_heading = "Waiting")]
    if_busy: Option<String>,
    #[command(flatten)]
    asking: Asking,
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

/// Forms in which a lease is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Sh,
    Fish,
    Dotenv,
    Document(Format),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum IfBusy {
    Wait,
    Fail,
    Skip,
}

#[derive(Serialize)]
struct Body<'a> {
    key: &'a str,
    namespace: &'a str,
    lease_id: &'a str,
    fencing_token: u64,
    owner: &'a str,
    store: &'a str,
    expires: &'a str,
    expires_in_ms: u64,
    ttl_ms: u64,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<&'a str>,
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
        options.wait = Some(std::time::Duration::ZERO);
    }
    let busy_exit = args.patience.busy_exit()?;
    let result = context.block_on(async {
        let session = context.open(Need::Lease).await?;
        let result = take(context, &session, options, form).await;
        session.client.service().close().await;
        result
    });
    match (result, busy_exit) {
        (Err(error), _) if error.kind() == ErrorKind::Busy && if_busy == IfBusy::Skip => {
            context.voice.detail(&format!("skipped: {}", output::message(&error, context.clock.wall())));
            print_code(form, None);
            Ok(0)
        }
        (Err(error), Some(exit)) if error.kind() == ErrorKind::Busy => {
            context.voice.error(&error, exit, context.clock.wall());
            print_code(form, Some(exit));
            Ok(exit)
        }
        (result, _) => result,
    }
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
            session.client.abandon(&key, &id).await;
            print_code(form, Some(interrupt::exit_code(signal)));
            return Ok(interrupt::exit_code(signal));
        }
    };
    let left = lease.deadline().since(context.clock.boot());
    let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    let expires = text::rfc3339(UnixMillis(context.clock.wall().0.saturating_add(millis)));
    let printed = printed(form, &lease, &session.place.url, &expires, millis)?;
    if let Err(e) = output::write(printed) {
        // Nobody will ever know this lease: it goes back at once.
        let released = lease.release().await;
        let hint =
            released.map_or("the lease could not be given back and runs out by itself", |_| "the lease was given back");
        return Err(output::unwritten(&e).with_hint(hint));
    }
    context.voice.note(&format!(
        "the lease of {} ends at {expires}, in {}; nobody renews it but `lockd keepalive`",
        lease.key,
        duration::human(left)
    ));
    lease.detach();
    Ok(0)
}

fn printed(form: Form, lease: &Lease, store: &str, expires: &str, expires_in_ms: u64) -> Result<String> {
    let mut variables = variables::of(lease, store);
    variables.push(("LOCKD_LEASE_EXPIRES", expires.to_owned()));
    let lines = |line: &dyn Fn(&str, &str) -> String| variables.iter().map(|(name, value)| line(name, value)).collect();
    Ok(match form {
        Form::Sh => {
            let exports: String = lines(&|name, value| format!("export {name}={}\n", text::sh_quoted(value)));
            exports + "unset LOCKD_SERVER LOCKD_LEASES\n"
        }
        Form::Fish => {
            let exports: String = lines(&|name, value| format!("set -gx {name} {}\n", text::fish_quoted(value)));
            // In fish, to erase what is not set fails, and to set something does not change the status.
            exports + "set -e LOCKD_SERVER\nset -e LOCKD_LEASES\ntrue\n"
        }
        Form::Dotenv => lines(&|name, value| format!("{name}={}\n", text::dotenv_quoted(value))),
        Form::Document(format) => {
            let body = Body {
                key: lease.key.name(),
                namespace: lease.key.namespace().as_str(),
                lease_id: lease.id.as_str(),
                fencing_token: lease.token.0,
                owner: lease.owner.as_str(),
                store,
                expires,
                expires_in_ms,
                ttl_ms: lease.ttl.millis(),
                version: lease.version.0,
                etag: lease.etag.as_ref().map(lockd::model::StateEtag::as_str),
            };
            output::document(format, &body)?
        }
    })
}

fn form(name: Option<&str>) -> Result<Form> {
    Ok(match name {
        None | Some("sh") => Form::Sh,
        Some("fish") => Form::Fish,
        Some("dotenv") => Form::Dotenv,
        Some("json") => Form::Document(Format::Json),
        Some("yaml") => Form::Document(Format::Yaml),
        Some(other) => {
            let why = format!("{other:?} is no form of a lease; there are sh, fish, dotenv, json and yaml");
            return Err(usage("--output", &why));
        }
    })
}

fn if_busy(text: Option<&str>) -> Result<IfBusy> {
    match text {
        None | Some("wait") => Ok(IfBusy::Wait),
        Some("fail") => Ok(IfBusy::Fail),
        Some("skip") => Ok(IfBusy::Skip),
        Some(other) => Err(usage("--if-busy", &format!("{other:?} is none of wait, fail and skip"))),
    }
}

/// Code that takes back an earlier lease and ends as the command did; without an exit code it only takes back.
fn code(form: Form, exit: Option<u8>) -> String {
    match form {
        Form::Sh => {
            let end = exit.map_or_else(String::new, |exit| format!("; (exit {exit})"));
            format!("unset {}{end}\n", OF_A_LEASE.join(" "))
        }
        Form::Fish => {
            let end = exit.filter(|exit| *exit != 0).map_or("; true", |_| "; false");
            OF_A_LEASE.map(|name| format!("set -e {name}")).join("; ") + end + "\n"
        }
        // These are read and not run.
        Form::Dotenv | Form::Document(_) => String::new(),
    }
}

fn print_code(form: Form, exit: Option<u8>) {
    // The exit code says the same to who does not read.
    let _unread = output::write(code(form, exit));
}

/// Prints the code that fails, for errors that end the command anywhere else.
pub fn print_failure(form_name: Option<&str>, exit: u8) {
    print_code(form(form_name).unwrap_or(Form::Sh), Some(exit));
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

    #[test]
    fn failing_code_takes_the_lease_back_and_no_setting() {
        assert_eq!(
            code(Form::Sh, Some(75)),
            "unset LOCKD_KEY LOCKD_LEASE_ID LOCKD_FENCING_TOKEN LOCKD_LEASE_EXPIRES; (exit 75)\n"
        );
        assert!(code(Form::Fish, Some(75)).ends_with("; false\n"));
        assert_eq!(code(Form::Dotenv, Some(75)), "");
        assert!(!code(Form::Sh, None).contains("exit"));
    }
}
