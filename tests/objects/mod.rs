//! Object stores: on Azurite and MinIO, which `scripts/object-servers` starts, on real accounts where their URLs are set, and on a
//! small S3 in memory, which can fail and lie. What is not there is left out, and said.

mod behaviours;
mod benching;
mod bridge;
mod command;
mod contract;
mod fake;
mod identities;
mod liars;
mod outcomes;
mod polling;
mod proxy;
mod refusals;
mod requests;
mod sas;
mod servers;
mod serving;
mod verifying;
