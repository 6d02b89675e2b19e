//! What a lease looks like in the environment: the same variables from `acquire` and for the command of `exec`.

use lockd::client::Lease;

/// Variables that hold a lease and nothing else: what a failed `acquire` takes back.
pub const OF_A_LEASE: [&str; 4] = ["LOCKD_KEY", "LOCKD_LEASE_ID", "LOCKD_FENCING_TOKEN", "LOCKD_LEASE_EXPIRES"];

/// The variables of a lease on a store.
pub fn of(lease: &Lease, store: &str) -> Vec<(&'static str, String)> {
    vec![
        ("LOCKD_KEY", lease.key.name().to_owned()),
        ("LOCKD_LEASE_ID", lease.id.to_string()),
        ("LOCKD_FENCING_TOKEN", lease.token.to_string()),
        ("LOCKD_OWNER", lease.owner.to_string()),
        ("LOCKD_NAMESPACE", lease.key.namespace().to_string()),
        ("LOCKD_STORE", store.to_owned()),
    ]
}
