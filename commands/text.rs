//! Texts from elsewhere made safe: for a terminal, for shells, for env-files.

use std::fmt::Write as _;

use lockd::clock::UnixMillis;
use lockd::service::Busy;

use super::duration;

/// A name for messages: control characters (those of ASCII, of Unicode, and those that turn the direction of text) are escaped, so
/// that no owner or key can move the cursor, colour the screen or hide what follows.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            c if c.is_control() || is_invisible(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// Format characters that change how the text around them is shown (Unicode, general category Cf, and line separators).
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One word of a POSIX shell: nothing in it is code.
pub fn sh_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// One word of fish: inside single quotes only `\` and `'` mean something.
pub fn fish_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

/// One value of an env-file, which a shell may source as well: nothing in it is code. What single quotes cannot hold for both of
/// them stands in double quotes of its own.
pub fn dotenv_quoted(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\'' => out.push_str("'\"'\"'"),
            '\\' => out.push_str(r#"'"\\"'"#),
            c => out.push(c),
        }
    }
    out + "'"
}

/// A wall-clock time as RFC 3339 has it, in UTC, to the millisecond.
pub fn rfc3339(at: UnixMillis) -> String {
    at.rfc3339()
}

/// The same to the second.
pub fn moment(at: UnixMillis) -> String {
    let text = rfc3339(at);
    format!("{}Z", text.split('.').next().unwrap_or_default())
}

/// A number of bytes for people: `17 B`, `4.9 KiB`, `100 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1_024;
    let mut unit = 0;
    while tenths >= 10_240 {
        tenths /= 1_024;
        unit += 1;
    }
    match tenths {
        1_000.. => format!("{} {}", tenths / 10, UNITS[unit]),
        _ => format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]),
    }
}

/// Who holds a key, for messages: `root@db1 pid 4121 (pg_dump) for 3m12s: nightly`.
pub fn holder(busy: &Busy, now: UnixMillis) -> String {
    let mut out = shown(busy.owner.as_str());
    let pid = busy.holder.pid.filter(|pid| !busy.owner.as_str().ends_with(&format!(":{pid}")));
    // Writing to a String does not fail.
    let _ok = pid.map(|pid| write!(out, " pid {pid}"));
    let _ok = busy.holder.command.as_deref().map(|command| write!(out, " ({})", shown(command)));
    let held = std::time::Duration::from_millis(now.0.saturating_sub(busy.since.0));
    let _ok = write!(out, " for {}", duration::human(held));
    let _ok = busy.reason.as_ref().map(|reason| write!(out, ": {}", shown(reason.as_str())));
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_is_not_text() {
        assert_eq!(shown("a\x1b[31mb\nc\u{202e}d\\"), "a\\u{1b}[31mb\\nc\\u{202e}d\\\\");
        assert_eq!(shown("backup/db é 漢"), "backup/db é 漢");
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (5_017, "4.8 KiB"),
            (102_400, "100 KiB"),
            (1_048_576, "1.0 MiB"),
            (104_857_600, "100 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(moment(UnixMillis(951_782_400_123)), "2000-02-29T00:00:00Z");
    }

    proptest! {
        #[test]
        fn an_env_file_gives_back_what_was_written(value in "[ -~\\n\\t'\"\\\\$#é]{0,24}") {
            let line = format!("A={}\n", dotenv_quoted(&value));
            let read: Vec<_> = dotenvy::from_read_iter(line.as_bytes()).map(Result::unwrap).collect();
            prop_assert_eq!(read, vec![("A".to_owned(), value)]);
        }

        #[test]
        fn what_is_shown_has_no_control_characters(text in any::<String>()) {
            prop_assert!(shown(&text).chars().all(|c| !c.is_control()));
        }
    }
}
