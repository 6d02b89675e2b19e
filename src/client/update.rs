//! A lease for update: one request that is the lease and brings the state along.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use super::lease::Lease;
use super::state::{read_as, whole};
use super::{AcquireOptions, Client, Delay};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Key;
use crate::service::{Following, ForUpdate, LeaseEnd, OnDisconnect, State};

/// A lease for update: it came with its state, which it hands over once, and its loss is told as it happens. It cannot be read
/// again; all else is as for a [`Lease`].
///
/// ```
/// use lockd::client::Client;
/// use lockd::service::OnDisconnect;
///
/// # async fn example() -> lockd::error::Result<()> {
/// let client = Client::open("mem://").await?;
/// let options = client.options("backup/db")?;
/// let mut lease = client.acquire_for_update(options, OnDisconnect::Expire, |_delay| ()).await?;
/// lease.keep_alive();
/// let runs: u64 = lease.take().await?.unwrap_or(0);
/// lease.save(&(runs + 1)).await?;
/// lease.release().await?;
/// # Ok(())
/// # }
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(example()).unwrap();
/// ```
///
/// Through a server the request lasts as long as the lease. Should its connection break, the lease passes on as soon as that is
/// safe; see [`OnDisconnect`].
pub type UpdateLease = Lease<Streamed>;

/// What comes with an [`UpdateLease`].
pub struct Streamed {
    /// Only to be taken out; a lock makes it fit for many threads.
    state: Mutex<Option<State>>,
    follower: Option<JoinHandle<()>>,
}

impl Drop for Streamed {
    fn drop(&mut self) {
        if let Some(follower) = &self.follower {
            follower.abort();
        }
    }
}

impl Client {
    /// Takes a lease for update. Waiting is as for [`Client::acquire`].
    ///
    /// # Errors
    /// Those of [`Client::acquire`]; `TooManyStreams` where the server follows as many leases as it can; that the state cannot be
    /// read.
    pub async fn acquire_for_update(
        &self,
        options: AcquireOptions,
        on_disconnect: OnDisconnect,
        on_delay: impl FnMut(Delay<'_>),
    ) -> Result<UpdateLease> {
        let sent = self.clock.boot();
        let ask = |request| self.service.acquire_for_update(request, on_disconnect);
        let ForUpdate { grant, state, following } = self.granted(&options, on_delay, ask).await?;
        let streamed = Streamed { state: Mutex::new(state), follower: None };
        let mut lease = self.start(options, grant, sent, streamed).await?;
        lease.follow(following, on_disconnect);
        Ok(lease)
    }
}

impl UpdateLease {
    /// The state as it was at the grant, with its version, ETag and length; `None` when there was none, or it was taken already.
    /// Through a server it should be read at once: who does not read for 30 s is cut off.
    pub fn take_state(&mut self) -> Option<State> {
        self.stream.state.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The same, whole: at most 100 MiB.
    ///
    /// # Errors
    /// That it did not come whole.
    pub async fn take_bytes(&mut self) -> Result<Option<Bytes>> {
        match self.take_state() {
            Some(state) => whole(state).await.map(Some),
            None => Ok(None),
        }
    }

    /// The same, read as a `T`.
    ///
    /// # Errors
    /// As [`UpdateLease::take_bytes`]; `InvalidState` when it is no `T`.
    pub async fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        match self.take_bytes().await? {
            Some(bytes) => read_as(&self.key, &bytes).map(Some),
            None => Ok(None),
        }
    }

    fn follow(&mut self, following: Following, on_disconnect: OnDisconnect) {
        let (lose, key) = (self.loser(), self.key.clone());
        self.stream.follower = Some(tokio::spawn(async move {
            let mut following = following;
            if let Some(why) = lost(&key, following.end().await, on_disconnect) {
                lose(why);
            }
        }));
    }
}

/// What the end of the stream means. A lease whose connection broke goes on by its renewals, unless it was to be given back then.
fn lost(key: &Key, end: Option<LeaseEnd>, on_disconnect: OnDisconnect) -> Option<Error> {
    let (kind, what, hint) = match end {
        Some(LeaseEnd::Released) => (ErrorKind::LeaseRequired, "was given back", "nothing was written after that"),
        Some(LeaseEnd::Lost) => (
            ErrorKind::LeaseExpired,
            "was not renewed in time and has passed on",
            "renew it more often, or ask for a longer TTL",
        ),
        Some(LeaseEnd::Broken) => (ErrorKind::LeaseBroken, "was broken", "`lockd status` tells by whom, and why"),
        None if on_disconnect == OnDisconnect::Release => {
            (ErrorKind::LeaseExpired, "was to end with its connection, which is gone", "take it again")
        }
        None => return None,
    };
    Some(Error::new(kind, format!("the lease of {key} {what}")).with_hint(hint))
}
