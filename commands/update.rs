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
    long_about = "Replace the state of a key with one JSON value, read from FILE or standard input. Whitespace outside strings is
dropped, all else is kept as sent. The value is checked before anything is locked.

  echo '{\"done\":42}' | lockd update import/orders
  lockd update import/orders progress.json --if-version 7
  lockd exec import/orders -- sh -c 'next-step && lockd update - < progress.json'

Inside `lockd exec`, or after `lockd acquire`, the lease in the environment is the proof, checked in the same
compare-and-swap that commits. Without one, a lease is taken for the moment of the change."
)]
pub struct Args {
    /// The key, and the file with the state; one operand is the key, unless it is `-`
    #[arg(value_names = ["KEY", "FILE|-"], num_args = 0..=2)]
    operands: Vec<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Runs the command.
///
/// # Errors
/// Why the state was not replaced.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    let (key, file) = match args.operands.as_slice() {
        [] => (None, None),
        [only] if only == "-" => (None, Some("-")),
        [key] => (Some(key.as_str()), None),
        [key, file, ..] => (Some(key.as_str()), Some(file.as_str())),
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
