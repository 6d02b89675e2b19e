//! `acquire --keep`: a keeper that takes the lease, renews it while a shell lives, and gives it back when that has ended.
//!
//! The keeper is forked before anything is asked for and holds the lease from the first moment, so that nothing is handed
//! over: whoever dies in between, either the keeper gives the lease back or it runs out by itself. This process only prints.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, pending, select};
use lockd::client::{AcquireOptions, Client, Lease};
use lockd::error::{Error, ErrorKind, Result};
use rustix::process::{Pid, WaitId, WaitIdOptions};
use serde::{Deserialize, Serialize};
use tokio::net::UnixDatagram;

use super::super::context::{Context, Session};
use super::super::interrupt::{self, Either as Heard};
use super::super::output;
use super::super::process::shell::Shell;
use super::super::process::sys::{self, Side};
use super::super::process::{streams, wire};
use super::super::target::Need;
use super::super::variables::around_by_exec;
use super::super::waiting;
use super::IfBusy;
use super::print::{Form, Taken, print_code};

/// How often the keeper looks whether somebody gave its lease back. Its renewal would tell too, but may be hours away.
const LOOK: Duration = Duration::from_secs(5);

/// What is asked for.
pub struct Wish {
    /// The lease.
    pub options: AcquireOptions,
    /// The form in which it is printed.
    pub form: Form,
    /// What to do when somebody else holds the key.
    pub if_busy: IfBusy,
    /// The exit code then.
    pub busy_exit: u8,
    /// Whose life counts.
    pub shell: Shell,
}

/// The keeper's answer.
#[derive(Serialize, Deserialize)]
enum Answer {
    /// It holds the lease.
    Holds(Box<Taken>),
    /// It does not, and has said why; the exit code.
    Over(u8),
}

/// The word that its answer was printed.
#[derive(Serialize, Deserialize)]
struct Printed;

/// Takes a lease and leaves it to a keeper. Must be called while the process has one thread: it forks.
///
/// # Errors
/// Why there is no lease.
pub fn run(context: &Context, wish: Wish) -> Result<u8> {
    let cannot = |e: &io::Error| Error::io("start the keeper", e);
    let (ours, theirs) = wire::pair().map_err(|e| cannot(&e))?;
    match sys::fork().map_err(|e| cannot(&e))? {
        Side::Parent(keeper) => {
            drop(theirs);
            context.block_on(print_answer(context, wish.form, ours, keeper))
        }
        Side::Child => {
            drop(ours);
            let kept = std::panic::catch_unwind(AssertUnwindSafe(|| be_keeper(context, &wish, theirs)));
            sys::exit_now(if matches!(kept, Ok(Ok(()))) { 0 } else { 70 })
        }
    }
}

async fn print_answer(context: &Context, form: Form, socket: OwnedFd, keeper: Pid) -> Result<u8> {
    let socket = attach(socket).map_err(|e| Error::io("talk to the keeper", &e))?;
    let answer = match interrupt::or_signal(receive(&socket)).await? {
        Heard::Done(answer) => answer,
        Heard::Signal(signal) => {
            let exit = interrupt::exit_code(signal);
            dismiss(socket, keeper);
            print_code(form, exit);
            return Ok(exit);
        }
    };
    let taken = match answer {
        Some(Answer::Holds(taken)) => *taken,
        Some(Answer::Over(exit)) => {
            print_code(form, exit);
            return Ok(exit);
        }
        None => return Err(gone()),
    };
    if let Err(e) = output::write(taken.printed(form, &around_by_exec(&context.environment))?) {
        // Nobody will ever know this lease: it goes back at once.
        dismiss(socket, keeper);
        return Err(output::unwritten(&e).with_hint("the lease was given back"));
    }
    wire::send(&socket, &Printed).map_err(|_| gone())?;
    Ok(0)
}

fn gone() -> Error {
    Error::new(ErrorKind::Internal, "the keeper ended without a word")
        .with_hint("nobody renews the lease; take it anew")
}

/// Lets the keeper go, and waits until it has given back what it has.
fn dismiss(socket: UnixDatagram, keeper: Pid) {
    drop(socket);
    let _ended = rustix::process::waitid(WaitId::Pid(keeper), WaitIdOptions::EXITED);
}

fn attach(socket: OwnedFd) -> io::Result<UnixDatagram> {
    let socket = StdDatagram::from(socket);
    socket.set_nonblocking(true)?;
    UnixDatagram::from_std(socket)
}

