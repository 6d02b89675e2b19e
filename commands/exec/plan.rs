//! What was asked for, checked before anything is done.

use std::ffi::OsString;
use std::time::Duration;

use lockd::error::{Error, ErrorKind, Result};
use lockd::limits::{COMMAND_BYTES, WAIT_MAX, kill_grace_default, kill_grace_max};
use lockd::model::{Holder, Key, LeaseId, Owner, Reason, Ttl};

use super::{Args, IfBusy, Setup};
use crate::process::program::{NotRunnable, Program};

/// Exit code when the key is held by another.
const BUSY: u8 = ErrorKind::Busy.exit_code();

/// Variables that belong to a lease around this one, and would mislead the command.
const OF_OUTER_LEASE: [&str; 3] = ["LOCKD_LEASES", "LOCKD_LEASE_EXPIRES", "LOCKD_STATE_FILE"];

/// A checked request to run a command under a lease.
#[derive(Debug)]
pub struct Plan {
    /// The key.
    pub key: Key,
    /// The lease id, known before the grant, so that the guard can give it back whatever happens.
    pub lease_id: LeaseId,
    /// Who holds it.
    pub owner: Owner,
    /// What for.
    pub reason: Option<Reason>,
    /// From where.
    pub holder: Holder,
    /// How long the lease lives without renewal.
    pub ttl: Ttl,
    /// Time between TERM and KILL.
    pub grace: Duration,
    /// How long to wait for the lease; `None` is for ever.
    pub wait: Option<Duration>,
    /// Exit code when the wait ran out.
    pub busy_code: u8,
    /// Whether that is no failure.
    pub skip: bool,
    /// The longest that the command may run.
    pub max_runtime: Option<Duration>,
    /// Say only what went wrong.
    pub quiet: bool,
    command: Vec<OsString>,
}

impl Plan {
    /// Checks what was typed.
    ///
    /// # Errors
    /// `Usage` and `InvalidKey`.
    pub fn new(args: &Args, setup: &Setup, lease_id: LeaseId) -> Result<Self> {
        let key = Key::new(setup.namespace.clone(), &args.key)?;
        refuse_own_key(&key, setup, |name| std::env::var(name).ok())?;
        Ok(Self {
            key,
            lease_id,
            owner: setup.owner.clone(),
            reason: args.reason.as_deref().map(Reason::new).transpose()?,
            holder: holder(args, setup),
            ttl: setup.ttl,
            grace: grace(args.kill_grace, setup.ttl)?,
            wait: wait(args)?,
            busy_code: args.conflict_exit_code.unwrap_or(BUSY),
            skip: args.if_busy == Some(IfBusy::Skip),
            max_runtime: args.max_runtime,
            quiet: setup.quiet,
            command: args.command.clone(),
        })
    }

    /// Looks the program up in the caller's `PATH`.
    pub fn find_program(&self) -> Result<Program, NotRunnable> {
        Program::find(&self.command, std::env::var_os("PATH").as_deref())
    }

    /// The command's first word, for messages.
    pub fn shown_command(&self) -> String {
        shown(self.command.iter().take(1))
    }

    /// The changes to the command's environment that are known before the lease is; the token comes with the grant.
    pub fn environment(&self, setup: &Setup) -> Vec<(OsString, Option<OsString>)> {
        let (name, value) = &setup.target;
        let other = if *name == "LOCKD_STORE" { "LOCKD_SERVER" } else { "LOCKD_STORE" };
        let removed = OF_OUTER_LEASE.into_iter().chain([other]).map(|name| (name.into(), None));
        let set = [
            ("LOCKD_KEY", self.key.name()),
            ("LOCKD_LEASE_ID", self.lease_id.as_str()),
            ("LOCKD_OWNER", self.owner.as_str()),
            ("LOCKD_NAMESPACE", self.key.namespace().as_str()),
            (name, value),
        ];
        let set = set.into_iter().map(|(name, value)| (name.into(), Some(value.into())));
        let files = setup.files.iter().map(|(name, value)| ((*name).into(), Some(value.clone())));
        removed.chain(set).chain(files).collect()
    }
}

/// Taking a key inside a command that holds it would wait for ever.
fn refuse_own_key(key: &Key, setup: &Setup, var: impl Fn(&str) -> Option<String>) -> Result<()> {
    let namespace = var("LOCKD_NAMESPACE");
    let same = var("LOCKD_KEY").as_deref() == Some(key.name())
        && namespace.as_deref().unwrap_or(lockd::model::Namespace::DEFAULT) == key.namespace().as_str()
        && var(setup.target.0).as_deref() == Some(setup.target.1.as_str());
    match var("LOCKD_LEASE_ID") {
        Some(_) if same => {
            Err(Error::new(ErrorKind::Usage, format!("{key} is held by the lease that this command runs under"))
                .with_hint(
                    "run the command without `lockd exec`, or unset LOCKD_KEY to wait for the lease all the same",
                ))
        }
        _ => Ok(()),
    }
}

fn grace(asked: Option<Duration>, ttl: Ttl) -> Result<Duration> {
    let (ttl, max) = (ttl.duration(), kill_grace_max(ttl.duration()));
    match asked {
        Some(grace) if grace > max => {
            let message = format!("--kill-grace {grace:?} is over a third of the TTL of {ttl:?}");
            Err(Error::new(ErrorKind::Usage, message).with_hint(format!("give at most {max:?}, or a longer --ttl")))
        }
        Some(grace) => Ok(grace),
        None => Ok(kill_grace_default(ttl)),
    }
}

fn wait(args: &Args) -> Result<Option<Duration>> {
    let usage = |message: &str, hint: &str| Err(Error::new(ErrorKind::Usage, message).with_hint(hint));
    match (args.no_wait, args.wait, args.if_busy) {
        (true, _, Some(IfBusy::Wait)) => usage("--no-wait and --if-busy wait exclude each other", "give one of them"),
        (_, Some(wait), _) if wait > WAIT_MAX => usage("--wait is longer than a year", "leave it out to wait for ever"),
        (true, ..) => Ok(Some(Duration::ZERO)),
        (_, Some(wait), _) => Ok(Some(wait)),
        (_, None, Some(IfBusy::Fail | IfBusy::Skip)) => Ok(Some(Duration::ZERO)),
        (_, None, _) => Ok(None),
    }
}

fn holder(args: &Args, setup: &Setup) -> Holder {
    let words = if args.record_command { usize::MAX } else { 1 };
    let mut command = shown(args.command.iter().take(words));
    command.truncate(command.floor_char_boundary(COMMAND_BYTES));
    Holder { host: setup.host.clone(), pid: Some(std::process::id()), user: setup.user.clone(), command: Some(command) }
}

fn shown<'a>(words: impl Iterator<Item = &'a OsString>) -> String {
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
