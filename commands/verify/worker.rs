//! One of the processes that race: it takes orders from the one that started it, line by line, and answers each.
//!
//! When that one is gone without a word, the workers remove what was made for the checks, and end.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lockd::error::{Error, ErrorKind, Result};
use lockd::store::conformance::race::increments;
use lockd::store::conformance::round::{Part, part};
use lockd::store::conformance::{Flaw, Scratch};
use lockd::store::disk::names::{Act, Saw, act};
use lockd::store::open::{self, OpenOptions, Opened, StoreUrl};
use lockd::store::{Etag, Precondition};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use serde::{Deserialize, Serialize};

use super::super::context::Context;

/// The namespace that all of them use.
pub const NAMESPACE: &str = "verify-processes";

/// The first line: where the race is.
#[derive(Serialize, Deserialize)]
pub struct Begin {
    /// The store of the checks; whoever is not told it races nobody, and only waits for the end.
    pub url: Option<String>,
    /// The place of the checks, around that.
    pub place: String,
}

/// What a worker is to do.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Put once: if absent, or when this etag matches.
    Put { name: String, etag: Option<String> },
    /// Add to the counter so many times.
    Count { rounds: u64 },
    /// Add to the counter for so long.
    Soak { millis: u64 },
    /// Do something with a name in the directory.
    Act(Act),
    /// Nothing more is to come.
    End,
}

/// What came of it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The store is open.
    Ready,
    /// Another process has it, and one at a time is the rule.
    KeptOut,
    /// Of `Put`.
    Part(Part),
    /// Of `Count` and `Soak`: how often.
    Counted(u64),
    /// Of `Act`.
    Saw(Saw),
    /// It could not be done.
    Failed(Flaw),
}

/// Takes orders until none come any more.
///
/// # Errors
/// When the first line is not one of lockd's.
pub fn run(context: &Context) -> Result<u8> {
    let mut lines = std::io::stdin().lock().lines();
    let first = lines.next().transpose().map_err(wire_error)?.unwrap_or_default();
    let begin: Begin = serde_json::from_str(&first).map_err(wire_error)?;
    let (place, options) = (StoreUrl::parse(&begin.place)?, context.options(&begin.place)?);
    context.block_on(async {
        let dismissed = match &begin.url {
            None => matches!(lines.next(), Some(Ok(line)) if matches!(serde_json::from_str(&line), Ok(Order::End))),
            Some(url) => race(context, url, &place, &options, lines).await,
        };
        if !dismissed {
            open::remove(&place, &options).await?;
        }
        Ok(0)
    })
}

/// Whether it was sent home.
async fn race(
    context: &Context,
    url: &str,
    place: &StoreUrl,
    options: &OpenOptions,
    lines: impl Iterator<Item = std::io::Result<String>>,
) -> bool {
    let directory = place.directory().map(|(path, _)| path.to_owned());
    match open::open(url, options.clone()).await {
        Err(e) if e.kind() == ErrorKind::Unavailable && matches!(place, StoreUrl::Lsm(_)) => {
            answer(&Reply::KeptOut).is_ok()
        }
        Err(e) => answer(&Reply::Failed(e.into())).is_ok(),
        Ok(opened) => answer(&Reply::Ready).is_ok() && serve(context, directory, &opened, lines).await,
    }
}

/// An order or a reply that could not be read or written.
fn wire_error(e: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("between the processes of verify: {e}"))
}

/// Whether it was sent home; otherwise whoever gave the orders is gone.
async fn serve(
    context: &Context,
    directory: Option<PathBuf>,
    opened: &Opened,
    lines: impl Iterator<Item = std::io::Result<String>>,
) -> bool {
    let scratch = Scratch::shared(&opened.store, &*context.clock, &*context.entropy, NAMESPACE);
    for line in lines.map_while(|line| line.ok()) {
        let reply = match serde_json::from_str(&line) {
            Ok(Order::End) => return true,
            Ok(order) => follow(context, directory.as_deref(), &scratch, order).await,
            Err(e) => Reply::Failed(e.to_string().into()),
        };
        if answer(&reply).is_err() {
            return false;
        }
    }
    false
}

async fn follow(context: &Context, directory: Option<&Path>, scratch: &Scratch<'_>, order: Order) -> Reply {
    let done = match order {
        Order::Put { name, etag } => {
            let when = etag.map_or(Precondition::Absent, |etag| Precondition::Matches(Etag(etag.into())));
            part(scratch, &name, when).await.map(Reply::Part)
        }
        Order::Count { rounds } => increments(scratch, rounds).await.map(|()| Reply::Counted(rounds)),
        Order::Soak { millis } => soak(scratch, Duration::from_millis(millis)).await.map(Reply::Counted),
        Order::Act(what) => match directory {
            Some(directory) => Ok(Reply::Saw(act(directory, &what, &*context.entropy))),
            None => Err("there is no directory".into()),
        },
        Order::End => Err("the end is no question".into()),
    };
    done.unwrap_or_else(Reply::Failed)
}

async fn soak(scratch: &Scratch<'_>, time: Duration) -> Result<u64, Flaw> {
    let until = scratch.clock.boot() + time;
    let mut counted = 0;
    while scratch.clock.boot() < until && !is_alone() {
        increments(scratch, 10).await?;
        counted += 10;
    }
    Ok(counted)
}

/// Whether whoever gave the orders is gone: nobody holds the other end of standard input.
fn is_alone() -> bool {
    let stdin = std::io::stdin();
    let mut ready = [PollFd::new(&stdin, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut ready, Some(&now)), Ok(1)) && ready[0].revents().contains(PollFlags::HUP)
}

fn answer(reply: &Reply) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, reply)?;
    out.write_all(b"\n")?;
    out.flush()
}
