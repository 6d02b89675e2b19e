//! From a URL to a store.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Store, disk, memory};
use crate::clock::{Clock, SystemClock};
use crate::entropy::{Entropy, KernelEntropy};
use crate::error::{Error, ErrorKind, Result};

/// How to open a store.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Whether a missing store is made.
    pub create: bool,
    /// The file that says what ought to be mounted (`fstab(5)`).
    pub fstab: PathBuf,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

impl OpenOptions {
    /// This machine's clocks, generator and `/etc/fstab`; a missing store is made.
    #[must_use]
    pub fn system() -> Self {
        Self {
            create: true,
            fstab: "/etc/fstab".into(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(KernelEntropy),
        }
    }
}

/// An open store.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// Whether it was made just now: worth a line to the user.
    pub created: bool,
}

/// What a store URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// `disk:///abs/path`: a directory.
    Disk(PathBuf),
    /// `lsm:///abs/path`: an embedded key-value store in a directory.
    Lsm(PathBuf),
    /// `mem://`: memory.
    Memory,
}

impl StoreUrl {
    /// Reads a URL. The path of `disk://` and `lsm://` is absolute and percent-decoded.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for anything else.
    pub fn parse(url: &str) -> Result<Self> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(usage(url, "it has no scheme", "write it like disk:///var/lib/lockd"));
        };
        match scheme {
            "mem" if rest.is_empty() => Ok(Self::Memory),
            "mem" => Err(usage(url, "mem:// takes nothing after it", "write mem://")),
            "disk" => path(url, rest).map(Self::Disk),
            "lsm" => path(url, rest).map(Self::Lsm),
            _ => {
                let hint = "supported are disk:///abs/path, lsm:///abs/path and mem://";
                Err(usage(url, "its scheme is not supported", hint))
            }
        }
    }

    /// The URL, as lockd writes it.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Memory => "mem://".to_owned(),
            Self::Disk(path) => format!("disk://{}", encoded(path)),
            Self::Lsm(path) => format!("lsm://{}", encoded(path)),
        }
    }
}

impl StoreUrl {
    /// The place of another store inside the one that this names, for checks. Memory has no places.
    #[must_use]
    pub fn inside(&self, name: &str) -> Self {
        match self {
            Self::Memory => Self::Memory,
            Self::Disk(path) => Self::Disk(path.join(name)),
            Self::Lsm(path) => Self::Lsm(path.join(name)),
        }
    }
}

/// Removes all that is at a place that [`StoreUrl::inside`] gave.
///
/// # Errors
/// When something stays.
pub async fn remove(place: &StoreUrl, options: &OpenOptions) -> Result<()> {
    match place {
        StoreUrl::Memory => Ok(()),
        StoreUrl::Disk(path) | StoreUrl::Lsm(path) => disk::scratch::remove(path, &*options.clock).await,
    }
}

/// Opens the store that a URL names.
///
/// # Errors
/// [`ErrorKind::Usage`] for a malformed URL; [`ErrorKind::StoreMissing`] when there is none, none may be made or something else is
/// there; [`ErrorKind::TooNew`]; [`ErrorKind::NotPermitted`]; [`ErrorKind::Unavailable`] when another process has an `lsm://`
/// store open; those of the file system.
pub async fn open(url: &str, options: OpenOptions) -> Result<Opened> {
    let parsed = StoreUrl::parse(url)?;
    let text = parsed.to_text();
    let opened = match parsed {
        StoreUrl::Memory => return Ok(Opened { store: memory::store(&*options.entropy), created: true }),
        StoreUrl::Disk(path) => disk::root::open(path, text.clone(), options).await,
        StoreUrl::Lsm(path) => open_lsm(path, text.clone(), options).await,
    };
    opened.map_err(|e| e.context(text))
}

#[cfg(feature = "lsm")]
async fn open_lsm(path: PathBuf, url: String, options: OpenOptions) -> Result<Opened> {
    super::lsm::root::open(path, url, options, super::lsm::tree::Settings::default()).await
}

#[cfg(not(feature = "lsm"))]
async fn open_lsm(_path: PathBuf, url: String, _options: OpenOptions) -> Result<Opened> {
    Err(usage(&url, "this lockd was built without lsm:// stores", "build it with the feature `lsm`"))
}

fn usage(url: &str, why: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("store URL {url:?}: {why}")).with_hint(hint)
}

fn path(url: &str, rest: &str) -> Result<PathBuf> {
    const HINT: &str = "write it like disk:///var/lib/lockd";
    if !rest.starts_with('/') {
        return Err(usage(url, "the path is not absolute", HINT));
    }
    if rest.contains(['?', '#']) {
        return Err(usage(url, "it has a query or a fragment", "write %3F and %23 when they belong to the path"));
    }
    let bytes =
        decoded(rest.as_bytes()).ok_or_else(|| usage(url, "a `%` is not followed by two hexadecimal digits", HINT))?;
    if bytes.contains(&0) {
        return Err(usage(url, "the path has a NUL", HINT));
    }
    let path = PathBuf::from(OsString::from_vec(bytes));
    if path.components().any(|part| part == std::path::Component::ParentDir) {
        return Err(usage(url, "the path has a `..`", "write the directory that is meant"));
    }
    // Without a trailing slash, doubled slashes and single dots.
    Ok(path.components().collect())
}

fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        let (digits, tail) = tail.split_at_checked(2)?;
        let mut byte = [0];
        hex::decode_to_slice(digits, &mut byte).ok()?;
        out.push(byte[0]);
        rest = tail;
    }
    Some(out)
}

fn encoded(path: &Path) -> String {
    path.as_os_str().as_bytes().iter().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"/-._~@+:,=".contains(b) {
            out.push(char::from(*b));
        } else {
            // Writing to a String cannot fail.
            let _ok = write!(out, "%{b:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_written() {
        let at = |url: &str| StoreUrl::parse(url).map(|parsed| parsed.to_text());
        for (url, text) in [
            ("disk:///var/lib/lockd", "disk:///var/lib/lockd"),
            ("disk:///a%20b/%C3%A4/", "disk:///a%20b/%C3%A4"),
            ("disk:////a//./b", "disk:///a/b"),
            ("disk:///a%3Fb%25", "disk:///a%3Fb%25"),
            ("lsm:///a%20b/", "lsm:///a%20b"),
            ("mem://", "mem://"),
        ] {
            assert_eq!(at(url).unwrap(), text);
        }
        for url in [
            "",
            "/a",
            "disk:/a",
            "disk://a/b",
            "disk://",
            "disk:///a?b",
            "disk:///a#b",
            "disk:///a%2",
            "disk:///a%zz",
            "disk:///a%00",
            "disk:///a/../b",
            "lsm://a",
            "lsm://",
            "mem://x",
            "s3://bucket",
            "DISK:///a",
        ] {
            assert_eq!(at(url).unwrap_err().kind(), ErrorKind::Usage, "{url:?}");
        }
    }
}
