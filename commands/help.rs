//! `lockd help`: commands, and topics printed from the tables that the code uses.

use lockd::error::{ErrorKind, Result};

use super::context::usage;
use super::settings::SETTINGS;
use super::{cli, output};

/// Explain a command or a topic
#[derive(clap::Args)]
#[command(long_about = "Explain a command or a topic: exit-codes, env, stores, guarantees.

  lockd help acquire
  lockd help exit-codes")]
pub struct Args {
    /// A command, such as fence or fence admit, or a topic
    #[arg(value_name = "COMMAND|TOPIC")]
    about: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// When there is no such page.
pub fn run(args: &Args) -> Result<u8> {
    let words: Vec<&str> = args.about.iter().map(String::as_str).collect();
    let page = match words[..] {
        [] => cli::tree().render_long_help().to_string(),
        ["exit-codes"] => table("Exit codes of lockd", &exit_code_rows()),
        ["env"] => table("Environment variables that lockd reads and sets", &environment_rows()),
        ["stores"] => STORES.to_owned(),
        ["guarantees"] => GUARANTEES.to_owned(),
        _ => command(&words)?,
    };
    output::print(page)?;
    Ok(0)
}

fn command(words: &[&str]) -> Result<String> {
    let mut tree = cli::tree();
    tree.build();
    let mut command = &mut tree;
    for word in words {
        command = command.find_subcommand_mut(word).ok_or_else(|| {
            let name = words.join(" ");
            usage("help", &format!("{name:?} is no command and none of exit-codes, env, stores and guarantees"))
        })?;
    }
    Ok(command.render_long_help().to_string())
}

fn table(title: &str, rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: String = rows.iter().map(|(name, text)| format!("  {name:width$}  {text}\n")).collect();
    format!("{title}\n\n{lines}")
}

/// What the exit codes mean that come from no error.
const PLAIN_CODES: [(&str, &str); 5] = [
    ("0", "done; a list may be empty"),
    (
        "1",
        "the answer is no: `get` found no state, `status --check` a free key, `break` nothing to break, `fence check` a stale token; `bench`: an operation failed or a work is slower than its baseline",
    ),
    ("124", "`exec --max-runtime` ran out"),
    ("126, 127", "`exec`: the command cannot be run, was not found"),
    ("128+n", "signal n ended the wait, or the command of `exec`; else `exec` exits as its command did"),
];

/// What an exit code means; the codes themselves come from the table of errors.
const fn meaning(code: u8) -> &'static str {
    match code {
        64 => "usage: a malformed argument, key, URL or duration; flags that exclude each other",
        65 => "the state is not one JSON value, is empty or too large, or an edit does not fit it",
        69 => "no connection, time-out, overload: certainly not applied",
        70 => "a fault of lockd itself",
        73 => "a file cannot be created",
        74 => "input or output failed, or the disk is full",
        75 => "busy: held by another and not waited for, or the wait ran out; -E N gives another number",
        77 => "not permitted by the server, the store or the file system",
        78 => "configuration, or the store: missing, not lockd's, replaced, too new or corrupt",
        80 => "the lease is not ours any more: lost, expired or ended",
        81 => "a newer fencing token has been seen",
        82 => "compare-and-swap conflict: version, ETag, another lease than the one named, or the key exists already",
        83 => "outcome unknown: it may or may not have been applied; repeating it with the same ids is safe",
        84 => "the lease was broken by an operator; the message says who and why",
        _ => "",
    }
}

/// Every exit code, in order.
pub fn exit_code_rows() -> Vec<(String, String)> {
    let mut codes: Vec<u8> = ErrorKind::ALL.iter().map(|kind| kind.exit_code()).collect();
    codes.sort_unstable();
    codes.dedup();
    let plain = |range: std::ops::Range<usize>| PLAIN_CODES[range].iter().map(row);
    let errors = codes.into_iter().map(|code| (code.to_string(), meaning(code).to_owned()));
    plain(0..2).chain(errors).chain(plain(2..5)).collect()
}

