//! Where the values of a compact document begin and end, without reading what is in them.

use std::fmt;
use std::ops::Range;

/// What a value is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    Text,
    Number,
    Truth,
    Null,
}

impl Kind {
    /// Of a value that is known to be one.
    pub(super) fn of(value: &[u8]) -> Self {
        match value.first() {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b'"') => Self::Text,
            Some(b't' | b'f') => Self::Truth,
            Some(b'n') => Self::Null,
            _ => Self::Number,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::Text => "a string",
            Self::Number => "a number",
            Self::Truth => "true or false",
            Self::Null => "null",
        })
    }
}

/// Spans of a compact document that the scanner has found good.
pub(super) struct Span;

impl Span {
    /// The value that begins at `start`.
    pub(super) fn at(text: &[u8], start: usize) -> Range<usize> {
        let (mut at, mut depth) = (start, 0usize);
        while let Some(byte) = text.get(at) {
            match byte {
                b'"' => at = end_of_text(text, at),
                b'{' | b'[' => {
                    depth += 1;
                    at += 1;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    at += 1;
                }
                // In an object or array everything up to its end belongs to the value.
                _ if depth > 0 => at += 1,
                b',' | b':' | b'}' | b']' => break,
                _ => {
                    at += 1;
                    continue;
                }
            }
            if depth == 0 && matches!(text[at - 1], b'"' | b'}' | b']') {
                break;
            }
        }
        start..at
    }

    /// The members (from name to value) or elements of an object or array.
    pub(super) fn inside(text: &[u8], container: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let object = text[container.start] == b'{';
        let mut at = container.start + 1;
        std::iter::from_fn(move || {
            if at >= container.end - 1 {
                return None;
            }
            let first = Self::at(text, at);
            let end = if object { Self::at(text, first.end + 1).end } else { first.end };
            // Past the comma, or the closing bracket.
            at = end + 1;
            Some(first.start..end)
        })
    }
}

/// The byte behind the string that begins at `start`.
fn end_of_text(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}
