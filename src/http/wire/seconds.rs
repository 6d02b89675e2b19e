//! Seconds on the wire, with a fraction where whole ones do not do.

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

/// A number of seconds as JSON has it: whole in what other clients send, with up to three decimals in what ours send. May be
/// negative, where that means something.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Seconds(pub f64);

impl Seconds {
    /// "Do not wait".
    pub const NONE: Self = Self(-1.0);

    /// In whole milliseconds, at least one: 0.0001 asks for something short, not for nothing or for ever. `None` when it is
    /// zero or less. Cut to 100 years.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and far below 2^53")]
    pub fn duration(self) -> Option<Duration> {
        let millis = (self.0.min(HUNDRED_YEARS) * 1_000.0).round().max(1.0);
        (self.0 > 0.0).then(|| Duration::from_millis(millis as u64))
    }
}

/// In seconds.
const HUNDRED_YEARS: f64 = 100.0 * 365.0 * 86_400.0;

impl From<Duration> for Seconds {
    fn from(d: Duration) -> Self {
        Self(d.as_secs_f64())
    }
}

impl Serialize for Seconds {
    /// A whole number is written as one: other servers and clients read no fractions.
    #[expect(clippy::cast_possible_truncation, reason = "whole and within bounds")]
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < 1e15 {
            to.serialize_i64(self.0 as i64)
        } else {
            to.serialize_f64(self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_survive_the_way() {
        for millis in [1, 20, 999, 1_000, 2_500, 86_399_999, 86_400_000] {
            let sent = serde_json::to_string(&Seconds::from(Duration::from_millis(millis))).unwrap();
            let read: Seconds = serde_json::from_str(&sent).unwrap();
            assert_eq!(read.duration(), Some(Duration::from_millis(millis)), "{sent}");
            assert_eq!(millis % 1_000 == 0, !sent.contains('.'), "{sent}");
        }
    }

    #[test]
    fn zero_and_less_are_no_duration() {
        for text in ["0", "-1", "-0.0", "-1e300"] {
            assert_eq!(serde_json::from_str::<Seconds>(text).unwrap().duration(), None, "{text}");
        }
        assert_eq!(serde_json::to_string(&Seconds::NONE).unwrap(), "-1");
        assert!(Seconds(1e300).duration() > Some(Duration::from_secs(1_000_000_000)));
        assert_eq!(Seconds(1e-9).duration(), Some(Duration::from_millis(1)));
    }
}
