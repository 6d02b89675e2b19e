//! The inside of a string: plain text, escapes, UTF-8.

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
    /// Behind its closing quote.
    Closed,
}

impl Text {
    /// The state after one byte; `None` when the byte is wrong.
    #[inline]
    pub(super) const fn next(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Plain, b'"') => Self::Closed,
            (Self::Plain, b'\\') => Self::Escape,
            (Self::Plain, 0x20..=0x7F) => Self::Plain,
            (Self::Plain, 0x80..) => return first_of_many(byte),
            (Self::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Self::Plain,
            (Self::Escape, b'u') => Self::Hex(4),
            (Self::Hex(left), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => match left {
                1 => Self::Plain,
                left => Self::Hex(left - 1),
            },
            (Self::Utf8 { left, low, high }, _) if low <= byte && byte <= high => match left {
                1 => Self::Plain,
                left => more(left - 1),
            },
            _ => return None,
        })
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

/// How many bytes at the front are whole characters that stand for themselves, as far as that is quick to say; a character cut off
/// by the end of a chunk is left to [`Text::next`], and so is a wrong one.
pub(super) fn text_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        at += plain_run(&bytes[at..]);
        let long = long_run(&bytes[at..]);
        if long == 0 {
            return at;
        }
        at += long;
    }
}

/// How many bytes at the front are whole characters of more than one byte.
fn long_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some((first, rest)) = bytes[at..].split_first()
        && let Some(Text::Utf8 { left, low, high }) = first_of_many(*first)
        && let Some((second, rest)) = rest.split_first()
        && (low..=high).contains(second)
        && let Some(others) = rest.get(..usize::from(left) - 1)
        && others.iter().all(|b| (0x80..=0xBF).contains(b))
    {
        at += usize::from(left) + 1;
    }
    at
}

/// How many bytes at the front are ASCII text that stands for itself: no quote, backslash, control character or part of a longer
/// character. Eight bytes at a time.
fn plain_run(bytes: &[u8]) -> usize {
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
