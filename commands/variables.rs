//! What a lease looks like in the environment: the same variables from `acquire` and for the command of `exec`.

use lockd::client::Lease;
use lockd::model::{Key, Namespace};
use serde::{Deserialize, Serialize};

use super::settings::Environment;
use super::target::{Kind, Place};

/// Variables that hold a lease and nothing else: what a failed `acquire` takes back.
pub const OF_A_LEASE: [&str; 4] = ["LOCKD_KEY", "LOCKD_LEASE_ID", "LOCKD_FENCING_TOKEN", "LOCKD_LEASE_EXPIRES"];

/// One lease of `LOCKD_LEASES`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its id.
    pub lease_id: String,
    /// Its fencing token.
    pub fencing_token: u64,
    /// Its namespace, when it is not that of `LOCKD_NAMESPACE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its store, when it was taken there and not where the environment says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// The same for servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

impl Listed {
    /// A lease where the environment says.
    pub fn new(key: &str, lease_id: &str, fencing_token: u64) -> Self {
        let (key, lease_id) = (key.to_owned(), lease_id.to_owned());
        Self { key, lease_id, fencing_token, namespace: None, store: None, server: None }
    }

    /// How a lease is listed by whoever took it.
    pub fn of(lease: &Lease) -> Self {
        Self::new(lease.key.name(), lease.id.as_str(), lease.token.0)
    }

    /// The same with all that the environment says of its namespace and place.
    pub fn placed_by<'a>(mut self, var: impl Fn(&'static str) -> Option<&'a str>) -> Self {
        let namespace = || var("LOCKD_NAMESPACE").unwrap_or(Namespace::DEFAULT).to_owned();
        self.namespace.get_or_insert_with(namespace);
        if self.store.is_none() && self.server.is_none() {
            self.store = var("LOCKD_STORE").map(str::to_owned);
            self.server = var("LOCKD_SERVER").map(str::to_owned);
        }
        self
    }

    /// Whether it is one of this key.
    pub fn is_of(&self, key: &Key) -> bool {
        self.key == key.name() && self.namespace.as_deref() == Some(key.namespace().as_str())
    }

    /// Whether it was taken at this place.
    pub fn is_at(&self, place: &Place) -> bool {
        self.urls(place.kind).is_some_and(|urls| place.is_named_by(urls))
    }

    /// Whether it may have been taken at this place: names do not tell whether a server serves a store.
    pub fn may_be_at(&self, place: &Place) -> bool {
        self.urls(place.kind).is_none_or(|urls| place.is_named_by(urls))
    }

    fn urls(&self, kind: Kind) -> Option<&str> {
        match kind {
            Kind::Store => self.store.as_deref(),
            Kind::Servers => self.server.as_deref(),
        }
    }
}

/// The leases under which this process runs, as its environment says, each with namespace and store. What is malformed is
/// nobody's lease.
pub fn around(environment: &Environment) -> Vec<Listed> {
    let var = |name| environment.own(name);
    let mut all: Vec<Listed> = var("LOCKD_LEASES").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    if let (Some(key), Some(id)) = (var("LOCKD_KEY"), var("LOCKD_LEASE_ID"))
        && all.iter().all(|listed| listed.lease_id != id)
    {
        let fencing_token = var("LOCKD_FENCING_TOKEN").and_then(|token| token.parse().ok()).unwrap_or(0);
        all.insert(0, Listed::new(key, id, fencing_token));
    }
    all.into_iter().map(|listed| listed.placed_by(var)).collect()
}

/// Those of them that `exec` holds: they stand for as long as this process runs. One that `acquire` took, which alone tells when
/// it ends, may be over.
pub fn around_by_exec(environment: &Environment) -> Vec<Listed> {
    let acquired = environment.own("LOCKD_LEASE_EXPIRES").and(environment.own("LOCKD_LEASE_ID"));
    around(environment).into_iter().filter(|listed| Some(listed.lease_id.as_str()) != acquired).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(vars: &[(&str, &str)]) -> Environment {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Environment { vars, ..Environment::default() }
    }

    #[test]
    fn leases_around_are_listed_once_with_their_place() {
        let one =
            [("LOCKD_KEY", "a"), ("LOCKD_LEASE_ID", "1"), ("LOCKD_FENCING_TOKEN", "7"), ("LOCKD_STORE", "disk:///s")];
        let [a] = &around(&environment(&one))[..] else { panic!() };
        assert_eq!((a.key.as_str(), a.lease_id.as_str(), a.fencing_token), ("a", "1", 7));
        assert_eq!((a.namespace.as_deref(), a.store.as_deref()), (Some("default"), Some("disk:///s")));
        let several = r#"[{"key":"a","lease_id":"1","fencing_token":7},
            {"key":"b","lease_id":"2","fencing_token":8,"namespace":"n","store":"disk:///t"}]"#;
        let all = around(&environment(&[&one[..], &[("LOCKD_LEASES", several)]].concat()));
        assert_eq!(all.len(), 2);
        assert_eq!((all[1].namespace.as_deref(), all[1].store.as_deref()), (Some("n"), Some("disk:///t")));
        assert_eq!(around(&environment(&[("LOCKD_LEASES", "x"), ("LOCKD_KEY", "a")])), []);
    }
}
