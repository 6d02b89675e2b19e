//! The `lockd` command. It parses, calls the library and prints; what it may decide is in the library.

// All of it is in `process::sys`.
#![deny(unsafe_code)]

use std::ffi::OsString;
use std::process::ExitCode;

mod acquire;
mod bench;
mod body;
mod break_lease;
mod change;
mod cli;
mod completions;
mod config;
mod context;
mod duration;
mod edit;
mod exec;
mod fence;
mod get;
mod help;
mod identity;
mod interrupt;
mod keepalive;
mod list;
mod man;
mod memory;
mod output;
mod page;
mod patience;
mod process;
mod progress;
mod proof;
mod release;
mod remove;
mod serve;
mod settings;
mod status;
mod storage;
mod table;
mod target;
mod text;
mod update;
mod variables;
mod verify;
mod waiting;
mod watch;
mod whole_file;

// No thread and no runtime may start before the command has decided: `exec` forks first.
fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    ExitCode::from(cli::run(&arguments))
}
