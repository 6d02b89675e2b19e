//! What was asked for, checked before anything is done.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lockd::client::AcquireOptions;
use lockd::clock::UnixMillis;
use lockd::error::{Error, ErrorKind, Result};
use lockd::limits::{COMMAND_BYTES, EXEC_KEYS, WAIT_MAX, kill_grace_default, kill_grace_max};
use lockd::model::{Key, LeaseId, Reason, Ttl};

use super::super::context::{Context, usage};
use super::super::process::program::{NotRunnable, Program};
use super::super::target::Need;
use super::super::{duration, identity, storage, text, variables};
use super::environment::Variables;
use super::{Args, state_file};

/// A checked request to run a command under leases.
#[derive(Debug)]
pub struct Plan {
    /// The keys as typed; the first one is that of `LOCKD_KEY`.
    pub keys: Vec<Key>,
    /// What to ask for, in the order in which everybody takes several keys. The lease ids are known before the grants, so that
    /// the guard can give them back whatever happens.
    pub takes: Vec<AcquireOptions>,
    /// How long to wait for all of them: `None` for ever, zero not at all.
    pub wait: Option<Duration>,
    /// Time between TERM and KILL.
    pub grace: Duration,
    /// Exit code when the wait ran out.
    pub busy_code: u8,
    /// Whether that is no failure.
    pub skip: bool,
    /// The longest that the command may run.
    pub max_runtime: Option<Duration>,
    /// How long the leases are held at the least.
    pub min_hold: Option<Duration>,
    /// The span in which one run that succeeded is enough.
    pub once_per: Option<Duration>,
    /// Where the command gets the state.
    pub state_file: Option<PathBuf>,
    /// What the command sees of it.
    pub variables: Variables,
    command: Vec<OsString>,
}

impl Plan {
    /// Checks what was typed.
    ///
    /// # Errors
    /// `Usage`, `InvalidKey` and `Config`.
    pub fn new(context: &Context, args: &Args) -> Result<Self> {
        let keys = keys(context, args)?;
        let takes = takes(context, args, &keys)?;
        let ttl = takes.iter().map(|options| options.ttl).max().unwrap_or_default();
        let place = context.place(Need::Lease)?;
        let state_file = args.state_file.then(|| state_file::place(&context.environment, &*context.entropy));
        let first = takes.iter().find(|options| options.key == keys[0]);
        let first = first.ok_or_else(|| Error::new(ErrorKind::Internal, "the first key is not among the keys"))?;
        let around = variables::around(&context.environment);
        let mut files = files(context)?;
        files.extend(storage::typed_variables(&context.settings)?);
        files.extend(state_file.clone().map(|path| ("LOCKD_STATE_FILE", path.into_os_string())));
        Ok(Self {
            variables: Variables::new(first, place, files, around),
            wait: wait(args)?,
            grace: grace(args.kill_grace.as_deref(), ttl)?,
            busy_code: args.patience.busy_exit()?.unwrap_or(ErrorKind::Busy.exit_code()),
            skip: args.if_busy.as_deref() == Some("skip"),
            // As with `timeout`: 0 is no limit.
            max_runtime: args
                .max_runtime
                .as_deref()
                .map(|text| typed("--max-runtime", text))
                .transpose()?
                .filter(|most| !most.is_zero()),
            min_hold: args.min_hold.as_deref().map(|text| typed("--min-hold", text)).transpose()?,
            once_per: args.once_per.as_deref().map(|text| span("--once-per", text)).transpose()?,
            state_file,
            command: args.command.clone(),
            keys,
            takes,
        })
    }

    /// The first key typed.
    pub fn key(&self) -> &Key {
        &self.keys[0]
    }