/// The next message; `None` when the other side is dead. Cancel-safe.
async fn receive<T: serde::de::DeserializeOwned>(socket: &UnixDatagram) -> Option<T> {
    let mut buf = vec![0; wire::MESSAGE_BYTES];
    match socket.recv(&mut buf).await {
        Ok(0) | Err(_) => None,
        Ok(n) => wire::decode(&buf[..n]).ok(),
    }
}

fn be_keeper(context: &Context, wish: &Wish, socket: OwnedFd) -> Result<()> {
    // Of the caller it keeps standard error, until there is nothing more to say: nobody waits for the end of its output.
    streams::let_go();
    sys::close_inherited();
    let _leads_already = rustix::process::setsid();
    // Only for people who look at the process table.
    let _unnamed = rustix::thread::set_name(c"lockd-keeper");
    let _stays = std::env::set_current_dir("/");
    context.block_on(async {
        let socket = attach(socket).map_err(|e| Error::io("talk to acquire", &e))?;
        let handle = wish.shell.handle().try_clone();
        let shell = handle.and_then(sys::watched).map_err(|e| Error::io("watch the shell", &e))?;
        let session = match context.open(Need::Lease).await {
            Ok(session) => session,
            Err(e) => return refuse(context, wish, &socket, &e),
        };
        let over = async {
            let told = pin!(interrupt::or_signal(pending::<()>()));
            let _first = select(pin!(shell.readable()), told).await;
        };
        let kept = keep(context, wish, &session, socket, over).await;
        session.client.service().close().await;
        kept
    })
}

/// Says why there is no lease.
fn refuse(context: &Context, wish: &Wish, socket: &UnixDatagram, e: &Error) -> Result<()> {
    let exit = match (e.kind(), wish.if_busy) {
        (ErrorKind::Busy, IfBusy::Skip) => {
            context.voice.detail(&format!("skipped: {}", output::message(e, context.clock.wall())));
            0
        }
        (kind, _) => {
            let exit = if kind == ErrorKind::Busy { wish.busy_exit } else { kind.exit_code() };
            context.voice.error(e, exit, context.clock.wall());
            exit
        }
    };
    wire::send(socket, &Answer::Over(exit)).map_err(|e| Error::io("answer acquire", &e))
}

/// Takes the lease and holds it until it is `over`: the shell has ended, or a signal told the keeper to end.
async fn keep(
    context: &Context,
    wish: &Wish,
    session: &Session,
    socket: UnixDatagram,
    over: impl Future<Output = ()>,
) -> Result<()> {
    let (client, options) = (&session.client, &wish.options);
    let mut over = pin!(over);
    let taken = {
        let taking = pin!(waiting::acquire(context, client, options.clone()));
        let gone = pin!(receive::<Printed>(&socket));
        match select(select(&mut over, gone), taking).await {
            Either::Left(_) => None,
            Either::Right((taken, _)) => Some(taken),
        }
    };
    let mut lease = match taken {
        Some(Ok(lease)) => lease,
        Some(Err(e)) => return refuse(context, wish, &socket, &e),
        None => {
            client.abandon(&options.key, &options.lease_id).await;
            return Ok(());
        }
    };
    lease.keep_alive();
    let taken = Taken::of(&lease, &session.place, &*context.clock).with_keeper(std::process::id());
    context.voice.detail(&format!("process {} holds {} while {} lives", std::process::id(), lease.key, wish.shell));
    let _dead = wire::send(&socket, &Answer::Holds(Box::new(taken)));
    let printed = {
        let word = pin!(receive::<Printed>(&socket));
        matches!(select(&mut over, word).await, Either::Right((Some(Printed), _)))
    };
    if printed {
        drop(socket);
        streams::let_go_of_error();
        if is_taken_away(context, client, &lease, over).await {
            lease.detach();
            return Ok(());
        }
    }
    // When that fails nobody hears why; it runs out by itself.
    lease.release().await.map(drop)
}

/// Stays until it is over, or the lease was lost, or somebody gave it back: whether that.
async fn is_taken_away(
    context: &Context,
    client: &Client,
    lease: &Lease,
    mut over: impl Future<Output = ()> + Unpin,
) -> bool {
    loop {
        let (lost, look) = (pin!(lease.lost()), pin!(context.clock.sleep(LOOK)));
        match select(&mut over, select(lost, look)).await {
            Either::Left(_) => return false,
            Either::Right((Either::Left(_), _)) => return true,
            Either::Right((Either::Right(_), _)) => {}
        }
        let known = client.service().describe(&lease.key).await;
        if known.is_ok_and(|known| known.held.is_none_or(|busy| busy.lease_id != lease.id)) {
            return true;
        }
    }
}
