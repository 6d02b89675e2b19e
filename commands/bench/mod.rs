//! `lockd bench`: how fast a store is, as a user would feel it.

mod board;
mod document;
mod generator;
mod latencies;
mod ledger;
mod load;
mod memory;
mod meter;
mod place;
mod plan;
mod statistics;
mod suites;

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either as First, select};
use lockd::error::{Error, Result};
use lockd::limits::RELEASE_TRY;

use super::context::Context;
use super::interrupt::{self, Either};
use super::output::{self, Format};
use document::Document;
use ledger::{Ledger, Measured};
use load::{Laps, Load, Sheet, Work, drive};
use meter::Meter;
use place::Place;
use plan::Plan;
use suites::Suite;

/// What an operation that failed makes of the exit code.
const FAILED: u8 = 1;

/// Measure how fast a store is
#[derive(clap::Args)]
#[command(
    long_about = "Measure what a user would feel, on any store, the same everywhere: operations a second and how long they take, what they \
cost in processor time and in requests to the store. It works in a place of its own inside the store and leaves nothing behind; \
nothing that is there is touched. Interrupted, it prints what was measured so far.

  lockd bench
  lockd bench lease handoff --store disk:///mnt/nfs/lockd --clients 1,16,64
  lockd bench lease --rate 500 --duration 30s --json > today.json

Each work is warmed up and then run several times. OP/S is the median of the runs, ± half of the distance between the lowest and the \
highest; latencies are of all operations of all runs. N is the number of clients, REQ counts the requests to the store for one \
operation, CPU/OP is the processor time of this process, its load generator's included, ERR counts operations that failed or \
could not begin in time. Exits 1 when an operation failed.

Clients begin the next operation when the last one was answered. With --rate they begin when it is due, and a latency counts from \
then: a store that stands still for a second is not asked less often for that."
)]
pub struct Args {
    /// What to measure [default: all]
    #[arg(value_enum, value_name = "SUITE")]
    suites: Vec<Suite>,
    /// Clients at the same time; several numbers, each in its turn
    #[arg(long, value_name = "N[,N]", value_delimiter = ',', default_value = "16", help_heading = "Bench")]
    clients: Vec<String>,
    /// Engines on the store, as many processes would have; clients take turns
    #[arg(long, value_name = "N", default_value = "1", help_heading = "Bench")]
    replicas: String,
    /// Runs of each work
    #[arg(long, value_name = "N", default_value = "5", help_heading = "Bench")]
    runs: String,
    /// How long a run is
    #[arg(long, value_name = "DUR", default_value = "2s", help_heading = "Bench")]
    duration: String,
    /// Operations that are due a second, by all clients together [default: as many as they can]
    #[arg(long, value_name = "N", help_heading = "Bench")]
    rate: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// When something typed is malformed, the store cannot be used, or its place in it stays behind.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    let (format, plan) = (context.format()?, Plan::new(args)?);
    // As a server has it: clients and engines are on all processors.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::io("start the runtime", &e))?;
    let exit = runtime.block_on(in_place(context, &plan, format));
    // A file system that hangs must not keep an interrupt from working.
    runtime.shutdown_background();
    exit
}

async fn in_place(context: &Context, plan: &Plan, format: Format) -> Result<u8> {
    let mut opening = pin!(Place::open(context, plan.replicas));
    let place = match interrupt::or_signal(opening.as_mut()).await? {
        Either::Done(place) => place?,
        Either::Signal(signal) => {
            let until = context.clock.boot() + RELEASE_TRY;
            if let Some(Ok(place)) = context.clock.timeout_at(until, opening).await {
                place.remove(context).await?;
            }
            return Ok(interrupt::exit_code(signal));
        }
    };
    let measured = Bench::new(context, plan, format, &place).run().await;
    let removed = place.remove(context).await;
    let exit = measured?;
    removed.map(|()| exit)
}

/// A measurement under way.
struct Bench<'a> {
    context: &'a Context,
    plan: &'a Plan,
    format: Format,
    place: &'a Place,
    ledger: Ledger,
    meter: Meter,
}

