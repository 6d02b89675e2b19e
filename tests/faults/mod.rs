//! What must survive: kill -9, loss of power, failing and full disks, real NFS.

mod lossy_fs;
mod rng;
