//! The inside of a string: plain text, escapes, UTF-8.

use super::{FlawKind, expected};

/// Where inside a string we are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text {
    /// Between characters.
    Plain,
    /// After a backslash.
    Escape,
    /// Hexadecimal digits of `\u` still to come. Surrogates are not paired up: a lone one is kept as sent.
    Hex(u8),
    /// Bytes of a character still to come; the next one is in `low..=high`.
    Utf8 { left: u8, low: u8, high: u8 },
}

impl Text {
    /// One byte; `None` when it ends the string.
    pub(super) const fn next(self, byte: u8) -> Result<Option<Self>, FlawKind> {
        Ok(Some(match self {
            Self::Plain => match byte {
                b'"' => return Ok(None),
                b'\\' => Self::Escape,
                0..=0x1F => return Err(FlawKind::Control(byte)),
                0x20..=0x7F => Self::Plain,
                _ => match first_of_many(byte) {
                    Some(next) => next,
                    None => return Err(FlawKind::NotUtf8),
                },
            },
            Self::Escape => match byte {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Self::Plain,
                b'u' => Self::Hex(4),
                _ => return Err(expected("one of \" \\ / b f n r t u after the backslash", Some(byte))),
            },
            Self::Hex(left) => match (byte.is_ascii_hexdigit(), left) {
                (false, _) => return Err(expected("a hexadecimal digit", Some(byte))),
                (true, 1) => Self::Plain,
                (true, left) => Self::Hex(left - 1),
            },
            Self::Utf8 { left, low, high } => match (low <= byte && byte <= high, left) {
                (false, _) => return Err(FlawKind::NotUtf8),
                (true, 1) => Self::Plain,
                (true, left) => more(left - 1),
            },
        }))
    }
}

const fn more(left: u8) -> Text {
    Text::Utf8 { left, low: 0x80, high: 0xBF }
}

/// Well-formed sequences as the Unicode standard lists them (RFC 3629, section 4): no overlong forms, no surrogates, nothing above
/// U+10FFFF.
const fn first_of_many(byte: u8) -> Option<Text> {
    Some(match byte {
        0xC2..=0xDF => more(1),
        0xE0 => Text::Utf8 { left: 2, low: 0xA0, high: 0xBF },
        0xED => Text::Utf8 { left: 2, low: 0x80, high: 0x9F },
        0xE1..=0xEF => more(2),
        0xF0 => Text::Utf8 { left: 3, low: 0x90, high: 0xBF },
        0xF1..=0xF3 => more(3),
        0xF4 => Text::Utf8 { left: 3, low: 0x80, high: 0x8F },
        _ => return None,
    })
}

/// How many bytes at the front are ASCII text that stands for itself: no quote, backslash, control character or part of a longer
/// character. Eight bytes at a time.
pub(super) fn plain_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + bytes[at..].iter().take_while(|b| matches!(b, 0x20..=0x7F) && !matches!(b, b'"' | b'\\')).count()
}

/// Marks the high bit of each byte that is special. Borrows run upwards only from a byte that is marked itself, so that the lowest
/// mark is always true; those above it may not be.
const fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;
    const HIGH: u64 = ONES * 0x80;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let is_quote = quote.wrapping_sub(ONES) & !quote;
    let is_backslash = backslash.wrapping_sub(ONES) & !backslash;
    let is_control = word.wrapping_sub(ONES * 0x20) & !word;
    (is_quote | is_backslash | is_control | word) & HIGH
}
