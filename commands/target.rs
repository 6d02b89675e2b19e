//! Where a command acts: a server, a store opened directly, or the embedded default.

use std::path::{Path, PathBuf};

use lockd::error::{Error, ErrorKind, Result};
use lockd::http::client::Address;
use lockd::store::open::StoreUrl;

use super::settings::{Environment, Found, Origin, Settings};

/// How long a command needs its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The lease outlives the process or is held while others run: `exec`, `acquire`.
    Lease,
    /// One request, and out.
    Moment,
    /// A trial of the store, gone afterwards: `bench`.
    Trial,
    /// The store is served to others: `serve`.
    Serve,
    /// The store itself is tried: `verify store`.
    Verify,
}

/// The two kinds of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A store, opened in this process.
    Store,
    /// Servers of one store.
    Servers,
}

/// Where a command acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of which kind it is.
    pub kind: Kind,
    /// Its URL; several with commas between them.
    pub url: String,
    /// Who named it.
    pub origin: Origin,
    /// The directory, when it is the embedded default: its parents may be made, for they belong to nobody else.
    pub embedded: Option<PathBuf>,
}

impl Place {
    /// The variable that names this place to other commands, and the one of the other kind.
    pub const fn variables(&self) -> (&'static str, &'static str) {
        match self.kind {
            Kind::Store => ("LOCKD_STORE", "LOCKD_SERVER"),
            Kind::Servers => ("LOCKD_SERVER", "LOCKD_STORE"),
        }
    }

    /// Whether these URLs name this place, when they are of its kind: servers of one store are the same place.
    pub fn is_named_by(&self, urls: &str) -> bool {
        match self.kind {
            Kind::Store => self.url == urls,
            Kind::Servers => match (Address::parse_all(&self.url), Address::parse_all(urls)) {
                (Ok(ours), Ok(theirs)) => ours.iter().any(|address| theirs.contains(address)),
                _ => false,
            },
        }
    }

    /// Whether it is in a bucket or a container.
    pub fn is_of_objects(&self) -> bool {
        ["s3://", "azure://"].iter().any(|scheme| self.url.starts_with(scheme))
    }
}

/// Chooses. A place of higher rank wins: a flag of one kind beats the environment variable of the other. At equal rank a
/// server beats a store, except that both flags together contradict each other.
///
/// # Errors
/// `Usage` or `Config`, by who named it.
pub fn choose(settings: &Settings, environment: &Environment, need: Need) -> Result<Place> {
    let (server, store) = (settings.get("server"), settings.get("store"));
    match (server, store) {
        (Some(a), Some(b)) if a.origin.rank() == 0 && b.origin.rank() == 0 => {
            Err(Error::new(ErrorKind::Usage, "--server and --store exclude each other").with_hint("give one of them"))
        }
        (Some(a), Some(b)) if b.origin.rank() < a.origin.rank() => store_at(b, need),
        // Whoever starts a server means its store, whatever server the environment names for other commands.
        (Some(server), _) if need == Need::Serve && server.origin.rank() == 0 => {
            Err(Error::new(ErrorKind::Usage, "a server serves a store, and --server names another server")
                .with_hint("name the store with --store, such as disk:///var/lib/lockd"))
        }
        (Some(_), Some(store)) if matches!(need, Need::Serve | Need::Verify) => store_at(store, need),
        (Some(_), None) if need == Need::Serve => embedded(environment),
        (Some(server), _) if need == Need::Verify => {
            Err(Error::new(server.origin.blame(), format!("{}: a store is verified, and not a server", server.origin))
                .with_hint("name the store that is behind it, on a host that reaches it"))
        }
        (Some(server), _) => servers_at(server),
        (None, Some(store)) => store_at(store, need),
        (None, None) => embedded(environment),
    }
}