impl<'a> Bench<'a> {
    fn new(context: &'a Context, plan: &'a Plan, format: Format, place: &'a Place) -> Self {
        let works = plan.suites.iter().map(|suite| suite.names().len()).sum::<usize>() * plan.clients.len();
        let ledger = Ledger::new(Arc::clone(&context.clock), Arc::clone(&place.requests));
        Self { context, plan, format, place, ledger, meter: Meter::new(context, plan.length(works)) }
    }

    /// Measures until all is done or a signal comes, and prints what there is.
    async fn run(self) -> Result<u8> {
        let began = self.context.clock.wall();
        if cfg!(debug_assertions) {
            self.context.voice.note("this build of lockd is not optimized: its figures say little");
        }
        self.print(|| board::title(&self.place.facts, self.plan) + &board::head())?;
        let work = async {
            match select(pin!(self.suites()), pin!(self.meter.ticks(&*self.context.clock))).await {
                First::Left((done, _)) => done,
                First::Right((never, _)) => match never {},
            }
        };
        let ended = interrupt::or_signal(work).await?;
        // Of an error, too, what came before it is worth having.
        self.close()?;
        let all = self.ledger.done();
        let signal = match ended {
            Either::Done(done) => done.map(|()| None)?,
            Either::Signal(signal) => Some(signal),
        };
        self.print(|| if all.is_empty() { String::new() } else { board::foot(&all) })?;
        if self.format != Format::Text {
            let document = Document::new(&self.place.facts, self.plan, began, signal.is_some(), &all);
            self.meter.aside(|| output::print(output::document(self.format, &document)?))?;
        }
        let failed = all.iter().any(|measured| measured.tally().failed() > 0);
        Ok(signal.map_or(if failed { FAILED } else { 0 }, interrupt::exit_code))
    }

    async fn suites(&self) -> Result<()> {
        for clients in &self.plan.clients {
            let generator = generator::cost(*clients, &self.context.clock).await?;
            for suite in &self.plan.suites {
                for (name, work) in suite.works(self.place, *clients)? {
                    let measured = Measured {
                        suite: *suite,
                        work: name,
                        steps: work.steps(),
                        clients: *clients,
                        runs: Vec::new(),
                        peak_memory: None,
                        generator,
                    };
                    self.measure(measured, &work).await?;
                }
            }
        }
        Ok(())
    }

    async fn measure(&self, measured: Measured, work: &Arc<dyn Work>) -> Result<()> {
        let (plan, clock, name) = (self.plan, &self.context.clock, measured.work);
        let load = Load { clients: measured.clients, pace: plan.pace, duration: plan.duration };
        self.meter.say(format!("{name}, warm-up"));
        // What does not work at all is an error, and not a figure.
        work.once(0, &mut Laps::start(&**clock)).await.map_err(|e| e.context(name))?;
        drive(work, Load { duration: plan.warm_up(), ..load }, clock, &Arc::new(Sheet::default())).await?;
        memory::forget_peak();
        self.ledger.begin(measured);
        for run in 1..=plan.runs {
            self.meter.say(format!("{name}, run {run} of {}", plan.runs));
            let sheet = self.ledger.begin_run();
            drive(work, load, clock, &sheet).await?;
            self.ledger.end_run();
        }
        self.close()
    }

    /// Closes the present work, also one that was broken off, and prints what it came to.
    fn close(&self) -> Result<()> {
        let Some(measured) = self.ledger.end(memory::peak()) else { return Ok(()) };
        self.print(|| board::rows(&measured))?;
        self.meter.aside(|| board::complaints(&measured).iter().for_each(|line| self.context.voice.warn(line)));
        Ok(())
    }

    /// Prints for people, when they are asked for.
    fn print(&self, text: impl FnOnce() -> String) -> Result<()> {
        match self.format {
            Format::Text => self.meter.aside(|| output::print(text())),
            Format::Json | Format::Yaml => Ok(()),
        }
    }
}
