//! `lockd exec`: each promise of its contract, with real processes and signals.

mod contend;
mod ends;
mod plain;
mod sandbox;
mod signals;
mod terminal;
mod waits;
