//! Object stores: on Azurite and MinIO, which `scripts/object-servers` starts, and on real accounts where their URLs are set. What
//! is not there is left out, and said.


mod contract;

mod sas;
mod servers;

