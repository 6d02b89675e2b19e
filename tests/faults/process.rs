//! A process that is killed, stopped and let go on: a server or a worker. What it says goes into a file, so that it never waits for
//! a reader.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// See the module. Killed when dropped.
pub struct Process {
    child: Child,
    name: String,
    said: PathBuf,
}

impl Process {
    /// Starts it; what it says goes to a file of its name in a directory.
    pub fn start(command: &mut Command, name: &str, logs: &Path) -> Self {
        let said = logs.join(format!("{name}.log"));
        let log = File::create(&said).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self { child: command.spawn().unwrap(), name: name.to_owned(), said }
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Panics when it has ended by itself, with what it said.
    pub fn is_alive(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("{} ended by itself: {status}: {}", self.name, self.said());
        }
    }

    /// Kills it (SIGKILL), in whatever it does. Panics when it had ended by itself before.
    pub fn kill(mut self) {
        self.is_alive();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end, and gives its exit code, if it had one.
    pub fn ended(mut self) -> (Option<i32>, String) {
        (self.child.wait().unwrap().code(), self.said())
    }

    /// Whether it said something.
    pub fn has_said(&self, what: &str) -> bool {
        self.said().contains(what)
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _may_be_gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
