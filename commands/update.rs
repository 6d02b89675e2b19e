//! `lockd update`: replace the state of a key.

use lockd::error::Result;
use lockd::service::{ChangeRequest, Expected, LeaseService};

use super::change::{self, ChangeArgs};
use super::context::Context;
use super::progress::Progress;
use super::{body, proof};

/// Replace the state of a key
#[derive(clap::Args)]
#[command(
    long_about = "Replace the state of a key with one JSON value, read from FILE or standard input. Whitespace outside strings is \
dropped, all else is kept as sent. The value is checked before anything is locked.

  echo '{\"done\":42}' | lockd update import/orders
  lockd update import/orders progress.json --if-version 7
  lockd exec import/orders -- sh -c 'next-step && lockd update - < progress.json'

Inside `lockd exec`, or after `lockd acquire`, the lease in the environment is the proof, checked in the same \
compare-and-swap that commits. Without one, a lease is taken for the moment of the change."
)]
pub struct Args {
    /// The key; `-` alone stands for standard input [env: LOCKD_KEY]
    #[arg(value_name = "KEY")]
    key: Option<String>,
    /// Where the state is [default: standard input]
    #[arg(value_name = "FILE|-")]
    file: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Runs the command.
///
/// # Errors
/// Why the state was not replaced.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    let (key, file) = match (args.key.as_deref(), args.file.as_deref()) {
        (Some("-"), None) => (None, Some("-")),
        other => other,
    };
    let key = proof::key(context, key)?;
    context.place(super::target::Need::Moment)?;
    let body = body::open(file)?;
    let long = !body.is_whole();
    let mut progress = Progress::new(context, body.length);
    change::run(context, &key, &args.change, long, async |service: &dyn LeaseService, request: ChangeRequest| {
        service.update(request, Expected::default(), body.stream(move |n| progress.advance(n))).await
    })
}
