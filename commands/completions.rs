//! `lockd completions`: completion scripts for shells.

use clap::ValueEnum;
use clap_complete::Shell;
use lockd::error::Result;

use super::context::usage;
use super::{cli, output};

/// Print a completion script for a shell
#[derive(clap::Args)]
#[command(long_about = "Print a completion script for a shell: bash, elvish, fish, powershell or zsh.

  lockd completions bash > /usr/share/bash-completion/completions/lockd
  lockd completions fish > ~/.config/fish/completions/lockd.fish")]
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
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::tree(), "lockd", &mut script);
    output::print(script)?;
    Ok(0)
}
