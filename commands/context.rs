//! What every command works with: its settings, its voice, its clock, and the way to its store.

use std::fs::DirBuilder;
use std::io::IsTerminal;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use lockd::client::Client;
use lockd::clock::{Clock, SystemClock};
use lockd::connect::{self, Carrier, Connection, Target};
use lockd::entropy::{Entropy, KernelEntropy};
use lockd::error::{Error, ErrorKind, Result};
use lockd::limits::{TTL_MIN, TTL_MIN_OBJECTS};
use lockd::model::{Holder, Key, Namespace, Owner, Ttl};
use lockd::store::Facts;
use lockd::store::open::{OpenOptions, StoreUrl};

use super::output::{self, Format, Voice};
use super::settings::{Config, Environment, Settings, Typed, resolve};
use super::target::{self, Kind, Need, Place};
use super::{duration, identity, storage, text};

/// Flags that every command takes.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Flags {
    /// A running server: http://HOST:PORT or unix:///path; several of one store, with commas, are tried in turn
    #[arg(long, global = true, value_name = "URL[,URL]", help_heading = "Where to act")]
    pub server: Option<String>,
    /// Open this store directly, in this process
    #[arg(long, global = true, value_name = "URL", help_heading = "Where to act")]
    pub store: Option<String>,
    /// The namespace of the keys
    #[arg(long, global = true, value_name = "NS", help_heading = "Where to act")]
    pub namespace: Option<String>,
    /// Never make a store that is missing
    #[arg(long, global = true, help_heading = "Where to act")]
    pub no_create: bool,
    /// Read settings from this file of NAME=value lines; may be repeated, the last one wins
    #[arg(long, global = true, value_name = "FILE", help_heading = "Where to act")]
    pub env_file: Vec<PathBuf>,
    /// The configuration file [env: LOCKD_CONFIG] [default: $XDG_CONFIG_HOME/lockd/config.yaml, /etc/lockd/config.yaml]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Where to act")]
    pub config: Option<PathBuf>,
    /// How to print: text, json or yaml
    #[arg(short, long, global = true, value_name = "FORMAT", help_heading = "Output")]
    pub output: Option<String>,
    /// Print JSON: short for --output json
    #[arg(long, global = true, conflicts_with = "output", help_heading = "Output")]
    pub json: bool,
    /// Say nothing but errors
    #[arg(short, long, global = true, help_heading = "Output")]
    pub quiet: bool,
    /// Say more: the store in use, for example
    #[arg(short, long, global = true, conflicts_with = "quiet", help_heading = "Output")]
    pub verbose: bool,
    /// Colour: auto, always or never
    #[arg(long, global = true, value_name = "WHEN", help_heading = "Output")]
    pub color: Option<String>,
    /// Buckets and containers.
    #[command(flatten)]
    pub storage: storage::StorageFlags,
}

impl Flags {
    /// The name of the format that was asked for.
    pub fn format_name(&self) -> Option<&str> {
        if self.json { Some("json") } else { self.output.as_deref() }
    }

    fn typed(&self) -> Typed {
        let texts =
            [("server", &self.server), ("store", &self.store), ("namespace", &self.namespace), ("color", &self.color)];
        let mut typed: Typed = texts.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
        if self.no_create {
            typed.insert("no-create", "true".to_owned());
        }
        self.storage.add_to(&mut typed);
        typed
    }
}

