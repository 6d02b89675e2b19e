//! Who a store is: `store.json`, made once. A process looks again now and then, and refuses a store that is another one.

use std::sync::{Mutex, PoisonError};

use object_store::PutPayload;

use super::Objects;
use super::records::Look;
use crate::clock::BootTime;
use crate::error::{ErrorKind, Result};
use crate::limits::{OBJECT_IDENTITY_EVERY, OBJECT_REQUEST};
use crate::store::identity::{Identity, Kind, replaced};
use crate::store::{Precondition, PutError};

/// The identity that was found when the store was opened, and when it was last looked at.
#[derive(Debug)]
pub struct Known {
    /// It.
    pub identity: Identity,
    looked: Mutex<BootTime>,
}

impl Known {
    /// Just read.
    #[must_use]
    pub fn now(identity: Identity, at: BootTime) -> Self {
        Self { identity, looked: Mutex::new(at) }
    }

    /// Whether it is time to look again; whoever is told so does it.
    fn is_due(&self, now: BootTime) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = now.since(*looked) >= OBJECT_IDENTITY_EVERY;
        if due {
            *looked = now;
        }
        due
    }
}

impl Objects {
    /// Checks, now and then, that the store is still the one that was opened.
    ///
    /// # Errors
    /// [`ErrorKind::StoreReplaced`] when it is not. A service that does not answer proves nothing.
    pub(super) async fn verify(&self) -> Result<()> {
        if !self.identity.is_due(self.clock().boot()) {
            return Ok(());
        }
        match self.present().await {
            Ok(Some(present)) => self.identity.identity.check(&present),
            Ok(None) => Err(replaced("its store.json is gone")),
            Err(e) if e.kind() == ErrorKind::StoreMissing => Err(replaced(e.message())),
            Err(_) => Ok(()),
        }
    }

    /// The identity that is there.
    pub(super) async fn present(&self) -> Result<Option<Identity>> {
        match self.look(&self.names.identity(), None).await? {
            Look::Value(tagged) => Identity::parse_as(Kind::Plain, &tagged.value).map(Some),
            Look::Absent | Look::Same => Ok(None),
        }
    }

    /// Makes one, unless another process was faster: then there is that one.
    pub(super) async fn make(&self, new: &Identity) -> Result<()> {
        let body = PutPayload::from(new.encode()?);
        match self.put_object(&self.names.identity(), &body, &Precondition::Absent, OBJECT_REQUEST).await {
            // Read back in every case: that tells whose it is.
            Ok(_) | Err(PutError::Conflict | PutError::Unknown(_)) => Ok(()),
            Err(PutError::Failed(e)) => Err(e),
        }
    }
}
