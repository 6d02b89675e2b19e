//! Two hosts that meet through the store and race each other: what one host alone cannot see of a store that several share.
//!
//! Each side has a record of its own in which it says how far it is; the other polls it. A side goes on to the next step only when the
//! other has said the same step, so that both put at nearly the same time. All of it goes through the store: there is no other
//! way between the two, and none is needed.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::race::{counter, increments};
use super::round::{Part, head, part, verdict};
use super::{Flaw, Scratch, ensure, lost, said};
use crate::limits::{PEER_PATIENCE, PEER_ROUNDS, PEER_WAIT};
use crate::model::{Record, WriteId};
use crate::store::{Etag, Precondition, PutError};

/// Between two looks while nobody has come yet.
const LOOK: Duration = Duration::from_millis(200);
/// Steps that a side's record keeps: the other may be one behind.
const KEPT: u64 = 4;

/// One side of a meeting.
#[derive(Debug)]
pub struct Peer<'a> {
    scratch: &'a Scratch<'a>,
    side: usize,
    step: u64,
    own: Record,
    etag: Option<Etag>,
    said: Vec<(u64, Value)>,
    /// Who the other is, as it calls itself.
    pub other: String,
}

/// Waits for the other side. The first one to come is side 0.
///
/// # Errors
/// In words: nobody came, or two are here already.
pub async fn meet<'a>(scratch: &'a Scratch<'a>, name: &str) -> Result<Peer<'a>, Flaw> {
    let me = hex::encode(scratch.entropy.bytes::<8>());
    let side = enter(scratch, &me).await?;
    let until = scratch.clock.boot() + PEER_WAIT;
    loop {
        let all = guests(scratch).await?.0;
        if !all.contains(&me) {
            // Come again, so that the other does not wait for somebody who has gone.
            let _may_be_full = enter(scratch, &me).await;
            return Err("what this host wrote is gone: both were told that they came first, or a write was lost".into());
        }
        if all.len() == 2 {
            break;
        }
        ensure(scratch.clock.boot() < until, || format!("no other host came in {PEER_WAIT:?}"))?;
        scratch.clock.sleep(LOOK).await;
    }
    let own = Record::new(scratch.key(&format!("side/{side}"))?);
    let mut peer = Peer { scratch, side, step: 0, own, etag: None, said: Vec::new(), other: String::new() };
    peer.other = peer.exchange(&name.to_owned()).await?;
    Ok(peer)
}

/// Those who have come, with the record and etag that say so.
async fn guests(s: &Scratch<'_>) -> Result<(Vec<String>, Record, Option<Etag>), Flaw> {
    let key = s.key("meeting")?;
    let Some(got) = s.get(&key).await? else { return Ok((Vec::new(), Record::new(key), None)) };
    let record = Record::decode(&key, &got.value).map_err(said)?;
    let guests = record.unknown.get("guests").cloned().unwrap_or_default();
    Ok((serde_json::from_value(guests).map_err(|e| Flaw::from(e.to_string()))?, record, Some(got.etag)))
}

async fn enter(s: &Scratch<'_>, me: &str) -> Result<usize, Flaw> {
    let until = s.clock.boot() + PEER_PATIENCE;
    loop {
        ensure(s.clock.boot() < until, || "what the other host wrote is not seen here".to_owned())?;
        let (mut all, mut record, etag) = guests(s).await?;
        if let Some(side) = all.iter().position(|guest| guest == me) {
            return Ok(side);
        }
        let side = all.len();
        ensure(side < 2, || "two others are verifying this store together, or were killed while they did".to_owned())?;
        all.push(me.to_owned());
        record.unknown.insert("guests".to_owned(), json!(all));
        let value = record.sealed(WriteId::random(s.entropy)).encode().map_err(said)?;
        match s.put(&s.key("meeting")?, &value, etag.map_or(Precondition::Absent, Precondition::Matches)).await {
            Ok(_) => return Ok(side),
            // Who knows is who looks again.
            Err(PutError::Conflict | PutError::Unknown(_)) => {}
            Err(other) => return Err(lost("joining the meeting", other)),
        }
    }
}

