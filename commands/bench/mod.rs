//! `lockd bench`: how fast a store is, as a user would feel it.

mod baseline;
mod board;
mod crash;
mod document;
mod generator;
mod latencies;
mod ledger;
mod load;
mod measurement;
mod memory;
mod meter;
mod place;
mod plan;
mod processors;
mod report;
mod statistics;
mod suites;

use std::path::PathBuf;

use lockd::error::{Error, Result};
use lockd::limits::RELEASE_TRY;

use super::context::Context;
use super::interrupt::{self, Either};
use baseline::Baseline;
use measurement::{Answers, Measurement};
use place::{Place, Site};
use plan::Plan;
use suites::Suite;

/// Measure how fast a store is
#[derive(clap::Args)]
#[command(
    long_about = "Measure what a user would feel, on any store or over servers, the same everywhere: operations a second and how long they \
take, what they cost in processor time and in requests to the store. It works in a place of its own inside the store and leaves \
nothing behind; nothing that is there is touched. Interrupted, it prints what was measured so far.

  lockd bench
  lockd bench lease handoff --store disk:///mnt/nfs/lockd --clients 1,16,64
  lockd bench lease --rate 500 --duration 30s --json > today.json
  lockd bench --server unix:///run/lockd.sock --clients 1,16,64
  lockd bench --baseline yesterday.json --tolerance 15% --report today.html

Each work is warmed up and then run several times. OP/S is the median of the runs, ± half of the distance between the lowest and the \
highest; latencies are of all operations of all runs. N is the number of clients, REQ counts the requests to the store for one \
operation, CPU/OP is the processor time of this process, its load generator's included, ERR counts operations that failed or \
could not begin in time. Exits 1 when an operation failed, or `crash` found that something was lost.

With --server each client is one of its own, and begins at the next of the servers; CPU/OP is that of the load alone. Keys are \
those of the namespace `lockd-bench`; their states are removed at the end, the keys stay for the next time, and one measurement \
at a time works on them.

With --baseline each work is compared with the same work by as many clients: the ratios of all pairs of a run now and a run then, and of \
these the median. Exits 1 when operations a second or the median latency are worse than --tolerance allows. Machines are noisy: \
compare on one, shortly after each other, when nothing else is going on.

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
    /// Keys of the suite `scale`; several numbers, each in its turn
    #[arg(long, value_name = "N[,N]", value_delimiter = ',', default_value = "1000,10000", help_heading = "Bench")]
    keys: Vec<String>,
    /// Sizes of the state in the suite `update`; several, each in its turn
    #[arg(
        long,
        value_name = "SIZE[,SIZE]",
        value_delimiter = ',',
        default_value = "1KiB,5MiB",
        help_heading = "Bench"
    )]
    states: Vec<String>,
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
    /// Compare with this file, which an earlier run with --json printed
    #[arg(long, value_name = "FILE", help_heading = "Bench")]
    baseline: Option<PathBuf>,
    /// How much worse than the baseline operations a second or median latency may be
    #[arg(long, value_name = "PERCENT", default_value = "10%", help_heading = "Bench")]
    tolerance: String,
    /// For `crash`: be one of the processes that are killed
    #[arg(long, hide = true, help_heading = "Bench")]
    worker: bool,
    /// Write a page with plots to this file: HTML that needs nothing else
    #[arg(long, value_name = "FILE", help_heading = "Bench")]
    report: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When something typed is malformed, the store cannot be used, or its place in it stays behind.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    if args.worker {
        return crash::worker::run(context);
    }
    let site = Site::choose(context)?;
    let plan = Plan::new(args, &site)?;
    for (suite, why) in plan.left_out(&site) {
        context.voice.note(&format!("{} is left out: {why}", suite.name()));
    }
    let baseline = args.baseline.as_deref().map(Baseline::read).transpose()?;
    let answers = Answers::new(context, baseline, args.report.as_deref())?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // Engines have all processors, as in a server. Clients leave half of them to the servers, which may be on this machine.
    if let Site::Servers(_) = site {
        runtime.worker_threads(std::thread::available_parallelism().map_or(1, |all| all.get().div_ceil(2)));
    }
    let runtime = runtime.enable_all().build().map_err(|e| Error::io("start the runtime", &e))?;
    let exit = runtime.block_on(measured(context, &plan, answers, &site));
    // What still uses the place ends before it is removed; a file system that hangs must not keep an interrupt from working.
    runtime.shutdown_timeout(RELEASE_TRY);
    let removed = site.remove(context);
    exit.and_then(|exit| removed.map(|()| exit))
}

async fn measured(context: &Context, plan: &Plan, answers: Answers, site: &Site) -> Result<u8> {
    let reserved = async {
        let place = Place::open(context, site, plan).await?;
        let running = place.reserve().await?;
        Ok::<_, Error>((place, running))
    };
    let (place, running) = match interrupt::or_signal(reserved).await? {
        Either::Done(reserved) => reserved?,
        Either::Signal(signal) => return Ok(interrupt::exit_code(signal)),
    };
    let exit = Measurement::new(context, plan, answers, &place).run().await;
    match interrupt::or_signal(place.clear()).await? {
        Either::Done(cleared) => exit.as_ref().map_or(Ok(()), |_| cleared)?,
        Either::Signal(signal) => return Ok(interrupt::exit_code(signal)),
    }
    if let Some(running) = running {
        running.close().await;
    }
    exit
}
