//! Checks of the record store by one process, one step after the other.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};

use super::{Flaw, Scratch, Seen, ensure, lost, said};
use crate::store::{Cursor, Etag, Precondition, PutError};

/// How long a change may take to be noticed, and when there are seconds only.
const NOTICED: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(10)];

fn patience(s: &Scratch<'_>) -> Duration {
    NOTICED[usize::from(s.quick)]
}

pub(super) async fn create_and_swap(s: &Scratch<'_>) -> Seen {
    let key = s.key("a")?;
    ensure(s.get(&key).await?.is_none(), || "a key that was never written has a value".to_owned())?;
    let (first, second) = (s.value(&key)?, s.value(&key)?);
    let etag = s.must_put(&key, &first, Precondition::Absent).await?;
    let got = s.get(&key).await?.ok_or("a value that was just created is absent")?;
    ensure(got.value == first && got.etag == etag, || "what was read is not what was created".to_owned())?;
    let swapped = s.must_put(&key, &second, Precondition::Matches(etag)).await?;
    let got = s.get(&key).await?.ok_or("a value that was just swapped is absent")?;
    ensure(got.value == second && got.etag == swapped, || "what was read is not what was swapped in".to_owned())?;
    Ok("created, swapped and read back".to_owned())
}

pub(super) async fn read_after_write(s: &Scratch<'_>) -> Seen {
    let key = s.key("a")?;
    let mut when = Precondition::Absent;
    let writes = s.times(40);
    for n in 1..=writes {
        let value = s.value(&key)?;
        let etag = s.must_put(&key, &value, when).await?;
        let got = s.get(&key).await?.ok_or_else(|| format!("write {n} is absent"))?;
        ensure(got.value == value && got.etag == etag, || format!("a read after write {n} saw another value"))?;
        when = Precondition::Matches(etag);
    }
    Ok(format!("{writes} writes, each read back"))
}

/// Many more revisions than any store keeps, when there is time: the oldest etag must still be refused.
pub(super) async fn stale_etags(s: &Scratch<'_>) -> Seen {
    let key = s.key("a")?;
    let value = s.value(&key)?;
    let mut etags = vec![s.must_put(&key, &value, Precondition::Absent).await?];
    let swaps = s.times(40);
    for _ in 0..swaps {
        let etag = etags.last().cloned().ok_or("no etag")?;
        etags.push(s.must_put(&key, &s.value(&key)?, Precondition::Matches(etag)).await?);
    }
    let head = etags.pop();
    for (n, etag) in etags.into_iter().enumerate() {
        refused(s, &key, Precondition::Matches(etag), &format!("the etag of write {}", n + 1)).await?;
    }
    refused(s, &key, Precondition::Absent, "create-if-absent on a key that is there").await?;
    let foreign = Etag("0-not-an-etag".into());
    refused(s, &key, Precondition::Matches(foreign), "an etag that the store never gave").await?;
    let now = s.get(&key).await?.map(|got| got.etag);
    ensure(now == head, || "a refused put was applied".to_owned())?;
    Ok(format!("{} stale preconditions, each refused", swaps + 2))
}

async fn refused(s: &Scratch<'_>, key: &crate::model::Key, when: Precondition, what: &str) -> Result<(), Flaw> {
    match s.put(key, &s.value(key)?, when).await {
        Err(PutError::Conflict) => Ok(()),
        Err(other) => Err(lost(what, other)),
        Ok(_) => Err(format!("{what} was accepted").into()),
    }
}

pub(super) async fn etags_differ(s: &Scratch<'_>) -> Seen {
    let (a, b) = (s.key("a")?, s.key("b")?);
    let mut seen = BTreeSet::new();
    let mut when = Precondition::Absent;
    let values = s.times(20);
    for _ in 0..values {
        let etag = s.must_put(&a, &s.value(&a)?, when).await?;
        ensure(seen.insert(etag.0.to_string()), || "an etag came back for another value".to_owned())?;
        when = Precondition::Matches(etag);
    }
    let other = s.must_put(&b, &s.value(&b)?, Precondition::Absent).await?;
    if let Precondition::Matches(of_a) = when {
        refused(s, &b, Precondition::Matches(of_a), "the etag of another key").await?;
    }
    let got = s.get(&b).await?.map(|got| got.etag);
    ensure(got == Some(other), || "a put under another key's etag was applied".to_owned())?;
    Ok(format!("{values} values, {values} etags"))
}

