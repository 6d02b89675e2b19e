//! What can be told of a store's place before one is opened there, for the checks of `lockd verify store`: what is asked of a directory
//! and its file system, and of a bucket and who opens it. One report for each question.

use std::sync::Arc;

use super::conformance::Report;
use super::disk::examine::Question;
use super::disk::probe;
use super::open::{OpenOptions, StoreUrl};
use crate::error::Result;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The store.
    pub url: &'a StoreUrl,
    /// The name of the checks' own place inside it.
    pub scratch: &'a str,
    /// Whether lockd will make its directory when that is missing: then the nearest one above it is looked at.
    pub may_be_missing: bool,
    /// Whether it is accepted that everything in it is gone after a restart.
    pub volatile: bool,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// In the order in which it was asked.
    pub reports: Vec<Report>,
    /// Whether a store can be opened in the checks' place.
    pub goes_on: bool,
    /// Whether something may be in it already.
    pub left: bool,
}

/// Looks at a place, and tries what stores need of it. What it makes is in the checks' place. Run it to its end: dropped, it may still
/// make that.
pub async fn look(place: Place<'_>, options: &OpenOptions) -> Answer {
    if let Some((path, kind)) = place.url.directory() {
        let question = Question {
            path: path.to_owned(),
            may_be_missing: place.may_be_missing,
            fstab: options.fstab.clone(),
            volatile: place.volatile,
            kind,
            scratch: place.scratch.to_owned(),
            own: hex::encode(options.entropy.bytes::<8>()),
        };
        let answer = probe::place(question, Arc::clone(&options.clock)).await;
        let there = answer.scratch.is_some();
        return Answer { reports: answer.reports, goes_on: there, left: there };
    }
    if *place.url == StoreUrl::Memory {
        return Answer { goes_on: true, ..Answer::default() };
    }
    in_bucket(&place, options).await.unwrap_or_else(|e| {
        let advice = e.hint().unwrap_or("look at its settings").to_owned();
        Answer { reports: vec![Report::fail("settings", e.message(), advice)], ..Answer::default() }
    })
}

#[cfg(feature = "objects")]
async fn in_bucket(place: &Place<'_>, options: &OpenOptions) -> Result<Answer> {
    let service = super::open::service(place.url, options)?;
    let scratch = place.url.inside(place.scratch);
    Ok(super::object::probe::place(service, place.url.prefix(), scratch.prefix(), options).await)
}

#[cfg(not(feature = "objects"))]
async fn in_bucket(place: &Place<'_>, options: &OpenOptions) -> Result<Answer> {
    // There it is told what this lockd was built without.
    super::open::open(&place.url.to_text(), options.clone()).await.map(|_| Answer::default())
}
