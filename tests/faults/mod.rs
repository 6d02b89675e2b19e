//! What must survive: kill -9, loss of power, failing and full disks, real NFS, a network that misbehaves, another version beside.
//!
//! Random choices come from `LOCKD_TEST_SEED` where it is set; each test prints the seed that it used.

mod clock;
mod crash_points;
mod crew;
mod cycle;
mod ext4;
mod fast_clock;
mod flawed;
mod full_disk;
mod guest;
mod injected;
mod journal;
mod kill;
mod lock_set;
pub mod lossy_fs;
#[cfg(feature = "lsm")]
mod lsm;
mod mixed;
mod network;
mod process;
mod replicas;
pub mod rng;
mod skewed_clock;
mod syscalls;
mod wall_clock;
mod worker;

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// The seed of this run.
fn seed() -> u64 {
    use lockd::entropy::{Entropy, KernelEntropy};
    let entropy: &dyn Entropy = &KernelEntropy;
    number("LOCKD_TEST_SEED").unwrap_or_else(|| entropy.below(1 << 32))
}

/// Lets others work for a while. Nothing is concluded from the time: it only decides where a fault strikes.
#[expect(clippy::disallowed_methods, reason = "a fault at a random moment, not a wait for anything")]
fn pause(time: std::time::Duration) {
    std::thread::sleep(time);
}
