//! `lockd config`: the settings, as a file and as they hold.

mod generate;
mod show;

use lockd::error::Result;

use super::context::Context;
use super::output;

/// Write a configuration file, or show the settings that hold
#[derive(clap::Args)]
#[command(
    long_about = "Settings come from flags, the environment, env-files, the configuration file and defaults, in this order.

  lockd config gen > ~/.config/lockd/config.yaml
  lockd config show --origin

`lockd help env` lists the environment variables."
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Gen(GenerateArgs),
    Show(show::Args),
}

/// Print a configuration file with every setting explained
#[derive(clap::Args)]
#[command(
    long_about = "Print a configuration file: every setting with what it is for, its default, its flag and its environment variable. \
All lines are commented out, so that it changes nothing until it is edited.

  lockd config gen > ~/.config/lockd/config.yaml
  lockd config gen | sudo tee /etc/lockd/config.yaml"
)]
struct GenerateArgs {}

/// Runs the command. `gen` reads no settings: it works while they are wrong.
///
/// # Errors
/// When a setting is wrong, or nothing can be written.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    match &args.command {
        Command::Gen(_) => output::print(generate::file()).map(|()| 0),
        Command::Show(args) => show::run(context, args),
    }
}
