//! exec's end of the connection to its guard.

use std::cell::Cell;
use std::io;
use std::os::unix::net::UnixDatagram as StdDatagram;

use lockd::clock::{BootTime, Clock};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::net::UnixDatagram;

use super::guard::Forked;
use super::wire::{self, FromGuard, ToGuard};

/// The connection to the guard. Dropping it lets the guard go: it ends what still runs, and releases.
#[derive(Debug)]
pub struct Link {
    socket: UnixDatagram,
    guard: Pid,
    /// It is dead and its status may have been asked for: from then on its id may be somebody else's.
    dead: Cell<bool>,
}

impl Link {
    /// Takes the connection over. Must be called inside a runtime.
    ///
    /// # Errors
    /// When the kernel or the runtime refuses the socket.
    pub fn attach(forked: Forked) -> io::Result<Self> {
        let socket = StdDatagram::from(forked.socket);
        socket.set_nonblocking(true)?;
        Ok(Self { socket: UnixDatagram::from_std(socket)?, guard: forked.pid, dead: Cell::new(false) })
    }

    /// Says something that may be lost with a dead guard: the end of the connection is seen by [`Link::hear`].
    pub fn say(&self, message: &ToGuard) {
        let _dead = wire::send(&self.socket, message);
    }

    /// Says something that must be obeyed: a guard that somebody stopped is woken, and one that takes no more messages is
    /// killed, which kills the command.
    pub fn insist(&self, message: &ToGuard) {
        self.wake();
        if wire::send(&self.socket, message).is_err() {
            self.signal(Signal::KILL);
        }
    }

    /// Wakes a guard that somebody stopped.
    pub fn wake(&self) {
        self.signal(Signal::CONT);
    }

    /// It is our child, and nobody asks for its status before it is known to be dead: so the id is its own.
    fn signal(&self, signal: Signal) {
        if !self.dead.get() {
            let _dead = rustix::process::kill_process(self.guard, signal);
        }
    }

    /// Lets the guard go, and returns when it has: after that nothing of lockd but this process is left. A guard that
    /// somebody stops again and again is not waited for longer than `until`.
    pub async fn farewell(self, clock: &dyn Clock, until: BootTime) {
        self.insist(&ToGuard::Bye);
        let gone = async { while self.hear().await.is_some() {} };
        if clock.timeout_at(until, gone).await.is_some() {
            // Its descriptors are closed, so it is ending.
            let _ended = rustix::process::waitid(WaitId::Pid(self.guard), WaitIdOptions::EXITED);
        }
    }

    /// The guard's next message; `None` when it is dead. Cancel-safe.
    pub async fn hear(&self) -> Option<FromGuard> {
        let mut buf = vec![0; wire::MESSAGE_BYTES];
        let message = match self.socket.recv(&mut buf).await {
            Ok(0) | Err(_) => None,
            Ok(n) => wire::decode(&buf[..n]).ok(),
        };
        self.dead.set(message.is_none());
        message
    }
}
