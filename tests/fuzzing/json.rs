//! The scanner of states, against another parser, and in pieces against itself.

use lockd::json::{Flaw, FlawKind, Scanner};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::pieces;

fn scan(mut scanner: Scanner, pieces: &[&[u8]]) -> Result<Vec<u8>, Flaw> {
    let mut out = Vec::new();
    for piece in pieces {
        scanner.feed(piece, &mut out)?;
    }
    assert_eq!(scanner.kept(), out.len() as u64);
    scanner.finish().map(|()| out)
}

/// The rule in its simplest form, for documents known to be good.
fn without_blanks(document: &[u8]) -> Vec<u8> {
    let (mut inside, mut escaped, mut out) = (false, false, Vec::new());
    for &byte in document {
        if inside || !byte.is_ascii_whitespace() {
            out.push(byte);
        }
        match byte {
            b'"' if !escaped => inside = !inside,
            b'\\' if inside && !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    out
}

/// Four sizes of pieces, two bytes for a limit of size and one of depth, and the document.
pub fn run(data: &[u8]) {
    let Some((choices, document)) = data.split_at_checked(6) else { return };
    let cut = pieces(document, &choices[..4]);
    let at_once = scan(Scanner::default(), &[document]);
    assert_eq!(scan(Scanner::default(), &cut), at_once, "in pieces");
    let small = || Scanner::new(u64::from(choices[4]) * 4, usize::from(choices[5] % 16));
    assert_eq!(scan(small(), &cut), scan(small(), &[document]), "with small limits, in pieces");
    let too_deep = matches!(at_once, Err(Flaw { kind: FlawKind::TooDeep(_), .. }));
    let good = std::str::from_utf8(document).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    assert!(too_deep || at_once.is_ok() == good, "serde_json says {good}: {at_once:?}");
    if let Err(flaw) = &at_once {
        assert!(flaw.offset <= document.len() as u64, "{flaw:?} is past the end");
    }
    let Ok(kept) = at_once else { return };
    assert_eq!(kept, without_blanks(document));
    assert_eq!(scan(Scanner::default(), &[&kept]).as_ref(), Ok(&kept), "what is kept is kept");
    if let Ok(value) = serde_json::from_slice::<Value>(document) {
        assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap(), value);
    }
}
