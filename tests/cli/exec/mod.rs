//! `lockd exec`: each promise of its contract, with real processes and signals.

mod contend;
mod ends;
mod hosts;
mod nested;
mod options;
mod plain;
mod report;
pub mod sandbox;
mod several;
mod signals;
mod state_file;
mod terminal;
mod waits;
