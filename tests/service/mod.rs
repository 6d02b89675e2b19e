//! The service as an engine gives it: behaviours that hold on every store, the three outcomes of a write, ages, and the client.

mod ages;
pub mod behaviours;
mod client;
pub mod interventions;
mod outcomes;
