//! Races: many writers at once, with exactly one winner for each precondition. Within one process here; [`worker`] is what each of
//! several processes runs, since locks that hold only within one process look fine to a check that runs in one.

use std::time::Duration;

use futures_util::future::join_all;

use super::{Flaw, Scratch, Seen, ensure, lost, said};
use crate::error::ErrorKind;
use crate::model::{FencingToken, Key, Record, WriteId};
use crate::store::{Etag, Precondition, PutError};

const WRITERS: usize = 8;
const ROUNDS: usize = 10;

/// Writers at once, all creating one key: one wins, and its value stands.
pub(super) async fn creates(s: &Scratch<'_>) -> Seen {
    let rounds = s.times(ROUNDS);
    for round in 0..rounds {
        let key = s.key(&format!("create/{round}"))?;
        one_winner(s, &key, &Precondition::Absent).await?;
    }
    Ok(format!("{rounds} rounds of {WRITERS} writers, one winner each"))
}

/// Writers at once, all swapping one value: one wins, and its value stands.
pub(super) async fn swaps(s: &Scratch<'_>) -> Seen {
    let key = s.key("swap")?;
    let mut etag = s.must_put(&key, &s.value(&key)?, Precondition::Absent).await?;
    let rounds = s.times(ROUNDS);
    for _ in 0..rounds {
        etag = one_winner(s, &key, &Precondition::Matches(etag)).await?;
    }
    Ok(format!("{rounds} rounds of {WRITERS} writers, one winner each"))
}

async fn one_winner(s: &Scratch<'_>, key: &Key, when: &Precondition) -> Result<Etag, Flaw> {
    let values = (0..WRITERS).map(|_| s.value(key)).collect::<Result<Vec<_>, _>>()?;
    let puts = join_all(values.iter().map(|value| s.put(key, value, when.clone()))).await;
    let mut winners = Vec::new();
    for (value, put) in values.iter().zip(puts) {
        match put {
            Ok(etag) => winners.push((etag, value)),
            Err(PutError::Conflict) => {}
            Err(other) => return Err(lost("a put in a race", other)),
        }
    }
    let [(etag, value)] = winners.as_slice() else {
        return Err(format!("{} of {WRITERS} writers won", winners.len()).into());
    };
    let got = s.get(key).await?.ok_or("the winner's value is absent")?;
    ensure(got.value == **value && got.etag == *etag, || "the value is not the winner's".to_owned())?;
    Ok(etag.clone())
}

/// What one writer of a race won.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Wins {
    /// Keys created.
    pub created: u64,
    /// Increments of the counter.
    pub counted: u64,
}

/// One writer of a race between processes or hosts: tries to create each of `rounds` keys, then adds 1 to a shared counter by
/// compare-and-swap `rounds` times. In the end the keys created by all must be `rounds`, and the counter ([`counter`]) must be the sum.
///
/// # Errors
/// In words, whatever a put did that it may not do.
pub async fn worker(s: &Scratch<'_>, rounds: u64) -> Result<Wins, Flaw> {
    let mut wins = Wins::default();
    for round in 0..rounds {
        let key = s.key(&format!("race/{round}"))?;
        match s.put(&key, &s.value(&key)?, Precondition::Absent).await {
            Ok(_) => wins.created += 1,
            Err(PutError::Conflict) => {}
            Err(other) => return Err(lost("a create in a race", other)),
        }
        ensure(s.get(&key).await?.is_some(), || format!("round {round}: no value after a create or a conflict"))?;
    }
    increments(s, rounds).await?;
    wins.counted = rounds;
    Ok(wins)
}

/// Adds 1 to the counter so many times, among others who do the same.
///
/// # Errors
/// In words, whatever a put did that it may not do.
pub async fn increments(s: &Scratch<'_>, rounds: u64) -> Result<(), Flaw> {
    let mut counted = 0;
    while counted < rounds {
        counted += u64::from(increment(s).await?);
    }
    Ok(())
}

/// Adds 1 to the counter, once; whether it was applied.
async fn increment(s: &Scratch<'_>) -> Result<bool, Flaw> {
    let key = s.key("counter")?;
    let present = s.get(&key).await?;
    let (record, when) = match present {
        None => (Record::new(key.clone()), Precondition::Absent),
        Some(got) => (Record::decode(&key, &got.value).map_err(said)?, Precondition::Matches(got.etag)),
    };
    let id = WriteId::random(s.entropy);
    let mut next = record.sealed(id);
    let revision = next.revision;
    // A token and a beat for each, as grants have them: what cannot be is not encoded.
    next.token = FencingToken(next.token.0 + 1);
    next.beat += 1;
    match s.put(&key, &next.encode().map_err(said)?, when).await {
        Ok(_) => Ok(true),
        Err(PutError::Conflict) => {
            s.clock.sleep(Duration::from_micros(s.entropy.below(2_000))).await;
            Ok(false)
        }
        // A writer held up for so long that its revision is gone: the record's ring of writes tells.
        Err(PutError::Unknown(e)) if e.kind() == ErrorKind::OutcomeUnknown => applied(s, &key, id, revision).await,
        Err(other) => Err(lost("a swap in a race", other)),
    }
}

/// Whether the record remembers a write.
async fn applied(s: &Scratch<'_>, key: &Key, id: WriteId, revision: u64) -> Result<bool, Flaw> {
    let got = s.get(key).await?.ok_or("there is no counter")?;
    let record = Record::decode(key, &got.value).map_err(said)?;
    ensure(record.remembers(revision), || "a swap in a race: too long ago to be remembered".to_owned())?;
    Ok(record.has_write(id))
}

/// The counter of a race.
///
/// # Errors
/// In words, when it cannot be read.
pub async fn counter(s: &Scratch<'_>) -> Result<u64, Flaw> {
    let key = s.key("counter")?;
    let got = s.get(&key).await?.ok_or("there is no counter")?;
    let record = Record::decode(&key, &got.value).map_err(said)?;
    ensure(record.revision == record.token.0, || "the counter is not its number of writes".to_owned())?;
    Ok(record.token.0)
}
