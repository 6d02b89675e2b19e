//! Waiting for a change where nobody tells of one: looks that cost little and come ever more rarely.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use lockd::clock::{BootTime, Clock, SystemClock, UnixMillis};
use lockd::entropy::KernelEntropy;
use lockd::limits::{OBJECT_POLL_FIRST, OBJECT_POLL_MAX};
use lockd::model::{Record, WriteId};
use lockd::store::open::{OpenOptions, open};
use lockd::store::{Precondition, Store};

use super::fake;
use super::servers::Place;
use crate::support::world::key;

/// The machine's clock, but pauses are over at once, and are remembered. What is longer than a pause is a time limit, and stands.
#[derive(Debug, Default)]
struct Hasty {
    ahead: AtomicU64,
    pauses: Mutex<Vec<Duration>>,
}

#[async_trait]
impl Clock for Hasty {
    fn boot(&self) -> BootTime {
        BootTime(SystemClock.boot().0 + self.ahead.load(Ordering::SeqCst))
    }
    fn wall(&self) -> UnixMillis {
        SystemClock.wall()
    }
    fn boot_id(&self) -> Option<&str> {
        None
    }
    async fn sleep_until(&self, until: BootTime) {
        let pause = until.since(self.boot());
        if pause > 2 * OBJECT_POLL_MAX {
            return std::future::pending().await;
        }
        self.pauses.lock().unwrap().push(pause);
        self.ahead.fetch_add(u64::try_from(pause.as_nanos()).unwrap(), Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
}

async fn written(store: &Store, when: Precondition) -> lockd::store::Etag {
    let value = Record::new(key("k")).sealed(WriteId::random(&KernelEntropy)).encode().unwrap();
    store.records.put(&key("k"), value, when).await.unwrap()
}

#[tokio::test]
async fn looks_grow_rare_and_send_nothing_twice() {
    let serving = fake::honest().await;
    let place = Place::fake(&serving);
    let store = place.open().await.unwrap().store;
    let seen = written(&store, Precondition::Absent).await;
    let clock = Arc::new(Hasty::default());
    let options = OpenOptions { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..place.options() };
    let other = open(&place.url, options).await.unwrap().store;
    let etag = seen.clone();
    let waiting = tokio::spawn(async move { other.records.changed(&key("k"), Some(&etag)).await });
    while clock.pauses.lock().unwrap().len() < 15 {
        assert!(!waiting.is_finished(), "nothing has changed");
        tokio::task::yield_now().await;
    }
    written(&store, Precondition::Matches(seen)).await;
    waiting.await.unwrap().unwrap();
    let pauses = clock.pauses.lock().unwrap();
    // A pause is shorter by what passed since it was begun.
    let within = |pause: Duration, wanted: Duration| (wanted / 2..=wanted * 5 / 4).contains(&pause);
    assert!(within(pauses[0], OBJECT_POLL_FIRST) && pauses[1] > OBJECT_POLL_FIRST, "{pauses:?}");
    assert!(pauses[14..].iter().all(|pause| within(*pause, OBJECT_POLL_MAX)), "{pauses:?}");
    assert!(serving.service.unchanged() >= pauses.len(), "each look says what it knows: {pauses:?}");
}
