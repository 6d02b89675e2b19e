//! The directory store itself in simulation: the real code on a tree of files that is made up, step by step.
//!
//! Processes on one or several machines write, read, prune, sweep, list, and hold leases through an engine, each step on the
//! file system among those of all others. Processes end or stall anywhere, power is lost with any part of what was unsynced,
//! replies get lost, clients of a file server answer from old views. Everything follows from one number.

mod actor;
mod claims;
mod counters;
mod fs;
mod leases;
mod mix;
#[cfg(feature = "mutants")]
mod mutants;
mod objects;
mod run;
mod steps;
mod suite;
mod tree;
mod truth;
mod world;
