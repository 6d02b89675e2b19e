//! A record store that answers as told: lost replies, refusals, silence, writes that land later. The faults cannot be made
//! with a real store on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use lockd::error::{Error, ErrorKind, Result};
use lockd::model::{Key, Namespace};
use lockd::store::{Cursor, Etag, Precondition, PutError, RecordStore, Store, Tagged};
use tokio::sync::watch;

/// What happens to a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it goes through.
    None,
    /// Applied, and the reply is lost.
    LostReply,
    /// Not applied, and the caller cannot know.
    LostRequest,
    /// Not applied now; the same put arrives when [`Faulty::land`] is called.
    Delayed,
    /// Certainly not applied.
    Failed(ErrorKind),
}

/// See the module.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn RecordStore>,
    script: Mutex<VecDeque<Fault>>,
    silent: Mutex<bool>,
    hangs: watch::Sender<bool>,
    delayed: Mutex<Vec<(Key, Bytes, Precondition)>>,
    counts: Mutex<Counts>,
}

/// Calls so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub gets: u32,
    pub puts: u32,
}

impl Faulty {
    /// Puts itself in front of the records of `store`.
    pub fn wrap(store: &mut Store) -> Arc<Self> {
        let inner = Arc::clone(&store.records);
        let faulty = Arc::new(Self {
            inner,
            script: Mutex::default(),
            silent: Mutex::default(),
            hangs: watch::Sender::new(false),
            delayed: Mutex::default(),
            counts: Mutex::default(),
        });
        store.records = faulty.clone();
        faulty
    }

    /// The next puts go so.
    pub fn next(&self, faults: &[Fault]) {
        self.script.lock().unwrap().extend(faults);
    }

    /// From now on reads fail, or work again.
    pub fn silence(&self, silent: bool) {
        *self.silent.lock().unwrap() = silent;
    }

    /// From now on puts wait, or go on again.
    pub fn hang(&self, hangs: bool) {
        self.hangs.send_replace(hangs);
    }

    /// Forgets the faults to come.
    pub fn clear(&self) {
        self.script.lock().unwrap().clear();
    }

    /// Delayed puts arrive; how many were applied.
    pub async fn land(&self) -> usize {
        let delayed = std::mem::take(&mut *self.delayed.lock().unwrap());
        let mut applied = 0;
        for (key, value, when) in delayed {
            applied += usize::from(self.inner.put(&key, value, when).await.is_ok());
        }
        applied
    }

    /// Calls since the last time that this was asked.
    pub fn counted(&self) -> Counts {
        std::mem::take(&mut *self.counts.lock().unwrap())
    }
}

fn lost() -> PutError {
    PutError::Unknown(Error::new(ErrorKind::Unavailable, "no answer"))
}

#[async_trait]
impl RecordStore for Faulty {
    async fn get(&self, key: &Key) -> Result<Option<Tagged>> {
        self.counts.lock().unwrap().gets += 1;
        if *self.silent.lock().unwrap() {
            return Err(Error::new(ErrorKind::Unavailable, "no answer"));
        }
        self.inner.get(key).await
    }

    async fn put(&self, key: &Key, value: Bytes, when: Precondition) -> Result<Etag, PutError> {
        self.counts.lock().unwrap().puts += 1;
        let mut hangs = self.hangs.subscribe();
        drop(hangs.wait_for(|hangs| !hangs).await);
        let fault = self.script.lock().unwrap().pop_front().unwrap_or(Fault::None);
        match fault {
            Fault::None => self.inner.put(key, value, when).await,
            Fault::LostReply => {
                let _reply = self.inner.put(key, value, when).await;
                Err(lost())
            }
            Fault::LostRequest => Err(lost()),
            Fault::Delayed => {
                self.delayed.lock().unwrap().push((key.clone(), value, when));
                Err(lost())
            }
            Fault::Failed(kind) => Err(PutError::Failed(Error::new(kind, "refused"))),
        }
    }

    fn conflicts_are_certain(&self) -> bool {
        self.inner.conflicts_are_certain()
    }

    fn list<'a>(&'a self, ns: &'a Namespace, after: Option<&Cursor>) -> BoxStream<'a, Result<(Key, Cursor)>> {
        self.inner.list(ns, after)
    }

    async fn changed(&self, key: &Key, seen: Option<&Etag>) -> Result<()> {
        self.inner.changed(key, seen).await
    }
}
