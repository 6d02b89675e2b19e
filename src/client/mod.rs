//! The client: leases as objects, over any [`LeaseService`].
//!
//! A [`Lease`] knows until when it may be believed in ([`Lease::deadline`]), renews itself once asked to ([`Lease::keep_alive`]), tells
//! when it is lost ([`Lease::lost`]) and gives itself back. The state is read and written through it: [`Lease::load`],
//! [`Lease::save`]. A call is given up by dropping its future. An [`UpdateLease`] comes with the state: one request is the lease.
//!
//! ```
//! use lockd::client::Client;
//!
//! # async fn example() -> lockd::error::Result<()> {
//! // Or Client::connect(["http://lock1:9341", "http://lock2:9341"]) for servers, or disk:///var/lib/lockd for a directory.
//! let client = Client::open("mem://").await?;
//! let mut lease = client.acquire(client.options("backup/db")?, |_delay| ()).await?;
//! lease.keep_alive();
//! let runs: u64 = lease.load().await?.unwrap_or(0);
//! // Pass lease.token with every effect outside lockd, and stop when lease.lost() returns.
//! lease.save(&(runs + 1)).await?;
//! lease.release().await?;
//!
//! // The same in one call, which commits what the closure returns.
//! let count = |_token, runs: Option<u64>| async move { Ok(Some(runs.unwrap_or(0) + 1)) };
//! let version = client.change(client.options("backup/db")?, count).await?;
//! assert_eq!(version.0, 2);
//! # Ok(())
//! # }
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(example()).unwrap();
//! ```

mod cycle;
pub mod edit;
mod lease;
mod state;
mod update;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{BootTime, Clock};
use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::BACKOFF_MAX;
use crate::model::{Holder, Key, LeaseId, Namespace, Owner, Reason, Ttl, TxnId};
use crate::mutants::{Mutant, on};
use crate::service::{AcquireRequest, Grant, LeaseService, Wait};

pub use lease::{Belief, Lease, Plain};
pub use state::{get, release, update};
pub use update::{Streamed, UpdateLease};
pub use waiting::Delay;
use waiting::is_away;

/// Takes leases over a service. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    service: Arc<dyn LeaseService>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// What to ask for.
#[derive(Clone, Debug)]
pub struct AcquireOptions {
    /// The key.
    pub key: Key,
    /// The lease id: repeating an acquire with it finds its own lease.
    pub lease_id: LeaseId,
    /// How long the lease lives without renewal.
    pub ttl: Ttl,
    /// Who asks, for people.
    pub owner: Owner,
    /// What for, for people.
    pub reason: Option<Reason>,
    /// From where, for people.
    pub holder: Holder,
    /// How long to wait while another holds it: `None` for ever, zero not at all.
    pub wait: Option<Duration>,
    /// Refuse when the key was ever granted.
    pub if_not_exists: bool,
}

impl Client {
    /// A client of this service.
    #[must_use]
    pub fn new(service: Arc<dyn LeaseService>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { service, clock, entropy }
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &Arc<dyn LeaseService> {
        &self.service
    }

    /// What to ask for to get a lease of this key of the default namespace: the usual TTL, waiting for as long as it takes, on
    /// behalf of this process. The fields can be changed.
    ///
    /// # Errors
    /// `InvalidKey`.
    pub fn options(&self, key: &str) -> Result<AcquireOptions> {
        let pid = std::process::id();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(AcquireOptions {
            key: Key::new(Namespace::default(), key)?,
            lease_id: LeaseId::random(&*self.entropy),
            ttl: Ttl::default(),
            owner: Owner::new(&format!("{host}:{pid}"))?,
            reason: None,
            holder: Holder { host: Some(host), pid: Some(pid), ..Holder::default() },
            wait: None,
            if_not_exists: false,
        })
    }

    /// Takes a lease. `on_delay` hears why it is waited for.
    ///
    /// A wait survives the restart of its server: once one has said that another holds the key, it is asked again while the wait
    /// lasts, with the same lease id. Who does not wait, or finds no server at first, hears of that at once.
    ///
    /// Dropping the future stops waiting; [`Client::abandon`] then makes sure that nothing is granted any more.
    ///
    /// # Errors
    /// `Busy` when the wait ran out; what [`LeaseService::acquire`] answers otherwise. After `OutcomeUnknown` the lease id has been
    /// released, as far as the store answered.
    pub async fn acquire(&self, options: AcquireOptions, on_delay: impl FnMut(Delay<'_>)) -> Result<Lease> {
        let sent = self.clock.boot();
        let grant = self.granted(&options, on_delay, |request| self.service.acquire(request)).await?;
        self.start(options, grant, sent, Plain).await
    }

    /// The deadline of a lease counts from `sent`, before the first send of its id, however often that is repeated.
    async fn start<S>(&self, options: AcquireOptions, grant: Grant, sent: BootTime, stream: S) -> Result<Lease<S>> {
        let confirm = grant.confirm_within.is_some();
        let believed = confirm && on(Mutant::UnconfirmedBelieved);
        let sent = if believed || on(Mutant::DeadlineAtResponse) { self.clock.boot() } else { sent };
        let mut lease = Lease::new(self.clone(), options.key, options.owner, grant, sent, stream);
        if believed || on(Mutant::NoRenewalAtStart) {
            return Ok(lease);
        }
        if confirm {
            lease = renewed(lease).await?;
        }
        // With less than half of the TTL left, renew before any work; what was confirmed from memory may be short still.
        match lease.deadline().since(self.clock.boot()) < lease.ttl.duration() / 2 {
            true => renewed(lease).await,
            false => Ok(lease),
        }
    }

    /// Repeats a call that is safe to repeat, until it is answered or `until`.
    async fn insist<T, F: Future<Output = Result<T>>>(&self, until: BootTime, call: impl Fn() -> F) -> Result<T> {
        let mut last = None;
        loop {
            match self.clock.timeout_at(until, call()).await {
                Some(Err(e)) if passing(&e) && self.clock.boot() < until => {
                    last = Some(e);
                    self.clock.sleep(BACKOFF_MAX).await;
                }
                Some(answer) => return answer,
                None => return Err(unanswered(last.as_ref())),
            }
        }
    }
}

/// The lease after a renewal. Without one whoever asked ends with its error, and waits for nothing that goes on behind it.
async fn renewed<S>(mut lease: Lease<S>) -> Result<Lease<S>> {
    match lease.renew().await {
        Ok(()) => Ok(lease),
        Err(e) => {
            let _runs_out_by_itself = lease.release().await;
            Err(e)
        }
    }
}

/// No answer to the last try; what an earlier one said tells why.
fn unanswered(before: Option<&Error>) -> Error {
    let why = before.map(|e| format!(", and said before: {}", e.message())).unwrap_or_default();
    Error::new(ErrorKind::OutcomeUnknown, format!("the store or server did not answer in time{why}"))
}

/// An error that may be gone at the next try, and says nothing about whose the lease is.
fn passing(e: &Error) -> bool {
    use ErrorKind as K;
    is_away(e) || matches!(e.kind(), K::Io | K::StoreFull | K::NotPermitted | K::Internal)
}

fn request(options: &AcquireOptions, txn: TxnId, wait: Wait) -> AcquireRequest {
    AcquireRequest {
        key: options.key.clone(),
        lease_id: options.lease_id.clone(),
        txn,
        ttl: options.ttl,
        owner: options.owner.clone(),
        reason: options.reason.clone(),
        holder: options.holder.clone(),
        if_not_exists: options.if_not_exists,
        wait,
        confirm: true,
    }
}
