//! The command under its lease: renewals go to the guard, signals to the command, and the foreground to whom it belongs.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use lockd::clock::{BootTime, Clock, SystemClock, UnixMillis};
use lockd::error::Error;
use lockd::limits::{KILL_BEFORE_DEADLINE, KILL_SETTLE};
use rustix::process::{Pid, Signal};

use super::super::process::link::Link;
use super::super::process::orphans::{self, Orphans};
use super::super::process::signals::{ENDING, Signals};
use super::super::process::sys;
use super::super::process::terminal::{self, Terminal};
use super::super::process::wire::{Cause, FromGuard, Leftovers, Start, Status, ToGuard};
use super::held::Held;
use super::plan::Plan;

/// Signals by which a terminal stops a job.
const JOB_STOPS: [i32; 3] = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

/// How it was over.
#[derive(Debug)]
pub enum End {
    /// Nothing of the command is left.
    Gone(Cause),
    /// This cannot be ended.
    Stuck(Cause, Leftovers),
    /// The program could not be run: the error number.
    NotStarted(i32),
    /// The lease had too little time left to start anything.
    TooLate,
    /// The guard was killed.
    GuardDead(Orphans),
}

/// What was seen of the command.
#[derive(Debug)]
pub struct Over {
    /// How it was over.
    pub end: End,
    /// How the command itself ended.
    pub status: Option<Status>,
    /// Why a lease was lost.
    pub lost: Option<Arc<Error>>,
    /// Whether exec asked the guard to end the command, and why.
    pub asked: Option<Cause>,
    /// Whether the command was interrupted from the terminal.
    pub interrupted: bool,
    /// Whether somebody asked, by a signal, for an end of all this.
    pub told_to_end: bool,
    /// When the command was started, by the wall clock.
    pub began: UnixMillis,
}

/// A command under a lease.
pub struct Run<'a> {
    plan: &'a Plan,
    link: &'a Link,
    signals: &'a mut Signals,
    held: &'a mut Held,
    terminal: Option<Terminal>,
    command: Option<i32>,
    status: Option<Status>,
    lost: Option<Arc<Error>>,
    asked: Option<Cause>,
    passed_interrupt: bool,
    told_to_end: bool,
    run_until: Option<BootTime>,
    wake_guard_at: Option<BootTime>,
}

/// What happens next.
enum Event {
    Heard(Option<FromGuard>),
    Signal(i32),
    Belief,
    Due,
}

impl<'a> Run<'a> {
    /// With leases that were just granted.
    pub fn new(plan: &'a Plan, link: &'a Link, signals: &'a mut Signals, held: &'a mut Held) -> Self {
        Self {
            plan,
            link,
            signals,
            held,
            terminal: Terminal::controlling(),
            command: None,
            status: None,
            lost: None,
            asked: None,
            passed_interrupt: false,
            told_to_end: false,
            run_until: None,
            wake_guard_at: None,
        }
    }

    /// Starts the command and stays with it until nothing of it is left.
    pub async fn run(mut self) -> Over {
        self.held.keep_alive();
        let deadline = self.held.deadline();
        let began = SystemClock.wall();
        let foreground = self.terminal.as_ref().is_some_and(Terminal::is_ours);
        self.wake_guard_at = Some(deadline - KILL_BEFORE_DEADLINE);
        // Counted from here and not from the guard's answer, which somebody may hold up.
        self.run_until = self.plan.max_runtime.map(|most| SystemClock.boot() + most);
        self.link.say(&ToGuard::Spawn(Start {
            env: self.plan.variables.late(&self.plan.keys, self.held),
            deadline,
            grace_ms: u64::try_from(self.plan.grace.as_millis()).unwrap_or(u64::MAX),
            foreground,
        }));
        let end = loop {
            match self.next().await {
                Event::Heard(None) => break self.adopt().await,
                Event::Heard(Some(message)) => {
                    if let Some(end) = self.heard(message) {
                        break end;
                    }
                }
                Event::Signal(signal) => self.pass_on(signal),
                Event::Belief => self.believe(),
                Event::Due => self.due(),
            }
        };
        let by_terminal = self.leave_terminal();
        Over {
            end,
            status: self.status,
            lost: self.lost,
            asked: self.asked,
            interrupted: by_terminal && !self.passed_interrupt,
            told_to_end: self.told_to_end || by_terminal,
            began,
        }
    }

