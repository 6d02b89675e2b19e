//! A command at a terminal of 80 columns: what it shows, and what is typed.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::pty::OpenptFlags;
use rustix::termios::{Winsize, tcsetwinsize};

use super::lab::{Lab, Ran, finished};

/// Longer than anything takes on a slow machine.
pub const PATIENCE: rustix::time::Timespec = rustix::time::Timespec { tv_sec: 120, tv_nsec: 0 };

/// A running command and the other side of its terminal.
pub struct Pty {
    terminal: File,
    child: Child,
    shown: String,
}

impl Pty {
    /// Starts `lockd` with these arguments and variables.
    pub fn start(lab: &Lab, args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::any(lab, "lockd", args, env)
    }

    /// Starts any program.
    pub fn any(lab: &Lab, program: &str, args: &[&str], env: &[(&str, &str)]) -> Self {
        let terminal: OwnedFd =
            rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        rustix::pty::grantpt(&terminal).unwrap();
        rustix::pty::unlockpt(&terminal).unwrap();
        tcsetwinsize(&terminal, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = rustix::pty::ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
        let side = || Stdio::from(File::options().read(true).write(true).open(&name).unwrap());
        let mut command = Command::new("setsid");
        lab.dressed(&mut command).args(["--ctty", "--wait", program]).args(args);
        command.env("TERM", "xterm").envs(env.iter().copied());
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        Self { terminal: File::from(terminal), child, shown: String::new() }
    }

    /// Reads until the terminal has shown a text.
    pub fn expect(&mut self, text: &str) {
        while !self.shown.contains(text) {
            assert!(self.read(), "the terminal shows {:?} and not {text:?}", self.shown);
        }
    }

    /// What is shown from now on.
    pub fn forget(&mut self) {
        self.shown.clear();
    }

    /// Types.
    pub fn type_in(&mut self, text: &str) {
        self.terminal.write_all(text.as_bytes()).unwrap();
    }

    /// Waits for the end: the exit code, and all that was shown.
    pub fn end(mut self) -> Ran {
        while self.read() {}
        let output = self.child.wait().unwrap();
        let output = std::process::Output { status: output, stdout: self.shown.into_bytes(), stderr: vec![] };
        finished(&output)
    }

    /// Some more of what is shown; false at the end.
    fn read(&mut self) -> bool {
        let mut ready = [PollFd::new(&self.terminal, PollFlags::IN)];
        // Other tests' children end meanwhile, and that interrupts the wait.
        let n = retry_on_intr(|| poll(&mut ready, Some(&PATIENCE))).unwrap();
        assert_ne!(n, 0, "nothing came: {:?}", self.shown);
        let mut buf = [0; 4_096];
        // Linux says EIO when the last one at the other side has gone.
        let n = self.terminal.read(&mut buf).unwrap_or(0);
        self.shown.push_str(&String::from_utf8_lossy(&buf[..n]));
        n > 0
    }
}

/// What a command shows at a terminal.
pub fn shown(lab: &Lab, args: &[&str], env: &[(&str, &str)]) -> Ran {
    Pty::start(lab, args, env).end()
}
