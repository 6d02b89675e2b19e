//! Texts of the command line: durations, and what is quoted for shells, env-files and terminals.

use std::time::Duration;

use lockd::clock::UnixMillis;

use super::commands::{duration, text};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    durations(text);
    quoted(text);
    if let Some(bytes) = data.first_chunk() {
        moments(u64::from_le_bytes(*bytes));
    }
}

fn durations(text: &str) {
    let Ok(d) = duration::parse(text) else { return };
    assert!(text.starts_with(|c: char| c.is_ascii_digit()), "{text:?}");
    // What people read is never more than there is, and short by less than a sixtieth.
    let read = duration::parse(&duration::human(d)).unwrap();
    assert!(read <= d && d - read < (d / 24).max(Duration::from_secs(1)), "{d:?} is told as {read:?}");
}

fn quoted(text: &str) {
    assert!(text::shown(text).chars().all(|c| !c.is_control()));
    if text.contains('\0') {
        return;
    }
    assert_eq!(sh(&text::sh_quoted(text)).as_deref(), Some(text));
    assert_eq!(fish(&text::fish_quoted(text)).as_deref(), Some(text));
    let value = text::dotenv_quoted(text);
    assert_eq!(sh(&value).as_deref(), Some(text), "{value}");
    let line = format!("BEFORE=1\nA={value}\nAFTER=2\n");
    let read: Vec<_> = dotenvy::from_read_iter(line.as_bytes()).map(|entry| entry.expect("an entry").1).collect();
    assert_eq!(read, ["1", text, "2"], "{value}");
}

/// One word as a POSIX shell reads it (XCU, section 2.2); nothing when it is another number of words, or has code in it.
fn sh(quoted: &str) -> Option<String> {
    let (mut out, mut chars) = (String::new(), quoted.chars());
    while let Some(c) = chars.next() {
        match c {
            '\'' => loop {
                match chars.next()? {
                    '\'' => break,
                    c => out.push(c),
                }
            },
            '"' => loop {
                match chars.next()? {
                    '"' => break,
                    '$' | '`' => return None,
                    '\\' => match chars.next()? {
                        c @ ('$' | '`' | '"' | '\\') => out.push(c),
                        _ => return None,
                    },
                    c => out.push(c),
                }
            },
            '\\' => out.push(chars.next()?),
            _ => return None,
        }
    }
    Some(out)
}

/// The same for fish, in single quotes.
fn fish(quoted: &str) -> Option<String> {
    let inside = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
    let (mut out, mut chars) = (String::new(), inside.chars());
    while let Some(c) = chars.next() {
        out.push(match c {
            '\'' => return None,
            '\\' => chars.next().filter(|c| ['\\', '\''].contains(c))?,
            c => c,
        });
    }
    Some(out)
}

fn moments(millis: u64) {
    // To the end of the year 9999.
    let at = UnixMillis(millis % 253_402_300_800_000);
    let told = text::rfc3339(at);
    assert!(told.len() == 24 && told.is_ascii(), "{told}");
    let next = UnixMillis(at.0 + 1);
    assert!(told < text::rfc3339(next) || next.0 == 253_402_300_800_000, "{told}");
    assert_eq!(text::moment(at).len(), 20);
    let size = text::size(millis);
    assert!(size.len() <= 9, "{size}");
}