    async fn next(&mut self) -> Event {
        let due = self.run_until.into_iter().chain(self.wake_guard_at).min();
        let mut heard = pin!(self.link.hear());
        let mut signal = pin!(self.signals.next());
        let mut belief = pin!(self.held.changed());
        let mut due = pin!(async {
            match due {
                Some(at) => SystemClock.sleep_until(at).await,
                None => pending().await,
            }
        });
        poll_fn(|cx| {
            if let Poll::Ready(message) = heard.as_mut().poll(cx) {
                return Poll::Ready(Event::Heard(message));
            }
            if let Poll::Ready(n) = signal.as_mut().poll(cx) {
                return Poll::Ready(Event::Signal(n));
            }
            if belief.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Belief);
            }
            due.as_mut().poll(cx).map(|()| Event::Due)
        })
        .await
    }

    fn heard(&mut self, message: FromGuard) -> Option<End> {
        match message {
            FromGuard::Spawned { pid } => {
                self.command = Some(pid);
            }
            FromGuard::Exited(status) => {
                self.status = Some(status);
                self.run_until = None;
            }
            FromGuard::Stopped(signal) if JOB_STOPS.contains(&signal) => self.stop_with_command(),
            FromGuard::Stopped(_) => {}
            FromGuard::SpawnFailed { errno } => return Some(End::NotStarted(errno)),
            FromGuard::TooLate => return Some(End::TooLate),
            FromGuard::Gone(cause) => return Some(End::Gone(cause)),
            FromGuard::Stuck(cause, left) => return Some(End::Stuck(cause, left)),
        }
        None
    }

    fn pass_on(&mut self, signal: i32) {
        self.passed_interrupt |= signal == libc::SIGINT;
        self.told_to_end |= ENDING.contains(&signal);
        if signal == libc::SIGCONT {
            self.give_terminal();
        }
        self.link.say(&ToGuard::Signal(signal));
    }

    fn believe(&mut self) {
        if let Some(why) = self.held.lost() {
            self.lost = Some(why);
            self.end(Cause::Lost);
        } else {
            let deadline = self.held.deadline();
            if self.asked.is_none() {
                self.wake_guard_at = Some(deadline - KILL_BEFORE_DEADLINE);
            }
            // A guard that somebody stopped sees no end of the command: with each renewal it is woken.
            self.link.insist(&ToGuard::Deadline(deadline));
        }
    }

    fn due(&mut self) {
        let now = SystemClock.boot();
        if self.run_until.is_some_and(|at| now >= at) {
            self.run_until = None;
            self.end(Cause::Timeout);
        }
        if self.wake_guard_at.is_some_and(|at| now >= at) {
            // While work is being ended, again and again: nothing else would wake a guard that is stopped now.
            self.wake_guard_at = self.asked.map(|_| now + KILL_SETTLE);
            self.link.wake();
        }
    }

    fn end(&mut self, cause: Cause) {
        self.asked = self.asked.or(Some(cause));
        self.wake_guard_at = Some(SystemClock.boot() + KILL_SETTLE);
        self.link.insist(&ToGuard::End(cause));
    }

    /// The guard is dead, the command with it; what it had started is ours now.
    async fn adopt(&mut self) -> End {
        let now = SystemClock.boot();
        let until = self.held.deadline().max(now + KILL_SETTLE);
        let found = orphans::end_all(&SystemClock, self.command, until).await;
        self.status = self.status.or(found.status);
        End::GuardDead(found)
    }

    /// The terminal stopped the command: its shell must see that of exec, which is its job. Nothing is renewed meanwhile.
    fn stop_with_command(&mut self) {
        let (Some(terminal), Some(group)) = (&self.terminal, self.command.and_then(Pid::from_raw)) else { return };
        terminal.pass(Some(group), terminal::own_group());
        let stops = terminal::is_a_job() && sys::caller_lets_through(libc::SIGTSTP);
        let tells = sys::caller_lets_through(libc::SIGCONT);
        let _refused = rustix::process::kill_current_process_group(Signal::TSTP);
        // Here somebody lets the job go on, or it could not stop. In the first case SIGCONT tells, and must do so alone: a
        // second one could undo the next stop.
        if stops && tells {
            return;
        }
        self.give_terminal();
        if !stops && !terminal.belongs_to(group) {
            // Nobody would ever give it the terminal that it waits for: the kernel hangs up such groups.
            self.link.say(&ToGuard::Signal(libc::SIGHUP));
        }
        self.link.say(&ToGuard::Signal(libc::SIGCONT));
    }

    /// Gives the command the foreground that exec has.
    fn give_terminal(&self) {
        if let (Some(terminal), Some(group)) = (&self.terminal, self.command.and_then(Pid::from_raw)) {
            terminal.pass(terminal::own_group(), Some(group));
        }
    }

    /// Takes the foreground back; whether the command had it and was interrupted.
    fn leave_terminal(&self) -> bool {
        let (Some(terminal), Some(group)) = (&self.terminal, self.command.and_then(Pid::from_raw)) else {
            return false;
        };
        let had_it = terminal.belongs_to(group);
        terminal.pass(Some(group), terminal::own_group());
        had_it && self.status == Some(Status::Signal(libc::SIGINT))
    }
}
