//! The randomness seam: ids come from here and nowhere else.

use std::fmt;
use std::time::Duration;

/// A source of random bytes.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `buf`.
    fn fill(&self, buf: &mut [u8]);
}

impl dyn Entropy + '_ {
    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut buf = [0; N];
        self.fill(&mut buf);
        buf
    }

    /// A number in `0..bound`; the bias for the small bounds used here (jitter) does not matter. `bound` 0 gives 0.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        u64::from_le_bytes(self.bytes()).checked_rem(bound).unwrap_or(0)
    }

    /// A time shorter than `longest`, to the microsecond: so that not all who failed together come back together.
    #[must_use]
    pub fn within(&self, longest: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(longest.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// The kernel's generator (`getrandom(2)`), asked each time: a generator in user space would repeat itself after a fork
/// or a clone of the machine, and two writes would share an id.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelEntropy;

#[expect(clippy::disallowed_methods, reason = "this module is the seam")]
impl Entropy for KernelEntropy {
    fn fill(&self, buf: &mut [u8]) {
        let mut done = 0;
        while done < buf.len() {
            match rustix::rand::getrandom(&mut buf[done..], rustix::rand::GetRandomFlags::empty()) {
                Ok(n) => done += n,
                Err(rustix::io::Errno::INTR) => {}
                // Without randomness no write may be made: two records could carry the same id.
                Err(e) => panic!("the kernel gives no random bytes: {e}"),
            }
        }
    }
}
