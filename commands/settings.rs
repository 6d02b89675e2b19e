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
    storage("s3-endpoint", "LOCKD_S3_ENDPOINT", "", "s3://: the address of the service, when it is not Amazon's"),
    storage("s3-region", "LOCKD_S3_REGION", "us-east-1", "s3://: the region of the bucket"),
    storage("s3-allow-http", "LOCKD_S3_ALLOW_HTTP", "false", "s3://: permit an endpoint on plain HTTP"),
    storage(
        "s3-virtual-hosted",
        "LOCKD_S3_VIRTUAL_HOSTED",
        "false",
        "s3://: the bucket is in the endpoint's host name",
    ),
    storage("s3-sse", "LOCKD_S3_SSE", "", "s3://: encryption: AES256, aws:kms, aws:kms:dsse or sse-c"),
    storage("s3-kms-key", "LOCKD_S3_KMS_KEY", "", "s3://: the KMS key, when it is not the service's own"),
    storage("azure-endpoint", "LOCKD_AZURE_ENDPOINT", "", "azure://: the account's address outside the public cloud"),
    storage("azure-allow-http", "LOCKD_AZURE_ALLOW_HTTP", "false", "azure://: permit an endpoint on plain HTTP"),
    storage("azure-key-file", "LOCKD_AZURE_KEY_FILE", "", "azure://: a file with one of the account's keys"),
    storage("azure-sas-file", "LOCKD_AZURE_SAS_FILE", "", "azure://: a file with a shared access signature"),
    storage("ca-file", "LOCKD_CA_FILE", "", "Certificates (PEM) to trust beside the system's own"),
];

/// A setting of object stores.
const fn storage(name: &'static str, env: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting { name, env, default, about, only: None }
}

/// Variables that other programs read for the same. They hold where nothing of lockd's own says otherwise, in whatever place.
const USUAL: [(&str, &[&str]); 3] = [
    ("s3-endpoint", &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]),
    ("s3-region", &["AWS_REGION", "AWS_DEFAULT_REGION"]),
    ("azure-endpoint", &["AZURE_STORAGE_ENDPOINT", "AZURE_STORAGE_SERVICE_ENDPOINT"]),
];

const fn serve(name: &'static str, env: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting { name, env, default, about, only: Some("serve") }
}

impl Setting {
    /// The setting with this flag.
    pub fn named(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// The usual variables for the same, in the order in which they are looked at.
    pub fn usual(&self) -> &'static [&'static str] {
        USUAL.iter().find(|(name, _)| *name == self.name).map_or(&[], |(_, usual)| usual)
    }

    /// Its variable and the usual ones.
    pub fn variables(&self) -> String {
        self.usual().iter().fold(self.env.to_owned(), |all, usual| format!("{all}, {usual}"))
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
        let usual = || setting.usual().iter().find_map(|name| environment.get(name));
        flag().or_else(|| environment.get(setting.env)).or_else(config).or_else(usual)
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
