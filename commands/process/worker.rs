//! Worker processes: this very program once more, which takes orders and answers, line by line.

use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A process of this program. Killed when dropped.
pub struct Worker {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Starts one with the settings of this process, in a group of its own: Ctrl-C is for the one that gives the orders.
    ///
    /// # Errors
    /// Why there is none.
    pub fn start() -> io::Result<Self> {
        // This very program, even if its file was replaced.
        let mut child = Command::new("/proc/self/exe")
            .args(arguments(std::env::args_os().skip(1)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("a process has no pipes"));
        };
        Ok(Self { child, orders, answers: BufReader::new(answers).lines() })
    }

    /// Gives it an order, one line.
    ///
    /// # Errors
    /// When it takes none any more.
    pub async fn tell(&mut self, order: &str) -> io::Result<()> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await
    }

    /// The next line that it says; `None` when it is dead.
    ///
    /// # Errors
    /// When it cannot be heard.
    pub async fn hear(&mut self) -> io::Result<Option<String>> {
        self.answers.next_line().await
    }

    /// Until it has ended.
    ///
    /// # Errors
    /// When that cannot be known.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Kills it, and returns when it is dead. What it had said before can still be heard.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.child.kill().await
    }
}

/// The same settings as this process: its arguments, and the word that makes it a worker, before a `--` that ends options.
fn arguments(own: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut all: Vec<OsString> = own.collect();
    let end = all.iter().position(|arg| arg == "--").unwrap_or(all.len());
    all.insert(end, "--worker".into());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_has_the_arguments_of_its_master() {
        let made = |text: &str| {
            let all = arguments(text.split(' ').map(OsString::from));
            all.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(made("verify store /mnt --quick"), "verify store /mnt --quick --worker");
        assert_eq!(made("verify store -- -x"), "verify store --worker -- -x");
        assert_eq!(made("bench crash --json"), "bench crash --json --worker");
        assert_eq!(made("bench -- crash"), "bench --worker -- crash");
    }
}
