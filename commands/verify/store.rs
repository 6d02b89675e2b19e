//! `lockd verify store`: the checks, one after the other, in a place of their own that is gone afterwards.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use lockd::entropy::Entropy;
use lockd::error::{Error, ErrorKind, Result};
use lockd::limits::{CHECKS_AT_ONCE, CHUNK_BYTES};
use lockd::store::Store;
use lockd::store::conformance::{NOT_A_STORE, Report, Scratch, checks, large, speed};
use lockd::store::disk::examine::{self, Question};
use lockd::store::disk::{probe, scratch};
use lockd::store::open::{self, OpenOptions, StoreUrl};

use super::super::context::{Context, usage};
use super::super::interrupt::{self, Either};
use super::super::target::{Need, Place, choose};
use super::super::{duration, text};
use super::board::Board;
use super::crew::Crew;
use super::{peer, races, worker};

/// What a failed check exits with.
const FAILED: u8 = 1;

/// Check whether a store can hold locks
#[derive(clap::Args)]
#[command(
    long_about = "Check whether a store can hold locks: for whoever has just mounted or paid for something. One line for each check: ok, \
WARN or FAIL, its name, what was seen, and what to do. Needs no configuration, works in a place of its own inside the store, and \
leaves nothing behind. Exits 1 when a check failed.

  lockd verify store /mnt/nfs
  lockd verify store --quick
  lockd verify store --peer disk:///mnt/nfs/lockd

Several processes race each other, since locks that hold only within one process look fine to a check that runs in one. With \
--peer, run on two hosts at the same time, they meet through the store and race each other: do that for every directory that \
several hosts share."
)]
pub struct Args {
    /// A store's URL, or a directory [default: the store that the other commands use]
    #[arg(value_name = "URL|PATH")]
    url: Option<String>,
    /// Take less than five seconds
    #[arg(long, conflicts_with = "full", help_heading = "Verify")]
    quick: bool,
    /// Take minutes: more rounds, a large object of 100 MiB, and a soak
    #[arg(long, help_heading = "Verify")]
    full: bool,
    /// Let all processes race for so long at the end [default: 60s with --full, else not at all]
    #[arg(long, value_name = "DUR", help_heading = "Verify")]
    soak: Option<String>,
    /// How many processes race, from 2 to 64
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=64), help_heading = "Verify")]
    processes: u32,
    /// Meet the same command on another host through the store, and race it
    #[arg(long, conflicts_with_all = ["quick", "full", "soak", "restored"], help_heading = "Verify")]
    peer: bool,
    /// A backup was restored here: when all is well, raise the epoch, so that fencing tokens go on rising
    #[arg(long, help_heading = "Verify")]
    restored: bool,
    /// Accept a directory whose content is gone after a restart (tmpfs) with a warning
    #[arg(long, help_heading = "Verify")]
    allow_volatile: bool,
    /// Take orders from the process that started this one
    #[arg(long, hide = true, help_heading = "Verify")]
    worker: bool,
}

impl Args {
    /// How long the soak is.
    fn soak(&self) -> Result<Option<Duration>> {
        let read = |text: &String| duration::parse(text).map_err(|why| usage("--soak", &why));
        let typed = self.soak.as_ref().map(read).transpose()?;
        Ok(typed.or(self.full.then_some(Duration::from_secs(60))))
    }

    /// Rounds of each race between processes.
    const fn rounds(&self) -> usize {
        match (self.quick, self.full) {
            (true, _) => 8,
            (_, true) => 200,
            _ => 30,
        }
    }

    /// Chunks of the large object.
    const fn chunks(&self) -> usize {
        let mib = match (self.quick, self.full) {
            (true, _) => 1,
            (_, true) => 100,
            _ => 16,
        };
        mib * 1024 * 1024 / CHUNK_BYTES
    }
}

/// What is checked, and where the checks have their place.
pub struct Job<'a> {
    /// The command's surroundings.
    pub context: &'a Context,
    /// What was typed.
    pub args: &'a Args,
    /// Where the answers go.
    pub board: &'a Board,
    /// The store.
    pub place: Place,
    /// Its URL.
    pub url: StoreUrl,
    /// Around the checks' place: the store itself, or the nearest directory above one that will be made.
    pub around: StoreUrl,
    /// The name of the checks' place inside it.
    pub name: String,
}

