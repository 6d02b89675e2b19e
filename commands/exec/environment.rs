//! The variables that the command sees: its leases, where they are, and those around it.

use std::ffi::OsString;

use lockd::client::AcquireOptions;
use lockd::limits::LEASES_AROUND_BYTES;
use lockd::model::Key;

use super::super::target::Place;
use super::super::variables::Listed;
use super::held::Held;

/// Variables of a lease around this one: they would mislead the command, as one of the other kind of place would.
const REMOVED: [&str; 3] = ["LOCKD_LEASES", "LOCKD_LEASE_EXPIRES", "LOCKD_STATE_FILE"];

/// What is known of them before the leases are.
#[derive(Debug)]
pub struct Variables {
    fixed: Vec<(&'static str, OsString)>,
    /// The leases under which exec itself runs, and so its command.
    around: Vec<Listed>,
    namespace: String,
    place: Place,
}

impl Variables {
    /// Those of the first key typed, at this place, with the files that were named and the leases around.
    pub fn new(
        first: &AcquireOptions,
        place: Place,
        files: Vec<(&'static str, OsString)>,
        around: Vec<Listed>,
    ) -> Self {
        let namespace = first.key.namespace().to_string();
        let mut fixed: Vec<(&'static str, OsString)> = vec![
            ("LOCKD_KEY", first.key.name().into()),
            ("LOCKD_LEASE_ID", first.lease_id.as_str().into()),
            ("LOCKD_OWNER", first.owner.as_str().into()),
            ("LOCKD_NAMESPACE", namespace.clone().into()),
            (place.variables().0, place.url.clone().into()),
        ];
        fixed.extend(files);
        Self { fixed, around, namespace, place }
    }

    /// The ids of leases around under which this key may be held.
    pub fn around(&self, key: &Key) -> impl Iterator<Item = &str> {
        self.around.iter().filter(|listed| listed.key == key.name()).map(|listed| listed.lease_id.as_str())
    }

    /// Changes to the command's environment that are known before the grants; `None` removes.
    pub fn early(&self) -> Vec<(OsString, Option<OsString>)> {
        let removed = REMOVED.into_iter().chain([self.place.variables().1]).map(|name| (name.into(), None));
        let set = self.fixed.iter().map(|(name, value)| ((*name).into(), Some(value.clone())));
        removed.chain(set).collect()
    }

    /// Those that come with the grants: the token of the first key, and all leases, where there are several.
    pub fn late(&self, keys: &[Key], held: &Held) -> Vec<(String, String)> {
        let token = keys.first().and_then(|key| held.of(key)).map(|lease| lease.token.to_string());
        let mut late: Vec<_> = token.map(|token| ("LOCKD_FENCING_TOKEN".to_owned(), token)).into_iter().collect();
        let mut all: Vec<Listed> = keys.iter().filter_map(|key| held.of(key)).map(Listed::of).collect();
        // One that was over before this key was taken again says nothing any more.
        let over = |listed: &&Listed| {
            let here = listed.namespace.as_deref() == Some(&self.namespace) && listed.is_at(&self.place);
            here && keys.iter().any(|key| key.name() == listed.key)
        };
        let mut room = LEASES_AROUND_BYTES;
        let fits = |listed: &&Listed| {
            room = room.saturating_sub(written(listed).len());
            room > 0
        };
        all.extend(self.around.iter().filter(|listed| !over(listed)).take_while(fits).cloned());
        if all.len() > 1 {
            late.push(("LOCKD_LEASES".to_owned(), written(&all)));
        }
        late
    }
}

/// Plain data: it can be written.
fn written(data: &impl serde::Serialize) -> String {
    serde_json::to_string(data).unwrap_or_default()
}
