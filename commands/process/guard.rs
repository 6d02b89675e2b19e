//! The guard: a single-threaded process between exec and its command. It starts the command, holds the lease's deadline in a
//! timer on the boot clock, and ends the work in time whatever becomes of exec (ARCHITECTURE.md, "exec and its guard").

use std::ffi::{CString, OsString};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use lockd::clock::{BootTime, Clock, SystemClock};
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, Signal};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use super::program::{Program, environment};
use super::schedule::Schedule;
use super::streams;
use super::sys::{self, Side};
use super::terminal::{self, Terminal};
use super::wire::{self, Cause, FromGuard, Received, Start, ToGuard};
use super::work::{Event, Work};

/// A command as it is known before the lease is.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program and its arguments.
    pub program: Program,
    /// Changes to the caller's environment; `None` removes.
    pub env: Vec<(OsString, Option<OsString>)>,
}

/// What a guard is left with when exec is dead and nothing of the command can be ended any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Legacy {
    /// Whether exec held its leases or asked for them, and no process is left that relies on them: they must be given back.
    pub release: bool,
    /// Whether files that the command was given are kept on purpose.
    pub keep_files: bool,
}

/// exec's end of a guard that was forked.
#[derive(Debug)]
pub struct Forked {
    /// The guard's process.
    pub pid: Pid,
    /// The connection to it.
    pub socket: OwnedFd,
}

/// Forks the guard. Must be called while the process has one thread. From here on this process and the guard adopt
/// orphaned descendants, and this process holds nothing of the caller's open but standard error.
///
/// `settle` runs in the guard when exec died before it said goodbye, and the work is over.
///
/// # Errors
/// When the kernel gives no process or descriptor, or there are other threads.
pub fn fork(command: Command, settle: impl FnOnce(Legacy)) -> io::Result<Forked> {
    let (ours, theirs) = wire::pair()?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // Ignored by the caller, it would take the guard's status away.
    sys::default_action(libc::SIGCHLD);
    // exec takes the foreground back from the background.
    sys::ignore(libc::SIGTTOU);
    match sys::fork()? {
        Side::Parent(pid) => {
            streams::let_go();
            sys::close_inherited();
            Ok(Forked { pid, socket: ours })
        }
        Side::Child => {
            drop(ours);
            let done = std::panic::catch_unwind(AssertUnwindSafe(|| be_guard(theirs, command, settle)));
            // On a fault the command dies with its guard, and exec ends the rest.
            sys::exit_now(if matches!(done, Ok(Ok(()))) { 0 } else { 70 })
        }
    }
}

fn be_guard(socket: OwnedFd, command: Command, settle: impl FnOnce(Legacy)) -> io::Result<()> {
    sys::ignore_all();
    let exec_group = terminal::own_group();
    rustix::process::setpgid(None, None)?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // Only for people who look at the process table.
    let _unnamed = rustix::thread::set_name(c"lockd-guard");
    let mut guard = Guard::new(socket, command, exec_group)?;
    guard.run()?;
    if let Some(legacy) = guard.legacy() {
        settle(legacy);
    }
    Ok(())
}

struct Guard {
    socket: OwnedFd,
    timer: OwnedFd,
    children: OwnedFd,
    command: Command,
    exec_group: Option<Pid>,
    exec_alive: bool,
    dismissed: bool,
    acquiring: bool,
    keep_files: bool,
    stuck: bool,
    work: Option<Work>,
}

