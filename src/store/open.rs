//! From a URL to a store.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::identity::Kind;
use super::{Store, disk, memory};
use crate::clock::{Clock, SystemClock};
use crate::entropy::{Entropy, KernelEntropy};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::OBJECT_PREFIX_BYTES;

/// How to open a store.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Whether a missing store is made.
    pub create: bool,
    /// The file that says what ought to be mounted (`fstab(5)`).
    pub fstab: PathBuf,
    /// What object stores need beside their URL.
    #[cfg(feature = "objects")]
    pub objects: super::object::settings::Settings,
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
            #[cfg(feature = "objects")]
            objects: super::object::settings::Settings::default(),
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
    /// `s3://bucket/prefix`: S3 and what speaks it.
    S3 {
        /// The bucket.
        bucket: String,
        /// Where in it the store is; may be empty.
        prefix: String,
    },
    /// `azure://account/container/prefix`: Azure Blob Storage.
    Azure {
        /// The storage account.
        account: String,
        /// The container.
        container: String,
        /// Where in it the store is; may be empty.
        prefix: String,
    },
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
            "s3" => bucket(url, rest),
            "azure" => container(url, rest),
            _ => Err(usage(url, "its scheme is not supported", SUPPORTED)),
        }
    }

    /// The URL, as lockd writes it.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Memory => "mem://".to_owned(),
            Self::Disk(path) => format!("disk://{}", encoded(path)),
            Self::Lsm(path) => format!("lsm://{}", encoded(path)),
            Self::S3 { bucket, prefix } => joined("s3:/", &[bucket, prefix]),
            Self::Azure { account, container, prefix } => joined("azure:/", &[account, container, prefix]),
        }
    }

    /// Where in a bucket or container the store is; empty for what is in none.
    #[must_use]
    pub fn prefix(&self) -> &str {
        match self {
            Self::S3 { prefix, .. } | Self::Azure { prefix, .. } => prefix,
            Self::Memory | Self::Disk(_) | Self::Lsm(_) => "",
        }
    }
}

impl StoreUrl {
    /// The place of another store inside the one that this names, for checks and measurements. Memory has no places.
    #[must_use]
    pub fn inside(&self, name: &str) -> Self {
        let below = |prefix: &String| joined("", &[prefix, &name.to_owned()]).split_off(1);
        match self {
            Self::Memory => Self::Memory,
            Self::Disk(path) => Self::Disk(path.join(name)),
            Self::Lsm(path) => Self::Lsm(path.join(name)),
            Self::S3 { bucket, prefix } => Self::S3 { bucket: bucket.clone(), prefix: below(prefix) },
            Self::Azure { account, container, prefix } => {
                Self::Azure { account: account.clone(), container: container.clone(), prefix: below(prefix) }
            }
        }
    }

    /// The directory that the store is in, and how it keeps its records there; `None` for a store that is in none.
    #[must_use]
    pub fn directory(&self) -> Option<(&Path, Kind)> {
        match self {
            Self::Disk(path) => Some((path, Kind::Plain)),
            Self::Lsm(path) => Some((path, Kind::Lsm)),
            Self::Memory | Self::S3 { .. } | Self::Azure { .. } => None,
        }
    }
}

/// Removes all that is at a place that [`StoreUrl::inside`] gave: every file of the directory, every object below the prefix.
///
/// # Errors
/// [`ErrorKind::Usage`] for a bucket without a prefix; otherwise something stays.
pub async fn remove(place: &StoreUrl, options: &OpenOptions) -> Result<()> {
    match place {
        StoreUrl::Memory => Ok(()),
        StoreUrl::Disk(path) | StoreUrl::Lsm(path) => disk::scratch::remove(path, &*options.clock).await,
        StoreUrl::S3 { prefix, .. } | StoreUrl::Azure { prefix, .. } => remove_objects(place, prefix, options).await,
    }
}

