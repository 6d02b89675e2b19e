//! The command line as users see it: the real binary, real processes and signals.

mod exec;
