//! Sums of JSON numbers: exact, in decimal, of any size up to a bound.

use crate::limits::EDIT_DIGITS;

/// A number as JSON writes it: digits x 10^exponent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Most significant first, values 0 to 9, without zeros in front; none at all is zero.
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// Reads a JSON number; `None` when it has too many digits or its exponent is beyond all reason.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (negative, rest) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
        let split = rest.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(rest.len());
        let (mantissa, power) = rest.split_at(split);
        let power = match power.get(1..) {
            Some(power) => std::str::from_utf8(power.strip_prefix(b"+").unwrap_or(power)).ok()?.parse::<i64>().ok()?,
            None => 0,
        };
        let point = mantissa.iter().position(|b| *b == b'.');
        let fraction = point.map_or(0, |point| mantissa.len() - point - 1);
        let digits = mantissa.iter().filter(|b| b.is_ascii_digit()).map(|b| b - b'0');
        let digits: Vec<u8> = digits.skip_while(|digit| *digit == 0).collect();
        let exponent = power.checked_sub(i64::try_from(fraction).ok()?)?;
        (digits.len() <= EDIT_DIGITS).then_some(Self { negative, digits, exponent })
    }

    /// The same number below zero, or above.
    pub(super) fn negated(mut self) -> Self {
        self.negative = !self.negative;
        self
    }

    /// The sum, with as many places behind the point as the finer of the two; `None` when it has too many digits.
    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        let exponent = self.exponent.min(other.exponent);
        let (a, b) = (self.scaled(exponent)?, other.scaled(exponent)?);
        let (negative, digits) = match (self.negative == other.negative, compare(&a, &b)) {
            (true, _) => (self.negative, added(&a, &b)),
            (false, std::cmp::Ordering::Less) => (other.negative, taken(&b, &a)),
            (false, _) => (self.negative, taken(&a, &b)),
        };
        (digits.len() <= EDIT_DIGITS).then_some(Self { negative, digits, exponent })
    }

    /// The digits when the exponent is this lower one.
    fn scaled(&self, exponent: i64) -> Option<Vec<u8>> {
        if self.digits.is_empty() {
            return Some(Vec::new());
        }
        let zeros = usize::try_from(self.exponent.checked_sub(exponent)?).ok()?;
        if zeros > EDIT_DIGITS {
            return None;
        }
        let mut digits = self.digits.clone();
        digits.resize(digits.len() + zeros, 0);
        Some(digits)
    }

    /// As JSON: with an exponent only where the digits would be too many.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.negative && !self.digits.is_empty() {
            out.push(b'-');
        }
        let ascii: Vec<u8> = self.digits.iter().map(|digit| digit + b'0').collect();
        let places = usize::try_from(self.exponent.unsigned_abs()).unwrap_or(usize::MAX);
        match (self.exponent, ascii.is_empty()) {
            (0.., true) => out.push(b'0'),
            _ if places > EDIT_DIGITS => {
                out.extend(if ascii.is_empty() { b"0" } else { &ascii[..] });
                out.extend(format!("e{}", self.exponent).into_bytes());
            }
            (0.., false) => {
                out.extend(&ascii);
                out.resize(out.len() + places, b'0');
            }
            (..0, _) => {
                let whole = ascii.len().saturating_sub(places);
                out.extend(if whole == 0 { b"0" } else { &ascii[..whole] });
                out.push(b'.');
                out.resize(out.len() + places.saturating_sub(ascii.len()), b'0');
                out.extend(&ascii[whole..]);
            }
        }
        out
    }
}