/// Runs the command.
///
/// # Errors
/// When the question is malformed, or what was made for the checks stays behind.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    if args.worker {
        return worker::run(context);
    }
    let (format, soak) = (context.format()?, args.soak()?);
    let place = place(context, args)?;
    let url = StoreUrl::parse(&place.url)?;
    let entropy: &dyn Entropy = &*context.entropy;
    let id = if args.peer { "peer".to_owned() } else { hex::encode(entropy.bytes::<8>()) };
    let name = format!("{}{id}", scratch::PREFIX);
    let board = Board::new(context, format, &place.url);
    let around = match (&url, &place.embedded) {
        (StoreUrl::Disk(path), Some(_)) => StoreUrl::Disk(examine::nearest(path).to_owned()),
        _ => url.clone(),
    };
    let job = Job { context, args, board: &board, place, url, around, name };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::io("start the runtime", &e))?;
    let exit = runtime.block_on(job.run(soak));
    // A file system that hangs must not keep Ctrl-C from working.
    runtime.shutdown_background();
    exit
}

/// The store that is meant.
fn place(context: &Context, args: &Args) -> Result<Place> {
    let Some(operand) = &args.url else { return context.place(Need::Trial) };
    if context.flags.store.is_some() {
        return Err(usage("--store", "the store is named already, as URL or PATH"));
    }
    let url = if operand.contains("://") { operand.clone() } else { directory_url(operand)? };
    choose(&context.settings.with_flag("store", Some(&url)), &context.environment, Need::Trial)
}

fn directory_url(path: &str) -> Result<String> {
    let path = Path::new(path);
    let absolute = std::path::absolute(path).map_err(|e| usage("PATH", &e.to_string()))?;
    let climbs = absolute.components().any(|part| part == std::path::Component::ParentDir);
    let known = if climbs { absolute.canonicalize().unwrap_or(absolute) } else { absolute };
    Ok(StoreUrl::Disk(known).to_text())
}

