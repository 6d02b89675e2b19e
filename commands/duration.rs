//! Durations as people write and read them: `500ms`, `30s`, `1.5h`, `1h30m`; a bare number is seconds.

use std::time::Duration;

/// Units from the longest to the shortest, in nanoseconds. `ms` stands before `m` so that it is found first.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("ms", 1_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
];

/// Reads a duration.
///
/// # Errors
/// What is wrong with the text, for people.
pub fn parse(text: &str) -> Result<Duration, String> {
    nanos(text).map(Duration::from_nanos).ok_or_else(|| {
        format!("{text:?} is not a duration; write 500ms, 30s, 1.5h or 1h30m (a bare number is seconds)")
    })
}

fn nanos(text: &str) -> Option<u64> {
    if let Some((whole, fraction, "")) = number(text) {
        return scaled(whole, fraction, 1_000_000_000);
    }
    let (mut rest, mut total, mut last_unit) = (text, 0u64, u64::MAX);
    loop {
        let (whole, fraction, tail) = number(rest)?;
        let (name, unit) = UNITS.into_iter().find(|(name, _)| tail.starts_with(name))?;
        if unit >= last_unit {
            return None;
        }
        total = total.checked_add(scaled(whole, fraction, unit)?)?;
        (rest, last_unit) = (&tail[name.len()..], unit);
        if rest.is_empty() {
            return Some(total);
        }
    }
}

/// Splits a decimal number off the front: digits before and after its point, and the rest.
fn number(text: &str) -> Option<(&str, &str, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at(digits(text));
    if whole.is_empty() {
        return None;
    }
    match rest.strip_prefix('.') {
        Some(tail) if digits(tail) > 0 => {
            let (fraction, rest) = tail.split_at(digits(tail));
            Some((whole, fraction, rest))
        }
        Some(_) => None,
        None => Some((whole, "", rest)),
    }
}

/// `whole.fraction` units in nanoseconds; what is below a nanosecond is cut off.
fn scaled(whole: &str, fraction: &str, unit: u64) -> Option<u64> {
    // A unit is below 10^14 ns: digits after the 18th cannot matter.
    let fraction = &fraction[..fraction.len().min(18)];
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = if fraction.is_empty() { 0 } else { fraction.parse::<u128>().ok()? * u128::from(unit) / scale };
    whole.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(u64::try_from(part).ok()?)
}

/// A duration for people: the two largest units that say something, such as `3m12s`. Below a second it is in milliseconds.
pub fn human(d: Duration) -> String {
    let seconds = d.as_secs();
    let (days, hours, minutes, rest) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds == 0 => format!("{}ms", d.as_millis()),
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => two(minutes, "m", rest, "s"),
        (0, _, _) => two(hours, "h", minutes, "m"),
        _ => two(days, "d", hours, "h"),
    }
}

fn two(large: u64, unit: &str, small: u64, smaller: &str) -> String {
    if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{smaller}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_forms_of_the_manual() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("1.5h", 5_400_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("30", 30_000),
            ("0.25", 250),
            ("0", 0),
            ("1m500ms", 60_500),
            ("0.1s", 100),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "-1",
            "-1s",
            "+1s",
            "soon",
            "s",
            "1 s",
            " 1s",
            "1s ",
            "1.s",
            ".5s",
            "1,5s",
            "1e3",
            "1m1h",
            "1s1s",
            "1y",
            "0x10",
            "99999999999999999999",
            "1h30",
            "1..5s",
            "1.5.5s",
            "999999999999d",
            "١s",
            "NaN",
            "inf",
        ] {
            assert!(parse(text).is_err(), "{text:?}: {:?}", parse(text));
        }
    }

    #[test]
    fn people_read_two_units() {
        for (seconds, text) in
            [(0, "0ms"), (1, "1s"), (59, "59s"), (60, "1m"), (192, "3m12s"), (3_600, "1h"), (90_000, "1d1h")]
        {
            assert_eq!(human(Duration::from_secs(seconds)), text);
        }
        assert_eq!(human(Duration::from_millis(250)), "250ms");
    }

    proptest! {
        #[test]
        fn what_is_composed_is_read_back(d in 0u64..400, h in 0u64..24, m in 0u64..60, s in 0u64..60, ms in 0u64..1_000) {
            let text = format!("{d}d{h}h{m}m{s}s{ms}ms");
            let millis = (((d * 24 + h) * 60 + m) * 60 + s) * 1_000 + ms;
            prop_assert_eq!(parse(&text), Ok(Duration::from_millis(millis)));
            let seconds = format!("{}.{:03}", millis / 1_000, millis % 1_000);
            prop_assert_eq!(parse(&seconds), Ok(Duration::from_millis(millis)));
        }

        #[test]
        fn no_text_panics_and_none_is_read_without_a_digit_first(text in "[-+0-9.a-z ]{0,12}|\\PC*") {
            if let Ok(d) = parse(&text) {
                prop_assert!(text.starts_with(|c: char| c.is_ascii_digit()), "{text:?} {d:?}");
                prop_assert!(human(d).chars().all(|c| c.is_ascii_alphanumeric()));
            }
        }
    }
}
