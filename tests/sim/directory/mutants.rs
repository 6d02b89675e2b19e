//! Each rule of the directory protocol, broken once: the simulation must notice every one, in every run.