fn store_at(found: &Found, need: Need) -> Result<Place> {
    let url = found.value.as_str();
    let refuse = |what: String, hint: &str| {
        Err(Error::new(found.origin.blame(), format!("{}: {what}", found.origin)).with_hint(hint))
    };
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    match scheme {
        Some("lsm") if need == Need::Lease => refuse(
            "lsm:// is opened by one process at a time, which would keep everybody else out".to_owned(),
            "run `lockd serve` on it and name that with --server, or use a disk:// store",
        ),
        Some("disk" | "lsm" | "s3" | "azure") => match StoreUrl::parse(url) {
            Ok(store) => Ok(named(Kind::Store, store.to_text(), found)),
            Err(e) => Err(e.with_kind(found.origin.blame()).context(&found.origin)),
        },
        Some("mem") if matches!(need, Need::Serve | Need::Verify | Need::Trial) => {
            let store = StoreUrl::parse(url).map_err(|e| e.with_kind(found.origin.blame()).context(&found.origin))?;
            Ok(named(Kind::Store, store.to_text(), found))
        }
        Some("mem") => refuse(
            "mem:// lives in one process and would be gone when this command ends".to_owned(),
            "name a directory, such as disk:///var/lib/lockd",
        ),
        Some(scheme @ "gs") => refuse(
            format!("{scheme}:// stores are not offered by this version"),
            "`lockd help stores` lists what may stand there",
        ),
        Some(_) => refuse(format!("{url:?} is not a store"), "`lockd help stores` lists what may stand there"),
        None if url.starts_with('/') => {
            refuse(format!("{url:?} is not a URL"), "write disk:// before the path, such as disk:///var/lib/lockd")
        }
        None => refuse(format!("{url:?} is not a URL"), "`lockd help stores` lists what may stand there"),
    }
}

fn servers_at(found: &Found) -> Result<Place> {
    let servers =
        Address::parse_all(&found.value).map_err(|e| e.with_kind(found.origin.blame()).context(&found.origin))?;
    let urls: Vec<String> = servers.iter().map(ToString::to_string).collect();
    Ok(named(Kind::Servers, urls.join(","), found))
}

fn named(kind: Kind, url: String, found: &Found) -> Place {
    Place { kind, url, origin: found.origin.clone(), embedded: None }
}

fn embedded(environment: &Environment) -> Result<Place> {
    let dir = default_directory(environment, rustix::process::geteuid().is_root())?;
    Ok(Place {
        kind: Kind::Store,
        url: StoreUrl::Disk(dir.clone()).to_text(),
        origin: Origin::Default,
        embedded: Some(dir),
    })
}

/// The embedded default: `$XDG_STATE_HOME/lockd` when that is set, else `/var/lib/lockd` for root and `~/.local/state/lockd`.
pub fn default_directory(environment: &Environment, root: bool) -> Result<PathBuf> {
    if let Some(state) = environment.directory("XDG_STATE_HOME")? {
        return Ok(state.join("lockd"));
    }
    if root {
        return Ok("/var/lib/lockd".into());
    }
    let home = environment.directory("HOME")?;
    home.map(|home| home.join(".local/state/lockd")).ok_or_else(|| no_home("HOME is not set to an absolute path"))
}

fn no_home(why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("there is no place for the embedded default store: {why}"))
        .with_hint("name a store with --store or LOCKD_STORE, such as disk:///var/lib/lockd")
}

