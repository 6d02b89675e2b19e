//! The checks of a store, one after the other, in a place of their own inside it that is gone afterwards.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use lockd::entropy::Entropy;
use lockd::error::{Error, Result};
use lockd::limits::{CHECKS_AT_ONCE, CHUNK_BYTES};
use lockd::store::Store;
use lockd::store::conformance::{NOT_A_STORE, Report, Scratch, checks, large, speed};
use lockd::store::disk::{examine, scratch};
use lockd::store::open::{self, OpenOptions, StoreUrl};
use lockd::store::place;

use super::super::context::Context;
use super::super::interrupt::{self, Either};
use super::super::target::Place;
use super::super::{duration, text};
use super::board::Board;
use super::crew::Crew;
use super::watchman::Watchman;
use super::{peer, races};

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Fewer repetitions of what one process does.
    hurried: bool,
    /// Rounds of each race between processes.
    pub rounds: usize,
    /// MiB of the large object.
    mib: usize,
}

impl Size {
    /// In seconds.
    pub const QUICK: Self = Self { hurried: true, rounds: 8, mib: 1 };
    /// When nothing is said.
    pub const USUAL: Self = Self { hurried: false, rounds: 30, mib: 16 };
    /// In minutes.
    pub const FULL: Self = Self { hurried: false, rounds: 200, mib: 100 };

    /// Chunks of the large object.
    const fn chunks(self) -> usize {
        self.mib * 1024 * 1024 / CHUNK_BYTES
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How much of it.
    pub size: Size,
    /// How long all processes race at the end.
    pub soak: Option<Duration>,
    /// How many there are.
    pub processes: usize,
    /// Whether another host is met, instead of all that one host can do.
    pub peer: bool,
    /// Whether the epoch is raised at the end.
    pub restored: bool,
    /// Whether it is accepted that everything is gone after a restart.
    pub volatile: bool,
}

/// What is checked, and where the checks have their place.
pub struct Job<'a> {
    /// The command's surroundings.
    pub context: &'a Context,
    /// What is to be done.
    pub plan: Plan,
    /// Where the answers go.
    pub board: &'a Board,
    /// The store.
    pub place: Place,
    /// Its URL.
    pub url: StoreUrl,
    /// How it is opened.
    pub options: OpenOptions,
    /// Around the checks' place: the store itself, or the nearest directory above one that will be made.
    around: StoreUrl,
    /// The name of the checks' place inside it.
    name: String,
}

impl<'a> Job<'a> {
    /// Nothing is done yet.
    ///
    /// # Errors
    /// When the URL or the settings of the store are malformed.
    pub fn new(context: &'a Context, plan: Plan, board: &'a Board, place: Place) -> Result<Self> {
        let url = StoreUrl::parse(&place.url)?;
        let options = context.options(&place.url)?;
        let entropy: &dyn Entropy = &*context.entropy;
        let id = if plan.peer { "peer".to_owned() } else { hex::encode(entropy.bytes::<8>()) };
        let name = format!("{}{id}", scratch::PREFIX);
        let around = match (&url, &place.embedded) {
            (StoreUrl::Disk(path), Some(_)) => StoreUrl::Disk(examine::nearest(path).to_owned()),
            _ => url.clone(),
        };
        Ok(Self { context, plan, board, place, url, options, around, name })
    }

