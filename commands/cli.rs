//! The tree of commands, and the one match over it.

use std::ffi::OsString;

use clap::error::ErrorKind as ClapKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use lockd::clock::{Clock, SystemClock};
use lockd::error::{ErrorKind, Result};

use super::context::{Context, Flags};
use super::output::Voice;
use super::settings::{SETTINGS, Setting};
use super::{
    acquire, bench, break_lease, completions, config, edit, exec, fence, get, help, keepalive, list, man, release,
    remove, serve, status, update, verify, watch,
};

/// Every page begins with what the command is for; options follow in groups.
const TEMPLATE: &str = "{about-with-newline}\n{usage-heading} {usage}\n\n{all-args}{after-help}";

/// Exclusive leases with fencing tokens and atomic JSON state, over storage that you already have.
#[derive(Parser)]
#[command(
    name = "lockd",
    version,
    disable_help_subcommand = true,
    subcommand_required = true,
    infer_subcommands = false
)]
#[command(
    long_about = "Exclusive leases with fencing tokens and atomic JSON state, over storage that you already have.

  lockd exec backup/db -- pg_dump mydb      run a command while holding the lock
  lockd status backup/db                    who holds it, since when, until when
  echo '{\"n\":1}' | lockd update counter     replace a small JSON document atomically"
)]
pub struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Exec(exec::Args),
    Acquire(acquire::Args),
    Keepalive(keepalive::Args),
    Release(release::Args),
    Get(get::Args),
    Update(update::Args),
    Edit(edit::Args),
    Remove(remove::Args),
    Status(status::Args),
    List(list::Args),
    Watch(watch::Args),
    Break(break_lease::Args),
    Fence(fence::Args),
    Bench(bench::Args),
    Serve(serve::Args),
    Verify(verify::Args),
    Config(config::Args),
    Completions(completions::Args),
    Man(man::Args),
    Help(help::Args),
}

/// The tree as it is parsed and documented: texts about environment and defaults are added from the table of settings.
pub fn tree() -> clap::Command {
    finished(Cli::command())
}

fn finished(command: clap::Command) -> clap::Command {
    let command = command.help_template(TEMPLATE).next_line_help(false).max_term_width(100);
    let command = command.disable_help_subcommand(true);
    let name = command.get_name().to_owned();
    command.mut_args(|arg| documented(&name, arg)).mut_subcommands(finished)
}

fn documented(command: &str, arg: clap::Arg) -> clap::Arg {
    let read_here = |setting: &&Setting| setting.only.is_none_or(|only| only == command);
    let named = SETTINGS.iter().filter(read_here).find(|setting| Some(setting.name) == arg.get_long());
    let Some(setting) = named else { return arg };
    let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    help.push_str(&format!(" [env: {}]", setting.variables()));
    if !setting.default.is_empty() && !help.contains("[default") {
        help.push_str(&format!(" [default: {}]", setting.default));
    }
    arg.help(help)
}

/// Runs a command line and gives its exit code.
pub fn run(arguments: &[OsString]) -> u8 {
    let parsed = tree().try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return refused(&error, arguments),
    };
    let voice = Voice { quiet: cli.flags.quiet, json: cli.flags.format_name() == Some("json"), ..Voice::default() };
    let is_acquire = matches!(cli.command, Command::Acquire(_));
    let shell = cli.flags.format_name().map(str::to_owned);
    let result = Context::new(cli.flags).map_err(|error| (error, voice)).and_then(|context| {
        let voice = context.voice;
        dispatch(&context, cli.command).map_err(|error| (error, voice))
    });
    match result {
        Ok(exit) => exit,
        Err((error, voice)) => {
            let exit = error.kind().exit_code();
            voice.error(&error, exit, SystemClock.wall());
            if is_acquire {
                acquire::print_failure(shell.as_deref(), exit);
            }
            exit
        }
    }
}

fn dispatch(context: &Context, command: Command) -> Result<u8> {
    match command {
        Command::Exec(args) => exec::run(context, &args),
        Command::Acquire(args) => acquire::run(context, &args),
        Command::Keepalive(args) => keepalive::run(context, &args),
        Command::Release(args) => release::run(context, &args),
        Command::Get(args) => get::run(context, &args),
        Command::Update(args) => update::run(context, &args),
        Command::Edit(args) => edit::run(context, &args),
        Command::Remove(args) => remove::run(context, &args),
        Command::Status(args) => status::run(context, &args),
        Command::List(args) => list::run(context, &args),
        Command::Watch(args) => watch::run(context, &args),
        Command::Break(args) => break_lease::run(context, &args),
        Command::Fence(args) => fence::run(context, &args),
        Command::Bench(args) => bench::run(context, &args),
        Command::Serve(args) => serve::run(context, &args),
        Command::Verify(args) => verify::run(context, &args),
        Command::Config(args) => config::run(context, &args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Help(args) => help::run(&args),
    }
}

/// A command line that is no command: clap's own words, and the exit code for usage. Asking for help is none.
fn refused(error: &clap::Error, arguments: &[OsString]) -> u8 {
    if matches!(error.kind(), ClapKind::DisplayHelp | ClapKind::DisplayVersion) {
        return match error.print() {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                Voice::default().note(&format!("cannot print: {e}"));
                ErrorKind::Io.exit_code()
            }
            _ => 0,
        };
    }
    let exit = ErrorKind::Usage.exit_code();
    let text = error.to_string();
    Voice::default().note(text.strip_prefix("error: ").unwrap_or(&text).trim_end());
    if let Some(shell) = acquire::asked_for(arguments) {
        acquire::print_failure(shell.as_deref(), exit);
    }
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_well_formed() {
        tree().debug_assert();
    }

    #[test]
    fn every_flag_of_object_stores_has_its_variable_its_default_and_an_example() {
        let tree = tree();
        let of_stores = tree.get_arguments().filter(|arg| arg.get_help_heading() == Some("Object stores"));
        let texts: Vec<String> = of_stores.map(|arg| arg.get_help().unwrap().to_string()).collect();
        assert_eq!(texts.len(), 11);
        for text in texts {
            for part in ["[env: LOCKD_", "[default: ", ", such as "] {
                assert!(text.contains(part), "{part} is missing: {text}");
            }
        }
    }

    #[test]
    fn every_page_begins_with_examples_and_every_option_is_explained() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            let about = command.get_long_about().unwrap_or_default().to_string();
            assert!(
                about.contains("\n\n  lockd ")
                    && about.matches("\n  lockd ").count() + about.matches("\n  l=").count() >= 2
                    || about.matches("lockd ").count() >= 2,
                "{path}: no examples: {about}"
            );
            // A line is as wide as the terminal: nobody but the terminal ends one inside a paragraph.
            let ragged = |paragraph: &&str| !paragraph.starts_with(' ') && paragraph.contains('\n');
            assert_eq!(about.split("\n\n").find(ragged), None, "{path}: a paragraph of several lines");
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{path}: {} is not explained", arg.get_id());
                assert!(
                    arg.is_positional()
                        || arg.get_help_heading().is_some()
                        || arg.get_id() == "help"
                        || arg.get_id() == "version",
                    "{path}: {} is in no group",
                    arg.get_id()
                );
            }
            for sub in command.get_subcommands() {
                check(sub, &path);
            }
        }
        check(&tree(), "");
    }
}
