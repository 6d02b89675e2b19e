//! The lease that the environment carries: what `acquire` printed or `exec` handed down. It is used for its own key only.

use lockd::error::{Error, ErrorKind, Result};
use lockd::model::{FencingToken, Key, LeaseId, Namespace};
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
    let url = context.place(Need::Moment)?.url;
    // A flag may have sent this command elsewhere than the lease was taken.
    let is_here = |namespace: Option<&str>, store: Option<&str>| {
        let namespace = namespace.or(environment.var("LOCKD_NAMESPACE")).unwrap_or(Namespace::DEFAULT);
        key.namespace().as_str() == namespace && store.or(environment.var("LOCKD_STORE")).is_none_or(|at| at == url)
    };
    let ours = environment.var("LOCKD_KEY") == Some(key.name()) && is_here(None, None);
    if let Some(id) = environment.var("LOCKD_LEASE_ID").filter(|_| ours) {
        let token = environment.var("LOCKD_FENCING_TOKEN").unwrap_or_default();
        return proof(id, token.parse().ok()).map(Some);
    }
    let Some(leases) = environment.var("LOCKD_LEASES") else { return Ok(None) };
    let leases: Vec<Listed> = serde_json::from_str(leases).map_err(|e| malformed("LOCKD_LEASES", &e.to_string()))?;
    let here = |lease: &&Listed| lease.key == key.name() && is_here(lease.namespace.as_deref(), lease.store.as_deref());
    leases.iter().find(here).map(|lease| proof(&lease.lease_id, Some(lease.fencing_token))).transpose()
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