pub(super) async fn refusals(s: &Scratch<'_>) -> Seen {
    let key = s.key("a")?;
    let none = Etag("1-not-an-etag".into());
    refused(s, &key, Precondition::Matches(none), "a swap on a key that is not there").await?;
    ensure(s.get(&key).await?.is_none(), || "a refused swap made the key".to_owned())?;
    let value = s.value(&key)?;
    s.must_put(&key, &value, Precondition::Absent).await?;
    refused(s, &key, Precondition::Absent, "a second create").await?;
    let got = s.get(&key).await?.map(|got| got.value);
    ensure(got == Some(value), || "a refused create was applied".to_owned())?;
    Ok("refused puts left the value alone".to_owned())
}

pub(super) async fn listed(s: &Scratch<'_>) -> Seen {
    let mut wanted = BTreeSet::new();
    for n in 0..s.times(20) {
        let key = s.key(&format!("list/{n}"))?;
        s.must_put(&key, &s.value(&key)?, Precondition::Absent).await?;
        wanted.insert(key.name().to_owned());
    }
    let mut found = BTreeSet::new();
    let mut after: Option<Cursor> = None;
    // From each cursor only one key is taken, so that every cursor is tried.
    loop {
        let Some(item) = s.store.records.list(&s.namespace, after.as_ref()).next().await else { break };
        let (key, cursor) = item.map_err(said)?;
        ensure(found.insert(key.name().to_owned()), || format!("{} was listed twice", key.name()))?;
        after = Some(cursor);
    }
    ensure(found == wanted, || format!("{} keys were written, {} were listed", wanted.len(), found.len()))?;
    let whole: Vec<_> = s.store.records.list(&s.namespace, None).collect().await;
    ensure(whole.len() == wanted.len(), || format!("one list had {} of {} keys", whole.len(), wanted.len()))?;
    Ok(format!("{} keys, listed whole and one by one", wanted.len()))
}

pub(super) async fn changed(s: &Scratch<'_>) -> Seen {
    let key = s.key("a")?;
    let created = notices(s, &key, None, Precondition::Absent).await?;
    let swapped = notices(s, &key, Some(&created), Precondition::Matches(created.clone())).await?;
    // What has changed already is no reason to wait.
    let until = s.clock.boot() + patience(s);
    let at_once = s.clock.timeout_at(until, s.store.records.changed(&key, Some(&created))).await;
    at_once.ok_or("a change of the past was not noticed")?.map_err(said)?;
    ensure(swapped != created, || "a swap left the etag as it was".to_owned())?;
    Ok("a create and a swap were noticed".to_owned())
}

/// Waits for a change that is made while it waits.
async fn notices(
    s: &Scratch<'_>,
    key: &crate::model::Key,
    seen: Option<&Etag>,
    when: Precondition,
) -> Result<Etag, Flaw> {
    let value = s.value(key)?;
    let waiting = std::pin::pin!(s.store.records.changed(key, seen));
    let putting = std::pin::pin!(s.must_put(key, &value, when));
    let (etag, waiting) = match select(waiting, putting).await {
        // Early is allowed.
        Either::Left((early, putting)) => {
            early.map_err(said)?;
            return putting.await;
        }
        Either::Right((etag, waiting)) => (etag?, waiting),
    };
    let noticed = s.clock.timeout_at(s.clock.boot() + patience(s), waiting).await;
    noticed.ok_or_else(|| format!("a change was not noticed in {:?}", patience(s)))?.map_err(said)?;
    Ok(etag)
}
