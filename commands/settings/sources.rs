//! Reads the places where settings are written: the environment, env-files, the configuration file.
//!
//! What an env-file says goes into an overlay and never into the process's own environment, so that nothing of it reaches
//! the commands that lockd starts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use lockd::error::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};

use super::{Found, Origin, SETTINGS, Setting};

/// Largest env-file or configuration file.
const FILE_BYTES: u64 = 1024 * 1024;

/// The variables of the environment and of the env-files below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// The process's own.
    pub vars: BTreeMap<String, String>,
    /// Those of the env-files, with the file that each came from.
    pub overlay: BTreeMap<String, (String, PathBuf)>,
    /// Names of the process's own variables whose values are not UTF-8.
    pub not_text: BTreeSet<String>,
}

impl Environment {
    /// The process's environment.
    ///
    /// # Errors
    /// `Usage` when a variable of lockd's is not UTF-8.
    pub fn of_process() -> Result<Self> {
        let (mut vars, mut not_text) = (BTreeMap::new(), BTreeSet::new());
        for (name, value) in std::env::vars_os() {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => drop(vars.insert(name, value)),
                (Ok(name), Err(_)) if name.starts_with("LOCKD_") => {
                    return Err(Error::new(ErrorKind::Usage, format!("{name} is not UTF-8")).with_hint("set it anew"));
                }
                (Ok(name), Err(_)) => drop(not_text.insert(name)),
                _ => {}
            }
        }
        Ok(Self { vars, overlay: BTreeMap::new(), not_text })
    }

    /// Puts an env-file below the environment and above the files before it.
    ///
    /// # Errors
    /// When it cannot be read, or a line of it is not `NAME=value`.
    pub fn add_file(&mut self, path: &Path) -> Result<()> {
        let text = read(path)?;
        for entry in dotenvy::from_read_iter(text.as_bytes()) {
            let (name, value) = entry.map_err(|e| bad_line(path, &text, &e))?;
            self.overlay.insert(name, (value, path.to_owned()));
        }
        Ok(())
    }

    /// A variable that is set and not empty.
    pub fn var(&self, name: &str) -> Option<&str> {
        let own = self.vars.get(name).filter(|value| !value.is_empty());
        own.or_else(|| self.overlay.get(name).map(|(value, _)| value).filter(|value| !value.is_empty()))
            .map(String::as_str)
    }

    /// A variable of the process alone, set and not empty.
    pub fn own(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A directory that a variable of the process names; `None` when it is not set, or relative, which the XDG Base Directory
    /// Specification wants ignored.
    ///
    /// # Errors
    /// `Config` when it is not UTF-8: another directory would be taken without a word.
    pub fn directory(&self, name: &str) -> Result<Option<&Path>> {
        if self.not_text.contains(name) {
            return Err(Error::new(ErrorKind::Config, format!("{name} is not UTF-8"))
                .with_hint("name a directory that is, or name the store with --store and the file with --config"));
        }
        Ok(self.own(name).map(Path::new).filter(|dir| dir.is_absolute()))
    }

    /// The same with its origin.
    pub fn get(&self, name: &'static str) -> Option<Found> {
        if let Some(value) = self.own(name) {
            return Some(Found { value: value.to_owned(), origin: Origin::Environment(name) });
        }
        let (value, path) = self.overlay.get(name).filter(|(value, _)| !value.is_empty())?;
        Some(Found { value: value.clone(), origin: Origin::EnvFile(name, path.clone()) })
    }
}

/// The configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    path: PathBuf,
    values: BTreeMap<&'static str, String>,
}

impl Config {
    /// Finds and reads it: the one named, else the user's, else the machine's. One that nobody named may be missing.
    ///
    /// # Errors
    /// When it cannot be read, is not YAML, or has an unknown key.
    pub fn find(named: Option<&Path>, environment: &Environment) -> Result<Option<Self>> {
        if let Some(path) = named.or_else(|| environment.var("LOCKD_CONFIG").map(Path::new)) {
            return Self::parse(path, &read(path)?).map(Some);
        }
        let user = match environment.directory("XDG_CONFIG_HOME")? {
            Some(dir) => Some(dir.to_owned()),
            None => environment.directory("HOME")?.map(|home| home.join(".config")),
        };
        let places = user.map(|dir| dir.join("lockd/config.yaml")).into_iter().chain(["/etc/lockd/config.yaml".into()]);
        for path in places {
            if path.try_exists().unwrap_or(true) {
                return Self::parse(&path, &read(&path)?).map(Some);
            }
        }
        Ok(None)
    }

