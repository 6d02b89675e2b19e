//! The lease that the environment carries: what `acquire` printed or `exec` handed down. It is used for its own key only.

use lockd::error::{Error, ErrorKind, Result};
use lockd::model::{FencingToken, Key, LeaseId};
use lockd::service::Proof;

use super::context::Context;
use super::target::Need;
use super::variables::Listed;

/// The key to act on: the operand, else the one of the lease in the environment.
///
/// # Errors
/// `Usage` when there is neither; `InvalidKey`.
pub fn key(context: &Context, operand: Option<&str>) -> Result<Key> {
    match operand.or_else(|| context.environment.var("LOCKD_KEY")) {
        Some(name) => context.key(name),
        None => Err(Error::new(ErrorKind::Usage, "no KEY was given and LOCKD_KEY is not set")
            .with_hint("name the key, or take a lease with `lockd acquire` or `lockd exec` first")),
    }
}

/// The lease in the environment, when it is one of this key, in this namespace, where this command acts.
///
/// # Errors
/// `Usage` when it is one, and malformed.
pub fn in_environment(context: &Context, key: &Key) -> Result<Option<Proof>> {
    let environment = &context.environment;
    let place = context.place(Need::Moment)?;
    // A flag may have sent this command elsewhere than the lease was taken.
    let is_here = |listed: &Listed| listed.is_of(key) && listed.may_be_at(&place);
    if let (Some(name), Some(id)) = (environment.var("LOCKD_KEY"), environment.var("LOCKD_LEASE_ID")) {
        let token = environment.var("LOCKD_FENCING_TOKEN").unwrap_or_default().parse().ok();
        let listed = Listed::new(name, id, token.unwrap_or(0)).placed_by(|name| environment.var(name));
        if is_here(&listed) {
            return proof(id, token).map(Some);
        }
    }
    let Some(leases) = environment.var("LOCKD_LEASES") else { return Ok(None) };
    let leases: Vec<Listed> = serde_json::from_str(leases).map_err(|e| malformed("LOCKD_LEASES", &e.to_string()))?;
    let placed = leases.into_iter().map(|listed| listed.placed_by(|name| environment.var(name)));
    let mut here = placed.filter(is_here);
    here.next().map(|lease| proof(&lease.lease_id, Some(lease.fencing_token))).transpose()
}

/// The same, where there must be one.
///
/// # Errors
/// `Usage` when there is none.
pub fn required(context: &Context, key: &Key) -> Result<Proof> {
    in_environment(context, key)?.ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("the environment has no lease of {key}"))
            .with_hint(format!("take one: l=$(lockd acquire {key}) && eval \"$l\" || exit"))
    })
}

fn proof(id: &str, token: Option<u64>) -> Result<Proof> {
    let token = token.ok_or_else(|| malformed("LOCKD_FENCING_TOKEN", "it is not a number"))?;
    let lease_id = LeaseId::new(id).map_err(|e| malformed("LOCKD_LEASE_ID", e.message()))?;
    Ok(Proof { lease_id, token: FencingToken(token), txn: None })
}

fn malformed(name: &str, why: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("{name}: {why}")).with_hint("take the lease anew; do not set it by hand")
}
