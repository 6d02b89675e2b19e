//! How long one write and one read take, and the shortest TTL that is safe at that speed.

use std::fmt;
use std::time::Duration;

use super::{Flaw, Scratch};
use crate::limits::{SPEED_WRITES, TTL_MAX, TTL_SAFETY, holder_belief, kill_grace_default, renew_every};
use crate::store::Precondition;

/// What was measured, one operation after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speed {
    writes: Vec<Duration>,
    reads: Vec<Duration>,
}

/// Measures swaps of one record, each read back.
///
/// # Errors
/// In words, when one fails.
pub async fn measure(s: &Scratch<'_>) -> Result<Speed, Flaw> {
    let key = s.key("speed")?;
    let mut when = Precondition::Absent;
    let (mut writes, mut reads) = (Vec::new(), Vec::new());
    for n in 0..=s.times(SPEED_WRITES) {
        let value = s.value(&key)?;
        let began = s.clock.boot();
        when = Precondition::Matches(s.must_put(&key, &value, when).await?);
        let wrote = s.clock.boot();
        s.get(&key).await?.ok_or("a value that was just written is absent")?;
        // The first one makes what later ones find.
        if n > 0 {
            writes.push(wrote.since(began));
            reads.push(s.clock.boot().since(wrote));
        }
    }
    writes.sort_unstable();
    reads.sort_unstable();
    Ok(Speed { writes, reads })
}

impl Speed {
    /// The median of writes.
    #[must_use]
    pub fn write(&self) -> Duration {
        median(&self.writes)
    }

    /// The slowest write.
    #[must_use]
    pub fn slowest_write(&self) -> Duration {
        self.writes.last().copied().unwrap_or_default()
    }

    /// The median of reads.
    #[must_use]
    pub fn read(&self) -> Duration {
        median(&self.reads)
    }

    /// The shortest TTL, in whole seconds and not below `least`, with which [`TTL_SAFETY`] writes as slow as the slowest one fit between
    /// the time at which a renewal is due and the time at which the work would have to be ended. `None` when there is none.
    #[must_use]
    pub fn shortest_ttl(&self, least: Duration) -> Option<Duration> {
        let needed = self.slowest_write() * TTL_SAFETY;
        let spare = |ttl: Duration| {
            holder_belief(ttl, ttl).saturating_sub(kill_grace_default(ttl)).saturating_sub(renew_every(ttl))
        };
        let seconds = least.as_secs().max(1)..=TTL_MAX.as_secs();
        seconds.map(Duration::from_secs).find(|ttl| *ttl >= least && spare(*ttl) >= needed)
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [write, slowest, read] = [self.write(), self.slowest_write(), self.read()].map(text);
        write!(f, "write {write}, slowest of {} {slowest}; read {read}", self.writes.len())
    }
}

/// A time with as many digits as it deserves: `4.2 ms`, `310 ms`, `1.2 s`.
fn text(d: Duration) -> String {
    match d.as_micros() {
        us @ 0..1_000 => format!("{us} µs"),
        us @ 1_000..100_000 => format!("{}.{} ms", us / 1_000, us / 100 % 10),
        us @ 100_000..1_000_000 => format!("{} ms", us / 1_000),
        us => format!("{}.{} s", us / 1_000_000, us / 100_000 % 10),
    }
}

fn median(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::TTL_MIN;

    fn slow(millis: u64) -> Speed {
        let write = Duration::from_millis(millis);
        Speed { writes: vec![write; 3], reads: vec![write; 3] }
    }

    #[test]
    fn slow_stores_need_long_leases() {
        let shortest = |millis| slow(millis).shortest_ttl(TTL_MIN).map(|ttl| ttl.as_secs());
        // With 2 s: believed for 1.48 s, less 0.5 s of grace and 0.667 s until the renewal leaves 313 ms for three writes.
        assert_eq!((shortest(1), shortest(104), shortest(105)), (Some(2), Some(2), Some(3)));
        assert_eq!(shortest(1_000), Some(9));
        assert_eq!(shortest(86_400_000), None);
        assert_eq!(slow(1).shortest_ttl(Duration::from_secs(5)), Some(Duration::from_secs(5)));
    }

    #[test]
    fn times_are_short() {
        let texts = [700, 4_200, 310_000, 1_250_000].map(|us| text(Duration::from_micros(us)));
        assert_eq!(texts, ["700 µs", "4.2 ms", "310 ms", "1.2 s"]);
    }
}
