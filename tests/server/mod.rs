//! The server over sockets, with a client that writes its own bytes: calls, waiting, bodies, limits, drain.
//!
//! Time is advanced, not slept: whenever nobody has anything to do, it jumps to the next timer.

#![expect(clippy::disallowed_methods, reason = "the runtime's own clock, which the tests advance")]

mod bodies;
mod calls;
mod draining;
mod for_update;
mod http2;
mod lab;
mod limits;
mod metrics;
mod waiting;
