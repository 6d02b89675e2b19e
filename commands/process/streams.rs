//! The standard streams of processes that outlive the program that the caller started.

use std::fs::{File, OpenOptions};

/// Puts `/dev/null` on standard input and output, so that no pipe of the caller is held open by lockd.
pub fn let_go() {
    if let Some(null) = null() {
        let _kept = rustix::stdio::dup2_stdin(&null).and_then(|()| rustix::stdio::dup2_stdout(&null));
    }
}

/// The same for standard error, when nothing is left to say.
pub fn let_go_of_error() {
    if let Some(null) = null() {
        let _kept = rustix::stdio::dup2_stderr(&null);
    }
}

fn null() -> Option<File> {
    OpenOptions::new().read(true).write(true).open("/dev/null").ok()
}
