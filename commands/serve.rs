//! `lockd serve`: a server over a store.

use std::sync::Arc;
use std::time::Duration;

use lockd::clock::Clock;
use lockd::connect::{self, Connection, Target};
use lockd::error::{Error, ErrorKind, Result};
use lockd::http::server::address::{Address, Listener};
use lockd::http::server::metrics::Metrics;
use lockd::http::server::{Config, Server};
use lockd::limits::{DRAIN_MAX, FILES_WANTED};
use lockd::model::Ttl;
use lockd::store::Facts;
use lockd::store::conformance::{Outcome, Report};
use lockd::store::observed::Observer;
use lockd::store::open::OpenOptions;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::context::Context;
use super::duration;
use super::interrupt::{self, Either};
use super::memory;
use super::settings::Settings;
use super::target::{self, Need, Place};
use super::verify::vet::vet;
use super::verify::worker;

/// Where a server listens when nobody says anything.
const LISTEN: &str = "127.0.0.1:9341";
/// A store of this process's own.
const MEMORY: &str = "mem://";

/// Run a server
#[derive(clap::Args)]
#[command(
    long_about = "Serve the leases and states of a store to many hosts over HTTP, with fair waiting: a key passes on in order of arrival, at \
once, and in one write. Any number of servers may run on one shared store.

  lockd serve --store disk:///var/lib/lockd
  lockd serve --listen unix:///run/lockd/lockd.sock --listen 127.0.0.1:9341
  LOCKD_STORE=mem:// lockd serve --log json

First it checks the store as `lockd verify store --quick` does, and exits 78 when a check fails.

It listens on loopback and on unix sockets (mode 0600) only. Any other address needs --insecure: whoever reaches it may then take and \
break every lock and read and write every state, and everything passes the network in the clear.

SIGTERM and SIGINT drain it: nothing is granted any more, those who wait are sent away, and holders may renew, write and give back until \
they are done or --drain is over. A second signal ends the drain at once. /healthz, /readyz and /metrics are for those who watch it."
)]
pub struct Args {
    /// Where to listen: ADDR:PORT or unix:///path; may be repeated
    #[arg(long, value_name = "ADDRESS", help_heading = "Serve")]
    listen: Vec<String>,
    /// Listen where others than this host can reach it, without any authentication
    #[arg(long, help_heading = "Serve")]
    insecure: bool,
    /// The longest TTL that is given; longer ones are cut
    #[arg(long, value_name = "DUR", help_heading = "Serve")]
    max_ttl: Option<String>,
    /// How long holders may go on when the server is asked to end
    #[arg(long, value_name = "DUR", help_heading = "Serve")]
    drain: Option<String>,
    /// How to log on standard error: text or json
    #[arg(long, value_name = "FORMAT", help_heading = "Serve")]
    log: Option<String>,
    /// Take orders from the process that started this one
    #[arg(long, hide = true, help_heading = "Serve")]
    worker: bool,
}

impl Args {
    /// The settings with what was typed here.
    fn over(&self, context: &Context) -> Settings {
        let listen = (!self.listen.is_empty()).then(|| self.listen.join(","));
        let insecure = self.insecure.then_some("true");
        let settings = context.settings.with_flag("listen", listen.as_deref()).with_flag("insecure", insecure);
        let settings = settings.with_flag("max-ttl", self.max_ttl.as_deref());
        settings.with_flag("drain", self.drain.as_deref()).with_flag("log", self.log.as_deref())
    }
}

/// Runs the command.
///
/// # Errors
/// What is wrong with the settings, the store or the addresses.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    if args.worker {
        return worker::run(context);
    }
    let settings = args.over(context);
    let addresses = addresses(&settings)?;
    let config = config(&settings)?;
    let place = target::choose(&context.settings, &context.environment, Need::Serve)?;
    start_logging(context, &settings)?;
    more_files();
    if let Some(signal) = vetted(context, &place)? {
        return Ok(interrupt::exit_code(signal));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|e| Error::io("start the runtime", &e))?.block_on(async {
        let metrics = Arc::new(Metrics::default());
        let open = OpenOptions { create: false, ..context.options(&place.url)? };
        let observer: Arc<dyn Observer> = Arc::new(StoreTimes(Arc::clone(&metrics)));
        let options = connect::Options { open, notes: None, serves: true, observer: Some(observer) };
        let opened = connect::open(&Target::Store(place.url.clone()), options).await;
        let Connection { service, store, .. } = opened.map_err(|e| match e.kind() {
            ErrorKind::StoreMissing => e.with_hint(format!(
                "a server makes no store: check the path, or make it once with `lockd list --store {}` and the settings of this server",
                place.url
            )),
            _ => e,
        })?;
        tracing::info!(store = store.url, about = store.about, "serving");
        let listeners = bind(&addresses).await?;
        let (clock, entropy) = (Arc::clone(&context.clock), Arc::clone(&context.entropy));
        remind(&store, Arc::clone(&clock));
        tokio::spawn(memory::give_back(Arc::clone(&clock)));
        let server = Server::new(service, clock, entropy, metrics, config);
        let (stop, hurry) = signals()?;
        server.run(listeners, stop, hurry).await;
        Ok(0)
    })
}