/// Raises the epoch of a store that was restored from a backup. Gives the old one and the new one.
///
/// # Errors
/// [`ErrorKind::StoreMissing`] when there is no store; [`ErrorKind::Usage`] where nothing can be restored;
/// [`ErrorKind::StoreReplaced`] when somebody else changed it meanwhile; [`ErrorKind::Unavailable`] when another process has an
/// `lsm://` store open; those of the place.
pub async fn raise_epoch(place: &StoreUrl, options: &OpenOptions) -> Result<(u32, u32)> {
    let raised = match place {
        StoreUrl::Memory => return Err(Error::new(ErrorKind::Usage, "mem:// cannot be restored")),
        StoreUrl::Disk(path) => disk::restored::raise_epoch(path, &*options.entropy),
        StoreUrl::Lsm(path) => raise_epoch_of_lsm(path, options),
        StoreUrl::S3 { prefix, .. } | StoreUrl::Azure { prefix, .. } => {
            raise_epoch_of_objects(place, prefix, options).await
        }
    };
    raised.map_err(|e| e.context(place.to_text()))
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
    let opened = match &parsed {
        StoreUrl::Memory => return Ok(Opened { store: memory::store(&*options.entropy), created: true }),
        StoreUrl::Disk(path) => disk::root::open(path.clone(), text.clone(), options).await,
        StoreUrl::Lsm(path) => open_lsm(path.clone(), text.clone(), options).await,
        StoreUrl::S3 { prefix, .. } | StoreUrl::Azure { prefix, .. } => {
            open_objects(&parsed, prefix, text.clone(), options).await
        }
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

#[cfg(feature = "lsm")]
fn raise_epoch_of_lsm(path: &Path, options: &OpenOptions) -> Result<(u32, u32)> {
    super::lsm::root::raise_epoch(path, options)
}

#[cfg(not(feature = "lsm"))]
fn raise_epoch_of_lsm(_: &Path, _: &OpenOptions) -> Result<(u32, u32)> {
    Err(usage("lsm://", "this lockd was built without lsm:// stores", "build it with the feature `lsm`"))
}

#[cfg(feature = "objects")]
async fn open_objects(place: &StoreUrl, prefix: &str, url: String, options: OpenOptions) -> Result<Opened> {
    let service = service(place, &options)?;
    super::object::root::open(service, prefix, url, options).await
}

#[cfg(not(feature = "objects"))]
async fn open_objects(_: &StoreUrl, _: &str, _: String, _: OpenOptions) -> Result<Opened> {
    Err(not_built("object"))
}

#[cfg(feature = "objects")]
async fn remove_objects(place: &StoreUrl, prefix: &str, options: &OpenOptions) -> Result<()> {
    super::object::root::remove(service(place, options)?, prefix, options).await
}

#[cfg(not(feature = "objects"))]
async fn remove_objects(_: &StoreUrl, _: &str, _: &OpenOptions) -> Result<()> {
    Err(not_built("object"))
}

#[cfg(feature = "objects")]
async fn raise_epoch_of_objects(place: &StoreUrl, prefix: &str, options: &OpenOptions) -> Result<(u32, u32)> {
    super::object::root::raise_epoch(service(place, options)?, prefix, options).await
}

#[cfg(not(feature = "objects"))]
async fn raise_epoch_of_objects(_: &StoreUrl, _: &str, _: &OpenOptions) -> Result<(u32, u32)> {
    Err(not_built("object"))
}

#[cfg(feature = "objects")]
pub(super) type Service = (super::object::Clients, super::object::refusal::Asked);

/// The clients for the bucket or container that a URL names.
#[cfg(feature = "objects")]
pub(super) fn service(place: &StoreUrl, options: &OpenOptions) -> Result<Service> {
    match place {
        #[cfg(feature = "s3")]
        StoreUrl::S3 { bucket, .. } => super::object::s3::clients(bucket, &options.objects),
        #[cfg(not(feature = "s3"))]
        StoreUrl::S3 { .. } => Err(not_built("s3")),
        #[cfg(feature = "azure")]
        StoreUrl::Azure { account, container, .. } => {
            super::object::azure::clients(account, container, &options.objects)
        }
        #[cfg(not(feature = "azure"))]
        StoreUrl::Azure { .. } => Err(not_built("azure")),
        StoreUrl::Memory | StoreUrl::Disk(_) | StoreUrl::Lsm(_) => {
            Err(usage(&place.to_text(), "it names no bucket and no container", SUPPORTED))
        }
    }
}

#[cfg(not(all(feature = "s3", feature = "azure")))]
fn not_built(scheme: &str) -> Error {
    Error::new(ErrorKind::Config, format!("this lockd was built without {scheme}:// stores"))
        .with_hint(format!("build it with the feature {scheme}"))
}

const SUPPORTED: &str =
    "supported are disk:///abs/path, lsm:///abs/path, s3://bucket/prefix, azure://account/container/prefix and mem://";

/// A bucket and a prefix in it. Names: Amazon's rules, and the older ones that other services keep.
fn bucket(url: &str, rest: &str) -> Result<StoreUrl> {
    const HINT: &str = "write it like s3://bucket/prefix";
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if bucket.is_empty() || bucket.len() > 255 || !bucket.bytes().all(good) || [".", ".."].contains(&bucket) {
        return Err(usage(url, "it names no bucket", HINT));
    }
    Ok(StoreUrl::S3 { bucket: bucket.to_owned(), prefix: prefix_of(url, prefix)? })
}

/// An account, a container and a prefix in it. Names: Azure's rules.
fn container(url: &str, rest: &str) -> Result<StoreUrl> {
    const HINT: &str = "write it like azure://account/container/prefix; a key or SAS has settings of its own";
    let (account, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let (container, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if account.is_empty() || account.len() > 63 || !account.bytes().all(|b| lower(b) || b == b'-') {
        return Err(usage(url, "it names no storage account: lower-case letters and digits", HINT));
    }
    if container.is_empty() || container.len() > 63 || !container.bytes().all(|b| lower(b) || b == b'-') {
        return Err(usage(url, "it names no container: lower-case letters, digits and hyphens", HINT));
    }
    let (account, container) = (account.to_owned(), container.to_owned());
    Ok(StoreUrl::Azure { account, container, prefix: prefix_of(url, prefix)? })
}

/// The place of a store in a bucket: segments of letters, digits and `._-`, so that every service takes them as they are.
fn prefix_of(url: &str, text: &str) -> Result<String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let text = text.strip_suffix('/').unwrap_or(text);
    let bad = |part: &str| part.is_empty() || part.ends_with('.') || !part.bytes().all(good);
    if text.len() > OBJECT_PREFIX_BYTES || (!text.is_empty() && text.split('/').any(bad)) {
        let why = "its prefix is not made of segments of letters, digits and . _ - (none ends with a dot)";
        return Err(usage(url, why, "shorten it, or write another one"));
    }
    Ok(text.to_owned())
}

fn joined(scheme: &str, parts: &[&String]) -> String {
    parts.iter().filter(|part| !part.is_empty()).fold(scheme.to_owned(), |url, part| format!("{url}/{part}"))
}

/// What follows a `?` may be a secret.
fn usage(url: &str, why: &str, hint: &str) -> Error {
    let shown = url.split('?').next().unwrap_or_default();
    Error::new(ErrorKind::Usage, format!("store URL {shown:?}: {why}")).with_hint(hint)
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
    fn the_checks_have_a_place_inside_the_store() {
        for (url, inside) in [
            ("disk:///a", "disk:///a/v"),
            ("lsm:///a", "lsm:///a/v"),
            ("s3://b", "s3://b/v"),
            ("s3://b/p/q", "s3://b/p/q/v"),
            ("azure://acc/con", "azure://acc/con/v"),
            ("azure://acc/con/p", "azure://acc/con/p/v"),
            ("mem://", "mem://"),
        ] {
            assert_eq!(StoreUrl::parse(url).unwrap().inside("v").to_text(), inside);
        }
    }

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
            ("s3://b", "s3://b"),
            ("s3://my.bucket/team/locks/", "s3://my.bucket/team/locks"),
            ("azure://acc1/con-1", "azure://acc1/con-1"),
            ("azure://acc1/con/a/b", "azure://acc1/con/a/b"),
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
            "s3://",
            "s3:///a",
            "s3://b//a",
            "s3://b/a b",
            "s3://b/../a",
            "s3://b/a?versionId=1",
            "s3://me:geheim@b",
            "azure://acc",
            "azure://acc/",
            "azure://Acc/con",
            "azure://acc/con?sig=geheim",
            "DISK:///a",
        ] {
            assert_eq!(at(url).unwrap_err().kind(), ErrorKind::Usage, "{url:?}");
        }
    }
}
