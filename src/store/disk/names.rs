//! Names in a directory, as several processes or hosts make, link, see and remove them: the acts of each, and what must be true of
//! all of them together.

use std::io::{self, ErrorKind as E};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::probe::make;
use crate::entropy::{Entropy, KernelEntropy};
use crate::limits::PEER_ROUNDS;
use crate::store::conformance::Flaw;
use crate::store::conformance::peer::Peer;

/// What one of them is to do in the directory of the checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Make a file that must be new.
    Create(String),
    /// Make a file of its own and link it to this name.
    Link(String),
    /// Open the directory anew and look what the name leads to.
    Look(String),
    /// Remove a name.
    Remove(String),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Saw {
    /// The name was made, with this content; or found, or removed.
    There(String),
    /// The name was taken.
    Taken,
    /// There is no such name.
    Absent,
    /// Something else went wrong.
    Failed(String),
}

/// Does it.
#[must_use]
pub fn act(dir: &Path, act: &Act, entropy: &dyn Entropy) -> Saw {
    let id = hex::encode(entropy.bytes::<8>());
    let done = match act {
        Act::Create(name) => make(&dir.join(name), id.as_bytes()).map(|()| id),
        Act::Link(name) => link(dir, name, &id).map(|()| id),
        Act::Look(name) => look(dir, name),
        Act::Remove(name) => std::fs::remove_file(dir.join(name)).map(|()| String::new()),
    };
    match done {
        Ok(content) => Saw::There(content),
        Err(e) if e.kind() == E::AlreadyExists => Saw::Taken,
        Err(e) if e.kind() == E::NotFound => Saw::Absent,
        Err(e) => Saw::Failed(e.to_string()),
    }
}

fn link(dir: &Path, name: &str, id: &str) -> io::Result<()> {
    let temp = dir.join(format!("t.{id}"));
    make(&temp, id.as_bytes())?;
    let linked = std::fs::hard_link(&temp, dir.join(name));
    let _left = std::fs::remove_file(&temp);
    linked
}

fn look(dir: &Path, name: &str) -> io::Result<String> {
    // The directory by its path first: on a network file system that is what asks the server.
    drop(std::fs::File::open(dir)?);
    std::fs::read_to_string(dir.join(name))
}

/// Two hosts make and link the same names at the same time, and look.
///
/// # Errors
/// What is not true, in words.
pub async fn with_peer(peer: &mut Peer<'_>, dir: &Path) -> Result<String, Flaw> {
    let dir = Arc::new(dir.to_owned());
    for round in 0..PEER_ROUNDS {
        let name = format!("names.{round}");
        let early = do_there(&dir, Act::Look(name.clone())).await;
        all_see(&[early], None).map_err(|e| e.within(format_args!("round {round}")))?;
        peer.exchange(&()).await?;
        let act = if round % 2 == 0 { Act::Create(name.clone()) } else { Act::Link(name.clone()) };
        let mine = do_there(&dir, act).await;
        let theirs = peer.exchange(&mine).await?;
        let both = [mine, theirs];
        let content = one_maker(&both).map_err(|e| e.within(format_args!("round {round}")))?;
        let seen = do_there(&dir, Act::Look(name)).await;
        all_see(&[seen], Some(content)).map_err(|e| e.within(format_args!("round {round}")))?;
    }
    Ok(format!("{PEER_ROUNDS} names, each made by one of 2 hosts and seen by the other"))
}

async fn do_there(dir: &Arc<PathBuf>, what: Act) -> Saw {
    let dir = Arc::clone(dir);
    let done = tokio::task::spawn_blocking(move || act(&dir, &what, &KernelEntropy)).await;
    done.unwrap_or_else(|e| Saw::Failed(e.to_string()))
}

/// The content of the one that made the name, when all of them tried to at the same time.
///
/// # Errors
/// What is not true, in words.
pub fn one_maker(saw: &[Saw]) -> Result<&str, Flaw> {
    let mut makers = Vec::new();
    for saw in saw {
        match saw {
            Saw::There(content) => makers.push(content),
            Saw::Taken => {}
            Saw::Absent => return Err("making a name: its directory was not there".into()),
            Saw::Failed(why) => return Err(Flaw::Error(format!("making a name: {why}"), None)),
        }
    }
    match makers[..] {
        [content] => Ok(content),
        [] => Err(format!("none of {} made a name that was not there", saw.len()).into()),
        _ => Err(format!("{} of {} made the same name", makers.len(), saw.len()).into()),
    }
}

/// All of them see what was made last, or that it is gone (`None`).
///
/// # Errors
/// What is not true, in words.
pub fn all_see(saw: &[Saw], content: Option<&str>) -> Result<(), Flaw> {
    for saw in saw {
        match (saw, content) {
            (Saw::There(seen), Some(content)) if seen == content => {}
            (Saw::Absent, None) => {}
            (Saw::Failed(why), _) => return Err(Flaw::Error(format!("looking at a name: {why}"), None)),
            (Saw::There(_), None) => return Err("a name that one removed is still seen by another".into()),
            (Saw::There(_), Some(_)) => return Err("a name leads to something else for another".into()),
            (Saw::Absent | Saw::Taken, _) => {
                return Err("a name that one made is not seen by another".into());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(content: &str) -> Saw {
        Saw::There(content.to_owned())
    }

    #[test]
    fn acts_say_what_they_met() {
        let dir = tempfile::tempdir().unwrap();
        let at = |what: &Act| act(dir.path(), what, &KernelEntropy);
        let name = || "n".to_owned();
        for first in [Act::Create(name()), Act::Link(name())] {
            assert_eq!(at(&Act::Look(name())), Saw::Absent);
            let Saw::There(content) = at(&first) else { panic!("{first:?}") };
            assert_eq!(at(&Act::Look(name())), there(&content));
            assert_eq!((at(&Act::Create(name())), at(&Act::Link(name()))), (Saw::Taken, Saw::Taken));
            assert_eq!(at(&Act::Look(name())), there(&content));
            assert_eq!(at(&Act::Remove(name())), there(""));
            assert_eq!(at(&Act::Remove(name())), Saw::Absent);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn one_makes_a_name_and_all_see_it() {
        assert_eq!(one_maker(&[Saw::Taken, there("a"), Saw::Taken]), Ok("a"));
        for (saw, says) in [
            (vec![Saw::Taken, Saw::Taken], "none of 2"),
            (vec![there("a"), there("b"), Saw::Taken], "2 of 3"),
            (vec![there("a"), Saw::Failed("EIO".to_owned())], "EIO"),
            (vec![there("a"), Saw::Absent], "not there"),
        ] {
            let why = one_maker(&saw).unwrap_err().to_string();
            assert!(why.contains(says), "{why}");
        }
        assert_eq!(all_see(&[there("a"), there("a")], Some("a")), Ok(()));
        assert_eq!(all_see(&[Saw::Absent], None), Ok(()));
        for (saw, content, says) in [
            (there("a"), None, "still seen"),
            (there("b"), Some("a"), "something else"),
            (Saw::Absent, Some("a"), "not seen"),
            (Saw::Failed("EIO".to_owned()), None, "EIO"),
        ] {
            let why = all_see(&[saw], content).unwrap_err().to_string();
            assert!(why.contains(says), "{why}");
        }
    }
}
