//! Sets outside of lockd, which whoever has the lock reads whole, adds to and writes whole: the resource that a lock protects. It
//! lives in the process of the test, where nothing stops it, and answers on a unix socket.
//!
//! With fencing it refuses a token lower than the highest that it has seen, in reads too: a read that did not raise the mark would
//! let an older holder write between the read and the write of the present one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

/// What workers ask of it.
#[derive(Debug, Serialize, Deserialize)]
pub enum Ask {
    /// The elements of a set, under a grant of its lock.
    Read { set: usize, token: u64, by: String },
    /// The set is these elements from now on, the last of which is new.
    Write { set: usize, token: u64, elements: Vec<u64> },
    /// Something came of an operation that never got that far.
    Tell { what: String },
}

/// What it answers.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    Elements(Vec<u64>),
    Done,
    /// A higher token has been seen.
    Refused,
}

/// A set, and what was done to it.
#[derive(Debug, Default)]
struct Set {
    elements: Vec<u64>,
    /// All that were added, each of them acknowledged.
    acknowledged: BTreeSet<u64>,
    /// The highest token seen.
    mark: u64,
    /// To whom each token was granted.
    tokens: BTreeMap<u64, String>,
}

/// What came of all operations on all sets.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Elements that were added and acknowledged.
    pub operations: u64,
    /// Leases under which a set was read.
    pub grants: u64,
    /// Writes that came with a lower token than one seen before.
    pub stale: u64,
    /// Acknowledged elements that are not there in the end.
    pub lost: u64,
    /// Why operations ended early.
    pub told: BTreeMap<String, u64>,
    /// What no lock may do.
    pub wrong: Vec<String>,
}

/// See the module.
#[derive(Debug)]
pub struct Register {
    fencing: bool,
    sets: Vec<Set>,
    found: Findings,
}

impl Register {
    pub fn new(sets: usize, fencing: bool) -> Self {
        Self { fencing, sets: (0..sets).map(|_| Set::default()).collect(), found: Findings::default() }
    }

    pub fn answer(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Read { set, token, by } => self.read(set, token, by),
            Ask::Write { set, token, elements } => self.write(set, token, elements),
            Ask::Tell { what } => {
                *self.found.told.entry(what).or_default() += 1;
                Answer::Done
            }
        }
    }

    fn read(&mut self, set: usize, token: u64, by: String) -> Answer {
        let of = &mut self.sets[set];
        if self.fencing && token < of.mark {
            return Answer::Refused;
        }
        of.mark = of.mark.max(token);
        self.found.grants += 1;
        if let Some(other) = of.tokens.insert(token, by.clone()) {
            self.found.wrong.push(format!("token {token} of set {set} was granted twice: to {other} and to {by}"));
        }
        Answer::Elements(of.elements.clone())
    }

    fn write(&mut self, set: usize, token: u64, elements: Vec<u64>) -> Answer {
        let of = &mut self.sets[set];
        let stale = token < of.mark;
        self.found.stale += u64::from(stale);
        if stale && self.fencing {
            return Answer::Refused;
        }
        of.acknowledged.extend(elements.last());
        of.elements = elements;
        self.found.operations += 1;
        Answer::Done
    }

    /// What there is to say in the end.
    pub fn findings(&self) -> Findings {
        let gone = |set: &Set| {
            let there = BTreeSet::from_iter(set.elements.iter().copied());
            set.acknowledged.difference(&there).count() as u64
        };
        Findings { lost: self.sets.iter().map(gone).sum(), ..self.found.clone() }
    }
}

/// Answers at a path for as long as the process lives.
pub fn serve(register: &Arc<Mutex<Register>>, at: &Path) {
    let listener = UnixListener::bind(at).unwrap();
    let register = Arc::clone(register);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let register = Arc::clone(&register);
            std::thread::spawn(move || converse(&register, &stream.unwrap()));
        }
    });
}

/// Until the worker is gone, which may be in the middle of a line: then it asked for nothing.
fn converse(register: &Mutex<Register>, stream: &UnixStream) {
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(line)) = lines.next() {
        let Ok(ask) = serde_json::from_str(&line) else { return };
        let answer = register.lock().unwrap().answer(ask);
        let text = serde_json::to_string(&answer).unwrap() + "\n";
        let mut stream = stream;
        if stream.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(register: &mut Register, token: u64) -> Answer {
        register.answer(Ask::Read { set: 0, token, by: format!("holder of {token}") })
    }

    fn write(register: &mut Register, token: u64, elements: &[u64]) -> Answer {
        register.answer(Ask::Write { set: 0, token, elements: elements.to_vec() })
    }

    /// The first holder is stopped between its read and its write, and the second has the lock meanwhile.
    fn overtaken(fencing: bool) -> Register {
        let mut register = Register::new(1, fencing);
        assert_eq!(read(&mut register, 1), Answer::Elements(Vec::new()));
        assert_eq!(write(&mut register, 1, &[10]), Answer::Done);
        assert_eq!(read(&mut register, 2), Answer::Elements(vec![10]));
        assert_eq!(read(&mut register, 3), Answer::Elements(vec![10]));
        assert_eq!(write(&mut register, 3, &[10, 30]), Answer::Done);
        let late = write(&mut register, 2, &[10, 20]);
        assert_eq!(late, if fencing { Answer::Refused } else { Answer::Done });
        register
    }

    #[test]
    fn an_overtaken_holder_loses_what_others_added_unless_it_is_fenced_off() {
        for (fencing, lost, operations) in [(true, 0, 2), (false, 1, 3)] {
            let found = overtaken(fencing).findings();
            assert_eq!((found.lost, found.operations, found.stale), (lost, operations, 1), "{fencing}");
            assert!(found.wrong.is_empty());
        }
    }

    #[test]
    fn a_read_raises_the_mark() {
        let mut register = Register::new(1, true);
        read(&mut register, 1);
        read(&mut register, 2);
        assert_eq!(write(&mut register, 1, &[1]), Answer::Refused, "who reads under 2 would never see it");
        assert_eq!(read(&mut register, 1), Answer::Refused);
        assert_eq!(write(&mut register, 2, &[2]), Answer::Done);
        assert_eq!(register.findings().lost, 0);
    }

    #[test]
    fn a_token_that_is_granted_twice_is_found_out() {
        let mut register = Register::new(1, false);
        read(&mut register, 1);
        read(&mut register, 1);
        assert_eq!(register.findings().wrong.len(), 1);
    }
}