/// What a command works with.
pub struct Context {
    /// What was typed.
    pub flags: Flags,
    /// The environment and the env-files.
    pub environment: Environment,
    /// The settings as they hold.
    pub settings: Settings,
    /// The configuration file in use.
    pub config: Option<PathBuf>,
    /// Standard error.
    pub voice: Voice,
    /// The clocks of this machine.
    pub clock: Arc<dyn Clock>,
    /// The kernel's randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// A store that was opened for a command, or servers of one.
pub struct Session {
    /// Leases and state.
    pub client: Client,
    /// What is known of the store; of one behind a server nothing is.
    pub facts: Option<Facts>,
    /// Where it is, and who named it.
    pub place: Place,
}

impl Context {
    /// Reads the settings. Starts no thread and no runtime.
    ///
    /// # Errors
    /// When a file that was named cannot be read, or a setting is wrong.
    pub fn new(flags: Flags) -> Result<Self> {
        let mut environment = Environment::of_process()?;
        for path in env_files(&flags, &environment) {
            environment.add_file(&path)?;
        }
        let config = Config::find(flags.config.as_deref(), &environment)?;
        let settings = resolve(&flags.typed(), &environment, config.as_ref());
        let voice = voice(&flags, &environment, &settings)?;
        let config = config.map(|config| config.path().to_owned());
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(KernelEntropy));
        Ok(Self { flags, environment, settings, config, voice, clock, entropy })
    }

    /// The format that was asked for, for commands that print documents.
    ///
    /// # Errors
    /// `Usage` when there is no such format.
    pub fn format(&self) -> Result<Format> {
        self.flags.format_name().map_or(Ok(Format::Text), output::format).map_err(|why| usage("--output", &why))
    }

    /// A key in the namespace in use.
    ///
    /// # Errors
    /// `InvalidKey`.
    pub fn key(&self, name: &str) -> Result<Key> {
        Key::new(self.namespace()?, name)
    }

    /// The namespace in use.
    ///
    /// # Errors
    /// When it is malformed, by who named it.
    pub fn namespace(&self) -> Result<Namespace> {
        self.settings.get("namespace").map_or(Ok(Namespace::default()), |found| {
            found.parse(|text| Namespace::new(text).map_err(|e| e.to_string()))
        })
    }

    /// The TTL: typed for this command, else from the settings, else 30 s.
    ///
    /// # Errors
    /// When it is malformed or out of bounds.
    pub fn ttl(&self, typed: Option<&str>) -> Result<Ttl> {
        let settings = self.settings.with_flag("ttl", typed);
        let shortest = match self.place(Need::Moment) {
            Ok(place) if place.is_of_objects() => TTL_MIN_OBJECTS,
            _ => TTL_MIN,
        };
        let read = |text: &str| match duration::parse(text)? {
            ttl if (TTL_MIN..shortest).contains(&ttl) => {
                Err(format!("a TTL is {} s at the least on an object store", shortest.as_secs()))
            }
            ttl => Ttl::new(ttl).map_err(|e| e.to_string()),
        };
        settings.get("ttl").map_or(Ok(Ttl::default()), |found| found.parse(read))
    }

    /// The owner: typed for this command, else from the settings, else `user@host:pid`.
    ///
    /// # Errors
    /// When it is empty or too long.
    pub fn owner(&self, typed: Option<&str>, holder: &Holder) -> Result<Owner> {
        let settings = self.settings.with_flag("owner", typed);
        let read = |text: &str| Owner::new(text).map_err(|e| e.to_string());
        settings.get("owner").map_or_else(|| identity::owner(holder), |found| found.parse(read))
    }

    /// Where this command acts.
    ///
    /// # Errors
    /// As [`target::choose`].
    pub fn place(&self, need: Need) -> Result<Place> {
        target::choose(&self.settings, &self.environment, need)
    }

    /// The env-files that were named.
    pub fn env_files(&self) -> Vec<PathBuf> {
        env_files(&self.flags, &self.environment)
    }

