//! `lockd release`: give a lease back.

use lockd::error::{Error, ErrorKind, Result};
use lockd::service::Released;
use serde::Serialize;

use super::context::Context;
use super::output::{self, Format};
use super::proof;
use super::target::Need;

/// Give the lease in the environment back
#[derive(clap::Args)]
#[command(
    long_about = "Give the lease in the environment back, so that the next one gets the key at once. Exits 0 when it is released or \
was over already, 80 when somebody else has the key by now.

  lockd release
  lockd release deploy/web"
)]
pub struct Args {
    /// The key [env: LOCKD_KEY]
    key: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    key: &'a str,
    outcome: &'a str,
}

/// Runs the command.
///
/// # Errors
/// Why it was not released.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    let key = proof::key(context, args.key.as_deref())?;
    let proof = proof::required(context, &key)?;
    let format = context.format()?;
    let released = context.block_on(async {
        let session = context.open(Need::Moment).await?;
        let result = session.client.service().release(&key, &proof.lease_id, Some(&proof), false).await;
        session.client.service().close().await;
        result
    })?;
    let outcome = match released {
        Released::Released { .. } => "released",
        Released::AlreadyGone { .. } => "already_gone",
        Released::Fenced => {
            return Err(Error::new(
                ErrorKind::LeaseRequired,
                format!("this lease of {key} is over and somebody else has the key"),
            )
            .with_hint(format!("what was done since may overlap; `lockd status {key}` tells who has it")));
        }
    };
    if format != Format::Text {
        output::print(output::document(format, &Body { key: key.name(), outcome })?)?;
    }
    Ok(0)
}
