//! What only Linux can say: mounts and file systems, and watching directories.

pub mod inotify;
pub mod mounts;