fn compare(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn added(a: &[u8], b: &[u8]) -> Vec<u8> {
    let (mut out, mut carry) = (Vec::with_capacity(a.len().max(b.len()) + 1), 0);
    let (mut a, mut b) = (a.iter().rev(), b.iter().rev());
    loop {
        let (x, y) = (a.next(), b.next());
        if x.is_none() && y.is_none() && carry == 0 {
            out.reverse();
            return out;
        }
        let sum = x.copied().unwrap_or(0) + y.copied().unwrap_or(0) + carry;
        out.push(sum % 10);
        carry = sum / 10;
    }
}

/// `a` less `b`, which is not larger.
fn taken(a: &[u8], b: &[u8]) -> Vec<u8> {
    let (mut out, mut borrow) = (Vec::with_capacity(a.len()), 0);
    let mut b = b.iter().rev();
    for digit in a.iter().rev() {
        let less = b.next().copied().unwrap_or(0) + borrow;
        borrow = u8::from(*digit < less);
        out.push(digit + 10 * borrow - less);
    }
    while out.last() == Some(&0) {
        out.pop();
    }
    out.reverse();
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(a: &str, b: &str) -> Option<String> {
        let sum = Decimal::parse(a.as_bytes())?.plus(&Decimal::parse(b.as_bytes())?)?;
        Some(String::from_utf8(sum.to_json()).unwrap())
    }

    #[test]
    fn sums_are_those_of_the_schoolbook() {
        for (a, b, wanted) in [
            ("1", "1", "2"),
            ("0", "-1", "-1"),
            ("-1", "1", "0"),
            ("9", "1", "10"),
            ("10", "-1", "9"),
            ("1.10", "0.05", "1.15"),
            ("1.5", "1.5", "3.0"),
            ("0.1", "0.2", "0.3"),
            ("1.10", "1", "2.10"),
            ("1.1", "-1.1", "0.0"),
            ("-0", "0", "0"),
            ("1e3", "1", "1001"),
            ("1.5E+2", "-0.5", "149.5"),
            ("1e-3", "1", "1.001"),
            ("1e400", "1", &format!("1{}1", "0".repeat(399))),
            ("123456789012345678901234567890", "1", "123456789012345678901234567891"),
            ("18446744073709551615", "1", "18446744073709551616"),
            ("-9223372036854775808", "-1", "-9223372036854775809"),
            ("0e-2", "1", "1.00"),
            ("0.001", "-1", "-0.999"),
        ] {
            assert_eq!(sum(a, b).as_deref(), Some(wanted), "{a} + {b}");
        }
    }

    #[test]
    fn sums_without_end_are_refused() {
        for a in ["1e9999", "1e-9999", "1e99999999999999999999", &"1".repeat(EDIT_DIGITS + 1)] {
            assert_eq!(sum(a, "1"), None, "{a}");
        }
        let nines = "9".repeat(EDIT_DIGITS);
        assert_eq!(sum(&nines, "1"), None);
        assert_eq!(sum(&nines, "-1").unwrap().len(), EDIT_DIGITS);
    }

    proptest! {
        #[test]
        fn integers_add_as_integers(a in any::<i64>(), b in any::<i64>()) {
            let wanted = (i128::from(a) + i128::from(b)).to_string();
            prop_assert_eq!(sum(&a.to_string(), &b.to_string()), Some(wanted));
        }

        #[test]
        fn decimals_add_as_integers_of_their_smallest_part(a in -1_000_000i64..1_000_000, b in -1_000_000i64..1_000_000) {
            let shown = |n: i64| {
                let sign = if n < 0 { "-" } else { "" };
                format!("{sign}{}.{:03}", n.abs() / 1_000, n.abs() % 1_000)
            };
            prop_assert_eq!(sum(&shown(a), &shown(b)), Some(shown(a + b)));
        }

        #[test]
        fn what_is_taken_comes_back(a in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})?", b in "-?[1-9][0-9]{0,20}(\\.[0-9]{1,6})?") {
            let (a, b) = (Decimal::parse(a.as_bytes()).unwrap(), Decimal::parse(b.as_bytes()).unwrap());
            let zero = a.plus(&b).unwrap().plus(&a.negated()).unwrap().plus(&b.negated()).unwrap();
            prop_assert!(zero.digits.is_empty());
        }
    }
}
