//! The service as an engine gives it: behaviours that hold on every store, the three outcomes of a write, ages, waiting, and the client.

mod ages;
mod behaviours;
mod client;
mod interventions;
mod outcomes;
mod waiting;
