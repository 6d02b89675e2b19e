//! The accept loop: how many connections, from where, and who is at the other end.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{Either, select};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::address::Listener;
use super::connection::{self, Connection};
use super::line::Socket;
use super::streams::Client;
use super::{Caps, Phase, Shared};
use crate::clock::Clock;
use crate::limits::{ACCEPT_PAUSE, CLOSE_TIME, TCP_PROBE, UNACKNOWLEDGED};

/// Counts connections.
pub struct Gate {
    tcp: Arc<Semaphore>,
    unix: Arc<Semaphore>,
    health: Arc<Semaphore>,
    per_address: usize,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// The right to be connected; given back when dropped.
pub struct Pass {
    /// Only health and metrics may be asked for.
    pub health_only: bool,
    _permit: OwnedSemaphorePermit,
    _address: Option<AddressCount>,
}

struct AddressCount {
    address: IpAddr,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Drop for AddressCount {
    fn drop(&mut self) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

impl Gate {
    pub fn new(caps: &Caps) -> Self {
        let permits = |n| Arc::new(Semaphore::new(n));
        Self {
            tcp: permits(caps.tcp),
            unix: permits(caps.unix),
            health: permits(caps.health),
            per_address: caps.per_address,
            addresses: Arc::default(),
        }
    }

    fn tcp(&self, from: IpAddr) -> Option<Pass> {
        let address = if from.is_loopback() { None } else { Some(self.counted(from)?) };
        let permit = |permits: &Arc<Semaphore>| Arc::clone(permits).try_acquire_owned().ok();
        let (permit, health_only) = match permit(&self.tcp) {
            Some(permit) => (permit, false),
            None => (permit(&self.health)?, true),
        };
        Some(Pass { health_only, _permit: permit, _address: address })
    }

    fn counted(&self, address: IpAddr) -> Option<AddressCount> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let count = addresses.entry(address).or_default();
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(AddressCount { address, addresses: Arc::clone(&self.addresses) })
    }

    fn unix(&self) -> Option<Pass> {
        let permit = Arc::clone(&self.unix).try_acquire_owned().ok()?;
        Some(Pass { health_only: false, _permit: permit, _address: None })
    }
}

/// Accepts until the server closes; then its connections have a while for their last answers.
pub async fn run(shared: Arc<Shared>, listener: Listener, gate: Arc<Gate>) {
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let closing = pin!(shared.reached(Phase::Closing));
        let accepted = match select(closing, pin!(accept(&listener))).await {
            Either::Left(_) => break,
            Either::Right((accepted, _)) => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                if let Some(pass) = admitted(&gate, &socket, peer) {
                    let connection =
                        Connection::new(Arc::clone(&shared), name(&socket, peer), client(&socket, peer), pass);
                    open.spawn(connection::serve(connection, socket));
                } else {
                    shared.metrics.turned_away();
                }
            }
            Err(e) => {
                tracing::warn!(error = %e, "cannot accept a connection");
                let clock: &dyn Clock = &*shared.clock;
                clock.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let ended = async { while open.join_next().await.is_some() {} };
    let _cut_off = shared.clock.timeout_at(shared.clock.boot() + CLOSE_TIME, ended).await;
    open.shutdown().await;
}

async fn accept(listener: &Listener) -> std::io::Result<(Socket, Option<SocketAddr>)> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            // A connection that is gone already fails at its first read.
            let _gone = tuned(&stream);
            Ok((Socket::Tcp(stream), Some(peer)))
        }
        Listener::Unix(listener, _) => Ok((Socket::Unix(listener.accept().await?.0), None)),
        Listener::Other(listener) => listener.accept().await.map(|(stream, peer)| (Socket::Other(stream), Some(peer))),
    }
}

/// A peer that is gone without a word is found out, whether it is written to or not.
fn tuned(stream: &TcpStream) -> std::io::Result<()> {
    let (first, between, times) = TCP_PROBE;
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(first).with_interval(between).with_retries(times))?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}

fn admitted(gate: &Gate, socket: &Socket, peer: Option<SocketAddr>) -> Option<Pass> {
    match (socket, peer) {
        (Socket::Unix(stream), _) => gate.unix().filter(|_| is_own(stream)),
        (Socket::Tcp(_) | Socket::Other(_), Some(peer)) => gate.tcp(peer.ip()),
        (Socket::Tcp(_) | Socket::Other(_), None) => None,
    }
}

/// Only the server's own user and root, whatever became of the mode of the socket.
fn is_own(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

/// What is counted as one client.
fn client(socket: &Socket, peer: Option<SocketAddr>) -> Client {
    match (socket, peer) {
        (_, Some(peer)) => Client::Address(peer.ip()),
        (Socket::Unix(stream), None) => Client::User(stream.peer_cred().ok().map(|peer| peer.uid())),
        (Socket::Tcp(_) | Socket::Other(_), None) => Client::User(None),
    }
}

/// Who is there, for logs and for breaks without a name.
fn name(socket: &Socket, peer: Option<SocketAddr>) -> String {
    match (socket, peer) {
        (_, Some(peer)) => peer.to_string(),
        (Socket::Unix(stream), None) => match stream.peer_cred() {
            Ok(peer) => match peer.pid() {
                Some(pid) => format!("uid {} pid {pid}", peer.uid()),
                None => format!("uid {}", peer.uid()),
            },
            Err(_) => "unknown".to_owned(),
        },
        (Socket::Tcp(_) | Socket::Other(_), None) => "unknown".to_owned(),
    }
}