impl Guard {
    fn new(socket: OwnedFd, command: Command, exec_group: Option<Pid>) -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self {
            socket,
            timer: rustix::time::timerfd_create(TimerfdClockId::Boottime, flags)?,
            children: sys::child_events()?,
            command,
            exec_group,
            exec_alive: true,
            dismissed: false,
            acquiring: false,
            keep_files: false,
            stuck: false,
            work: None,
        })
    }

    fn run(&mut self) -> io::Result<()> {
        loop {
            self.take_messages()?;
            let wake = self.look_after_work()?;
            if !self.exec_alive && self.work.is_none() {
                return Ok(());
            }
            self.wait(wake)?;
        }
    }

    /// What exec left to do when it died.
    fn legacy(&self) -> Option<Legacy> {
        let legacy = Legacy { release: self.acquiring && !self.stuck, keep_files: self.keep_files };
        (!self.dismissed).then_some(legacy)
    }

    fn take_messages(&mut self) -> io::Result<()> {
        while self.exec_alive {
            match wire::receive(&self.socket)? {
                Received::Message(message) => self.obey(message)?,
                Received::Nothing => return Ok(()),
                Received::Closed => self.exec_alive = false,
            }
        }
        if let Some(work) = &mut self.work {
            work.end(Cause::Orphaned, SystemClock.boot());
        }
        Ok(())
    }

    fn obey(&mut self, message: ToGuard) -> io::Result<()> {
        match (message, &mut self.work) {
            (ToGuard::Acquiring, _) => self.acquiring = true,
            (ToGuard::KeepFiles, _) => self.keep_files = true,
            (ToGuard::Spawn(start), None) => self.start(&start)?,
            (ToGuard::Deadline(deadline), Some(work)) => work.extend(deadline),
            (ToGuard::End(cause), Some(work)) => work.end(cause, SystemClock.boot()),
            (ToGuard::Signal(signal), Some(work)) => {
                Signal::from_named_raw(signal).into_iter().for_each(|signal| work.pass_on(signal));
            }
            (ToGuard::Bye, _) => {
                self.exec_alive = false;
                self.dismissed = true;
            }
            // The work was over before exec heard of it.
            (ToGuard::Deadline(_) | ToGuard::End(_) | ToGuard::Signal(_) | ToGuard::Spawn(_), _) => {}
        }
        Ok(())
    }

    fn start(&mut self, start: &Start) -> io::Result<()> {
        let schedule = Schedule::new(start.deadline, Duration::from_millis(start.grace_ms));
        if SystemClock.boot() >= schedule.end_at() {
            return self.tell(&FromGuard::TooLate);
        }
        // Armed before the spawn: there is no moment in which the work runs and nothing would end it.
        self.arm(schedule.end_at())?;
        match spawn(&self.command, start) {
            Ok((leader, starting)) => self.work = Some(Work::new(leader, starting, schedule)),
            Err(e) => {
                let errno = e.raw_os_error().unwrap_or(libc::EAGAIN);
                return self.tell(&FromGuard::SpawnFailed { errno });
            }
        }
        streams::let_go();
        sys::close_inherited();
        Ok(())
    }

    /// Returns when to look again.
    fn look_after_work(&mut self) -> io::Result<Option<BootTime>> {
        let Some(work) = &mut self.work else { return Ok(None) };
        let (events, wake) = work.step(SystemClock.boot());
        for event in events {
            let message = match event {
                Event::Started(pid) => FromGuard::Spawned { pid },
                Event::Stopped(signal) => FromGuard::Stopped(signal),
                Event::Exited(status) => FromGuard::Exited(status),
                Event::NotStarted(errno) => self.over(FromGuard::SpawnFailed { errno }),
                Event::Gone(cause) => self.over(FromGuard::Gone(cause)),
                Event::Stuck(cause, left) => {
                    self.stuck = true;
                    self.over(FromGuard::Stuck(cause, left))
                }
            };
            self.tell(&message)?;
        }
        Ok(self.work.is_some().then_some(wake))
    }

    fn over(&mut self, message: FromGuard) -> FromGuard {
        let work = self.work.take();
        if !self.exec_alive
            && let Some(terminal) = Terminal::controlling()
            && let Some(work) = work
        {
            terminal.pass(Some(work.group()), self.exec_group);
        }
        message
    }

    fn tell(&self, message: &FromGuard) -> io::Result<()> {
        if self.exec_alive {
            // exec may have died a moment ago; its end of the socket tells.
            let _dead = wire::send(&self.socket, message);
        } else if let FromGuard::Stuck(_, left) = message {
            // Nobody else is left to say it; without standard error nobody listens.
            let _unheard = writeln!(io::stderr(), "lockd: {}", super::stuck_message(left));
        }
        Ok(())
    }

    fn wait(&self, wake: Option<BootTime>) -> io::Result<()> {
        if let Some(wake) = wake {
            self.arm(wake)?;
        }
        let starting = self.work.as_ref().and_then(Work::starting);
        let mut fds: Vec<PollFd<'_>> = [Some(self.timer.as_fd()), Some(self.children.as_fd())]
            .into_iter()
            .chain([self.exec_alive.then(|| self.socket.as_fd()), starting.map(AsFd::as_fd)])
            .flatten()
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        match rustix::event::poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        // What they say is looked up anew; only their readiness must go.
        for fd in [&self.timer, &self.children] {
            while rustix::io::read(fd, &mut [0_u8; 1024]).is_ok() {}
        }
        Ok(())
    }

    fn arm(&self, at: BootTime) -> io::Result<()> {
        // All zeros would disarm it; one nanosecond after boot is long past.
        let nanos = at.0.max(1);
        let value = Timespec {
            tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: (nanos % 1_000_000_000) as _,
        };
        let spec = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &spec)?;
        Ok(())
    }
}

/// Forks the command. The descriptor ends without a word when the program runs, or gives the number of the error.
fn spawn(command: &Command, start: &Start) -> io::Result<(Pid, OwnedFd)> {
    let later = start.env.iter().map(|(name, value)| (name.into(), Some(value.into())));
    let changes: Vec<_> = command.env.iter().cloned().chain(later).collect();
    let env = environment(std::env::vars_os(), &changes);
    let (word, tell) = io::pipe()?;
    rustix::io::ioctl_fionbio(&word, true)?;
    let guard = rustix::process::getpid();
    match sys::fork()? {
        Side::Parent(pid) => {
            // Both sides do it, so that it is done when either goes on.
            let _done = rustix::process::setpgid(Some(pid), Some(pid));
            Ok((pid, word.into()))
        }
        Side::Child => {
            let errno = be_command(&command.program, &env, guard, start.foreground);
            let _unread = rustix::io::write(&tell, &errno.to_ne_bytes());
            sys::exit_now(127)
        }
    }
}

fn be_command(program: &Program, env: &[CString], guard: Pid, foreground: bool) -> i32 {
    let me = rustix::process::getpid();
    let ready = rustix::process::setpgid(None, None)
        .and_then(|()| rustix::process::set_parent_process_death_signal(Some(Signal::KILL)));
    if let Err(e) = ready {
        return e.raw_os_error();
    }
    if rustix::process::getppid() != Some(guard) {
        // The guard died before the signal for that was asked for.
        sys::exit_now(127);
    }
    if foreground && let Some(terminal) = Terminal::controlling() {
        terminal.give_to(me);
    }
    sys::restore_caller();
    program.become_it(env)
}