/// Warns, for as long as the server runs, that its credential ends soon. At the start the check of the store did.
fn remind(store: &Facts, clock: Arc<dyn Clock>) {
    let (url, credential) = (store.url.clone(), store.credential.clone());
    tokio::spawn(async move {
        credential.remind(&*clock, |soon| tracing::warn!(store = url, "{soon}, and start this server with it")).await;
    });
}

/// Checks the store, unless it is memory that this process alone has. A signal that came meanwhile, if one did.
fn vetted(context: &Context, place: &Place) -> Result<Option<u8>> {
    if place.url == MEMORY {
        return Ok(None);
    }
    let reports = match vet(context, place)? {
        Either::Signal(signal) => return Ok(Some(signal)),
        Either::Done(reports) => reports,
    };
    for Report { id, outcome, saw, advice, .. } in &reports {
        let advice = advice.as_deref().unwrap_or_default();
        match outcome {
            Outcome::Ok => tracing::debug!(check = id, saw, "verified"),
            Outcome::Warn | Outcome::Fail => tracing::warn!(check = id, saw, advice, "verified"),
        }
    }
    tracing::info!(store = place.url, checks = reports.len(), "verified");
    Ok(None)
}

fn addresses(settings: &Settings) -> Result<Vec<Address>> {
    let read = |text: &str| {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| Address::parse(part).map_err(|e| e.to_string())).collect::<Result<Vec<_>, _>>()
    };
    let addresses = match settings.get("listen") {
        Some(found) => found.parse(read)?,
        None => vec![Address::parse(LISTEN)?],
    };
    if let (Some(open), false) = (addresses.iter().find(|address| !address.is_local()), settings.is_on("insecure")?) {
        return Err(Error::new(ErrorKind::Usage, format!("{open} can be reached by other hosts, and there is no authentication yet"))
            .with_hint("listen on loopback or a unix socket, or say --insecure: then whoever reaches it may take and break every lock and read and write every state"));
    }
    Ok(addresses)
}

fn config(settings: &Settings) -> Result<Config> {
    let mut config = Config::default();
    if let Some(found) = settings.get("max-ttl") {
        let read = |text: &str| duration::parse(text).and_then(|d| Ttl::new(d).map_err(|e| e.to_string()));
        config.max_ttl = found.parse(read)?;
    }
    if let Some(found) = settings.get("drain") {
        let bounded = |d: Duration| match d <= DRAIN_MAX {
            true => Ok(d),
            false => Err(format!("it is longer than {}", duration::human(DRAIN_MAX))),
        };
        config.drain = found.parse(|text| duration::parse(text).and_then(bounded))?;
    }
    Ok(config)
}

async fn bind(addresses: &[Address]) -> Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = address.bind().await?;
        let bound = listener.address()?;
        if !bound.is_local() {
            tracing::warn!(address = %bound, "whoever reaches this address may take and break every lock");
        }
        tracing::info!(address = %bound, "listening");
        listeners.push(listener);
    }
    Ok(listeners)
}

/// The first signal that ends the server, and the second.
fn signals() -> Result<(impl Future<Output = ()>, impl Future<Output = ()>)> {
    let listen = |kind| signal(kind).map_err(|e| Error::io("listen for signals", &e));
    let both = || Ok::<_, Error>((listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?));
    let either = |(mut term, mut int): (tokio::signal::unix::Signal, tokio::signal::unix::Signal), times: u32| async move {
        for _ in 0..times {
            std::future::poll_fn(|cx| {
                if term.poll_recv(cx).is_ready() || int.poll_recv(cx).is_ready() {
                    return std::task::Poll::Ready(());
                }
                std::task::Poll::Pending
            })
            .await;
        }
    };
    Ok((either(both()?, 1), either(both()?, 2)))
}

fn start_logging(context: &Context, settings: &Settings) -> Result<()> {
    let json = settings.get("log").map_or(Ok(false), |found| {
        found.parse(|text| match text {
            "text" => Ok(false),
            "json" => Ok(true),
            other => Err(format!("{other:?} is neither text nor json")),
        })
    })?;
    let level = match (context.flags.quiet, context.flags.verbose) {
        (true, _) => tracing::Level::WARN,
        (false, true) => tracing::Level::DEBUG,
        (false, false) => tracing::Level::INFO,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    // What is below says more than anybody wants to read, and lockd does not answer for what it says.
    let own = Targets::new().with_target("lockd", level).with_default(tracing::Level::WARN);
    match json {
        true => log.json().flatten_event(true).finish().with(own).init(),
        false => log.with_ansi(false).finish().with(own).init(),
    }
    Ok(())
}

/// Each connection is an open file. What the kernel does not give is missing only under load.
fn more_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(FILES_WANTED, |most| most.min(FILES_WANTED));
    if limit.current.is_some_and(|current| current < wanted) {
        let _as_it_was = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    }
}

/// Tells the metrics how long the store takes.
struct StoreTimes(Arc<Metrics>);

impl Observer for StoreTimes {
    fn answered(&self, operation: &'static str, well: bool, took: Duration) {
        self.0.stored(operation, well, took);
    }
}
