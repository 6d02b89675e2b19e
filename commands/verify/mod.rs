//! `lockd verify`: whether a place can be trusted with locks.

mod board;
mod crew;
mod job;
mod peer;
mod races;
mod store;
pub mod vet;
mod watchman;
pub mod worker;

use lockd::error::Result;

use super::context::Context;

/// Check whether a place can hold locks
#[derive(clap::Args)]
#[command(long_about = "Check whether a place can hold locks, before anything depends on it.

  lockd verify store /mnt/nfs
  lockd verify store --json | jq -r '.checks[] | select(.outcome != \"ok\") | .id'")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Store(store::Args),
}

/// Runs the command.
///
/// # Errors
/// When it could not be checked.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    match &args.command {
        Command::Store(args) => store::run(context, args),
    }
}
