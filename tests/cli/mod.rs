//! The command line as a user meets it: the binary in a world of its own.

mod bad_input;
mod bench;
mod breaking;
mod completion;
mod configuration;
mod damage;
mod editing;
mod exec;
mod fencing;
mod generated;
mod keep;
mod lab;
mod lease;
mod looking;
mod memory;
mod mounts;
mod output;
mod pty;
mod readme;
mod scripts;
mod settings;
mod shells;
mod speed;
mod state;
mod stores;
mod workflows;
