//! Settings: what each is called, and where its value came from.
//!
//! A value is looked for on the command line, in the environment, in the env-files that were named, in the configuration file,
//! and is the default otherwise. [`resolve`] decides that without touching anything; [`sources`] does the reading.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use lockd::error::{Error, ErrorKind, Result};

pub mod sources;

pub use sources::{Config, Environment};

/// One setting: the same name everywhere.
#[derive(Debug)]
pub struct Setting {
    /// The long flag without its dashes; in the configuration file `-` is `_`.
    pub name: &'static str,
    /// The environment variable.
    pub env: &'static str,
    /// What holds when nobody says anything, for people.
    pub default: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// The one command that reads it, where only one does.
    pub only: Option<&'static str>,
}

/// Every setting. Help texts, man pages and `lockd help env` are made from this table.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "server",
        env: "LOCKD_SERVER",
        default: "",
        about: "Running servers to use, tried in turn",
        only: None,
    },
    Setting {
        name: "store",
        env: "LOCKD_STORE",
        default: "see `lockd help stores`",
        about: "The store to open directly",
        only: None,
    },
    Setting {
        name: "namespace",
        env: "LOCKD_NAMESPACE",
        default: "default",
        about: "The namespace of the keys",
        only: None,
    },
    Setting {
        name: "owner",
        env: "LOCKD_OWNER",
        default: "user@host:pid",
        about: "Who holds the lease, for people",
        only: None,
    },
    Setting {
        name: "ttl",
        env: "LOCKD_TTL",
        default: "30s",
        about: "How long the lease lives without renewal",
        only: None,
    },
    Setting {
        name: "no-create",
        env: "LOCKD_NO_CREATE",
        default: "false",
        about: "Never make a missing store",
        only: None,
    },
    Setting { name: "color", env: "LOCKD_COLOR", default: "auto", about: "Colour: auto, always or never", only: None },
    serve("listen", "LOCKD_LISTEN", "127.0.0.1:9341", "Where a server listens, separated by commas"),
    serve("insecure", "LOCKD_INSECURE", "false", "A server listens where other hosts reach it"),
    serve("max-ttl", "LOCKD_MAX_TTL", "30m", "The longest TTL that a server gives"),
    serve("drain", "LOCKD_DRAIN", "30s", "How long holders may go on when a server ends"),
    serve("log", "LOCKD_LOG", "text", "How a server logs: text or json"),
];

const fn serve(name: &'static str, env: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting { name, env, default, about, only: Some("serve") }
}

impl Setting {
    /// The setting with this flag.
    pub fn named(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// Its key in the configuration file.
    pub fn key(&self) -> String {
        self.name.replace('-', "_")
    }
}

/// Where a value came from. The order is the order of rank, highest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Typed on the command line.
    Flag(&'static str),
    /// Set in the environment.
    Environment(&'static str),
    /// Set in an env-file.
    EnvFile(&'static str, PathBuf),
    /// Set in the configuration file.
    Config(&'static str, PathBuf),
    /// Nobody said anything.
    Default,
}

impl Origin {
    /// What to call a wrong value from here: what was typed or exported is usage, what stands in a file is configuration.
    pub const fn blame(&self) -> ErrorKind {
        match self {
            Self::Flag(_) | Self::Environment(_) => ErrorKind::Usage,
            Self::EnvFile(..) | Self::Config(..) | Self::Default => ErrorKind::Config,
        }
    }

    /// The layer alone: two settings of one layer have equal rank.
    pub const fn rank(&self) -> u8 {
        match self {
            Self::Flag(_) => 0,
            Self::Environment(_) => 1,
            Self::EnvFile(..) => 2,
            Self::Config(..) => 3,
            Self::Default => 4,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Environment(name) => f.write_str(name),
            Self::EnvFile(name, path) => write!(f, "{name} in {}", path.display()),
            Self::Config(name, path) => write!(f, "{} in {}", name.replace('-', "_"), path.display()),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The value as written.
    pub value: String,
    /// Where it was written.
    pub origin: Origin,
}

impl Found {
    /// Reads the value; when it is wrong, the message says where it came from.
    ///
    /// # Errors
    /// `Usage` or `Config`, by origin.
    pub fn parse<T>(&self, read: impl FnOnce(&str) -> Result<T, String>) -> Result<T> {
        read(&self.value).map_err(|why| Error::new(self.origin.blame(), format!("{}: {why}", self.origin)))
    }
}

/// What was typed: the value of each setting's flag.
pub type Typed = BTreeMap<&'static str, String>;

/// All settings as they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<&'static str, Found>);

/// Finds each setting's value in the highest place that has one. An empty value counts as none.
pub fn resolve(typed: &Typed, environment: &Environment, config: Option<&Config>) -> Settings {
    let find = |setting: &'static Setting| {
        let flag = || Some(Found { value: typed.get(setting.name)?.clone(), origin: Origin::Flag(setting.name) });
        let config = || config.and_then(|config| config.get(setting));
        flag().or_else(|| environment.get(setting.env)).or_else(config)
    };
    Settings(SETTINGS.iter().filter_map(|setting| Some((setting.name, find(setting)?))).collect())
}

impl Settings {
    /// The value of a setting; `None` when the default holds.
    pub fn get(&self, name: &str) -> Option<&Found> {
        debug_assert!(Setting::named(name).is_some(), "{name} is in the table");
        self.0.get(name)
    }

    /// These settings with what was typed for one command only.
    pub fn with_flag(&self, name: &'static str, value: Option<&str>) -> Self {
        let mut settings = self.clone();
        if let Some(value) = value {
            settings.0.insert(name, Found { value: value.to_owned(), origin: Origin::Flag(name) });
        }
        settings
    }

    /// A yes or no.
    ///
    /// # Errors
    /// When it is neither.
    pub fn is_on(&self, name: &str) -> Result<bool> {
        let read = |text: &str| match text {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            other => Err(format!("{other:?} is neither true nor false")),
        };
        self.get(name).map_or(Ok(false), |found| found.parse(read))
    }
}

#[cfg(test)]
mod tests;
