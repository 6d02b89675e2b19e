//! The rules of leases and state: `step` against its invariants and against a reference model, in random histories and in an
//! exhaustive search of small worlds; the mutants that these must catch; the record's encoding.

mod encoding;
mod events;
mod histories;
mod impossible;
mod mutants;
mod reference;
mod requests;
mod run;
mod search;
mod sentences;
mod slips;
mod variants;
