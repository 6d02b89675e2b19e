//! Deterministic simulation: the real engine and the real client on a simulated store, in simulated time, one thread a run.
//!
//! Everything follows from one number. Processes are tokio runtimes that are run until they have nothing to do; between two
//! events no time passes. The store is atomic at the moment when a request arrives and does all else that a network can do.
//! Every applied write, every answer and every belief is checked; the first rule that is broken ends the run.

mod actor;
mod beliefs;
#[cfg(feature = "mutants")]
mod bias;
mod blobs;
mod chaos;
mod claims;
mod commands;
mod counters;
mod directory;
mod history;
mod last;
mod log;
mod mix;
#[cfg(feature = "mutants")]
mod mutants;
mod proc;
mod records;
mod rng;
mod run;
mod services;
mod stack;
mod suite;
mod time;
mod worker;
mod world;
