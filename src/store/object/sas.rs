//! What a shared access signature of Azure says of itself: until when it is good, and for what. It is a query string whose fields
//! everybody can read; only `sig` is secret, and is not looked at here. Source: Azure's references "Create an account SAS" and
//! "Create a service SAS".

use crate::clock::UnixMillis;

/// The letters that lockd needs: read, write, delete, list.
pub const LETTERS: &str = "rwdl";

/// A signature's own fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sas {
    /// Whether it is of the account (`ss`, `srt`), and not of one container (`sr`).
    pub of_account: bool,
    /// When it ends; `None` when a stored access policy says so, or it cannot be read.
    pub expires: Option<UnixMillis>,
    /// What it permits, in Azure's letters; `None` when a stored access policy says so.
    pub letters: Option<String>,
    services: String,
    types: String,
}

impl Sas {
    /// Reads one, with or without the leading `?`. `None` when it is none: it has no signature.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        let fields: Vec<(&str, String)> = token
            .trim()
            .trim_start_matches('?')
            .split('&')
            .filter_map(|field| field.split_once('='))
            .map(|(name, value)| (name, unescaped(value)))
            .collect();
        let field = |wanted: &str| fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
        field("sig").filter(|sig| !sig.is_empty())?;
        Some(Self {
            of_account: field("ss").is_some(),
            expires: field("se").and_then(|text| time(&text)),
            letters: field("sp"),
            services: field("ss").unwrap_or_default(),
            types: field("srt").unwrap_or_default(),
        })
    }

    /// What is missing for lockd, in words; `None` when nothing is, as far as it says.
    #[must_use]
    pub fn lacks(&self) -> Option<String> {
        let mut lacks = Vec::new();
        let absent = |have: &str, want: &str| want.chars().filter(|c| !have.contains(*c)).collect::<String>();
        let letters = self.letters.as_deref().map(|have| absent(have, LETTERS)).unwrap_or_default();
        if !letters.is_empty() {
            lacks.push(format!("the permissions {letters} (sp)"));
        }
        if self.of_account && !self.services.contains('b') {
            lacks.push("the service b (ss)".to_owned());
        }
        let types = if self.of_account { absent(&self.types, "co") } else { String::new() };
        if !types.is_empty() {
            lacks.push(format!("the resource types {types} (srt)"));
        }
        (!lacks.is_empty()).then(|| lacks.join(", "))
    }
}

/// A value as it was before it was put into a URL.
fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = tail.get(..2).and_then(|digits| hex::decode(digits).ok()).filter(|_| *first == b'%');
        match escaped {
            Some(byte) => (out.extend(byte), rest = &tail[2..]).1,
            None => (out.push(*first), rest = tail).1,
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A UTC time in the forms that Azure takes: a date, or a date and a time to the minute, the second or below it.
fn time(text: &str) -> Option<UnixMillis> {
    let (date, clock) = text.split_once('T').unwrap_or((text, "00:00Z"));
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let clock = clock.strip_suffix('Z')?.split('.').next()?;
    let mut parts = clock.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970-01-01 of a date in the Gregorian calendar, with years that begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = (365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1).checked_sub(719_468)?;
    Some(UnixMillis((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2000-02-29T12:34:56Z", 951_827_696),
            ("2026-11-25T20:00Z", 1_795_636_800),
            ("2026-12-31T23:59:59.1234567Z", 1_798_761_599),
        ] {
            assert_eq!(time(text), Some(UnixMillis(seconds * 1_000)), "{text}");
        }
        for text in ["", "x", "2026-13-01", "2026-01-01T00:00:00+01:00", "2026-01-01T25:00Z", "2026"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn a_signature_says_what_it_is_good_for() {
        let of = |token: &str| Sas::parse(token).unwrap();
        let container = of("?sv=2024-11-04&sr=c&sp=rwdl&se=2026-11-25T20%3A00Z&sig=abc%3D");
        assert!(!container.of_account && container.lacks().is_none());
        assert_eq!(container.expires, Some(UnixMillis(1_795_636_800_000)));
        let account = of("ss=bf&srt=co&sp=rwdlac&se=2030-01-01&sig=x");
        assert!(account.of_account && account.lacks().is_none());
        assert_eq!(of("sr=c&sp=rl&sig=x").lacks().as_deref(), Some("the permissions wd (sp)"));
        let lacks = of("ss=f&srt=o&sp=rwl&sig=x").lacks().unwrap();
        assert_eq!(lacks, "the permissions d (sp), the service b (ss), the resource types c (srt)");
        // A stored access policy has the rest.
        assert_eq!((of("si=p&sr=c&sig=x").lacks(), of("si=p&sr=c&sig=x").expires), (None, None));
        for none in ["", "sp=rwdl", "sig=", "AccountKey==="] {
            assert_eq!(Sas::parse(none), None, "{none}");
        }
    }
}
