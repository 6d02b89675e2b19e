//! The command line as a user meets it: the binary in a world of its own.

mod bad_input;
mod configuration;
mod damage;
mod exec;
mod generated;
mod keep;
mod lab;
mod lease;
mod mounts;
mod output;
mod readme;
mod scripts;
mod shells;
mod state;
mod stores;
