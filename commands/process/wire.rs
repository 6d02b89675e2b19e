//! What exec and its guard say to each other: small JSON messages over a sequenced-packet socket pair. The end of the
//! connection says that the other side is dead.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use lockd::clock::BootTime;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Longest message, in bytes.
pub const MESSAGE_BYTES: usize = 64 * 1024;

/// From exec to the guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGuard {
    /// A lease is being asked for: from here on the guard gives its id back if exec dies.
    Acquiring,
    /// Start the command.
    Spawn(Start),
    /// The lease was renewed: work may go on until then.
    Deadline(BootTime),
    /// End the work and everything that it started.
    End(Cause),
    /// Pass a signal on to the command's process group.
    Signal(i32),
    /// Files that the command was given are kept on purpose: the guard leaves them too, if exec dies now.
    KeepFiles,
    /// Everything is done: the guard may go, and has nothing to release.
    Bye,
}

/// What the guard needs to start the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Variables set for the command beside those known at the fork.
    pub env: Vec<(String, String)>,
    /// When work must have stopped.
    pub deadline: BootTime,
    /// Milliseconds between TERM and KILL.
    pub grace_ms: u64,
    /// Whether the command gets the terminal's foreground.
    pub foreground: bool,
}

/// From the guard to exec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromGuard {
    /// The command runs.
    Spawned {
        /// Its process.
        pid: i32,
    },
    /// The command could not be started; nothing ran.
    SpawnFailed {
        /// The kernel's error number.
        errno: i32,
    },
    /// Too little of the lease was left to start anything; nothing ran.
    TooLate,
    /// The command was stopped, by this signal.
    Stopped(i32),
    /// The command itself has ended; what it left behind is being ended.
    Exited(Status),
    /// No process of it is left.
    Gone(Cause),
    /// Some processes cannot be ended: nothing may be released.
    Stuck(Cause, Leftovers),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// With an exit status.
    Code(u8),
    /// By a signal.
    Signal(i32),
}

impl Status {
    /// As a shell shows it: 128 + n when signal n ended it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}

/// Why the work ended: the first reason stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The command ended by itself, or by a signal that was not the guard's.
    Exit,
    /// The lease could not be renewed in time.
    Deadline,
    /// exec said so: the lease is lost or broken.
    Lost,
    /// exec said so: the longest run time is over.
    Timeout,
    /// exec is dead.
    Orphaned,
}

/// A process that cannot be ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// Its id.
    pub pid: i32,
    /// Its name, as the kernel has it.
    pub name: String,
}

/// Processes that cannot be ended: the first of them by name, so that the message stays one, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftovers {
    /// Some of them.
    pub named: Vec<Leftover>,
    /// How many more.
    pub more: usize,
}

/// How many are named.
const NAMED: usize = 16;

impl Leftovers {
    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.named.is_empty() && self.more == 0
    }
}

impl FromIterator<Leftover> for Leftovers {
    fn from_iter<I: IntoIterator<Item = Leftover>>(all: I) -> Self {
        let mut all = all.into_iter();
        let named = all.by_ref().take(NAMED).collect();
        Self { named, more: all.count() }
    }
}

/// The two ends, close-on-exec.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// The bytes of a message.
pub fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > MESSAGE_BYTES {
        return Err(io::Error::other(format!("a message of {} bytes to the guard", bytes.len())));
    }
    Ok(bytes)
}

/// Reads a message's bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(bytes)?)
}

/// What a look at the socket found.
#[derive(Debug)]
pub enum Received<T> {
    /// A message.
    Message(T),
    /// Nothing for now.
    Nothing,
    /// The other side is dead.
    Closed,
}

/// Takes the next message without waiting.
pub fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Received<T>> {
    let mut buf = vec![0; MESSAGE_BYTES];
    match rustix::net::recv(&socket, &mut buf[..], RecvFlags::DONTWAIT) {
        Ok((0, _)) | Err(Errno::CONNRESET) => Ok(Received::Closed),
        Ok((n, _)) => decode(&buf[..n]).map(Received::Message),
        Err(Errno::AGAIN | Errno::INTR) => Ok(Received::Nothing),
        Err(e) => Err(e.into()),
    }
}

/// Sends a message without waiting.
pub fn send<T: Serialize>(socket: impl AsFd, message: &T) -> io::Result<()> {
    rustix::net::send(&socket, &encode(message)?, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    #[test]
    fn messages_arrive_whole_and_the_end_is_seen() {
        let (a, b) = pair().unwrap();
        let start =
            Start {
                env: vec![("A".into(), "\"ü\n".into())], deadline: BootTime(7), grace_ms: 5_000, foreground: true
            };
        let sent =
            [ToGuard::Spawn(start), ToGuard::Deadline(BootTime(u64::MAX)), ToGuard::End(Cause::Lost), ToGuard::Bye];
        sent.iter().for_each(|message| send(&a, message).unwrap());
        for message in sent {
            assert!(matches!(receive::<ToGuard>(&b).unwrap(), Received::Message(m) if m == message));
        }
        assert!(matches!(receive::<ToGuard>(&b).unwrap(), Received::Nothing));
        drop(a);
        // A child that another test is just starting holds a copy until it is another program.
        poll(&mut [PollFd::new(&b, PollFlags::IN)], Some(&Timespec { tv_sec: 60, tv_nsec: 0 })).unwrap();
        assert!(matches!(receive::<ToGuard>(&b).unwrap(), Received::Closed));
    }

    #[test]
    fn statuses_are_shown_as_a_shell_does() {
        assert_eq!(Status::Code(255).exit_code(), 255);
        assert_eq!(Status::Signal(9).exit_code(), 137);
        assert_eq!(Status::Signal(64).exit_code(), 192);
    }

    /// A message that is too long would be lost, and exec would wait for it for ever.
    #[test]
    fn any_number_of_processes_fits_into_a_message() {
        let all = (0..100_000).map(|pid| Leftover { pid: i32::MAX - pid, name: "\u{1}".repeat(15) });
        let left: Leftovers = all.collect();
        assert_eq!((left.named.len(), left.more), (NAMED, 100_000 - NAMED));
        assert!(encode(&FromGuard::Stuck(Cause::Deadline, left)).is_ok());
        assert!(Leftovers::default().is_empty());
    }
}
