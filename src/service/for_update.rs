//! A lease for update: it comes with its state, and its end is told as it happens.

use futures_util::future::BoxFuture;

use super::{Grant, State};

/// What may be done with a lease for update once the connection of its holder has gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDisconnect {
    /// The holder may be at work still, and effects of its may be under way: the lease ends as that of a holder that died, when
    /// 1.01 x TTL + 1 s have passed since its last sign of life.
    #[default]
    Expire,
    /// The holder has declared that whoever receives its effects compares their tokens: the lease ends at once.
    Release,
}

/// How a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeaseEnd {
    /// It was given back.
    Released,
    /// Nobody renewed it, and it was taken over or recorded as expired; or its end is remembered no more.
    Lost,
    /// An operator broke it.
    Broken,
}

/// A lease that was granted for update.
pub struct ForUpdate {
    /// The grant.
    pub grant: Grant,
    /// The state under it; `None` when there is none.
    pub state: Option<State>,
    /// What becomes of the lease.
    pub following: Following,
}

/// Follows a lease to its end. Dropping it before that says that the holder's connection has gone: then the lease passes on as
/// [`OnDisconnect`] has it.
pub struct Following {
    end: BoxFuture<'static, Option<LeaseEnd>>,
    on_drop: Option<Box<dyn FnOnce() + Send>>,
}

impl Following {
    /// Follows a lease whose end `end` tells; `on_drop` is what the loss of the connection means.
    #[must_use]
    pub fn new(end: BoxFuture<'static, Option<LeaseEnd>>, on_drop: impl FnOnce() + Send + 'static) -> Self {
        Self { end, on_drop: Some(Box::new(on_drop)) }
    }

    /// Returns once the lease has ended; `None` when that cannot be told any more, because the connection to who told it is
    /// gone. Dropping the future loses nothing.
    pub async fn end(&mut self) -> Option<LeaseEnd> {
        if self.on_drop.is_none() {
            return std::future::pending().await;
        }
        let end = (&mut self.end).await;
        self.on_drop = None;
        end
    }

    /// Follows it no more: whatever became of it, the connection is not what it hangs on.
    pub fn settle(mut self) {
        self.on_drop = None;
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(gone) = self.on_drop.take() {
            gone();
        }
    }
}
