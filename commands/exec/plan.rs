//! What was asked for, checked before anything is done.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use lockd::client::AcquireOptions;
use lockd::error::{Error, ErrorKind, Result};
use lockd::limits::{COMMAND_BYTES, kill_grace_default, kill_grace_max};
use lockd::model::{Key, LeaseId, Namespace, Owner, Reason, Ttl};

use super::super::context::{Context, usage};
use super::super::process::program::{NotRunnable, Program};
use super::super::target::Need;
use super::super::{duration, identity, text};
use super::Args;

/// Variables of a lease around this one, and of the other kind of place: they would mislead the command.
const REMOVED: [&str; 4] = ["LOCKD_LEASES", "LOCKD_LEASE_EXPIRES", "LOCKD_STATE_FILE", "LOCKD_SERVER"];

/// A checked request to run a command under a lease.
#[derive(Debug)]
pub struct Plan {
    /// The key.
    pub key: Key,
    /// The lease id, known before the grant, so that the guard can give it back whatever happens.
    pub lease_id: LeaseId,
    /// What to ask for.
    pub options: AcquireOptions,
    /// Time between TERM and KILL.
    pub grace: Duration,
    /// Exit code when the wait ran out.
    pub busy_code: u8,
    /// Whether that is no failure.
    pub skip: bool,
    /// The longest that the command may run.
    pub max_runtime: Option<Duration>,
    command: Vec<OsString>,
    store: String,
    files: Vec<(&'static str, OsString)>,
}

impl Plan {
    /// Checks what was typed.
    ///
    /// # Errors
    /// `Usage`, `InvalidKey` and `Config`.
    pub fn new(context: &Context, args: &Args) -> Result<Self> {
        let options = options(context, args)?;
        let store = context.place(Need::Lease)?.url;
        refuse_own_key(&options.key, &store, |name| context.environment.own(name))?;
        let max_runtime = args.max_runtime.as_deref().map(|text| typed("--max-runtime", text)).transpose()?;
        Ok(Self {
            key: options.key.clone(),
            lease_id: options.lease_id.clone(),
            grace: grace(args.kill_grace.as_deref(), options.ttl)?,
            options,
            busy_code: args.patience.busy_exit()?.unwrap_or(ErrorKind::Busy.exit_code()),
            skip: args.if_busy.as_deref() == Some("skip"),
            max_runtime,
            command: args.command.clone(),
            store,
            files: files(context)?,
        })
    }

    /// Looks the program up in the caller's `PATH`.
    pub fn find_program(&self) -> Result<Program, NotRunnable> {
        Program::find(&self.command, std::env::var_os("PATH").as_deref())
    }

    /// The command's first word, for messages.
    pub fn shown_command(&self) -> String {
        text::shown(&words(self.command.iter().take(1)))
    }

    /// The changes to the command's environment that are known before the lease is; the token comes with the grant.
    pub fn environment(&self) -> Vec<(OsString, Option<OsString>)> {
        let owner: &Owner = &self.options.owner;
        let removed = REMOVED.into_iter().map(|name| (name.into(), None));
        let set = [
            ("LOCKD_KEY", self.key.name()),
            ("LOCKD_LEASE_ID", self.lease_id.as_str()),
            ("LOCKD_OWNER", owner.as_str()),
            ("LOCKD_NAMESPACE", self.key.namespace().as_str()),
            ("LOCKD_STORE", &self.store),
        ];
        let set = set.into_iter().map(|(name, value)| (name.into(), Some(value.into())));
        let files = self.files.iter().map(|(name, value)| ((*name).into(), Some(value.clone())));
        removed.chain(set).chain(files).collect()
    }
}

fn options(context: &Context, args: &Args) -> Result<AcquireOptions> {
    let taken = if args.record_command { usize::MAX } else { 1 };
    let mut command = words(args.command.iter().take(taken));
    command.truncate(command.floor_char_boundary(COMMAND_BYTES));
    let holder = identity::this_process(Some(command));
    let reason = args.asking.reason.as_deref().map(Reason::new).transpose().map_err(|e| e.context("--reason"))?;
    Ok(AcquireOptions {
        key: context.key(&args.key)?,
        lease_id: LeaseId::random(&*context.entropy),
        ttl: context.ttl(args.asking.ttl.as_deref())?,
        owner: context.owner(args.asking.owner.as_deref(), &holder)?,
        reason,
        holder,
        wait: wait(args)?,
        if_not_exists: false,
    })
}

/// How long to wait. A wait may be given with `skip`: then it skips when that ran out.
fn wait(args: &Args) -> Result<Option<Duration>> {
    let limit = args.patience.limit()?;
    match (args.if_busy.as_deref(), limit) {
        (Some("wait"), _) if args.patience.no_wait => {
            Err(usage("--if-busy", "`wait` and --no-wait contradict each other; give one of them"))
        }
        (Some("fail"), _) if args.patience.wait.is_some() => {
            Err(usage("--if-busy", "`fail` does not wait; leave --wait out"))
        }
        (Some("fail" | "skip"), None) => Ok(Some(Duration::ZERO)),
        (None | Some("wait" | "fail" | "skip"), limit) => Ok(limit),
        (Some(other), _) => Err(usage("--if-busy", &format!("{other:?} is none of wait, fail and skip"))),
    }
}

/// Taking a key inside a command that holds it would wait for ever.
fn refuse_own_key<'a>(key: &Key, store: &str, var: impl Fn(&str) -> Option<&'a str>) -> Result<()> {
    let same = var("LOCKD_KEY") == Some(key.name())
        && var("LOCKD_NAMESPACE").unwrap_or(Namespace::DEFAULT) == key.namespace().as_str()
        && var("LOCKD_STORE") == Some(store);
    match var("LOCKD_LEASE_ID") {
        Some(_) if same => {
            let message = format!("{key} is held by the lease in the environment, under which this command runs");
            Err(Error::new(ErrorKind::Usage, message)
                .with_hint("leave `lockd exec` out here, or unset LOCKD_LEASE_ID to wait for the lease all the same"))
        }
        _ => Ok(()),
    }
}

