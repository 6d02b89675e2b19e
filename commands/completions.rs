//! `lockd completions`: completion scripts for shells.

use std::collections::BTreeSet;

use clap::ValueEnum;
use clap_complete::Shell;
use lockd::error::{Error, ErrorKind, Result};

use super::context::usage;
use super::{cli, output};

/// Commands whose first operand is a key, or how one begins.
const WITH_KEY: [&str; 12] =
    ["exec", "acquire", "keepalive", "release", "get", "update", "edit", "remove", "status", "list", "watch", "break"];
/// Flags of all commands that say where the keys are; the scripts hand them on.
const PLACES: [&str; 5] = ["--server", "--store", "--namespace", "--env-file", "--config"];

/// Print a completion script for a shell
#[derive(clap::Args)]
#[command(
    long_about = "Print a completion script for a shell: bash, elvish, fish, powershell or zsh. In bash, fish and zsh keys are completed, \
too: the script asks `lockd list` for them.

  lockd completions bash > /usr/share/bash-completion/completions/lockd
  lockd completions fish > ~/.config/fish/completions/lockd.fish
  lockd completions zsh > /usr/local/share/zsh/site-functions/_lockd"
)]
pub struct Args {
    /// The shell
    shell: String,
}

/// Runs the command.
///
/// # Errors
/// When the shell is not known, or nothing can be written.
pub fn run(args: &Args) -> Result<u8> {
    let shell = Shell::from_str(&args.shell, false)
        .map_err(|_| usage("SHELL", &format!("{:?} is none of bash, elvish, fish, powershell and zsh", args.shell)))?;
    output::print(script(shell)?)?;
    Ok(0)
}

fn script(shell: Shell) -> Result<String> {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut shown(&cli::tree()), "lockd", &mut bytes);
    let script = String::from_utf8(bytes).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    Ok(match shell {
        Shell::Bash => {
            // Ours comes last and takes the place of the generated one.
            let keys = include_str!("completions/keys.bash").replace("@FLAGS@", &value_flags().join(" | "));
            script + &keys.replace("@COMMANDS@", &WITH_KEY.join(" | "))
        }
        Shell::Fish => {
            let flags: Vec<&str> = PLACES.into_iter().collect();
            let flags = [flags.join(" "), value_flags().join(" ")].join(" ");
            let keys = include_str!("completions/keys.fish").replace("@FLAGS@", &flags);
            script + &keys.replace("@COMMANDS@", &WITH_KEY.join(" "))
        }
        Shell::Zsh => zsh(&script),
        _ => script,
    })
}

/// The tree without its hidden flags, which the generators know nothing of.
fn shown(command: &clap::Command) -> clap::Command {
    let args = command.get_arguments().filter(|arg| !arg.is_hide_set()).cloned();
    let all = clap::Command::new(command.get_name().to_owned()).args(args);
    let all = all.subcommands(command.get_subcommands().map(shown)).disable_help_subcommand(true);
    let all = match command.get_about() {
        Some(about) => all.about(about.clone()),
        None => all,
    };
    match command.get_version() {
        Some(version) => all.version(version.to_owned()),
        None => all,
    }
}

/// In the script for zsh each operand names the function that completes it.
fn zsh(script: &str) -> String {
    let operands = ["':key -- ", "'::key -- ", "'::prefix -- ", "'*::words -- ", "'*::keys -- "];
    let keyed = |line: &str| {
        let text = line.trim_start();
        operands.iter().any(|operand| text.starts_with(operand)) || text.contains("]:KEY:")
    };
    let line = |line: &str| match keyed(line) {
        true => line.replace(":_default'", ":_lockd_keys'") + "\n",
        false => line.to_owned() + "\n",
    };
    let script: String = script.lines().map(line).collect();
    let start = "_lockd() {\n";
    let script = script.replacen(start, &format!("{start}    local -a lockd_words=(\"${{words[@]}}\")\n"), 1);
    let call = "if [ \"$funcstack[1]\" = \"_lockd\" ]";
    script.replacen(call, &(include_str!("completions/keys.zsh").to_owned() + call), 1)
}

/// Flags of any command that take the next word as their value, but for those of [`PLACES`].
fn value_flags() -> Vec<String> {
    fn collect(command: &clap::Command, out: &mut BTreeSet<String>) {
        for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values() && !arg.is_positional()) {
            out.extend(arg.get_long().map(|long| format!("--{long}")));
            out.extend(arg.get_short().map(|short| format!("-{short}")));
        }
        command.get_subcommands().for_each(|command| collect(command, out));
    }
    let mut flags = BTreeSet::new();
    collect(&cli::tree(), &mut flags);
    flags.into_iter().filter(|flag| !PLACES.contains(&flag.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_is_filled_in() {
        for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
            let script = script(shell).unwrap();
            assert!(!script.contains("@FLAGS@") && !script.contains("@COMMANDS@"), "{shell}");
            assert!(script.contains("keepalive") && !script.contains("--worker"), "{shell}");
        }
        let zsh = script(Shell::Zsh).unwrap();
        // Twelve commands, and --key of two.
        assert_eq!(zsh.matches("local -a lockd_words=").count(), 1, "{zsh}");
        assert_eq!(zsh.matches(":_lockd_keys'").count(), WITH_KEY.len() + 2, "{zsh}");
        assert!(value_flags().contains(&"--ttl".to_owned()) && value_flags().contains(&"-w".to_owned()));
    }
}
