//! `lockd keepalive`: extend a lease.

use lockd::clock::UnixMillis;
use lockd::error::Result;
use lockd::limits::holder_belief;
use serde::Serialize;

use super::context::Context;
use super::output::{self, Format};
use super::target::Need;
use super::{proof, text};

/// Extend the lease in the environment
#[derive(clap::Args)]
#[command(
    long_about = "Extend the lease in the environment: it lives for its TTL from now on. Exits 80 when it is not ours any more, 84 \
when an operator broke it.

  lockd keepalive
  lockd keepalive deploy/web --ttl 10m || exit"
)]
pub struct Args {
    /// The key [env: LOCKD_KEY]
    key: Option<String>,
    /// How long the lease lives from now on; it never becomes shorter
    #[arg(long, value_name = "DUR", help_heading = "Lease")]
    ttl: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    key: &'a str,
    ttl_ms: u64,
    expires: String,
    expires_in_ms: u64,
}

/// Runs the command.
///
/// # Errors
/// Why it was not extended.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    let key = proof::key(context, args.key.as_deref())?;
    let proof = proof::required(context, &key)?;
    let ttl = context.ttl(args.ttl.as_deref())?;
    let format = context.format()?;
    let (renewed, left) = context.block_on(async {
        let session = context.open(Need::Moment).await?;
        let sent = context.clock.boot();
        let result = session.client.service().keepalive(&key, &proof, ttl).await;
        session.client.service().close().await;
        let renewed = result?;
        let deadline = sent + holder_belief(renewed.left, renewed.ttl.duration());
        Ok((renewed, deadline.since(context.clock.boot())))
    })?;
    if format != Format::Text {
        let expires_in_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let expires = text::rfc3339(UnixMillis(context.clock.wall().0.saturating_add(expires_in_ms)));
        let body = Body { key: key.name(), ttl_ms: renewed.ttl.millis(), expires, expires_in_ms };
        output::print(output::document(format, &body)?)?;
    }
    Ok(0)
}
