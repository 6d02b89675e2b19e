//! Numbers that follow from the seed alone.

use std::sync::Mutex;
use std::time::Duration;

use lockd::entropy::Entropy;

/// SplitMix64: small, fast, and the same on every machine.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number in `0..bound`; 0 for 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True `in_10_000` times of 10 000.
    pub fn chance(&mut self, in_10_000: u32) -> bool {
        in_10_000 > 0 && self.below(10_000) < u64::from(in_10_000)
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()].clone()
    }

    pub fn upto(&mut self, most: Duration) -> Duration {
        Duration::from_nanos(self.below(u64::try_from(most.as_nanos()).unwrap()))
    }

    /// A generator of its own for a part of the run.
    pub const fn fork(&mut self) -> Self {
        Self(self.next())
    }
}

pub const fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// The randomness of one process of the simulation.
#[derive(Debug)]
pub struct SimEntropy(Mutex<Rng>);

impl SimEntropy {
    pub const fn new(rng: Rng) -> Self {
        Self(Mutex::new(rng))
    }
}

impl Entropy for SimEntropy {
    fn fill(&self, buf: &mut [u8]) {
        let mut rng = self.0.lock().unwrap();
        for chunk in buf.chunks_mut(8) {
            chunk.copy_from_slice(&rng.next().to_le_bytes()[..chunk.len()]);
        }
    }
}
