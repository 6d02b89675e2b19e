//! `lockd remove`: delete the state of a key.

use lockd::error::Result;
use lockd::service::{ChangeRequest, LeaseService};

use super::change::{self, ChangeArgs};
use super::context::Context;
use super::proof;

/// Delete the state of a key
#[derive(clap::Args)]
#[command(
    long_about = "Delete the state of a key. Its version and its fencing token live on, so that nobody mistakes what comes later \
for what was there before. Removing what is not there is no error.

  lockd remove import/orders
  lockd remove import/orders --if-version 7

The lease in the environment is the proof; without one, a lease is taken for the moment of the change."
)]
pub struct Args {
    /// The key [env: LOCKD_KEY]
    key: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Runs the command.
///
/// # Errors
/// Why the state was not removed.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    let key = proof::key(context, args.key.as_deref())?;
    change::run(context, &key, &args.change, false, async |service: &dyn LeaseService, request: ChangeRequest| {
        service.remove(request).await
    })
}
