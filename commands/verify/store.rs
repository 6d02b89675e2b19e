//! `lockd verify store`: what is asked, and its exit code.

use std::path::Path;
use std::time::Duration;

use lockd::error::Result;
use lockd::store::open::StoreUrl;

use super::super::context::{Context, usage};
use super::super::duration;
use super::super::interrupt::{self, Either};
use super::super::target::{Need, Place, choose};
use super::board::{Board, Show};
use super::job::{Job, Plan, Size};
use super::worker;

/// What a failed check exits with.
const FAILED: u8 = 1;
/// How long the soak of `--full` is.
const FULL_SOAK: Duration = Duration::from_secs(60);

/// Check whether a store can hold locks
#[derive(clap::Args)]
#[command(
    long_about = "Check whether a store can hold locks: for whoever has just mounted or paid for something. One line for each check: ok, \
WARN or FAIL, its name, what was seen, and what to do. Needs no configuration, works in a place of its own inside the store, and \
leaves nothing behind. Exits 1 when a check failed.

  lockd verify store /mnt/nfs
  lockd verify store --quick
  lockd verify store --peer disk:///mnt/nfs/lockd
  lockd --env-file .env.s3 verify store s3://my-bucket/lockd

Several processes race each other, since locks that hold only within one process look fine to a check that runs in one. With \
--peer, run on two hosts at the same time, they meet through the store and race each other: do that for every directory that \
several hosts share. In a bucket or container each permission is tried by name; the policy that would do is printed when one is \
missing. Of an lsm:// store, which one process at a time has open, it is checked that a second one is kept out."
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
    /// What is to be done.
    fn plan(&self) -> Result<Plan> {
        let read = |text: &String| duration::parse(text).map_err(|why| usage("--soak", &why));
        let typed = self.soak.as_ref().map(read).transpose()?;
        let size = match (self.quick, self.full) {
            (true, _) => Size::QUICK,
            (_, true) => Size::FULL,
            _ => Size::USUAL,
        };
        Ok(Plan {
            size,
            soak: typed.or(self.full.then_some(FULL_SOAK)),
            processes: self.processes as usize,
            peer: self.peer,
            restored: self.restored,
            volatile: self.allow_volatile,
        })
    }
}

/// Runs the command.
///
/// # Errors
/// When the question is malformed.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    if args.worker {
        return worker::run(context);
    }
    let (format, plan) = (context.format()?, args.plan()?);
    let place = place(context, args)?;
    let board = Board::new(context, Show::As(format), &place.url);
    match Job::new(context, plan, &board, place)?.run()? {
        Either::Signal(signal) => Ok(interrupt::exit_code(signal)),
        Either::Done(()) => Ok(if board.finish()? { FAILED } else { 0 }),
    }
}

/// The store that is meant.
fn place(context: &Context, args: &Args) -> Result<Place> {
    let Some(operand) = &args.url else { return context.place(Need::Verify) };
    if context.flags.store.is_some() {
        return Err(usage("--store", "the store is named already, as URL or PATH"));
    }
    let url = if operand.contains("://") { operand.clone() } else { directory_url(operand)? };
    choose(&context.settings.with_flag("store", Some(&url)), &context.environment, Need::Verify)
}

fn directory_url(path: &str) -> Result<String> {
    let path = Path::new(path);
    let absolute = std::path::absolute(path).map_err(|e| usage("PATH", &e.to_string()))?;
    let climbs = absolute.components().any(|part| part == std::path::Component::ParentDir);
    let known = if climbs { absolute.canonicalize().unwrap_or(absolute) } else { absolute };
    Ok(StoreUrl::Disk(known).to_text())
}