    /// Reads its text.
    ///
    /// # Errors
    /// `Config`, with the line.
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let wrong = |why: String| {
            Error::new(ErrorKind::Config, format!("{}: {why}", path.display()))
                .with_hint("`lockd config gen` prints every key, with what it is for")
        };
        let keys: Option<Keys> = serde_yaml::from_str(text).map_err(|e| wrong(e.to_string()))?;
        let Keys { values, unknown } = keys.unwrap_or_default();
        match unknown {
            Some(key) => Err(wrong(format!("unknown key `{}`{}", key.escape_debug(), line_of(text, &key)))),
            None => Ok(Self { path: path.to_owned(), values }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says of a setting.
    pub fn value(&self, setting: &Setting) -> Option<&str> {
        self.values.get(setting.name).map(String::as_str)
    }

    pub(super) fn get(&self, setting: &'static Setting) -> Option<Found> {
        let value = self.value(setting)?.to_owned();
        Some(Found { value, origin: Origin::Config(setting.name, self.path.clone()) })
    }
}

/// The keys of the file, checked against the table one by one.
#[derive(Default)]
struct Keys {
    values: BTreeMap<&'static str, String>,
    unknown: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Flag(bool),
    Whole(u64),
    Real(f64),
    Text(String),
    List(Vec<String>),
    Empty(()),
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_map(Self::default())
    }
}

impl<'de> Visitor<'de> for Keys {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("settings, one `name: value` a line")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let Some(setting) = SETTINGS.iter().find(|setting| setting.key() == key) else {
                map.next_value::<IgnoredAny>()?;
                self.unknown.get_or_insert(key);
                continue;
            };
            let scalar = map.next_value().map_err(|_| A::Error::custom(format!("`{key}` has no plain value")))?;
            let value = match scalar {
                Scalar::Flag(on) => on.to_string(),
                Scalar::Whole(n) => n.to_string(),
                Scalar::Real(x) => x.to_string(),
                Scalar::Text(text) => text,
                Scalar::List(list) if setting.name == "server" => list.join(","),
                Scalar::List(_) => return Err(A::Error::custom(format!("`{key}` takes one value"))),
                Scalar::Empty(()) => continue,
            };
            if self.values.insert(setting.name, value).is_some() {
                return Err(A::Error::custom(format!("`{key}` stands there twice")));
            }
        }
        Ok(self)
    }
}

/// Where a key stands: the parser does not tell.
fn line_of(text: &str, key: &str) -> String {
    let begins = |line: &str| line.trim_start_matches([' ', '{', '"', '\'']).starts_with(key);
    text.lines().position(begins).map_or_else(String::new, |n| format!(" at line {}", n + 1))
}

/// A small text file that somebody named.
///
/// # Errors
/// `Config` when it does not exist, is too large or is not UTF-8; those of the file system.
pub fn read(path: &Path) -> Result<String> {
    let failed = |e: &std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => Error::new(ErrorKind::Config, format!("{} does not exist", path.display()))
            .with_hint("name a file that does, or leave it out"),
        _ => Error::io(format_args!("read {}", path.display()), e),
    };
    let file = File::open(path).map_err(|e| failed(&e))?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|e| failed(&e))?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(Error::new(ErrorKind::Config, format!("{} has more than {FILE_BYTES} bytes", path.display())));
    }
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::Config, format!("{} is not UTF-8", path.display())))
}

/// Says which line it is without repeating it: it may hold a secret.
fn bad_line(path: &Path, text: &str, error: &dotenvy::Error) -> Error {
    let line = match error {
        dotenvy::Error::LineParse(line, _) => text.lines().position(|l| l.trim() == line.trim()),
        _ => None,
    };
    let place = line.map_or_else(String::new, |n| format!(" line {}", n + 1));
    Error::new(ErrorKind::Config, format!("{}{place} is not NAME=value", path.display()))
        .with_hint("put values with blanks or quotes into single quotes")
}

#[cfg(test)]
impl Config {
    pub(super) fn values_are_empty(&self) -> bool {
        self.values.is_empty()
    }
}