impl Peer<'_> {
    /// Whether this side was there first.
    #[must_use]
    pub const fn is_first(&self) -> bool {
        self.side == 0
    }

    /// Says something and hears what the other says at the same step.
    ///
    /// # Errors
    /// In words, when the other says nothing for [`PEER_PATIENCE`] or its writes are not seen here.
    pub async fn exchange<T: Serialize + DeserializeOwned>(&mut self, mine: &T) -> Result<T, Flaw> {
        self.step += 1;
        self.say(serde_json::to_value(mine).map_err(|e| Flaw::from(e.to_string()))?).await?;
        serde_json::from_value(self.hear().await?).map_err(|e| format!("the other host says nonsense: {e}").into())
    }

    async fn say(&mut self, what: Value) -> Result<(), Flaw> {
        self.said.push((self.step, what));
        let step = self.step;
        self.said.retain(|(said, _)| said + KEPT > step);
        self.own.unknown.insert("said".to_owned(), json!(self.said));
        self.own = self.own.clone().sealed(WriteId::random(self.scratch.entropy));
        let when = self.etag.take().map_or(Precondition::Absent, Precondition::Matches);
        let value = self.own.encode().map_err(said)?;
        self.etag = Some(self.scratch.must_put(&self.own.key, &value, when).await?);
        Ok(())
    }

    async fn hear(&self) -> Result<Value, Flaw> {
        let key = self.scratch.key(&format!("side/{}", 1 - self.side))?;
        let until = self.scratch.clock.boot() + PEER_PATIENCE;
        loop {
            if let Some(got) = self.scratch.get(&key).await? {
                let record = Record::decode(&key, &got.value).map_err(said)?;
                let all = record.unknown.get("said").cloned().unwrap_or_default();
                let all: Vec<(u64, Value)> = serde_json::from_value(all).map_err(|e| Flaw::from(e.to_string()))?;
                if let Some((_, what)) = all.into_iter().find(|(step, _)| *step == self.step) {
                    return Ok(what);
                }
            }
            ensure(self.scratch.clock.boot() < until, || {
                format!(
                    "step {} of the other host was not seen in {PEER_PATIENCE:?}: it has ended, or its writes are not seen here",
                    self.step
                )
            })?;
        }
    }

    /// Each side in turn writes a key whose absence the other has just seen, and says so: then the other must see it.
    ///
    /// # Errors
    /// In words, when it does not.
    pub async fn sees_writes(&mut self) -> Result<String, Flaw> {
        for round in 0..PEER_ROUNDS {
            let name = format!("seen/{round}");
            let early = head(self.scratch, &name).await?;
            ensure(early.is_none(), || format!("round {round}: a value that nobody wrote"))?;
            self.exchange(&()).await?;
            let mut wrote = None;
            if round % 2 == self.side {
                let key = self.scratch.key(&name)?;
                let record = Record::new(key.clone()).sealed(WriteId::random(self.scratch.entropy));
                wrote = record.write_id;
                self.scratch.must_put(&key, &record.encode().map_err(said)?, Precondition::Absent).await?;
            }
            let theirs = self.exchange(&wrote).await?;
            let seen = head(self.scratch, &name).await?.map(|(id, _)| id);
            ensure(seen.is_some() && seen == wrote.or(theirs), || {
                format!("round {round}: what one host wrote and told of, the other did not see")
            })?;
        }
        Ok(format!("{PEER_ROUNDS} writes, each seen by the other host at once"))
    }

    /// Both create each key at the same time.
    ///
    /// # Errors
    /// In words, when not exactly one wins.
    pub async fn creates(&mut self) -> Result<String, Flaw> {
        for round in 0..PEER_ROUNDS {
            self.exchange(&()).await?;
            self.round(&format!("create/{round}"), Precondition::Absent)
                .await
                .map_err(|e| e.within(format_args!("round {round}")))?;
        }
        Ok(format!("{PEER_ROUNDS} rounds of 2 hosts, one winner each"))
    }

    /// Both swap the same value at the same time.
    ///
    /// # Errors
    /// In words, when not exactly one wins.
    pub async fn swaps(&mut self) -> Result<String, Flaw> {
        if self.is_first() {
            let key = self.scratch.key("swap")?;
            self.scratch.must_put(&key, &self.scratch.value(&key)?, Precondition::Absent).await?;
        }
        for round in 0..PEER_ROUNDS {
            self.exchange(&()).await?;
            let (_, etag) = head(self.scratch, "swap").await?.ok_or("the value to swap is absent")?;
            let mine = etag.0.to_string();
            let theirs = self.exchange(&mine).await?;
            ensure(mine == theirs, || format!("round {round}: the two hosts read different values"))?;
            self.round("swap", Precondition::Matches(etag))
                .await
                .map_err(|e| e.within(format_args!("round {round}")))?;
        }
        Ok(format!("{PEER_ROUNDS} rounds of 2 hosts, one winner each"))
    }

    async fn round(&mut self, name: &str, when: Precondition) -> Result<(), Flaw> {
        let mine: Part = part(self.scratch, name, when).await?;
        let theirs = self.exchange(&mine).await?;
        let head = head(self.scratch, name).await?.map(|(id, _)| id);
        verdict(&[mine, theirs], head).map(drop)
    }

    /// Both add to one counter, as fast as they can.
    ///
    /// # Errors
    /// In words, when it is not the sum.
    pub async fn counts(&mut self) -> Result<String, Flaw> {
        let rounds = PEER_ROUNDS as u64;
        self.exchange(&()).await?;
        increments(self.scratch, rounds).await?;
        self.exchange(&()).await?;
        let sum = counter(self.scratch).await?;
        ensure(sum == 2 * rounds, || format!("2 hosts added {rounds} each, and the counter is {sum}"))?;
        Ok(format!("2 hosts added {rounds} each, and the counter is {sum}"))
    }

    /// The last step. The first side stays until the other is about to go: it takes the meeting away.
    ///
    /// # Errors
    /// In words, when the other is not heard of.
    pub async fn part_company(&mut self) -> Result<(), Flaw> {
        if self.is_first() {
            self.step += 1;
            return self.hear().await.map(drop);
        }
        self.step += 1;
        self.say(Value::Null).await
    }
}
