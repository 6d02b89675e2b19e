//! Waiting for a change of a key, told by the committer: every writer of the store is in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::model::Key;

/// The keys that somebody waits for.
#[derive(Debug, Default)]
pub struct Changes {
    waited_for: Mutex<HashMap<Key, Waited>>,
}

#[derive(Debug, Default)]
struct Waited {
    by: usize,
    told: Arc<Notify>,
}

impl Changes {
    /// Tells of changes of a key from now on, until dropped.
    pub fn subscribe(self: &Arc<Self>, key: &Key) -> Subscription {
        let mut all = self.lock();
        let waited = all.entry(key.clone()).or_default();
        waited.by += 1;
        Subscription { told: Arc::clone(&waited.told), key: key.clone(), changes: Arc::clone(self) }
    }

    /// Wakes all who wait for one of these keys.
    pub fn tell<'a>(&self, keys: impl Iterator<Item = &'a Key>) {
        let all = self.lock();
        if all.is_empty() {
            return;
        }
        for waited in keys.filter_map(|key| all.get(key)) {
            waited.told.notify_waiters();
        }
    }

    // A thread that panicked inside these short sections left the map whole: each changes it in one step.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Waited>> {
        self.waited_for.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Changes::subscribe`].
#[derive(Debug)]
pub struct Subscription {
    told: Arc<Notify>,
    key: Key,
    changes: Arc<Changes>,
}

impl Subscription {
    /// Ready once the key was changed after this call.
    pub fn next(&self) -> Notified<'_> {
        self.told.notified()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut all = self.changes.lock();
        if let Some(waited) = all.get_mut(&self.key) {
            waited.by -= 1;
            if waited.by == 0 {
                all.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::model::Namespace;

    #[test]
    fn those_who_wait_for_the_key_are_told_and_nobody_is_remembered() {
        let key = |name: &str| Key::new(Namespace::default(), name).unwrap();
        let changes = Arc::<Changes>::default();
        let (a, b) = (changes.subscribe(&key("a")), changes.subscribe(&key("a")));
        let (first, second) = (a.next(), b.next());
        changes.tell([key("b")].iter());
        let mut first = Box::pin(first);
        assert!(first.as_mut().now_or_never().is_none());
        changes.tell([key("a")].iter());
        assert!(first.now_or_never().is_some() && second.now_or_never().is_some());
        drop(a);
        assert_eq!(changes.lock().len(), 1);
        drop(b);
        assert!(changes.lock().is_empty());
    }
}