fn grace(asked: Option<&str>, ttl: Ttl) -> Result<Duration> {
    let (ttl, max) = (ttl.duration(), kill_grace_max(ttl.duration()));
    let Some(text) = asked else { return Ok(kill_grace_default(ttl)) };
    let grace = typed("--kill-grace", text)?;
    if grace > max {
        let message = format!("it is over a third of the TTL, {}", duration::human(ttl));
        return Err(usage("--kill-grace", &message).with_hint(format!("give at most {max:?}, or a longer --ttl")));
    }
    Ok(grace)
}

fn typed(flag: &str, text: &str) -> Result<Duration> {
    duration::parse(text).map_err(|why| usage(flag, &why))
}

/// Files of settings that were named, as absolute paths: the command may run elsewhere.
fn files(context: &Context) -> Result<Vec<(&'static str, OsString)>> {
    let absolute =
        |path: &Path| std::path::absolute(path).map_err(|e| Error::io(format_args!("find {}", path.display()), &e));
    let mut env_files = OsString::new();
    for path in context.env_files() {
        if !env_files.is_empty() {
            env_files.push(":");
        }
        env_files.push(absolute(&path)?);
    }
    let config = context.flags.config.as_deref().or_else(|| context.environment.own("LOCKD_CONFIG").map(Path::new));
    let config = config.map(absolute).transpose()?.map(|path| ("LOCKD_CONFIG", path.into_os_string()));
    Ok((!env_files.is_empty()).then_some(("LOCKD_ENV_FILE", env_files)).into_iter().chain(config).collect())
}

fn words<'a>(words: impl Iterator<Item = &'a OsString>) -> String {
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, name: &str) -> Key {
        Key::new(Namespace::new(namespace).unwrap(), name).unwrap()
    }

    #[test]
    fn a_key_that_is_held_around_is_refused_and_no_other() {
        let refused = |key: &Key, store: &str, vars: &[(&str, &'static str)]| {
            refuse_own_key(key, store, |name| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)).is_err()
        };
        let vars = [("LOCKD_KEY", "a"), ("LOCKD_LEASE_ID", "x"), ("LOCKD_STORE", "disk:///s")];
        assert!(refused(&key("default", "a"), "disk:///s", &vars));
        assert!(!refused(&key("default", "b"), "disk:///s", &vars));
        assert!(!refused(&key("other", "a"), "disk:///s", &vars));
        assert!(!refused(&key("default", "a"), "disk:///t", &vars));
        assert!(!refused(&key("default", "a"), "disk:///s", &[vars[0], vars[2]]));
        let named = [vars[0], vars[1], vars[2], ("LOCKD_NAMESPACE", "other")];
        assert!(refused(&key("other", "a"), "disk:///s", &named));
        assert!(!refused(&key("default", "a"), "disk:///s", &named));
    }

    #[test]
    fn the_grace_has_a_default_and_a_bound() {
        let ttl = |seconds| Ttl::new(Duration::from_secs(seconds)).unwrap();
        assert_eq!(grace(None, ttl(30)).unwrap(), Duration::from_secs(5));
        assert_eq!(grace(None, ttl(6)).unwrap(), Duration::from_millis(1_500));
        assert_eq!(grace(Some("10s"), ttl(30)).unwrap(), Duration::from_secs(10));
        assert_eq!(grace(Some("0"), ttl(30)).unwrap(), Duration::ZERO);
        for text in ["10.001s", "soon", "-1s"] {
            assert_eq!(grace(Some(text), ttl(30)).unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
    }
}
