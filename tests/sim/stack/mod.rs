//! The whole stack in simulation: servers with their own accept loop, clients on hyper's HTTP/1.1 and on HTTP/2, over a simulated
//! network (turmoil) and the simulated store of the other runs, checked by the same rules.
//!
//! A step of the network lets every host run, each on a runtime of its own; then the store and the clocks of the world catch up. So
//! everything follows from the seed here, too.

mod hosts;
mod last;
#[cfg(feature = "mutants")]
mod mutants;
mod net;
mod run;
mod suite;
mod troubles;
mod worker;
