//! One round of a race between processes or hosts: what each writer did ([`part`]), and what must be true of all of them together
//! ([`verdict`]).

use serde::{Deserialize, Serialize};

use super::{Flaw, Scratch, said};
use crate::model::{Record, WriteId};
use crate::store::{Etag, Precondition, PutError};

/// What a put was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Applied.
    Won,
    /// Another was faster.
    Conflict,
    /// Nobody knows.
    Unknown(String),
    /// Certainly not applied, and for no reason that a race gives.
    Failed(String),
}

/// One writer's part in a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What it wrote, or tried to.
    pub id: WriteId,
    /// What it was answered.
    pub answer: Answer,
    /// What it read after that.
    pub then: Option<WriteId>,
}

/// Puts once under `when`, then reads.
///
/// # Errors
/// In words, when nothing can be read.
pub async fn part(s: &Scratch<'_>, name: &str, when: Precondition) -> Result<Part, Flaw> {
    let key = s.key(name)?;
    let id = WriteId::random(s.entropy);
    let value = Record::new(key.clone()).sealed(id).encode().map_err(said)?;
    let answer = match s.put(&key, &value, when).await {
        Ok(_) => Answer::Won,
        Err(PutError::Conflict) => Answer::Conflict,
        Err(PutError::Unknown(e)) => Answer::Unknown(e.to_string()),
        Err(PutError::Failed(e)) => Answer::Failed(e.to_string()),
    };
    Ok(Part { id, answer, then: head(s, name).await?.map(|(id, _)| id) })
}

/// Who wrote the present value of a key, and its etag.
///
/// # Errors
/// In words, when it cannot be read.
pub async fn head(s: &Scratch<'_>, name: &str) -> Result<Option<(WriteId, Etag)>, Flaw> {
    let key = s.key(name)?;
    let Some(got) = s.get(&key).await? else { return Ok(None) };
    let record = Record::decode(&key, &got.value).map_err(said)?;
    Ok(Some((record.write_id.ok_or("a value without a write id")?, got.etag)))
}

/// What must be true of a round in which all put under one precondition: exactly one was applied, nobody else was told so, and
/// everybody who read afterwards saw it. Gives the number of writers who were told that nobody knows.
///
/// # Errors
/// What is not true, in words.
pub fn verdict(parts: &[Part], head: Option<WriteId>) -> Result<usize, Flaw> {
    let winners = parts.iter().filter(|part| part.answer == Answer::Won).count();
    if winners > 1 {
        return Err(format!("{winners} of {} writers were told that they won", parts.len()).into());
    }
    if let Some(Answer::Failed(why)) = parts.iter().map(|part| &part.answer).find(|a| matches!(a, Answer::Failed(_))) {
        return Err(Flaw::Error(format!("a put in a race failed: {why}"), None));
    }
    let head = head.ok_or("nobody's value is there after the race")?;
    let applied = parts.iter().find(|part| part.id == head).ok_or("the value is none that was put in the race")?;
    if winners == 1 && applied.answer != Answer::Won {
        return Err("the value is not the winner's".into());
    }
    if applied.answer == Answer::Conflict {
        return Err("a put that was refused was applied".into());
    }
    let blind = parts.iter().filter(|part| part.answer != Answer::Won && part.then != Some(head)).count();
    let unsure = parts.iter().filter(|part| matches!(part.answer, Answer::Unknown(_))).count();
    // Who was told nothing may have read before the winner wrote.
    if blind > unsure || parts.iter().any(|part| part.answer == Answer::Won && part.then != Some(head)) {
        return Err("a read after the race did not see the winner's value".into());
    }
    Ok(unsure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> WriteId {
        WriteId::from_bytes([n; 16])
    }

    fn round(answers: &[(u8, Answer, u8)]) -> Vec<Part> {
        let part = |(n, answer, then): &(u8, Answer, u8)| Part {
            id: id(*n),
            answer: answer.clone(),
            then: (*then > 0).then(|| id(*then)),
        };
        answers.iter().map(part).collect()
    }

    #[test]
    fn one_winner_whom_all_see_is_right() {
        use Answer::{Conflict, Unknown, Won};
        assert_eq!(verdict(&round(&[(1, Won, 1), (2, Conflict, 1), (3, Conflict, 1)]), Some(id(1))), Ok(0));
        let lost = || Unknown("reply lost".to_owned());
        assert_eq!(verdict(&round(&[(1, lost(), 1), (2, Conflict, 1)]), Some(id(1))), Ok(1));
        assert_eq!(verdict(&round(&[(1, Won, 1), (2, lost(), 0)]), Some(id(1))), Ok(1));
    }

    #[test]
    fn everything_else_is_not() {
        use Answer::{Conflict, Failed, Won};
        for (parts, head, says) in [
            (round(&[(1, Won, 1), (2, Won, 2)]), 2, "2 of 2 writers"),
            (round(&[(1, Conflict, 0), (2, Conflict, 0)]), 0, "nobody's value"),
            (round(&[(1, Won, 1), (2, Conflict, 2)]), 2, "not the winner's"),
            (round(&[(1, Conflict, 1), (2, Conflict, 1)]), 1, "refused was applied"),
            (round(&[(1, Won, 1), (2, Conflict, 0)]), 1, "did not see"),
            (round(&[(1, Won, 0), (2, Conflict, 1)]), 1, "did not see"),
            (round(&[(1, Won, 1), (2, Conflict, 1)]), 9, "none that was put"),
            (round(&[(1, Won, 1), (2, Failed("EIO".to_owned()), 1)]), 1, "EIO"),
        ] {
            let why = verdict(&parts, (head > 0).then(|| id(head))).unwrap_err().to_string();
            assert!(why.contains(says), "{parts:?}: {why}");
        }
    }
}
