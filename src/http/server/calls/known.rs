//! What is known of keys: describe, list.

use futures_util::StreamExt;

use super::Asked;
use crate::error::Result;
use crate::http::server::answer::{Answer, Failure, json, with};
use crate::http::wire::{DescribeReply, ListEntry, ListQuery, ListReply, state_headers};
use crate::limits::LIST_PAGE;
use crate::service::Listed;

/// What is known of a key.
pub async fn describe(asked: Asked<'_>) -> Result<Answer, Failure> {
    let shared = &asked.connection.shared;
    let key = asked.key()?;
    let known = shared.service.describe(&key).await?;
    let headers = state_headers(known.version, known.etag.as_ref())?;
    Ok(with(json(&DescribeReply::new(&known, shared.clock.wall()))?, headers))
}

/// A page of the keys of a namespace.
pub async fn list(asked: Asked<'_>) -> Result<Answer, Failure> {
    let shared = &asked.connection.shared;
    let query: ListQuery = asked.query()?;
    let most = query.limit.unwrap_or(LIST_PAGE).clamp(1, LIST_PAGE) as usize;
    let request = query.request()?;
    let now = shared.clock.wall();
    let mut found = shared.service.list(&request);
    let mut page = ListReply::default();
    while let Some(item) = found.next().await {
        if query.waiters && item.as_ref().is_ok_and(|listed| !is_waited_for(listed)) {
            continue;
        }
        page.keys.push(ListEntry::new(&item, now));
        // A page ends after a key that says where to go on.
        if let (true, Ok(listed)) = (page.keys.len() >= most, &item) {
            page.next = Some(listed.cursor.0.clone());
            break;
        }
    }
    Ok(json(&page)?)
}

fn is_waited_for(listed: &Listed) -> bool {
    listed.known.waiters.is_some_and(|waiters| waiters > 0)
}