    /// Runs async work to its end. The runtime starts here, in this thread.
    ///
    /// # Errors
    /// What the work returns, and `Internal` when no runtime can be made.
    pub fn block_on<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|e| Error::io("start the runtime", &e))?.block_on(work)
    }

    /// How the store at a URL is opened; a missing one is made.
    ///
    /// # Errors
    /// As [`storage::of`].
    pub fn options(&self, url: &str) -> Result<OpenOptions> {
        Ok(OpenOptions {
            objects: storage::of(url, &self.settings, &self.environment)?,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            ..OpenOptions::system()
        })
    }

    /// Opens the store; a server is not asked for anything yet.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn open(&self, need: Need) -> Result<Session> {
        let place = self.place(need)?;
        match place.kind {
            Kind::Store => self.open_store(place).await,
            Kind::Servers => self.reach(place),
        }
    }

    fn reach(&self, place: Place) -> Result<Session> {
        let service = connect::servers(place.url.split(','), Carrier::Threads, Arc::clone(&self.clock))?;
        self.voice.detail(&format!("server {}, named by {}", place.url, place.origin));
        let client = Client::new(service, Arc::clone(&self.clock), Arc::clone(&self.entropy));
        Ok(Session { client, facts: None, place })
    }

    async fn open_store(&self, place: Place) -> Result<Session> {
        let create = !self.settings.is_on("no-create")?;
        if let (Some(dir), true) = (&place.embedded, create) {
            make_parents(dir)?;
        }
        let open = OpenOptions { create, ..self.options(&place.url)? };
        let root = rustix::process::geteuid().is_root();
        let notes = target::notes_directory(&self.environment, root);
        let target = Target::Store(place.url.clone());
        let Connection { service, store: facts, created } =
            connect::open(&target, connect::Options { open, notes, serves: false, observer: None }).await?;
        if created {
            self.voice.note(&format!("new store at {} ({})", path_of(&facts.url), facts.about));
        }
        if let Some(warning) = facts.warning(self.clock.wall()) {
            self.voice.note(&format!("{}: {warning}", facts.url));
        }
        self.voice.detail(&format!("store {} ({}), named by {}", facts.url, facts.about, place.origin));
        let client = Client::new(service, Arc::clone(&self.clock), Arc::clone(&self.entropy));
        Ok(Session { client, facts: Some(facts), place })
    }

    /// Whether data for people may be coloured.
    pub fn paints(&self) -> bool {
        let terminal = std::io::stdout().is_terminal();
        self.format().is_ok_and(|format| format == Format::Text)
            && colors(&self.environment, &self.settings, terminal).unwrap_or(false)
    }

    /// Whether people look at standard error.
    pub fn is_watched(&self) -> bool {
        std::io::stderr().is_terminal()
    }
}

/// The directory of a store, for people.
fn path_of(url: &str) -> String {
    match StoreUrl::parse(url) {
        Ok(StoreUrl::Disk(path)) => text::shown(&path.to_string_lossy()),
        _ => text::shown(url),
    }
}

/// An error about something typed.
pub fn usage(what: &str, why: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("{what}: {why}"))
}

/// The env-files that were named: by flags, else by the variable, where a colon separates several.
fn env_files(flags: &Flags, environment: &Environment) -> Vec<PathBuf> {
    if !flags.env_file.is_empty() {
        return flags.env_file.clone();
    }
    let named = environment.own("LOCKD_ENV_FILE").unwrap_or_default();
    named.split(':').filter(|path| !path.is_empty()).map(PathBuf::from).collect()
}

fn voice(flags: &Flags, environment: &Environment, settings: &Settings) -> Result<Voice> {
    let color = colors(environment, settings, std::io::stderr().is_terminal())?;
    Ok(Voice { quiet: flags.quiet, verbose: flags.verbose, json: flags.format_name() == Some("json"), color })
}

/// Whether something that is a terminal, or is none, may be coloured.
fn colors(environment: &Environment, settings: &Settings, terminal: bool) -> Result<bool> {
    let plain = environment.own("NO_COLOR").is_some() || environment.own("TERM") == Some("dumb");
    let unasked = terminal && !plain;
    settings.get("color").map_or(Ok(unasked), |found| found.parse(|choice| output::colored(choice, unasked)))
}

/// The directories above the embedded default, as the XDG specification asks for: mode 0700. Elsewhere a missing parent is an
/// error, because it is more likely a typing error or a mount that is not there.
fn make_parents(dir: &std::path::Path) -> Result<()> {
    let Some(parent) = dir.parent().filter(|parent| !parent.exists()) else { return Ok(()) };
    DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(|e| {
        Error::io(format_args!("make {}", parent.display()), &e)
            .with_hint("name a store with --store or LOCKD_STORE, such as disk:///srv/lockd")
    })
}
