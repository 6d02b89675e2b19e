//! What a server does with a store before it serves it: the quick form of `lockd verify store`.

use lockd::error::{Error, ErrorKind, Result};
use lockd::store::conformance::{Outcome, Report};

use super::super::context::Context;
use super::super::interrupt::Either;
use super::super::target::Place;
use super::super::text;
use super::board::{Board, Show};
use super::job::{Job, Plan, Size};

/// A directory in memory is worth a warning here: whoever restarts a server on what is left of it is told that there is no store.
const PLAN: Plan = Plan { size: Size::QUICK, soak: None, processes: 4, peer: false, restored: false, volatile: true };

/// Checks a store. Gives what each check saw; a signal ends it early.
///
/// # Errors
/// `Config` (exit code 78) when one failed: the message says which one and what was seen, the hint what to do.
pub fn vet(context: &Context, place: &Place) -> Result<Either<Vec<Report>>> {
    let board = Board::new(context, Show::Nothing, &place.url);
    match Job::new(context, PLAN, &board, place.clone())?.run()? {
        Either::Signal(signal) => Ok(Either::Signal(signal)),
        Either::Done(()) => {
            let reports = board.reports();
            match reports.iter().find(|report| report.outcome == Outcome::Fail) {
                Some(report) => Err(unfit(&place.url, report)),
                None => Ok(Either::Done(reports)),
            }
        }
    }
}

fn unfit(url: &str, report: &Report) -> Error {
    let what = format!("{} cannot hold locks: {}: {}", text::shown(url), report.id, report.saw);
    let hint = report.advice.as_deref().unwrap_or("run `lockd verify store` on it").to_owned();
    Error::new(ErrorKind::Config, what).with_hint(hint)
}