    /// The keys, for messages.
    pub fn shown_keys(&self) -> String {
        self.keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// Looks the program up in the caller's `PATH`.
    pub fn find_program(&self) -> Result<Program, NotRunnable> {
        Program::find(&self.command, std::env::var_os("PATH").as_deref())
    }

    /// The command's first word, for messages.
    pub fn shown_command(&self) -> String {
        text::shown(&words(self.command.iter().take(1)))
    }
}

fn keys(context: &Context, args: &Args) -> Result<Vec<Key>> {
    let keys = args.keys.iter().map(|name| context.key(name)).collect::<Result<Vec<Key>>>()?;
    if keys.len() > EXEC_KEYS {
        return Err(usage("KEY", &format!("{} keys were given; {EXEC_KEYS} are the most", keys.len())));
    }
    if let Some((_, twice)) = keys.iter().enumerate().find(|(i, key)| keys[..*i].contains(key)) {
        return Err(usage("KEY", &format!("{twice} was given twice")));
    }
    for (flag, given) in [("--once-per", args.once_per.is_some()), ("--state-file", args.state_file)] {
        if given && keys.len() > 1 {
            return Err(usage(flag, "it goes with one key only"));
        }
    }
    Ok(keys)
}

/// All keys are taken in this order by everybody, so that no two commands wait for each other.
fn takes(context: &Context, args: &Args, keys: &[Key]) -> Result<Vec<AcquireOptions>> {
    let taken = if args.record_command { usize::MAX } else { 1 };
    let mut command = words(args.command.iter().take(taken));
    command.truncate(command.floor_char_boundary(COMMAND_BYTES));
    let holder = identity::this_process(Some(command));
    let reason = args.asking.reason.as_deref().map(Reason::new).transpose().map_err(|e| e.context("--reason"))?;
    let ttl = context.ttl(args.asking.ttl.as_deref())?;
    let owner = context.owner(args.asking.owner.as_deref(), &holder)?;
    let mut takes: Vec<AcquireOptions> = keys
        .iter()
        .map(|key| AcquireOptions {
            key: key.clone(),
            lease_id: LeaseId::random(&*context.entropy),
            ttl,
            owner: owner.clone(),
            reason: reason.clone(),
            holder: holder.clone(),
            wait: None,
            if_not_exists: false,
        })
        .collect();
    takes.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(takes)
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

/// A span of time: more than nothing, and not longer than anybody remembers.
fn span(flag: &str, text: &str) -> Result<Duration> {
    match typed(flag, text)? {
        span if span.is_zero() => Err(usage(flag, "it must be longer than nothing")),
        span if span > WAIT_MAX => Err(usage(flag, "it may be a year at most")),
        span => Ok(span),
    }
}

/// Whether a run that succeeded and began then is enough: less than 0.9 of the span ago, so that a job that starts a little
/// early is not left out. The wall clocks of two hosts may differ, so that it may even seem to come; but one that is far ahead
/// must not keep all others from running.
pub fn is_enough(span: Duration, began: UnixMillis, now: UnixMillis) -> bool {
    Duration::from_millis(now.0.abs_diff(began.0)) < span * 9 / 10
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
        let path = absolute(&path)?;
        if path.as_os_str().as_encoded_bytes().contains(&b':') {
            let message =
                format!("--env-file: {} has a `:`, which separates the files in LOCKD_ENV_FILE", path.display());
            return Err(Error::new(ErrorKind::Usage, message).with_hint("give it another name"));
        }
        env_files.push(path);
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

    #[test]
    fn a_run_is_enough_for_nine_tenths_of_the_span_and_no_clock_stops_it_for_ever() {
        let enough = |began, now| is_enough(Duration::from_secs(100), UnixMillis(began), UnixMillis(now));
        assert!(enough(1_000_000, 1_000_000) && enough(1_000_000, 1_089_999));
        assert!(!enough(1_000_000, 1_090_000) && !enough(1_000_000, u64::MAX));
        // By a clock that is ahead, or was.
        assert!(enough(1_089_999, 1_000_000) && !enough(1_090_000, 1_000_000) && !enough(u64::MAX, 0));
    }

    #[test]
    fn a_span_is_longer_than_nothing_and_not_for_ever() {
        assert_eq!(span("--once-per", "1h").unwrap(), Duration::from_secs(3_600));
        for text in ["0", "366d", "daily"] {
            assert_eq!(span("--once-per", text).unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
    }
}
