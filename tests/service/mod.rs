//! The service as an engine and its servers give it: behaviours that hold on every store, the three outcomes of a write, ages,
//! waiting, what carries requests, and the client.

mod ages;
pub mod behaviours;
mod client;
pub mod for_update;
pub mod interventions;
mod library;
mod outcomes;
mod remote;
mod tasks;
mod waiting;
