//! `lockd help`: commands, and topics printed from the tables that the code uses.

use lockd::error::{ErrorKind, Result};

use super::context::usage;
use super::page::{NARROWEST, wrapped};
use super::settings::SETTINGS;
use super::{cli, output, storage, table};

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
    output::print(match words[..] {
        [] => cli::tree().render_long_help().to_string(),
        [topic] => match of_topic(topic) {
            Some(page) => filled(&page, table::screen()),
            None => command(&words)?,
        },
        _ => command(&words)?,
    })?;
    Ok(0)
}

fn of_topic(topic: &str) -> Option<String> {
    Some(match topic {
        "exit-codes" => entries("Exit codes of lockd", &exit_code_rows()),
        "env" => entries("Environment variables that lockd reads and sets", &environment_rows()),
        "stores" => STORES.to_owned(),
        "guarantees" => GUARANTEES.to_owned(),
        _ => return None,
    })
}

/// A topic for a terminal of so many columns: paragraphs are filled anew, and what is indented is wrapped under its text.
fn filled(page: &str, screen: Option<usize>) -> String {
    let Some(screen) = screen.map(|columns| columns.max(NARROWEST)) else { return page.to_owned() };
    let (mut out, mut paragraph) = (String::new(), String::new());
    for line in page.lines().chain([""]) {
        if !line.is_empty() && !line.starts_with(' ') {
            paragraph.extend([if paragraph.is_empty() { "" } else { " " }, line]);
            continue;
        }
        if !paragraph.is_empty() {
            push_wrapped(&mut out, &std::mem::take(&mut paragraph), 0, screen);
        }
        push_wrapped(&mut out, line, text_column(line), screen);
    }
    out.truncate(out.trim_end().len());
    out + "\n"
}

/// Where the text of an indented line begins: behind its `- `, or behind its name.
fn text_column(line: &str) -> usize {
    let indent = line.len() - line.trim_start().len();
    let rest = &line[indent..];
    match rest.split_once("  ") {
        _ if rest.starts_with("- ") => indent + 2,
        Some((_, text)) => line.len() - text.trim_start().len(),
        None => indent,
    }
}

fn push_wrapped(out: &mut String, line: &str, column: usize, screen: usize) {
    let (begin, text) = line.split_at(column);
    out.push_str(begin);
    out.push_str(&wrapped(text, Some(screen.saturating_sub(column))).join(&format!("\n{}", " ".repeat(column))));
    out.push('\n');
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

fn entries(title: &str, rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: String = rows.iter().map(|(name, text)| format!("  {name:width$}  {text}\n")).collect();
    format!("{title}\n\n{lines}")
}

/// What the exit codes mean that come from no error.
const PLAIN_CODES: [(&str, &str); 5] = [
    ("0", "done; a list may be empty"),
    (
        "1",
        "the answer is no: `get` found no state, `status --check` a free key, `break` nothing to break, `fence check` a stale token, `verify` a failed check; `bench`: an operation failed or a work is slower than its baseline",
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
        let usual = setting.usual().join(", ");
        let usual = if usual.is_empty() { usual } else { format!("; else {usual}") };
        (setting.env.to_owned(), format!("{} (--{}{usual}){default}", setting.about, setting.name))
    });
    settings.chain(storage::credentials().map(row)).chain(OTHERS.iter().map(row)).collect()
}

const STORES: &str = "\
Where lockd keeps its records

  disk:///abs/path                   a directory, on a local disk or NFS, shared by any number of processes and hosts
  lsm:///abs/path                    an embedded key-value store in a directory on a local disk, for one process at a time: `lockd serve`
  s3://bucket/prefix                 a bucket of S3, or of what speaks it (MinIO), at a prefix of your choice
  azure://account/container/prefix   a container of Azure Blob Storage, at a prefix of your choice

A command acts on the store that --store or LOCKD_STORE names, or over the servers that --server or LOCKD_SERVER names. When
nobody names anything, it is the embedded default, a disk:// store at $XDG_STATE_HOME/lockd when that is set, else at
/var/lib/lockd for root and ~/.local/state/lockd for others.

A directory that is missing is made, and that is said on standard error; its parent must exist. With --no-create, or below a
mount point of /etc/fstab that is not mounted, it is an error instead.

An lsm:// store makes many changes durable with one sync. Whoever has it open keeps others out: they are told which process
that is. So exec and acquire, which hold a lease while others want one, refuse it; all other commands work while nobody has it.

A bucket or a container is never made; what lockd keeps in it below the prefix is. Credentials stand in variables or in files
that settings name, never in an argument or a URL:

  s3://      AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN), web identity, or the role of the container or
             instance; profiles of ~/.aws are not read. Another service: --s3-endpoint, --s3-region
  azure://   LOCKD_AZURE_ACCOUNT_KEY or --azure-key-file, LOCKD_AZURE_SAS_TOKEN or --azure-sas-file, else what
             AZURE_STORAGE_* says, else managed or workload identity. Another cloud: --azure-endpoint

`lockd help env` lists all variables. A TTL is 5 s at the least on an object store. .env.s3.example and .env.azure.example are
env-files to copy.

mem:// lives in one process: only `serve` and `bench` take it.

Servers

  http://HOST[:PORT]   a running `lockd serve` [port: 9341]
  unix:///abs/path     the same over a unix socket

Every command works over a server as on a store, with the same output and exit codes. Servers that share a store may be named
together, with commas: they are tried in turn with the same ids, so that nothing is done twice. https:// is not offered by this
version.
";

const GUARANTEES: &str = "\
What lockd promises

State is linearizable under any clock skew, pause or partition, on a store that keeps its own promises: a change is made once,
wholly, and in one order that everybody sees. A holder that was fenced off can never write it. What was answered is on the disk
by then: a disk:// store syncs each change, an lsm:// store all that arrived during the sync before.

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
    fn topics_are_wrapped_on_terminals_only() {
        let page = "\
Title

One paragraph of two lines, which are filled
anew.
  - an item that is longer than a line is
  /name  what it is, also too long for it
";
        assert_eq!(filled(page, None), page);
        let narrow = "\
Title

One paragraph of two lines, which are
filled anew.
  - an item that is longer than a line
    is
  /name  what it is, also too long for
         it
";
        assert_eq!(filled(page, Some(40)), narrow);
        for topic in ["exit-codes", "env", "stores", "guarantees"] {
            let page = filled(&of_topic(topic).unwrap(), Some(80));
            assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&page), words(&of_topic(topic).unwrap()));
        }
    }

    #[test]
    fn every_exit_code_has_a_meaning() {
        for (code, text) in exit_code_rows() {
            assert!(!text.is_empty(), "{code}");
        }
    }
}
