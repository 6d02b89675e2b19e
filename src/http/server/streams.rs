//! The leases for update that are followed here: how many, in all and for one client, and which stream is told of an end that was
//! written here.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Caps;
use crate::error::{Error, ErrorKind, Result};
use crate::model::LeaseId;
use crate::service::LeaseEnd;

/// What is counted as one client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// An address.
    Address(IpAddr),
    /// A user of this host, over unix sockets.
    User(Option<u32>),
}

/// See the module.
#[derive(Debug, Default)]
pub struct Streams(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    count: usize,
    clients: HashMap<Client, usize>,
    /// The newest stream of each lease, with a number of its own.
    leases: HashMap<LeaseId, (u64, oneshot::Sender<LeaseEnd>)>,
    last: u64,
}

/// A stream's place; given back when dropped.
#[derive(Debug)]
pub struct Seat {
    streams: Arc<Streams>,
    client: Client,
}

/// A stream that is told of the end of its lease. Forgotten when dropped.
#[derive(Debug)]
pub struct Told {
    streams: Arc<Streams>,
    lease_id: LeaseId,
    number: u64,
    /// Closed without a word when there is a newer stream of the same lease.
    pub end: oneshot::Receiver<LeaseEnd>,
}

impl Streams {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place.
    ///
    /// # Errors
    /// `TooManyStreams`.
    pub fn enter(self: &Arc<Self>, client: &Client, caps: &Caps) -> Result<Seat> {
        let mut inner = self.lock();
        if inner.count >= caps.for_update {
            return Err(too_many("the server follows as many leases for update as it can"));
        }
        let own = inner.clients.entry(client.clone()).or_default();
        if *own >= caps.for_update_per_client {
            return Err(too_many("this client has as many leases for update at this server as it may"));
        }
        *own += 1;
        inner.count += 1;
        Ok(Seat { streams: Arc::clone(self), client: client.clone() })
    }

    /// The stream of a lease, from now on the one that is told of its end.
    pub fn of(self: &Arc<Self>, lease_id: &LeaseId) -> Told {
        let (tell, end) = oneshot::channel();
        let mut inner = self.lock();
        inner.last += 1;
        let number = inner.last;
        inner.leases.insert(lease_id.clone(), (number, tell));
        Told { streams: Arc::clone(self), lease_id: lease_id.clone(), number, end }
    }

    /// A lease has ended: its stream is told.
    pub fn over(&self, lease_id: &LeaseId, end: LeaseEnd) {
        if let Some((_, tell)) = self.lock().leases.remove(lease_id) {
            let _the_client_has_gone = tell.send(end);
        }
    }

    /// How many there are, waiting ones included.
    pub fn count(&self) -> usize {
        self.lock().count
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = self.streams.lock();
        inner.count -= 1;
        if let Some(own) = inner.clients.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                inner.clients.remove(&self.client);
            }
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let mut inner = self.streams.lock();
        if inner.leases.get(&self.lease_id).is_some_and(|(number, _)| *number == self.number) {
            inner.leases.remove(&self.lease_id);
        }
    }
}

fn too_many(what: &str) -> Error {
    Error::new(ErrorKind::TooManyStreams, what).with_hint("nothing was granted; end some, or ask another server")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_all_and_by_client_and_come_back() {
        let streams = Arc::new(Streams::default());
        let caps = Caps { for_update: 3, for_update_per_client: 2, ..Caps::default() };
        let (a, b) = (Client::Address([127, 0, 0, 1].into()), Client::User(Some(7)));
        let mut seats: Vec<_> = (0..2).map(|_| streams.enter(&a, &caps).unwrap()).collect();
        assert_eq!(streams.enter(&a, &caps).unwrap_err().kind(), ErrorKind::TooManyStreams);
        seats.push(streams.enter(&b, &caps).unwrap());
        assert_eq!(streams.enter(&b, &caps).unwrap_err().kind(), ErrorKind::TooManyStreams);
        assert_eq!(streams.count(), 3);
        seats.remove(0);
        seats.push(streams.enter(&a, &caps).unwrap());
        drop(seats);
        assert_eq!((streams.count(), streams.lock().clients.len()), (0, 0));
    }

    #[test]
    fn the_newest_stream_of_a_lease_is_told() {
        let streams = Arc::new(Streams::default());
        let id = LeaseId::new("l").unwrap();
        let mut old = streams.of(&id);
        let mut new = streams.of(&id);
        assert_eq!(old.end.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        drop(old);
        streams.over(&id, LeaseEnd::Released);
        assert_eq!(new.end.try_recv(), Ok(LeaseEnd::Released));
        drop((new, streams.of(&id)));
        assert!(streams.lock().leases.is_empty());
    }
}