impl Job<'_> {
    async fn run(&self, soak: Option<Duration>) -> Result<u8> {
        let work = async {
            let work = std::pin::pin!(self.check(soak));
            let ticks = std::pin::pin!(self.board.ticks(&*self.context.clock));
            match futures_util::future::select(work, ticks).await {
                futures_util::future::Either::Left((done, _)) => done,
                futures_util::future::Either::Right((never, _)) => match never {},
            }
        };
        let ended = interrupt::or_signal(work).await?;
        self.board.quiet();
        let removed = match &ended {
            // The other host is still at it, or removes it.
            Either::Done(Leave::ToTheOther) => Ok(()),
            _ => open::remove(&self.inside(), &self.options()).await,
        };
        match ended {
            Either::Signal(signal) => removed.map(|()| interrupt::exit_code(signal)),
            Either::Done(_) => {
                let failed = self.board.finish()?;
                removed.map(|()| if failed { FAILED } else { 0 })
            }
        }
    }

    /// How stores are opened.
    pub fn options(&self) -> OpenOptions {
        options(self.context)
    }

    /// Rounds of each race between processes.
    pub const fn rounds(&self) -> usize {
        self.args.rounds()
    }

    /// The checks' place inside the store.
    pub fn inside(&self) -> StoreUrl {
        self.around.inside(&self.name)
    }

    /// The checks' directory, for directories.
    pub fn directory(&self) -> Option<PathBuf> {
        match self.inside() {
            StoreUrl::Disk(path) => Some(path),
            StoreUrl::Memory => None,
        }
    }

    async fn check(&self, soak: Option<Duration>) -> Leave {
        if !self.look().await {
            return Leave::Remove;
        }
        self.board.doing("opening a store of the checks' own");
        let inner = self.inside().inside("store");
        let opened = match open::open(&inner.to_text(), self.options()).await {
            Ok(opened) => opened,
            Err(e) => {
                let advice = e.hint().unwrap_or("look at the place itself").to_owned();
                self.board.add(Report::fail("open", e.message(), advice));
                return Leave::Remove;
            }
        };
        self.board.add(Report::ok("open", format!("a store can be made and opened: {}", opened.store.facts.about)));
        if self.args.peer {
            return peer::check(self, &opened.store).await;
        }
        self.alone(&opened.store).await;
        if self.url == StoreUrl::Memory {
            self.board.add(Report::ok("processes", "memory is in this process: there is nobody to race"));
        } else {
            self.together(&opened.store, &inner, soak).await;
        }
        self.restored().await;
        Leave::Remove
    }

    /// What can be told of the place itself. Whether it goes on.
    async fn look(&self) -> bool {
        let StoreUrl::Disk(path) = &self.url else { return true };
        self.board.doing("looking at the directory");
        let question = Question {
            path: path.clone(),
            may_be_missing: self.place.embedded.is_some(),
            fstab: self.options().fstab,
            volatile: self.args.allow_volatile,
            scratch: self.name.clone(),
        };
        let answer = probe::place(question, std::sync::Arc::clone(&self.context.clock)).await;
        answer.reports.into_iter().for_each(|report| self.board.add(report));
        answer.scratch.is_some()
    }

    /// The store's contract, its speed, and a large object, by this process.
    async fn alone(&self, store: &Store) {
        let new = || Scratch::new(store, &*self.context.clock, &*self.context.entropy).hurried(self.args.quick);
        self.board.doing("the contract of a store");
        let mut running =
            stream::iter(checks()).map(|check| async { check.run(&new()).await }).buffered(CHECKS_AT_ONCE);
        while let Some(report) = running.next().await {
            self.board.add(report);
        }
        drop(running);
        self.board.doing("measuring its speed");
        match speed::measure(&new()).await {
            Err(why) => self.board.add(Report::from_seen("speed", Err(why), NOT_A_STORE)),
            Ok(speed) => {
                self.board.add(Report::ok("speed", speed.to_string()));
                let shortest = speed.shortest_ttl(store.facts.ttl_min);
                self.board.add(ttl(shortest));
                self.board.measured(&speed, shortest);
            }
        }
        self.board.doing("a large object");
        let seen = large::round_trip(&new(), self.args.chunks()).await.map(|trip| {
            let bytes = (self.args.chunks() * CHUNK_BYTES) as u64;
            format!("{} up at {}, down at {}", text::size(bytes), rate(bytes, trip.up), rate(bytes, trip.down))
        });
        let advice = "do not use this store for large states: look at its permissions and its free space";
        self.board.add(Report::from_seen("large-object", seen, advice).of("B1"));
    }

    /// Several processes at once.
    async fn together(&self, store: &Store, inner: &StoreUrl, soak: Option<Duration>) {
        self.board.doing("starting processes that race");
        let count = self.args.processes as usize;
        let started = Crew::start(count, &inner.to_text(), self.directory().as_deref(), &*self.context.clock).await;
        let mut crew = match started {
            Ok(crew) => crew,
            Err(why) => return self.board.add(Report::from_seen("processes", Err(why), NOT_A_STORE)),
        };
        races::run(self, store, &mut crew, soak).await;
        crew.end().await;
    }

    /// Raises the epoch, when that was asked for and nothing speaks against it.
    async fn restored(&self) {
        const ID: &str = "restored";
        if !self.args.restored {
            return;
        }
        if self.board.has_failed() {
            let advice = "make the checks above pass first, then run it again: until then use the store for nothing";
            return self.board.add(Report::fail(ID, "the epoch was not raised, because a check failed", advice));
        }
        let report = match open::raise_epoch(&self.url, &self.options()).await {
            Ok((old, new)) => {
                Report::ok(ID, format!("the epoch went from {old} to {new}: every new token is above all old ones"))
            }
            Err(e) => {
                let advice = e.hint().unwrap_or("run it again").to_owned();
                Report::fail(ID, format!("the epoch was not raised: {}", e.message()), advice)
            }
        };
        self.board.add(report);
    }
}

/// Who removes the checks' place.
pub enum Leave {
    /// This process.
    Remove,
    /// The other host.
    ToTheOther,
}

/// How stores are opened, by the command and by its workers.
pub fn options(context: &Context) -> OpenOptions {
    let (clock, entropy) = (std::sync::Arc::clone(&context.clock), std::sync::Arc::clone(&context.entropy));
    OpenOptions { clock, entropy, ..OpenOptions::system() }
}

fn ttl(shortest: Option<Duration>) -> Report {
    const ID: &str = "ttl";
    const ADVICE: &str = "give every lease a longer --ttl (LOCKD_TTL), or use a faster store";
    match shortest {
        None => Report::fail(ID, "no lease can be renewed in time here", "use a faster store"),
        Some(ttl) => {
            let saw = format!("leases of {} and longer can be renewed in time", duration::human(ttl));
            if ttl > lockd::limits::TTL_DEFAULT { Report::warn(ID, saw, ADVICE) } else { Report::ok(ID, saw) }
        }
    }
}

fn rate(bytes: u64, time: Duration) -> String {
    let per_second = u128::from(bytes) * 1_000_000_000 / time.as_nanos().max(1);
    format!("{}/s", text::size(u64::try_from(per_second).unwrap_or(u64::MAX)))
}

/// An order or a reply that could not be read or written.
pub fn wire_error(e: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("between the processes of verify: {e}"))
}
