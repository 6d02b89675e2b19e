//! A namespace behind servers. Keys live for ever, as everybody's do: so the namespace is always the same one, and every
//! measurement works on the keys of the last.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lockd::client::{AcquireOptions, Client, Lease};
use lockd::connect::{self, Carrier};
use lockd::error::Result;
use lockd::http::client::Address;
use lockd::limits::{BENCH_CLEARED_AT_ONCE, RELEASE_TRY, TTL_MIN_OBJECTS};
use lockd::model::{Key, Reason};
use lockd::service::{BreakRequest, ListRequest, Listed};

use super::super::super::context::Context;
use super::{Place, Requests, Subject};

/// Where all keys of measurements are.
const NAMESPACE: &str = "lockd-bench";
/// Whoever measures holds this one.
const RUNNING: &str = "running";

/// Reaches the servers, with a client of its own for each client of the load: they begin at one server after the other, and go on
/// at the next when theirs is gone.
///
/// # Errors
/// When an address cannot be used. Nothing is sent yet.
pub async fn reach(context: &Context, servers: &[Address], clients: usize) -> Result<Place> {
    let urls: Vec<String> = servers.iter().map(ToString::to_string).collect();
    let about = match servers.len() {
        1 => "a server".to_owned(),
        n => format!("{n} servers"),
    };
    let subject = Subject { url: urls.join(","), about };
    let requests = Requests::There(servers.to_vec(), Arc::clone(&context.clock));
    let mut place = Place::new(context, subject, requests, NAMESPACE, TTL_MIN_OBJECTS)?;
    for client in 0..clients {
        let first = client % urls.len();
        let in_turn = urls.iter().cycle().skip(first).take(urls.len());
        let service = connect::servers(in_turn, Carrier::Runtime, Arc::clone(&context.clock))?;
        place.clients.push(Client::new(service, Arc::clone(&context.clock), Arc::clone(&context.entropy)));
    }
    Ok(place)
}

impl Place {
    /// Behind servers: makes sure that nobody else measures there, and ends what a run that was killed has left. The lease is
    /// kept until it is given back.
    ///
    /// # Errors
    /// `Busy` when somebody else measures; that no server answers.
    pub async fn reserve(&self) -> Result<Option<Lease>> {
        if self.has_store() {
            return Ok(None);
        }
        let reason = Some(Reason::new("lockd bench")?);
        let wish = AcquireOptions { wait: Some(Duration::ZERO), reason, ..self.wish(&self.key(RUNNING)?) };
        let mut lease = self.client(0).acquire(wish, |_| {}).await?;
        lease.keep_alive();
        self.clear().await?;
        Ok(Some(lease))
    }

    /// Behind servers: ends the leases that are left and removes the states. The keys stay, as keys do.
    ///
    /// # Errors
    /// When something stays.
    pub async fn clear(&self) -> Result<()> {
        if self.has_store() {
            return Ok(());
        }
        let running = self.key(RUNNING)?;
        let all = ListRequest { namespace: self.namespace.clone(), ..ListRequest::default() };
        let found = self.client(0).service().list(&all);
        let cleared = found.map(|listed| async {
            match listed? {
                Listed { known, .. } if known.key == running => Ok(()),
                Listed { known, .. } => self.clear_key(&known.key, known.held.is_some(), known.bytes > 0).await,
            }
        });
        let mut cleared = cleared.buffer_unordered(BENCH_CLEARED_AT_ONCE);
        while let Some(done) = cleared.next().await {
            done?;
        }
        Ok(())
    }

    async fn clear_key(&self, key: &Key, held: bool, has_state: bool) -> Result<()> {
        if held {
            let reason = Reason::new("left by a measurement")?;
            let request = BreakRequest { key: key.clone(), lease_id: None, by: self.owner.clone(), reason };
            self.client(0).service().break_lease(request).await?;
        }
        if has_state {
            let wish = AcquireOptions { wait: Some(RELEASE_TRY), ..self.wish(key) };
            let mut lease = self.client(0).acquire(wish, |_| {}).await?;
            lease.remove().await?;
            lease.release().await?;
        }
        Ok(())
    }
}