    /// Checks, and removes what was made for that. A signal ends it early.
    ///
    /// # Errors
    /// When it cannot be started; after a signal, when something stays behind.
    pub fn run(&self) -> Result<Either<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Error::io("start the runtime", &e))?;
        let ended = runtime.block_on(self.run_there());
        // A file system that hangs must not keep Ctrl-C from working.
        runtime.shutdown_background();
        ended
    }

    async fn run_there(&self) -> Result<Either<()>> {
        // Before anything is made. Where two hosts meet the other one may still be at it.
        let watchman = match self.plan.peer || self.url == StoreUrl::Memory {
            true => None,
            false => Some(Watchman::start(&self.inside()).await?),
        };
        let ended = self.run_watched().await;
        if let Some(watchman) = watchman {
            watchman.dismiss(&*self.context.clock).await;
        }
        ended
    }

    async fn run_watched(&self) -> Result<Either<()>> {
        let work = async {
            let work = std::pin::pin!(self.check());
            let ticks = std::pin::pin!(self.board.ticks(&*self.context.clock));
            match futures_util::future::select(work, ticks).await {
                futures_util::future::Either::Left((done, _)) => done,
                futures_util::future::Either::Right((never, _)) => match never {},
            }
        };
        let ended = interrupt::or_signal(work).await?;
        self.board.quiet();
        match ended {
            Either::Signal(signal) => self.clean_up().await.map(|()| Either::Signal(signal)),
            Either::Done(Leave::AsItIs) => Ok(Either::Done(())),
            Either::Done(Leave::Remove) => {
                if let Err(e) = self.clean_up().await {
                    let advice = e.hint().unwrap_or("remove it by hand").to_owned();
                    self.board.add(Report::fail("cleanup", e.message(), advice));
                }
                Ok(Either::Done(()))
            }
        }
    }

    async fn clean_up(&self) -> Result<()> {
        let removed = open::remove(&self.inside(), &self.options).await;
        removed.map_err(|e| e.context(format_args!("{} may stay behind", self.inside().to_text())))
    }

    /// The checks' place inside the store.
    pub fn inside(&self) -> StoreUrl {
        self.around.inside(&self.name)
    }

    /// The checks' directory, for directories whose names stores use.
    pub fn directory(&self) -> Option<PathBuf> {
        self.inside().directory().map(|(path, _)| path.to_owned())
    }

    async fn check(&self) -> Leave {
        self.board.doing("looking at the place");
        let found = self.look().await;
        found.reports.into_iter().for_each(|report| self.board.add(report));
        if !found.goes_on {
            return if found.left { Leave::Remove } else { Leave::AsItIs };
        }
        self.board.doing("opening a store of the checks' own");
        let inner = self.inside().inside("store");
        let opened = match open::open(&inner.to_text(), self.options.clone()).await {
            Ok(opened) => opened,
            Err(e) => {
                let advice = e.hint().unwrap_or("look at the place itself").to_owned();
                self.board.add(Report::fail("open", e.message(), advice));
                return Leave::Remove;
            }
        };
        self.board.add(Report::ok("open", format!("a store can be made and opened: {}", opened.store.facts.about)));
        if self.plan.peer {
            return peer::check(self, &opened.store).await;
        }
        self.alone(&opened.store).await;
        match self.url {
            StoreUrl::Memory => {
                self.board.add(Report::ok("processes", "memory is in this process: there is nobody to race"));
            }
            StoreUrl::Lsm(_) => self.kept_out(&inner).await,
            StoreUrl::Disk(_) | StoreUrl::S3 { .. } | StoreUrl::Azure { .. } => {
                self.together(&opened.store, &inner).await;
            }
        }
        self.restored().await;
        Leave::Remove
    }

    /// What can be told of the place itself.
    async fn look(&self) -> place::Answer {
        let may_be_missing = self.place.embedded.is_some();
        let place = place::Place { url: &self.url, scratch: &self.name, may_be_missing, volatile: self.plan.volatile };
        place::look(place, &self.options).await
    }

    /// The store's contract, its speed, and a large object, by this process.
    async fn alone(&self, store: &Store) {
        let new = || Scratch::new(store, &*self.context.clock, &*self.context.entropy).hurried(self.plan.size.hurried);
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
        let seen = large::round_trip(&new(), self.plan.size.chunks()).await.map(|trip| {
            let bytes = (self.plan.size.chunks() * CHUNK_BYTES) as u64;
            format!("{} up at {}, down at {}", text::size(bytes), rate(bytes, trip.up), rate(bytes, trip.down))
        });
        let advice = "do not use this store for large states: look at its permissions and its free space";
        self.board.add(Report::from_seen("large-object", seen, advice).of("B1"));
    }

    /// Several processes at once.
    async fn together(&self, store: &Store, inner: &StoreUrl) {
        self.board.doing("starting processes that race");
        let place = self.inside();
        let started = Crew::start(self.plan.processes, inner, &place, &*self.context.clock).await;
        let mut crew = match started {
            Ok(crew) => crew,
            Err(why) => return self.board.add(Report::from_seen("processes", Err(why), NOT_A_STORE)),
        };
        races::run(self, store, &mut crew).await;
        crew.end().await;
    }

    /// Another process, where one at a time is the rule.
    async fn kept_out(&self, inner: &StoreUrl) {
        self.board.doing("opening it in another process too");
        let seen = Crew::kept_out(inner, &self.inside(), &*self.context.clock).await;
        let advice = "do not use an lsm:// store here: two processes would write over each other";
        self.board.add(Report::from_seen("processes", seen, advice).of("R2"));
    }

    /// Raises the epoch, when that was asked for and nothing speaks against it.
    async fn restored(&self) {
        const ID: &str = "restored";
        if !self.plan.restored {
            return;
        }
        if self.board.has_failed() {
            let advice = "make the checks above pass first, then run it again: until then use the store for nothing";
            return self.board.add(Report::fail(ID, "the epoch was not raised, because a check failed", advice));
        }
        let report = match open::raise_epoch(&self.url, &self.options).await {
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

/// What becomes of the checks' place.
pub enum Leave {
    /// It is removed.
    Remove,
    /// It stays: nothing was made in it, or the other host is still at it and removes it.
    AsItIs,
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