fn row((name, text): &(&str, &str)) -> (String, String) {
    ((*name).to_owned(), (*text).to_owned())
}

/// Variables beside the settings.
const OTHERS: [(&str, &str); 15] = [
    ("LOCKD_ENV_FILE", "Files of NAME=value lines to read settings from, separated by colons (--env-file)"),
    ("LOCKD_CONFIG", "The configuration file (--config)"),
    ("LOCKD_KEY", "Set by exec and acquire: the key"),
    ("LOCKD_LEASE_ID", "Set by exec and acquire: the lease"),
    ("LOCKD_FENCING_TOKEN", "Set by exec and acquire: the token to pass with every effect"),
    ("LOCKD_LEASE_EXPIRES", "Set by acquire: when the lease ends, if nobody extends it"),
    ("LOCKD_LEASES", "Set by exec where the command runs under several leases: a JSON array of all"),
    ("LOCKD_STATE_FILE", "Set by exec --state-file: the file with the state"),
    ("TMPDIR", "Where exec --state-file puts it [default: $XDG_RUNTIME_DIR, /tmp]"),
    ("XDG_CONFIG_HOME", "Where the user's configuration is [default: ~/.config]"),
    ("XDG_STATE_HOME", "Where the embedded default store is; see `lockd help stores`"),
    (
        "XDG_RUNTIME_DIR",
        "Where short commands note what they saw of other holders, and `fence admit` locks resources [default: /run/lockd for root]",
    ),
    ("HOME", "Where the two defaults above begin"),
    ("NO_COLOR", "No colour, whatever its value"),
    ("TERM", "No colour when it is dumb"),
];

/// Every environment variable.
pub fn environment_rows() -> Vec<(String, String)> {
    let settings = SETTINGS.iter().map(|setting| {
        let default =
            if setting.default.is_empty() { String::new() } else { format!(" [default: {}]", setting.default) };
        (setting.env.to_owned(), format!("{} (--{}){default}", setting.about, setting.name))
    });
    settings.chain(OTHERS.iter().map(row)).collect()
}

const STORES: &str = "\
Where lockd keeps its records

  disk:///abs/path   a directory, on a local disk or NFS, shared by any number of processes and hosts

A command acts on the store that --store or LOCKD_STORE names. When nobody names one, it is the embedded default, a disk://
store at $XDG_STATE_HOME/lockd when that is set, else at /var/lib/lockd for root and ~/.local/state/lockd for others.

A directory that is missing is made, and that is said on standard error; its parent must exist. With --no-create, or below a
mount point of /etc/fstab that is not mounted, it is an error instead.

mem:// lives in one process: only `bench` takes it. lsm:// stores, object stores (s3://, azure://) and servers (http://, https://,
unix:///path) are not offered by this version.
";

const GUARANTEES: &str = "\
What lockd promises

State is linearizable under any clock skew, pause or partition, on a store that keeps its own promises: a change is made once,
wholly, and in one order that everybody sees. A holder that was fenced off can never write it.

Effects outside lockd are exclusive when whoever receives them checks the fencing token and applies the effect in one step. For
commands on one host `lockd fence admit RESOURCE --token N -- COMMAND` does that.

Otherwise effects are exclusive as long as
  - clock rates agree within 1 %, and a store's own clock does not jump by 10 minutes;
  - nothing pauses the work between its check and its effect (the pause of a virtual machine cannot be seen from inside);
  - no effect that was already handed to the kernel or the network lands later;
  - nobody stops both `lockd exec` and its guard (SIGSTOP to `lockd` and `lockd-guard`), which would end the work;
  - no operator breaks the lease; `lockd break --drain` waits until its holder has stopped by its own rules.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_has_a_meaning() {
        for (code, text) in exit_code_rows() {
            assert!(!text.is_empty(), "{code}");
        }
    }
}