/// Where short commands keep what they saw: `$XDG_RUNTIME_DIR/lockd`, else `/run/lockd` for root, else the state directory.
pub fn notes_directory(environment: &Environment, root: bool) -> Option<PathBuf> {
    let runtime = environment.own("XDG_RUNTIME_DIR").map(Path::new).filter(|dir| dir.is_absolute());
    match runtime {
        Some(dir) => Some(dir.join("lockd")),
        None if root => Some("/run/lockd".into()),
        // Beside the embedded default and not inside it, which belongs to the store.
        None => default_directory(environment, false).ok().map(|dir| dir.with_file_name("lockd-notes")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::{Typed, resolve};
    use super::*;

    fn environment(vars: &[(&str, &str)]) -> Environment {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Environment { vars, ..Environment::default() }
    }

    fn chosen(flags: &[(&'static str, &str)], vars: &[(&str, &str)], need: Need) -> Result<Place> {
        let typed: Typed = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let environment = environment(vars);
        choose(&resolve(&typed, &environment, None), &environment, need)
    }

    #[test]
    fn a_flag_beats_the_variable_of_the_other_kind() {
        let place = chosen(&[("store", "disk:///a")], &[("LOCKD_SERVER", "http://x")], Need::Moment).unwrap();
        assert_eq!(place.url, "disk:///a");
        let place = chosen(&[("server", "http://x")], &[("LOCKD_STORE", "disk:///a")], Need::Moment).unwrap();
        assert_eq!((place.kind, place.url.as_str()), (Kind::Servers, "http://x:9341"));
        let both = [("LOCKD_SERVER", "unix:///x, http://[::1]:1/"), ("LOCKD_STORE", "disk:///a")];
        let place = chosen(&[], &both, Need::Lease).unwrap();
        assert_eq!(place.url, "unix:///x,http://[::1]:1");
        assert_eq!(place.variables(), ("LOCKD_SERVER", "LOCKD_STORE"));
    }

    #[test]
    fn servers_of_one_store_are_one_place() {
        let place = chosen(&[("server", "http://a,unix:///b")], &[], Need::Moment).unwrap();
        assert!(place.is_named_by("http://c,http://a:9341/") && place.is_named_by("unix:///b"));
        assert!(!place.is_named_by("http://a:1") && !place.is_named_by("disk:///b") && !place.is_named_by(""));
    }

    #[test]
    fn an_lsm_store_is_opened_for_a_moment_only() {
        let place = chosen(&[("store", "lsm:///x/")], &[], Need::Moment).unwrap();
        assert_eq!(place.url, "lsm:///x");
    }

    #[test]
    fn both_flags_are_usage() {
        let error = chosen(&[("store", "disk:///a"), ("server", "http://x")], &[], Need::Moment).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
    }

    #[test]
    fn what_cannot_be_opened_here_is_refused_with_the_way_out() {
        for (url, need, says) in [
            ("mem://", Need::Moment, "disk:///var/lib/lockd"),
            ("lsm:///x", Need::Lease, "lockd serve"),
            ("lsm://x", Need::Moment, "not absolute"),
            ("gs://b/p", Need::Lease, "not offered"),
            ("s3://", Need::Lease, "names no bucket"),
            ("azure://a", Need::Moment, "names no container"),
            ("/var/lib/lockd", Need::Moment, "disk:// before"),
            ("floppy://a", Need::Moment, "lockd help stores"),
            ("x", Need::Moment, "lockd help stores"),
        ] {
            let error = chosen(&[("store", url)], &[], need).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{url}");
            assert!(error.to_string().contains(says), "{url}: {error}");
        }
        let error = chosen(&[("server", "ftp://x")], &[], Need::Moment).unwrap_err();
        assert!(error.message().contains("not the address"), "{error}");
    }

    #[test]
    fn the_embedded_default_follows_the_environment() {
        let at = |vars: &[(&str, &str)], root| default_directory(&environment(vars), root);
        assert_eq!(at(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")], true).unwrap(), Path::new("/s/lockd"));
        assert_eq!(at(&[("XDG_STATE_HOME", "s"), ("HOME", "/h")], false).unwrap(), Path::new("/h/.local/state/lockd"));
        assert_eq!(at(&[("HOME", "/h")], true).unwrap(), Path::new("/var/lib/lockd"));
        assert_eq!(at(&[], false).unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(notes_directory(&environment(&[("XDG_RUNTIME_DIR", "/r")]), false).unwrap(), Path::new("/r/lockd"));
        assert_eq!(notes_directory(&environment(&[]), true).unwrap(), Path::new("/run/lockd"));
        assert_eq!(notes_directory(&environment(&[]), false), None);
    }
}
