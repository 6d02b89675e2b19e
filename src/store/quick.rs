//! The quick form of `lockd verify store`, for a server at its start: the place, what its file system does with names and syncs, and
//! the contract of a store, in a few seconds and by this process alone. Races between processes and hosts are the command's.

use std::sync::Arc;

use futures_util::{StreamExt, stream};

use super::conformance::{Outcome, Report, Scratch, checks};
use super::disk::examine::Question;
use super::disk::{probe, scratch};
use super::open::{self, OpenOptions, StoreUrl};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::CHECKS_AT_ONCE;

/// Checks a store that must be there, in a place of its own inside it that is gone afterwards. Gives what each check saw: those that
/// only warn are worth a line in a log. `volatile` accepts a directory whose content is gone after a restart, with a warning.
///
/// Run it to its end: dropped, it may leave its place behind (`verify.*` in a directory, beside the records).
///
/// # Errors
/// [`ErrorKind::Config`] (exit code 78) when a check failed: the message says which one and what was seen, the hint what to do. Those of
/// the file system when the place cannot be removed.
pub async fn quick(url: &StoreUrl, volatile: bool, options: &OpenOptions) -> Result<Vec<Report>> {
    let name = format!("{}{}", scratch::PREFIX, hex::encode(options.entropy.bytes::<8>()));
    let place = url.inside(&name);
    let reports = reports(url, &place, name, volatile, options).await;
    let removed = open::remove(&place, options).await;
    match reports.iter().find(|report| report.outcome == Outcome::Fail) {
        Some(report) => Err(unfit(url, report)),
        None => removed.map(|()| reports),
    }
}

fn unfit(url: &StoreUrl, report: &Report) -> Error {
    let what = format!("{} cannot hold locks: {}: {}", url.to_text(), report.id, report.saw);
    let hint = report.advice.as_deref().unwrap_or("run `lockd verify store` on it").to_owned();
    Error::new(ErrorKind::Config, what).with_hint(hint)
}

async fn reports(url: &StoreUrl, place: &StoreUrl, name: String, volatile: bool, options: &OpenOptions) -> Vec<Report> {
    let mut reports = Vec::new();
    if let StoreUrl::Disk(path) = url {
        let fstab = options.fstab.clone();
        let question = Question { path: path.clone(), may_be_missing: false, fstab, volatile, scratch: name };
        let answer = probe::place(question, Arc::clone(&options.clock)).await;
        reports.extend(answer.reports);
        if answer.scratch.is_none() {
            return reports;
        }
    }
    let inner = place.inside("store").to_text();
    let opened = match open::open(&inner, OpenOptions { create: true, ..options.clone() }).await {
        Ok(opened) => opened,
        Err(e) => {
            let advice = e.hint().unwrap_or("look at the place itself").to_owned();
            reports.push(Report::fail("open", e.message(), advice));
            return reports;
        }
    };
    let new = || Scratch::new(&opened.store, &*options.clock, &*options.entropy).hurried(true);
    let running = stream::iter(checks()).map(|check| async { check.run(&new()).await }).buffered(CHECKS_AT_ONCE);
    reports.extend(running.collect::<Vec<_>>().await);
    reports
}
